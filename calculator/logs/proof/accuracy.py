"""The proof: public figures of the engines beside what ``plan()`` and ``speed()`` answer for the same set-up.

``python -m calculator.logs.proof.accuracy`` prints the table, ``--write FILE`` writes it as Markdown. Rows are told
apart by a rule fixed beforehand, the hash of their id: those that ranges may be calibrated on, and those held out.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from calculator.catalogue.presets import data_file, load_model
from calculator.engines.log import Taken
from calculator.engines.patterns import seen
from calculator.errors import CalculatorError
from calculator.logs.compared import compare
from calculator.logs.comparison import Comparison
from calculator.logs.proof.choices import choices_markdown
from calculator.logs.proof.foretold import foretold_markdown
from calculator.logs.proof.machines import EACH, MACHINES, groups, machines
from calculator.logs.proof.speed_accuracy import speed_markdown
from calculator.logs.proof.tables import quantile, table
from calculator.logs.reading import StartupLog
from calculator.messages import say
from calculator.planning.answer import Plan

CLOSE, CLOSE_OF_DEVICE = 0.05, 0.005
COUNTS = (
    "tensor_parallel_size", "pipeline_parallel_size", "max_model_len", "max_num_seqs", "max_num_batched_tokens",
    "block_size", "kv_tokens", "num_blocks", "concurrency_at", "sequences", "draft_tokens", "encoder_tokens",
)  # fmt: skip
DECIMALS = (
    "memory_gib", "free_at_start_gib", "gpu_memory_utilization", "weights_gib", "consumed_gib", "state_gib",
    "activation_gib", "non_torch_gib", "cuda_graph_gib", "kv_pool_gib", "max_concurrency", "needed_gib",
)  # fmt: skip
SWITCHES = (
    "enable_expert_parallel", "enforce_eager", "enable_prefix_caching", "swa_full", "language_model_only",
    "enable_attention_dp",
)  # fmt: skip
FIGURES = (
    "memory_gib", "free_at_start_gib", "weights_gib", "consumed_gib", "state_gib", "activation_gib", "non_torch_gib",
    "cuda_graph_gib", "kv_pool_gib", "kv_tokens", "num_blocks", "max_concurrency", "concurrency_at", "needed_gib",
    "sequences", "flash_attention", "encoder_tokens",
)  # fmt: skip
FLAGS = {"logged_model": "model", "version": "engine_version", "max_model_len": "seq_len"}
"""What a log states under another name than the table's columns; any other column has the flag's own."""
TOLD = ("weight_dtype", "swa_full")
"""What the table's makers took from around a log: it is given beside the log, as model and device are."""


@dataclass(frozen=True)
class Row:
    """A row of the table of start-up figures, and how it compares with the plan of the same set-up.

    Attributes
    ----------
    id, engine, family : str
        The row, the engine, and the family of the model.
    row : dict
        The figures as the table has them; what is empty is left out.
    plan : Plan or None
        The plan, None where the model or the device is not known.
    refused : str
        Why there is none.
    tokens_exact : bool or None
        Whether the printed pool holds the printed tokens, within the log's rounding; None where one is missing.
    capacity_error : float or None
        Predicted over reported KV pool less 1 [-]; of tokens where no pool is printed.
    device_error : float or None
        The same difference as a fraction of the device's memory [-].
    in_range : bool or None
        Whether the reported value lies within the predicted range.
    capacity : Taken or None
        Both, and the range.
    """

    id: str
    engine: str
    family: str
    row: dict[str, Any]
    plan: Plan | None
    refused: str
    tokens_exact: bool | None
    capacity_error: float | None
    device_error: float | None
    in_range: bool | None
    capacity: Taken | None = None

    @property
    def is_stated(self) -> bool:
        """Whether device, parallelism, fraction, formats and version are all stated, not a part of them."""
        return self.row.get("stated") == "yes" and "version_inferred" not in self.row

    @property
    def calibrates(self) -> bool:
        """Whether ranges may be calibrated on the row: the first byte of the hash of its id is even."""
        return hashlib.sha256(self.id.encode()).digest()[0] % 2 == 0

    @property
    def is_close(self) -> bool:
        """Whether the pool is within 5 % of itself or 0.5 % of the device's memory."""
        return abs(self.capacity_error or 0) <= CLOSE or abs(self.device_error or 0) <= CLOSE_OF_DEVICE


