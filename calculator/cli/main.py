"""The command line: arguments → calls → text or JSON. Reports on stdout, diagnostics on stderr."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, TextIO

import calculator
from calculator.architecture.split import kv_heads_per_rank, kv_replication
from calculator.catalogue.presets import gpu_ids, load_gpu, load_model, model_ids
from calculator.engines import ENGINES, titles
from calculator.errors import CalculatorError, InvalidValueError
from calculator.planning.answer import SCHEMA_VERSION, Plan
from calculator.planning.kv_cache import kv_cache_bytes, kv_cache_bytes_per_gpu
from calculator.planning.plan import plan
from calculator.request import FLAGS, PLAN_FIELDS
from calculator.units import format_bytes, format_gb, format_gib, format_size, gib_to_bytes, parse_bytes, plural
from calculator.views import words

OK, MISSED, BAD_INPUT = 0, 1, 2

PLAN_HELP = {
    "seq_len": "prompt and generated tokens of one sequence; by default the model's longest context",
    "batch_size": "concurrent sequences of one replica that must fit",
    "tensor_parallel_size": "GPUs that share every layer",
    "pipeline_parallel_size": "stages that share the layers",
    "data_parallel_size": "replicas",
    "weight_dtype": "weight format, auto for the checkpoint's own",
    "kv_cache_dtype": "storage format of the cache, auto for the checkpoint's own",
    "gpu_memory_utilization": "the engine's memory fraction, by default its own",
    "encoder_seq_len": "tokens of the encoder, for an encoder-decoder",
    "enable_expert_parallel": "ranks hold whole experts in place of slices of all",
    "engine": f"whose rules apply: {', '.join(ENGINES)}",
    "engine_version": "of which version, such as 0.19; by default the newest known",
    "async_scheduling": "whether vLLM schedules a batch ahead; by default as the version does",
    "enable_prefix_caching": "whether vLLM keeps pages of states for it; by default as the version does",
    "disable_hybrid_kv_cache_manager": "allocate windows at full length (vLLM, SGLang)",
    "swa_full": "allocate windows at full length (llama.cpp)",
    "enable_attention_dp": "every GPU of a replica serves sequences of its own (SGLang, TensorRT-LLM)",
    "decode_context_parallel_size": "GPUs that share a sequence's tokens (vLLM, SGLang)",
    "enforce_eager": "capture no CUDA graphs",
    "language_model_only": "leave encoders of images and audio unloaded (vLLM)",
    "block_size": "tokens of one block",
    "max_num_seqs": "sequences of one forward pass",
    "max_num_batched_tokens": "tokens of one forward pass",
    "gpu_memory_bytes": "what the GPU reports to a program: bytes, or a size such as 79.25GiB",
    "kv_cache_memory_bytes": "the KV pool of one GPU given outright: bytes, or a size such as 20GiB",
    "activation_bytes": "your own activation peak of one GPU: bytes, or a size such as 2GiB",
    "non_torch_bytes": "your own non-torch memory of one GPU: bytes, or a size such as 500MiB",
    "cuda_graph_bytes": "your own CUDA graph pool of one GPU: bytes, or a size such as 0B",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0 where all is fine, 1 where an expectation is missed, 2 on bad input."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        if sys.stdout is None:
            raise OSError(errno.EBADF, "standard output is closed")
        arguments = _parser().parse_args(argv)
        report = io.StringIO()
        with contextlib.redirect_stdout(report):  # a report is written whole or not at all
            code: int = arguments.run(arguments)
        sys.stdout.write(report.getvalue())
        sys.stdout.flush()
        return code
    except CalculatorError as error:
        _say(f"error: {error}", to=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        _silence_stdout()
        if not isinstance(error, BrokenPipeError):
            _say(f"error: the report cannot be written: {error.strerror}", to=sys.stderr)
        return BAD_INPUT


def _silence_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter's own flush at exit stays quiet."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """Flags by their whole names only: an abbreviation would break when a flag is added."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        super().error(_one_line(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m calculator",
        description="KV-cache capacity planning: how much memory, how many sequences, what to change.",
        epilog="Exit codes: 0 fine; 1 an expectation is missed or the plan does not fit; 2 bad usage or bad input.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    kv = commands.add_parser("kv", help="bytes of the KV cache", description="Bytes of the KV cache of a model.")
    kv.add_argument("--model", required=True, metavar="ID", help="preset id, Hugging Face id or config.json")
    kv.add_argument("--seq-len", type=_count, required=True, metavar="N", help="tokens of one sequence")
    kv.add_argument("--batch-size", type=_count, default=1, metavar="N", help="sequences, by default 1")
    kv.add_argument("--kv-cache-dtype", default="auto", metavar="F", help=PLAN_HELP["kv_cache_dtype"])
    kv.add_argument("--encoder-seq-len", type=_count, metavar="N", help=PLAN_HELP["encoder_seq_len"])
    kv.add_argument(
        "--tensor-parallel-size", type=_count, default=1, metavar="N", help=PLAN_HELP["tensor_parallel_size"]
    )
    _format(kv, "text", "json")
    kv.set_defaults(run=_kv)

    planner = commands.add_parser(
        "plan", help="what fits on which GPUs", description="How many sequences fit, and why."
    )
    planner.add_argument("--model", required=True, metavar="ID", help="preset id, Hugging Face id or config.json")
    planner.add_argument("--gpu", metavar="ID", help="GPU preset id; may be left out where its memory is given")
    planner.add_argument("--gpu-memory-gib", type=_gib, metavar="X", help="what the GPU reports to a program, in GiB")
    for name in PLAN_FIELDS:
        kind: dict[str, Any] = {"type": _type_of(name), "metavar": "F" if _type_of(name) is str else "N"}
        if name in FLAGS:
            kind = {"action": argparse.BooleanOptionalAction, "default": None}
        planner.add_argument(f"--{name.replace('_', '-')}", help=PLAN_HELP[name], **kind)
    _format(planner, "text", "json")
    planner.set_defaults(run=_plan)

    inspect = commands.add_parser(
        "inspect",
        help="what is understood of a config.json, or why it is refused",
        description="What is understood of a config.json: layers, weights by part, what is assumed and ignored.",
    )
    inspect.add_argument("config", metavar="config.json", help="the file")
    inspect.add_argument(
        "--seq-len", type=_count, metavar="N", help="tokens of one sequence, by default the model's maximum"
    )
    inspect.add_argument("--encoder-seq-len", type=_count, metavar="N", help=PLAN_HELP["encoder_seq_len"])
    inspect.add_argument(
        "--assume-full-attention", action="store_true", help="compute an unknown type that states plain attention"
    )
    _format(inspect, "text", "json")
    inspect.set_defaults(run=_inspect)

    compare = commands.add_parser(
        "reconcile",
        help="a start-up log beside the plan of the same set-up",
        description="Predicted beside reported, term by term, and what explains the difference.",
    )
    compare.add_argument("log", metavar="FILE", help=f"the log of {titles()}; - for stdin")
    compare.add_argument("--model", metavar="ID", help="where the log does not name a preset")
    compare.add_argument("--gpu", metavar="ID", help="where the log does not name the GPU")
    compare.add_argument("--gpu-memory-gib", type=_gib, metavar="X", help="what the GPU reports to a program, in GiB")
    compare.add_argument("--engine-version", metavar="X.Y", help="in place of the version that the log names")
    _format(compare, "text", "json")
    compare.set_defaults(run=_reconcile)

    for name, run, what in (("models", _models, "models"), ("gpus", _gpus, "GPUs")):
        lister = commands.add_parser(
            name, help=f"list the {what}", description=f"List the {what} that presets exist for."
        )
        _format(lister, "text", "json")
        lister.set_defaults(run=run)

    check = commands.add_parser(
        "check",
        help="verify presets and plan files",
        description="Verify the presets' own numbers, or plan files' expectations.",
    )
    check.add_argument(
        "files", nargs="*", metavar="FILE", help="plan files or preset files; none: the project's presets"
    )
    _format(check, "text", "json", "github")
    check.set_defaults(run=_check)
    return parser


