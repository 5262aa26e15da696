"""What llama.cpp prints at start-up."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.architecture.counts import NO_LIMIT
from calculator.engines.llama_cpp.described import DESCRIBED, described
from calculator.engines.llama_cpp.overheads import without_flash_attention
from calculator.engines.llama_cpp.rules import CELLS
from calculator.engines.log import Log, Taken
from calculator.engines.overheads import ACTIVATION
from calculator.engines.patterns import count, mib, pattern, seen, word
from calculator.formats.names import TORCH_CACHE
from calculator.units import GIB

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.logs.reading import StartupLog
    from calculator.planning.answer import Plan

PATTERNS = (
    pattern(r"\bbuild: <engine_version:[0-9]{1,9}+ \([0-9a-f]{1,40}+\)>", engine_version=word),
    pattern(r"^version: <engine_version:[0-9]{1,9}+ \([0-9a-f]{1,40}+\)>", engine_version=word),
    pattern(r"general\.name\s{0,40}+(?:str)?\s{0,40}+=\s{0,40}+<model:\S.{0,80}>", model=word),
    pattern(r"\bn_ctx\s{0,40}+= <n_ctx>", n_ctx=count),
    pattern(r"\bn_ctx_(?:seq|per_seq)\s{0,40}+= <seq_len>", seq_len=count),
    pattern(r"\bn_seq_max\s{0,40}+= <sequences>", sequences=count),
    pattern(r"\bn_ubatch\s{0,40}+= <max_num_batched_tokens>", max_num_batched_tokens=count),
    pattern(r"KV self size\s{0,40}+=\s{0,40}+<kv_pool_gib> MiB", kv_pool_gib=mib),
    pattern(r"llama_kv_cache(?:_unified)?: size = {1,40}+<cells_gib> MiB \( {0,40}+<cells> cells, {1,40}+<layers> layers",
             cells_gib=mib, cells=count, layers=count),
    pattern(r"MiB \( {0,40}+[0-9,]{1,40} cells, {1,40}+[0-9,]{1,40} layers, {1,40}+<sequences:[0-9]{1,9}+>/ ?<streams:[0-9]{1,9}+> seqs\)",
             sequences=count, streams=count),
    pattern(r"kv_unified\s{0,40}+= {0,40}+'?<unified:true|false>", unified=seen),
    pattern(r"\bK \(<k_type:\w{1,40}+>\): ", k_type=word),
    pattern(r"\bV \(<v_type:\w{1,40}+>\): ", v_type=word),
    pattern(r"\w {1,40}+KV buffer size = {1,40}+<kv_buffer_gib> MiB", kv_buffer_gib=mib),
    pattern(r"\w {1,40}+RS buffer size = {1,40}+<state_buffer_gib> MiB", state_buffer_gib=mib),
    pattern(r"file type\s{1,40}+= {1,40}+<file_type:\w[\w .-]{0,30}>", file_type=word),
    pattern(r"(?<![\w.-])<file:[\w.-]{1,200}\.gguf\b>", file=word),
    pattern(r"llama_memory_recurrent: size = {1,40}+<state_gib> MiB", state_gib=mib),
    pattern(r"creating non-SWA KV cache, size = <cells> cells", cells=count),
    pattern(r"(?<!non-)SWA KV cache, size = <window_cells> cells", window_cells=count),
    pattern(r"load_tensors: {1,40}+(?!CPU|\w{1,40}_Host)\w{1,40}+ {1,40}+(?:model )?buffer size = {1,40}+<buffer_gib> MiB", buffer_gib=mib),
    pattern(r"(?<!\w)(?!CPU|\w{1,40}_Host)\w{1,40}+ {1,40}+compute buffer size = {1,40}+<activation_gib> MiB", activation_gib=mib),
    pattern(r"using device \w{1,40}+ \(<device:[^)]{2,80}+>\).{0,40}? - <free_at_start_gib> MiB free",
             device=word, free_at_start_gib=mib),
    pattern(r"flash_attn\s{0,40}+= <flash_attention:\w{1,40}+>", flash_attention=seen),
)  # fmt: skip
MICRO_BATCH = 512
OFF_BY = (0.9, 1.1)
"""A compute buffer without flash attention is within these factors: 560 MiB for 564, 150 for 146 [-]."""
MIXED_OFF = 0.03
"""Files of mixed types differ by so much from the mean bits of one of them: 0.6 and 2.5 % on two [-]."""
BEGINS = re.compile(r"\bbuild: [0-9]{1,9} \(")
DRAFT = re.compile(r"creating (?:MTP )?draft context|loading draft model")


class LlamaCppLog(Log):
    """The log of llama.cpp, whose cache is as large as the sequences asked for need."""

    patterns: ClassVar = PATTERNS
    arguments: ClassVar = {
        "hf_repo": ("model", word), "ctx_size": ("ctx_size", count), "parallel": ("parallel", count),
        "ubatch_size": ("max_num_batched_tokens", count),
    }  # fmt: skip
    short_arguments: ClassVar = {"c": "ctx_size", "np": "parallel", "ub": "ubatch_size"}
    telling: ClassVar = (
        "build:", "n_ctx", "n_seq", "n_ubatch", "general.name", "file type", ".gguf", "flash_attn", "draft",
        "print_info", "print_meta", "llama-server", "llama-cli",
    )  # fmt: skip
    begins: ClassVar = BEGINS
    describes: ClassVar = DESCRIBED
    draft_from: ClassVar = DRAFT
    summed: ClassVar = ("cells_gib", "buffer_gib", "kv_buffer_gib", "state_buffer_gib")
    pools: ClassVar = ("kv_pool_gib", *summed)
    kv_formats: ClassVar = {**TORCH_CACHE, "f16": "fp16", "f32": "fp32"}
    sizes_pool: ClassVar = False
    keeps_states_apart: ClassVar = True

    def join(self, figures: dict[str, Any], values: list[tuple[str, Any, str]]) -> list[str]:
        """Take the cells' own line before the devices' buffers, and buffers for what no other line has."""
        figures |= _of_the_last_start(values)
        buffers = figures.pop("kv_buffer_gib", None)
        if "cells_gib" in figures:
            figures["kv_pool_gib"] = figures.pop("cells_gib")
        elif buffers is not None:
            figures.setdefault("kv_pool_gib", buffers)
        for name, other in (("buffer_gib", "weights_gib"), ("state_buffer_gib", "state_gib")):
            if name in figures:
                figures.setdefault(other, figures.pop(name))
        return []

    def described(self, log: StartupLog) -> ModelArchitecture | None:
        """Return the model whose metadata are printed."""
        return described(log.flags.get("described", {}))

    def lengths(self, log: StartupLog) -> dict[str, Any]:
        """Return the cells of each stream, and the streams: sequences that share cells count as one."""
        figures = log.figures
        sequences = int(figures.get("sequences") or log.flags.get("parallel") or 1)
        streams = int(figures.get("streams", 1 if figures.get("unified") else sequences)) or 1
        whole = figures.get("n_ctx") or log.flags.get("ctx_size", 0)
        cells = int(figures.get("cells") or whole / streams or log.flags.get("seq_len", 0))
        return {"batch_size": streams, **({"seq_len": cells} if cells else {})}

    def estimates(self, log: StartupLog, model: ModelArchitecture, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the compute buffer where the log says that flash attention is off."""
        if log.figures.get("flash_attention") != 0 or "seq_len" not in asked:
            return {}
        tokens = int(asked.get("max_num_batched_tokens", MICRO_BATCH))
        devices = int(asked.get("pipeline_parallel_size", 1))
        return {"activation_bytes": without_flash_attention(model, tokens, asked["seq_len"], devices)}

    def asked_cache_gib(self, plan: Plan, log: StartupLog) -> float:
        """Return what the cache of the streams takes, states apart where the log has them apart [GiB]."""
        figures, size = log.figures, 0
        shared = figures.get("sequences", 1) > plan.request.batch_size
        for stage in plan.stages:
            for pool in stage.geometry.pools:
                for claim in pool.claims:
                    if not claim.block_size and "state_gib" in figures:
                        continue
                    if claim.limit == NO_LIMIT and figures.keys() & {"cells", "n_ctx"}:
                        # builds pad to 32 without flash attention, to 256 or not at all: the log says to what
                        claim = replace(claim, block_size=1, weight=claim.weight // CELLS)
                    if shared and claim.limit < NO_LIMIT and "window_cells" in figures:
                        # sequences that share cells have a window each in them: only the log says how many
                        claim = replace(claim, limit=int(figures["window_cells"]))
                    size += pool.block_bytes * claim.blocks(plan.request.seq_len)
        return plan.request.batch_size * size / GIB

    def taken(self, plan: Plan, log: StartupLog) -> Taken | None:
        """Return weights and cache on all GPUs and the compute buffer of one, where the log prints all three."""
        figures = log.figures
        parts = [figures.get(name) for name in ("weights_gib", "kv_pool_gib", "activation_gib")]
        if None in parts:
            return None
        cache, weights = self.asked_cache_gib(plan, log), plan.all_gpus.weights_bytes / GIB
        buffer = next(line for line in plan.stage.overheads if line.line.key == ACTIVATION.key)
        low, high = buffer.low, buffer.high
        if low == high:
            low, high = (round(factor * buffer.bytes) for factor in OFF_BY)
        off = MIXED_OFF * weights
        return Taken(
            sum(part for part in parts if part is not None),
            weights + cache + buffer.bytes / GIB,
            weights - off + cache + low / GIB,
            weights + off + cache + high / GIB,
        )


def _of_the_last_start(values: list[tuple[str, Any, str]]) -> dict[str, Any]:
    """Return the figures that are summed, of the last of several starts in one log: weights after a compute buffer."""
    begins, ended = 0, False
    for place, (name, *_) in enumerate(values):
        if name == "buffer_gib" and ended:
            begins, ended = place, False
        ended = ended or name == "activation_gib"
    if not begins:
        return {}
    last = values[begins:]
    return {
        name: sum(value for key, value, _ in last if key == name)
        for name in LlamaCppLog.summed
        if any(key == name for key, *_ in last)
    }


LOG = LlamaCppLog()