@cache
def comparisons() -> tuple[Row, ...]:
    """Return every row of the table of start-up figures beside its plan.

    Returns
    -------
    tuple of Row
        In the order of the table.
    """
    text = data_file("startup_figures.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(_judged(_typed(row)) for row in csv.DictReader(lines))


def _typed(row: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: value for name, value in row.items() if value}
    values |= {name: True for name in SWITCHES if name in values}
    values |= {name: seen(values[name]) for name in ("flash_attention",) if name in values}
    values |= {name: int(values[name]) for name in COUNTS if name in values}
    return values | {name: float(values[name]) for name in DECIMALS if name in values}


def log_of(row: dict[str, Any]) -> StartupLog:
    """Return a row as the log that it was taken from."""
    figures = {name: row[name] for name in FIGURES if name in row}
    flags = {FLAGS.get(name, name): value for name, value in row.items() if name not in FIGURES and name not in TOLD}
    return StartupLog(row["engine"], figures, flags, len(figures), (), 0)


def compared_of(row: dict[str, Any], **given: Any) -> Comparison:
    """Return a row beside its plan; what is given takes the place of what the row says."""
    return compare(log_of(row), row["model"], row.get("gpu"), {name: row.get(name) for name in TOLD} | given)


def _judged(row: dict[str, Any]) -> Row:
    head = row["id"], row["engine"]
    if "model" not in row:
        refused = row.get("explanation") or say("accuracy.no_preset", "the model is not among the presets")
        return Row(*head, "", row, None, refused, None, None, None, None)
    family = load_model(row["model"]).family
    try:
        compared = compared_of(row)
    except CalculatorError as error:
        return Row(*head, family, row, None, str(error), None, None, None, None)
    made = (*head, family, row, compared.plan, "", compared.tokens_exact)
    if "stated" not in row or compared.capacity_error is None:
        return Row(*made, None, None, None)
    return Row(*made, compared.capacity_error, compared.device_error, compared.in_range, compared.capacity)


@dataclass(frozen=True)
class Summary:
    """What is said of a set of comparisons: how many, how far off, how often the range held."""

    name: str
    rows: int
    exact: tuple[int, int]
    errors: tuple[float, ...]
    close: int
    in_range: int


def summarise(name: str, some: Sequence[Row]) -> Summary:
    """Summarise some comparisons."""
    judged = [one for one in some if one.capacity_error is not None and one.is_stated]
    checked = [one for one in some if one.tokens_exact is not None]
    return Summary(
        name,
        len(some),
        (sum(bool(one.tokens_exact) for one in checked), len(checked)),
        tuple(one.capacity_error or 0.0 for one in judged),
        sum(one.is_close for one in judged),
        sum(bool(one.in_range) for one in judged),
    )


def summaries(some: Sequence[Row]) -> list[Summary]:
    """Summarise by engine, by family within it, and calibrated apart from held out."""
    found = []
    for engine in dict.fromkeys(one.engine for one in some):
        rows = [one for one in some if one.engine == engine]
        found.append(summarise(engine, rows))
        for family in sorted({one.family for one in rows if one.family}):
            found.append(summarise(f"{engine}, {family}", [one for one in rows if one.family == family]))
    found.append(summarise("all, used for calibration", [one for one in some if one.calibrates]))
    found.append(summarise("all, held out", [one for one in some if not one.calibrates]))
    return found


def in_part(some: Sequence[Row]) -> list[Summary]:
    """Summarise by engine the rows whose version, fraction or length is not stated."""
    rows = [one for one in some if one.capacity_error is not None and not one.is_stated]
    return [
        summarise(
            f"{engine}, in part",
            [replace(one, row=_as_stated(one.row)) for one in rows if one.engine == engine],
        )
        for engine in dict.fromkeys(one.engine for one in rows)
    ]


def markdown(some: Sequence[Row] | None = None) -> str:
    """Return the report: what was compared, how far off, and every row that is not close, explained or left open."""
    every = comparisons() if some is None else some
    stated = [one for one in every if one.is_stated]
    parts = [_HEAD, table(_SUMMARY_COLUMNS, summaries(every))]
    parts += [_MACHINES, table(MACHINES, groups(stated)), "", table(EACH, machines(stated))]
    parts += [_IN_PART, table(_IN_PART_COLUMNS, in_part(every)), "", table(MACHINES, groups(every))]
    parts += [foretold_markdown(), speed_markdown(), choices_markdown(), _ROWS]
    parts.append(table(COMPARED, [one for one in every if one.capacity_error is not None]))
    off = [one for one in every if one.capacity_error is not None and abs(one.capacity_error) > CLOSE]
    parts += [_OFF, *(f"- `{one.id}`: {one.capacity_error:+.1%}. {_explained(one)}" for one in off)]
    inexact = [one for one in every if one.tokens_exact is False]
    parts += [_INEXACT, *(f"- `{one.id}`: {_explained(one)}" for one in inexact)]
    parts += [
        _UNPLANNED,
        *(f"- `{one.id}` ({one.row.get('logged_model', '')}): {one.refused}" for one in every if not one.plan),
    ]
    return "\n".join(parts) + "\n"


def _explained(one: Row) -> str:
    return str(one.row.get("explanation") or "Open question.")


_SUMMARY_COLUMNS: Mapping[str, Callable[[Any], str]] = {
    "rows": lambda summary: summary.name,
    "logs": lambda summary: f"{summary.rows}",
    "tokens of the pool exact": lambda summary: "{} of {}".format(*summary.exact) if summary.exact[1] else "",
    "capacity compared": lambda summary: f"{len(summary.errors)}" if summary.errors else "",
    "median": lambda summary: f"{quantile(map(abs, summary.errors), 0.5):.1%}" if summary.errors else "",
    "nine of ten within": lambda summary: f"{quantile(map(abs, summary.errors), 0.9):.1%}" if summary.errors else "",
    "worst": lambda summary: f"{max(summary.errors, key=abs):+.1%}" if summary.errors else "",
    "within 5 % or 0.5 % of the device": lambda summary: f"{summary.close}" if summary.errors else "",
    "range held": lambda summary: f"{summary.in_range}" if summary.errors else "",
}
COMPARED: Mapping[str, Callable[[Any], str]] = {
    "row": lambda one: one.id,
    "version": lambda one: str(one.row.get("version", "")),
    "model": lambda one: one.row["model"],
    "device": lambda one: str(one.row.get("gpu") or _memory_of(one.row)),
    "TP": lambda one: f"{one.row['tensor_parallel_size']}",
    "reported, GiB": lambda one: f"{one.capacity.reported_gib:.2f}",
    "predicted, GiB": lambda one: f"{one.capacity.predicted_gib:.2f}",
    "range, GiB": lambda one: f"{max(0.0, one.capacity.low_gib):.2f} to {one.capacity.high_gib:.2f}",
    "error": lambda one: f"{one.capacity_error:+.1%}",
    "range held": lambda one: "yes" if one.in_range else "no",
    "stated": lambda one: "yes" if one.is_stated else "in part",
    "used for": lambda one: "calibration" if one.calibrates else "held out",
}


def _as_stated(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: value for name, value in row.items() if name != "version_inferred"}, "stated": "yes"}


