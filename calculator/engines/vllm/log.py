"""What vLLM prints at start-up, both of its engines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.engines.log import Assumption, Log
from calculator.engines.overheads import ACTIVATION, CUDA_GRAPH
from calculator.engines.patterns import as_flag, count, first_name, number, pattern, seen, whole_mapping, word
from calculator.engines.vllm.overheads import activation, encoder_outputs
from calculator.engines.vllm.values import Values
from calculator.messages import Message, phrase, say, template

if TYPE_CHECKING:
    from calculator.logs.reading import StartupLog
    from calculator.planning.answer import Plan

PATTERNS = (
    pattern(r"(?:vLLM API server version |LLM engine \(v|vLLM version:? |vllm[=-]=?)<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+>",
             engine_version=word),
    pattern(r"speculative[_-]config['\"]?+[:= ]{1,3}+(?!None|null).{0,300}?(?<!\w)method['\"]?+[:= ]{1,3}+['\"]?+<draft_method:[a-z0-9_]{2,40}+>",
             draft_method=word),
    pattern(r"speculative[_-]config['\"]?+[:= ]{1,3}+(?!None|null).{0,300}?num_spec(?:ulative)?+_tokens['\"]?+[:= ]{1,3}+<draft_tokens>",
             draft_tokens=count),
    pattern(r"\bvllm[\w-]{0,20}:v<engine_version:[0-9]{1,4}+\.[0-9]{1,4}+[\w.+]{0,40}+>", engine_version=word),
    pattern(r"<v0_lines:the current vLLM instance can use|Memory profiling results: total_gpu|# \w{1,40}+ blocks: >",
             v0_lines=seen),
    pattern(r"<v1_lines:gpu_worker\.py.{0,20}Available KV cache memory>", v1_lines=seen),
    pattern(r"<since_0_28:GPU KV cache size: [0-9,]{1,40} tokens, Maximum>", since_0_28=seen),
    pattern(r"EngineCore.{0,60}<second_runner:\[model_runner\.py:[0-9]{1,9}+\] Model loading took>", second_runner=seen),
    pattern(r"<since_0_11:Desired GPU memory utilization is \(>", since_0_11=seen),
    pattern(r"CUDA graph pool memory: <cuda_graph_gib> GiB \(actual\), <cuda_graph_estimate_gib> GiB",
             cuda_graph_gib=number, cuda_graph_estimate_gib=number),
    pattern(r"[Ll]oading (?:model )?(?:weights )?took <weights_gib> ?Gi?B", weights_gib=number),
    pattern(r"Available KV cache memory: <kv_pool_gib> GiB", kv_pool_gib=number),
    pattern(r"(?:GPU|XPU|HPU|ROCM) KV cache size: <kv_tokens> tokens", kv_tokens=count),
    pattern(r"Maximum concurrency for <concurrency_at> tokens per request: <max_concurrency>x",
             concurrency_at=count, max_concurrency=number),
    pattern(r"Graph capturing finished in .{0,40}took <cuda_graph_gib> GiB", cuda_graph_gib=number),
    pattern(r"Encoder cache will be initialized with a budget of <encoder_tokens> tokens", encoder_tokens=count),
    pattern(r"<flashinfer_samples:Using FlashInfer for top-p & top-k sampling>", flashinfer_samples=seen),
    pattern(r"<torch_samples:PyTorch-native implementation of top-p & top-k>", torch_samples=seen),
    pattern(r"Estimated CUDA graph memory: <cuda_graph_estimate_gib> GiB", cuda_graph_estimate_gib=number),
    pattern(r"# (?:GPU|rocm|cuda|ROCM|CUDA) blocks: <num_blocks>", num_blocks=count),
    pattern(r"total_gpu_memory \(<memory_gib>GiB\) x gpu_memory_utilization \(<gpu_memory_utilization>\)"
             r" = <requested_gib>GiB", memory_gib=number, gpu_memory_utilization=number, requested_gib=number),
    pattern(r"model weights take <weights_gib>GiB", weights_gib=number),
    pattern(r"non_torch_memory takes <non_torch_gib>GiB", non_torch_gib=number),
    pattern(r"PyTorch activation peak memory takes <activation_gib>GiB", activation_gib=number),
    pattern(r"reserved for KV Cache is <kv_pool_gib>GiB", kv_pool_gib=number),
    pattern(r"Memory profiling results: total_gpu_memory=<memory_gib>GiB", memory_gib=number),
    pattern(r"\bpeak_torch_memory=<peak_torch_gib>GiB", peak_torch_gib=number),
    pattern(r"\bnon_torch_memory=<non_torch_gib>GiB", non_torch_gib=number),
    pattern(r"\bkv_cache_size=<kv_pool_gib>GiB", kv_pool_gib=number),
    pattern(r"Free memory on device \S{0,20} ?\(<free_at_start_gib>/<memory_gib> GiB\) on startup",
             free_at_start_gib=number, memory_gib=number),
    pattern(r"Initial free memory:? <free_at_start_gib> GiB", free_at_start_gib=number),
    pattern(r"Desired GPU memory utilization is \(<gpu_memory_utilization>, <requested_gib> GiB\)",
             gpu_memory_utilization=number, requested_gib=number),
    pattern(r"Actual usage is <weights_gib> GiB for weights?\b", weights_gib=number),
    pattern(r"Actual usage is <consumed_gib> GiB for consumed memory", consumed_gib=number),
    pattern(r"<non_torch_gib> GiB for non-torch", non_torch_gib=number),
    pattern(r"Actual usage is .{0,80}GiB for consumed.{0,30}, <activation_and_graphs_gib> GiB for peak activation",
             activation_and_graphs_gib=number),
    pattern(r"GiB for weights?, <activation_gib> GiB for peak activation", activation_gib=number),
    pattern(r"<cuda_graph_gib> GiB for CUDAGraph memory", cuda_graph_gib=number),
    pattern(r"[Cc]urrent kv cache memory in use is <kv_pool_gib> GiB", kv_pool_gib=number),
    pattern(r"[Cc]urrent kv cache memory in use is <kv_pool_bytes:[0-9]{6,20}> bytes", kv_pool_bytes=count),
    pattern(r"at least one request with the model.{0,6} max seq len \(<concurrency_at>\)", concurrency_at=count),
    pattern(r"<needed_gib> GiB KV cache is needed", needed_gib=number),
    pattern(r"<args_whole:non-default args: \{.*+>", args_whole=whole_mapping),
    pattern(r"available KV cache memory \(<kv_pool_gib> GiB\)", kv_pool_gib=number),
    pattern(r"estimated maximum model length is <max_context_len>", max_context_len=count),
    pattern(r"Chunked prefill is enabled with max_num_batched_tokens=<max_num_batched_tokens>",
             max_num_batched_tokens=count),
    pattern(r"Setting attention block size to <attention_block_size> tokens", attention_block_size=count),
    pattern(r"Add <padding_layers> padding layers", padding_layers=count),
    pattern(r"Using max model len <seq_len>", seq_len=count),
    pattern(r"<nothing_left:No available memory for the cache blocks>", nothing_left=word),
    pattern(r"max seq len \(<concurrency_at>\) is larger than .{0,80}stored in KV cache \(<kv_tokens>\)",
             concurrency_at=count, kv_tokens=count),
    pattern(r"Free memory on device (?:cuda:[0-9]{1,3} )?\(<free_at_start_gib>/<memory_gib> GiB\) on startup is less than "
             r"desired GPU memory utilization \(<gpu_memory_utilization>, <requested_gib> GiB\)",
             free_at_start_gib=number, memory_gib=number, gpu_memory_utilization=number, requested_gib=number),
    pattern(r"max_num_seqs \(<refused_sequences>\) exceeds available Mamba cache blocks \(<state_blocks>\)",
             refused_sequences=count, state_blocks=count),
    pattern(r"\bdevice_config=<platform:[a-z]{2,12}+>", platform=word),
    pattern(r"<server_lines:\(APIServer pid=|api_server\.py>", server_lines=seen),
    pattern(r"<offline_lines:^ {0,8}+INFO .{10,30}\[utils\.py:[0-9]{1,5}\] non-default args>", offline_lines=seen),
    pattern(r"Resolved architecture: <architecture:\w{3,80}+>", architecture=word),
    pattern(r"Multiplying the GPU KV cache size by the \w{1,40}+ <context_ranks>", context_ranks=count),
)  # fmt: skip
FIRST_MINOR = {"since_0_28": 28, "second_runner": 22, "since_0_11": 11, "v1_lines": 8}
LAST_V0_MINOR = 8
"""Minor versions that first print lines of a shape, and the last one with those of the V0 engine."""
SERVED = re.compile(
    r"(?:(?:^|[\s$#`'\"(])vllm serve|vllm-openai:[\w.-]{1,80}(?= {1,40}+[\w.-]{1,96}+/)) {1,40}+((?!-)[\w./:@-]{2,200})"
)
DEFAULTS = {"max_num_seqs": (256, 1024), "max_num_batched_tokens": (2048, 8192, 16384)}
"""What a keyword can be by default where all that is otherwise is printed: by device and use."""
BEGINS = re.compile(r"vLLM API server version |non-default args: |Initializing an? (?:V[01] )?LLM engine \(v")
RANK = re.compile(r"\(Worker_((?:[A-Z]{2,3}[0-9]{1,3}_?){1,8}+)[ )]")


FLASHINFER_COPIES_TENTHS = 37
"""Copies of the fp32 logits where FlashInfer samples, times ten, as from 0.17 on, which brings it along [-].