def _format(parser: argparse.ArgumentParser, *formats: str) -> None:
    parser.add_argument("--format", choices=formats, default="text", help="what to print")


def _count(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,400}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text[:40]!r}")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text[:40]!r}") from None


def _gib(text: str) -> int:
    value = _number(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"must be a number of GiB above 0, not {text[:40]!r}")
    return gib_to_bytes(text)


def _size(text: str) -> int:
    try:
        return parse_bytes(text)
    except CalculatorError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _type_of(name: str) -> Any:
    if name.endswith("_bytes"):
        return _size
    if name.endswith("dtype") or name.startswith("engine"):
        return str
    return _number if name == "gpu_memory_utilization" else _count


def _say(text: str = "", to: TextIO | None = None) -> None:
    """Print one line: all text of a report goes through here, so that none of it can act on a terminal or a CI log."""
    print(_one_line(text), file=to)


def _print_json(content: Any) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False)
    print("".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text))


def _print_table(rows: Iterable[Sequence[str]], align: str) -> None:
    """Print rows in columns; ``align`` holds ``l`` or ``r`` for each."""
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(line, widths, align, strict=True)
        )
        _say("  ".join(cells).rstrip())


def _kv(arguments: argparse.Namespace) -> int:
    model, tp = load_model(arguments.model), arguments.tensor_parallel_size
    asked = (model, arguments.seq_len, arguments.batch_size, arguments.kv_cache_dtype, tp, arguments.encoder_seq_len)
    report = {
        "schema_version": SCHEMA_VERSION,
        "model": model.id,
        "kv_cache_bytes": kv_cache_bytes(*asked),
        "kv_cache_bytes_per_gpu": kv_cache_bytes_per_gpu(*asked),
        "kv_bytes_per_token": model.kv_bytes_per_token(arguments.kv_cache_dtype),
        "state_bytes_per_sequence": model.state_bytes_per_sequence(tp),
        "kv_heads_per_gpu": kv_heads_per_rank(model.num_key_value_heads, tp) if model.num_key_value_heads else 0,
        "kv_replication": kv_replication(model.num_key_value_heads, tp) if model.num_key_value_heads else 1,
    }
    if arguments.format == "json":
        _print_json(report)
        return OK
    total, share = report["kv_cache_bytes"], report["kv_cache_bytes_per_gpu"]
    _say(f"{model.name}, {arguments.seq_len:,} tokens × {plural(arguments.batch_size, 'sequence')}")
    _say(f"KV cache, all GPUs: {format_bytes(total)} ({format_gib(total)}, {format_gb(total)})")
    heads = plural(report["kv_heads_per_gpu"], "KV head")
    _say(f"KV cache, one GPU:  {format_bytes(share)} ({format_gib(share)}), {heads} on each of {plural(tp, 'GPU')}")
    _say(f"One more token:     {format_bytes(report['kv_bytes_per_token'])} over the whole model")
    if model.dtype_assumption and arguments.kv_cache_dtype == "auto":
        _say(f"note: {model.dtype_assumption}")
    return OK