def _memory_of(row: Mapping[str, Any]) -> str:
    return f"{row['memory_gib']} GiB" if "memory_gib" in row else ""


_HEAD = """# Accuracy

Public start-up figures of the engines (`startup_figures.csv`, numbers and where they were printed) beside what
`plan()` answers for the same set-up. Made by `make accuracy`; `make test` fails when it is out of date.

What a log does not state is taken as the engine's default of its version. Capacity is compared on rows whose version,
device, parallelism, fraction and formats are stated, and apart from them, further below, on those that state a part of
that; the error is predicted over reported KV pool, less 1. An engine whose cache is as large as was asked for is judged
by all that it takes: weights, cache and compute buffer. Rows are told apart by the hash of their id: ranges were
calibrated on one half, the other was held out. Two ranges alone were set with all rows that there were: that of unified
memory, of one kind of device, and that of what 4 bit checkpoints leave in 16 bit.
"""
_MACHINES = """
## One row a machine

All starts of one machine and engine together: its error is the median of theirs, it is close where each of them is, and
its range held where each of theirs did. Held out is a machine none of whose starts was used.
"""
_IN_PART = """
## Set-ups that are stated in part

The version, the fraction or a length is not stated, and the engine's default is assumed. First by row, then by machine
together with those above.
"""
_IN_PART_COLUMNS = {name: cell for name, cell in _SUMMARY_COLUMNS.items() if name != "tokens of the pool exact"}
_ROWS = "\n## Capacity, row by row\n"
_OFF = "\n## Rows further off than 5 %\n"
_INEXACT = "\n## Rows whose pool does not hold the tokens printed\n"
_UNPLANNED = "\n## Rows that cannot be planned\n"


def main(arguments: Sequence[str]) -> int:
    """Print the report; write it to a file, and what pages need of it to the package's table."""
    from calculator.logs.proof.judged import write as write_table

    if len(arguments) == 2 and arguments[0] == "--write":
        Path(arguments[1]).write_text(markdown(), encoding="utf-8")
        write_table()
    print(_HEAD, table(_SUMMARY_COLUMNS, summaries(comparisons())), speed_markdown(), choices_markdown(), sep="\n")
    return 0


if __name__ == "__main__":
    import sys

    raise SystemExit(main(sys.argv[1:]))