vLLM 0.10.1 ``v1/sample/ops/topk_topp_sampler.py``: it does where it is installed. Five starts of 0.10.1 on A100 that say
so have 0.9 to 1.4 GiB more than 9.6 copies leave, one that says it does not has as much as those leave.
"""


def _less_by_flashinfer(plan: Plan) -> int:
    """Return by how much activations are less where FlashInfer samples than by the rules of the version [bytes]."""
    rules, request = plan.rules, plan.request
    if not isinstance(rules, Values) or rules.sampler_copies_tenths <= FLASHINFER_COPIES_TENTHS:
        return 0

    def peak(copies: int) -> int:
        sequences, tokens = request.max_num_seqs, request.max_num_batched_tokens
        ranks = request.tensor_parallel_size
        return activation(plan.model, copies, rules.experts_stay, ranks, sequences, tokens, True, (1.0, 1.0)).bytes

    return peak(rules.sampler_copies_tenths) - peak(FLASHINFER_COPIES_TENTHS)


class VllmLog(Log):
    """The log of vLLM."""

    patterns: ClassVar = PATTERNS
    arguments: ClassVar = {
        "model": ("model", word), "model_tag": ("model", word), "served_model_name": ("served_name", first_name),
        "max_model_len": ("seq_len", count), "max_seq_len": ("seq_len", count),
        "tensor_parallel_size": ("tensor_parallel_size", count),
        "pipeline_parallel_size": ("pipeline_parallel_size", count),
        "data_parallel_size": ("data_parallel_size", count),
        "decode_context_parallel_size": ("decode_context_parallel_size", count),
        "gpu_memory_utilization": ("gpu_memory_utilization", number),
        "max_num_seqs": ("max_num_seqs", count), "max_num_batched_tokens": ("max_num_batched_tokens", count),
        "kv_cache_dtype": ("kv_cache_dtype", word), "quantization": ("quantization", word), "dtype": ("dtype", word),
        "block_size": ("block_size", count), "language_model_only": ("language_model_only", as_flag),
        "enforce_eager": ("enforce_eager", as_flag), "enable_prefix_caching": ("enable_prefix_caching", as_flag),
        "async_scheduling": ("async_scheduling", as_flag),
        "enable_expert_parallel": ("enable_expert_parallel", as_flag),
        "disable_hybrid_kv_cache_manager": ("disable_hybrid_kv_cache_manager", as_flag),
        "kv_cache_memory_bytes": ("kv_cache_memory_bytes", count), "speculative_config": ("speculative", word),
        "enable_lora": ("lora", as_flag), "device_name": ("device", word),
    }  # fmt: skip
    short_arguments: ClassVar = {
        "tp": "tensor_parallel_size", "pp": "pipeline_parallel_size", "dp": "data_parallel_size",
        "dcp": "decode_context_parallel_size",
    }  # fmt: skip
    telling: ClassVar = (
        "max_seq", "tensor_parallel", "engine (v", "vllm-", "vllm:", "vllm serve", "hunked", "block size",
        "top-k sampling", "of top-p", "-tp", "-pp", "-dp", "-dcp",
    )  # fmt: skip
    served: ClassVar = SERVED
    begins: ClassVar = BEGINS
    rank: ClassVar = RANK
    not_stated_after: ClassVar = "Replace gpu_memory_utilization config with"
    quantisations: ClassVar = {
        "awq_marlin": "awq-int4", "gptq_marlin": "gptq-int4", "_mxfp4": "mxfp4", "modelopt_fp4": "nvfp4",
    }  # fmt: skip
    says_more: ClassVar = say(
        "logs.vllm.says_more",
        "Start it with VLLM_LOGGING_LEVEL=DEBUG and paste the log again: it then prints what profiling found.",
    )
    prints_stored_dtype: ClassVar = True
    shapes: ClassVar = tuple(
        (
            figure,
            version,
            say(
                f"logs.assumed.{figure}",
                "{taken}: the log names no version, its lines are those of {of}",
                taken=taken,
                of=of,
            ),
        )
        for figure, version, taken, of in (
            ("v0_lines", "0.7", "vLLM 0.7", phrase("the V0 engine or of 0.8 at most")),
            ("since_0_28", None, phrase("the newest rules of vLLM"), phrase("0.28 or later")),
            ("second_runner", "0.27", "vLLM 0.27", phrase("the second model runner before 0.28")),
            ("since_0_11", None, phrase("the newest rules of vLLM"), phrase("0.11 or later")),
            ("v1_lines", None, phrase("the newest rules of vLLM"), phrase("0.8 or later")),
        )
    )

    def join(self, figures: dict[str, Any], values: list[tuple[str, Any, str]]) -> list[str]:
        """Read a pool in bytes, and activations within the peak of torch."""
        server, offline = figures.pop("server_lines", 0), figures.pop("offline_lines", 0)
        if server or offline:
            figures["usage_context"] = "server" if server else "offline"
        if "kv_pool_bytes" in figures:
            figures["kv_pool_gib"] = figures.pop("kv_pool_bytes") / 2**30
        if "peak_torch_gib" in figures and "weights_gib" in figures:
            figures["activation_gib"] = round(figures.pop("peak_torch_gib") - figures["weights_gib"], 4)
        return []

    def peculiarities(self, held: Plan, log: StartupLog) -> Iterator[Message]:
        """Yield what its count of tokens is where windows or states share the pool."""
        figures = log.figures
        tokens = figures.get("kv_tokens")
        if held.stage.geometry.is_plain or not tokens:
            return
        product = held.max_concurrency * held.request.seq_len
        if {"max_concurrency", "concurrency_at"} <= set(figures):
            if figures["max_concurrency"] < held.max_concurrency / 2:
                return  # nothing shares that pool: its sequences are of full length in every layer
            product = figures["max_concurrency"] * figures["concurrency_at"]
        if abs(product - tokens) <= 0.01 * tokens:
            yield say(
                "logs.cause.tokens_of_concurrency",
                "the log's tokens are concurrency × longest sequence, since windows or states share the pool",
            )
        else:
            yield say(
                "logs.cause.tokens_of_groups",
                "the log's tokens are blocks ÷ groups × block size: more sequences fit than tokens ÷ length says",
            )

    def may_be(self, version: str, log: StartupLog) -> bool:
        """Whether a version prints lines of a log's shape."""
        minor = int(version.split(".")[1])
        least = max((first for figure, first in FIRST_MINOR.items() if figure in log.figures), default=0)
        return least <= minor <= (LAST_V0_MINOR if "v0_lines" in log.figures else minor)

    def measured(self, plan: Plan, log: StartupLog) -> dict[str, Any]:
        """Return activations as what a log says of sampling and of encoders makes them, where it prints none."""
        line = plan.per_gpu.lines[ACTIVATION.key]
        if line.given:
            return {}
        size = line.bytes
        if "flashinfer_samples" in log.figures:
            size -= _less_by_flashinfer(plan)
        tokens = log.figures.get("encoder_tokens")
        if tokens and plan.model.towers and not plan.request.language_model_only:
            size += encoder_outputs(plan.model, int(tokens))
        return {"activation_bytes": size} if size != line.bytes else {}

    def unstated(self, plan: Plan, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield the offline class, whose batches are larger by default, where neither it nor batches are stated."""
        if not {"usage_context", "max_num_batched_tokens"} & set(asked):
            yield {"usage_context": "offline"}

    def assumptions(self, plan: Plan, log: StartupLog) -> Iterator[Assumption]:
        """Yield defaults of other versions and what people commonly set."""
        stated, used = log.flags, plan.request.gpu_memory_utilization
        line = plan.per_gpu.lines[ACTIVATION.key]
        less = 0 if line.given or "torch_samples" in log.figures else _less_by_flashinfer(plan)
        if less:
            sampling = phrase("sampling by FlashInfer, which holds fewer copies of the logits")
            yield say("logs.cause.flashinfer", sampling), {"activation_bytes": line.bytes - less}
        newer, whole = "since_0_28" in log.figures, "args_whole" in log.figures
        if "gpu_memory_utilization" not in stated and not (whole and "engine_version" in stated):
            for fraction in (0.90, 0.92, *self.far_fraction(plan, log)):
                if abs(fraction - used) > 1e-9:
                    text = template("a utilisation of {other:.2f} in place of {used:.2f}")
                    yield (
                        say("logs.cause.utilisation", text, other=fraction, used=used),
                        {"gpu_memory_utilization": fraction},
                    )
        if not newer and not any(line.in_slack for line in plan.stage.overheads if line.line.key == CUDA_GRAPH.key):
            other = {"engine_version": "0.19", "gpu_memory_utilization": used}
            yield say("logs.cause.graphs_outside", "CUDA graphs outside the budget, as up to 0.19"), other
        for name, common in (("max_num_seqs", (64, 128, 256, 1024)), ("max_num_batched_tokens", (2048, 8192, 16384))):
            if name not in stated:
                for value in DEFAULTS[name] if whole else common:
                    yield say(f"logs.cause.{name}", "{name} {other:,}", name=name, other=value), {name: value}


LOG = VllmLog()