def _plan(arguments: argparse.Namespace) -> int:
    asked = {name: getattr(arguments, name) for name in ("model", "gpu", *PLAN_FIELDS)}
    if arguments.gpu_memory_gib is not None:
        if arguments.gpu_memory_bytes is not None:
            raise InvalidValueError("give one of gpu_memory_gib and gpu_memory_bytes: both are the memory of one GPU")
        asked["gpu_memory_bytes"] = arguments.gpu_memory_gib
    answer = plan(**{name: value for name, value in asked.items() if value is not None})
    if arguments.format == "json":
        _print_json(answer.as_dict())
    else:
        _print_plan(answer)
    return OK if answer.fits else MISSED


def _print_plan(answer: Plan) -> None:
    from calculator.planning.search import shape, smallest_fit, what_would_fit

    _say(words.headline(answer))
    _say(words.detail(answer))
    if words.price(answer):
        _say(f"Price of {words.hardware(answer)}: {words.price(answer)}.")
    smallest = smallest_fit(answer)
    if smallest:
        _say(f"The fewest that would do: {words.hardware(smallest)} ({shape(smallest)}).")
    _say()
    total = answer.per_gpu.total_bytes
    _print_table(
        [
            ("Memory of one GPU", "", "bytes", ""),
            *((name, format_size(size), f"{size:,}", source) for name, size, source in words.memory_lines(answer)),
            ("Total", format_gib(total), f"{total:,}", answer.accelerator.memory_source),
        ],
        "lrrl",
    )
    _say()
    for note in answer.notes:
        _say(f"note: {note}")
    _say(f"note: {words.NOT_MODELLED}")
    for line in f"start it with: {calculator.serve_command(answer)}".split("\n"):
        _say(line)
    for lever in what_would_fit(answer):
        _say(f"would fit: {lever.label} ({lever.cost}): {words.headline(lever.plan)}")


def _inspect(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from calculator.configs.reader import read_config

    model = read_config(Path(arguments.config), arguments.assume_full_attention)
    seq_len = model.max_position_embeddings if arguments.seq_len is None else arguments.seq_len
    per_sequence = kv_cache_bytes(model, seq_len, encoder_seq_len=arguments.encoder_seq_len)
    warnings = [*model.assumed, *([model.dtype_assumption] if model.dtype_assumption else [])]
    report = {
        "schema_version": SCHEMA_VERSION,
        "model": model.name,
        "num_parameters": model.num_parameters,
        "num_active_parameters": model.num_active_parameters,
        "parts": model.parts,
        "weight_dtype": model.resolve_weight_dtype("auto"),
        "kv_cache_dtype": model.resolve_kv_dtype("auto"),
        "kv_bytes_per_token": model.kv_bytes_per_token(),
        "seq_len": seq_len,
        "kv_bytes_per_sequence": per_sequence,
        "state_bytes_per_sequence": model.state_bytes_per_sequence(),
        "layers": model.layer_rows(),
        "ignored_keys": list(model.ignored_keys),
        "warnings": warnings,
    }
    if arguments.format == "json":
        _print_json(report)
        return OK
    _say(f"{model.name}: {model.num_parameters:,} parameters, {model.num_active_parameters:,} active")
    _say(f"KV cache: {format_bytes(model.kv_bytes_per_token())} per token in {report['kv_cache_dtype']}")
    _say(f"One sequence of {seq_len:,} tokens: {format_bytes(per_sequence)} ({format_size(per_sequence)})")
    state = model.state_bytes_per_sequence()
    if state:
        _say(f"State of one sequence, which does not grow: {format_bytes(state)} ({format_size(state)})")
    _say()
    rows = [(f"{row['count']}", row["kind"], _sizes(row)) for row in model.layer_rows()]
    _print_table([("layers", "kind", "sizes"), *rows], "rll")
    _say()
    _print_table([("part", "parameters"), *((part, f"{count:,}") for part, count in model.parts.items())], "lr")
    for warning in warnings:
        _say(f"assumed: {warning}")
    if model.ignored_keys:
        _say(f"ignored: {', '.join(model.ignored_keys)}")
    return OK


def _sizes(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in row.items() if isinstance(value, int) and name != "count")


def _reconcile(arguments: argparse.Namespace) -> int:
    from calculator.logs.reading import read_file
    from calculator.logs.reconciliation import reconcile

    result = reconcile(
        read_file(arguments.log),
        arguments.model,
        arguments.gpu,
        gpu_memory_bytes=arguments.gpu_memory_gib,
        engine_version=arguments.engine_version,
    )
    if arguments.format == "json":
        _print_json(result.as_dict())
        return OK if result.agrees else MISSED
    _say(result.finding)
    _say()
    header = ("", "unit", "predicted", "range", "reported", "difference")
    _print_table([header, *(words.term_cells(term) for term in result.terms)], "llrrrr")
    _say()
    for cause in result.causes:
        _say(f"cause: {cause}")
    for assumption in result.assumed:
        _say(f"assumed: {assumption}")
    for problem in result.log.problems:
        _say(f"note: {problem}")
    _say(f"note: {words.NOT_MODELLED}")
    for number, text in result.log.not_understood:
        _say(f"not understood, line {number:,}: {text}")
    if result.log.unlisted:
        _say(f"not understood: {result.log.unlisted:,} lines more")
    return OK if result.agrees else MISSED


def _models(arguments: argparse.Namespace) -> int:
    models = [load_model(key) for key in model_ids()]
    if arguments.format == "json":
        entries = [
            {
                "id": model.id,
                "name": model.name,
                "huggingface_id": model.huggingface_id or None,
                "family": model.family,
                "num_layers": model.num_layers,
                "num_attention_heads": model.num_attention_heads,
                "num_key_value_heads": model.num_key_value_heads,
                "num_parameters": model.num_parameters,
                "num_active_parameters": model.num_active_parameters,
                "max_position_embeddings": model.max_position_embeddings,
                "kv_bytes_per_token": model.kv_bytes_per_token(),
                "unverified": model.unverified or None,
            }
            for model in models
        ]
        _print_json({"schema_version": SCHEMA_VERSION, "models": entries})
        return OK
    header = ("id", "name", "layers", "heads", "KV heads", "parameters", "context", "KV per token")
    rows = (
        (
            model.id,
            model.name,
            f"{model.num_layers}",
            f"{model.num_attention_heads}",
            f"{model.num_key_value_heads}",
            f"{model.num_parameters:,}",
            f"{model.max_position_embeddings:,}",
            format_size(model.kv_bytes_per_token()),
        )
        for model in models
    )
    _print_table([header, *rows], "llrrrrrr")
    return OK


def _gpus(arguments: argparse.Namespace) -> int:
    gpus = [load_gpu(key) for key in gpu_ids()]
    if arguments.format == "json":
        names = (
            "id", "name", "vendor", "memory_bytes", "memory_source", "memory_verified", "label_gb", "reported_mib",
            "bandwidth_gb_per_s", "bf16_tflops", "fp8_tflops", "fp4_tflops", "link_gb_per_s", "gpus_per_node",
            "price_usd_per_hour", "price_date", "unverified",
        )  # fmt: skip
        entries = [{name: getattr(gpu, name) for name in names} for gpu in gpus]
        _print_json({"schema_version": SCHEMA_VERSION, "gpus": entries})
        return OK
    header = ("id", "name", "seen by a program", "driver reports", "label", "USD per hour")
    rows = (
        (
            gpu.id,
            gpu.name,
            format_gib(gpu.memory_bytes) + ("" if gpu.memory_verified else " (not verified)"),
            f"{gpu.reported_mib:,} MiB" if gpu.reported_mib else "",
            f"{gpu.label_gb} GB",
            "{:g} to {:g}".format(*gpu.price_usd_per_hour) if gpu.price_usd_per_hour else "",
        )
        for gpu in gpus
    )
    _print_table([header, *rows], "llrrrr")
    return OK


def _check(arguments: argparse.Namespace) -> int:
    from dataclasses import asdict
    from pathlib import Path

    from calculator.planning.checks import check_file, check_presets

    findings = (
        [finding for name in arguments.files for finding in check_file(Path(name))]
        if arguments.files
        else check_presets()
    )
    missed = [finding for finding in findings if not finding.ok]
    if arguments.format == "json":
        report = {"schema_version": SCHEMA_VERSION, "checked": len(findings), "missed": len(missed)}
        _print_json({**report, "findings": [asdict(finding) for finding in findings]})
        return MISSED if missed else OK
    for finding in missed:
        values = f"expected {_value(finding.expected)} ({finding.tolerance}), actual {_value(finding.actual)}"
        text = f"{finding.subject}: {finding.field}: {values}; source: {finding.source}"
        if arguments.format == "github":
            place = f"file={_escape(finding.file, ':,')},line={finding.line}"
            _say(f"::error {place}::{_escape(text)}")
        else:
            _say(f"{finding.file}:{finding.line}: {text}")
    subjects = len({finding.subject for finding in findings})
    met, entries = len(findings) - len(missed), plural(subjects, "entry", "entries")
    _say(f"{met:,} of {len(findings):,} expectations of {entries} are met")
    return MISSED if missed else OK


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:,}"


def _one_line(text: str) -> str:
    """Escape what a terminal or a CI log would act on, so that a name in a file stays a name."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _escape(text: str, extra: str = "") -> str:
    """Escape a workflow command's text, so that a name in a file cannot start a command of its own."""
    for character in f"%\r\n{extra}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text
