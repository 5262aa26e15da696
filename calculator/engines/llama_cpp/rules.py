"""llama.cpp: everything but a margin; the cache of every sequence is allocated whole, in cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.architecture.caches import Chunk, EveryToken, LatentVectors, State, TokenRows, Window
from calculator.architecture.counts import NO_LIMIT, Count
from calculator.architecture.groups import merge
from calculator.architecture.model import LayerGroup, ModelArchitecture
from calculator.architecture.split import Split
from calculator.engines.base import Admission, Change, DeviceDefaults, Engine
from calculator.engines.beside.experts import expert_ranks
from calculator.engines.beside.host import by_layer
from calculator.engines.llama_cpp.overheads import compute_buffer
from calculator.engines.overheads import CUDA_GRAPH, context, none
from calculator.engines.pools import Claim, Geometry, Pool
from calculator.engines.versions import build_note
from calculator.errors import InvalidValueError, ParallelismError, UnsupportedError
from calculator.formats.kv import storage_format
from calculator.formats.names import PLAIN
from calculator.messages import say, template
from calculator.request import Cutting
from calculator.units import MIB

if TYPE_CHECKING:
    from calculator.architecture.draft import Draft
    from calculator.engines.overheads import Overhead
    from calculator.formats.kv import StorageFormat
    from calculator.hardware import Accelerator
    from calculator.request import Request

BUILD = "0c1e570"
CELLS = 256
STATE_ELEMENT_BYTES = 4
DRAFT_CACHE = "fp16"


def _claim_every_token(cache: TokenRows, layers: int, at_once: int | None) -> Claim:  # noqa: ARG001
    return Claim(CELLS, NO_LIMIT, weight=CELLS * layers * cache.bytes_per_token)


def _claim_window(cache: Window | Chunk, layers: int, at_once: int | None) -> Claim:
    """Return cells for the window and the tokens at once; for every token where no window is kept as such."""
    limit = NO_LIMIT if at_once is None else -(-(cache.window + at_once) // CELLS) * CELLS
    return Claim(CELLS, limit, weight=CELLS * layers * cache.bytes_per_token)


def _claim_state(cache: State, layers: int, at_once: int | None) -> Claim:  # noqa: ARG001
    return Claim(0, fixed=layers * STATE_ELEMENT_BYTES * (cache.conv_elements + cache.state_elements))


def last_layers(model: ModelArchitecture, on_gpu: int) -> tuple[LayerGroup, ...]:
    """Return the layers whose cache is on the GPU, of so many with the output as the last."""
    left, kept = max(0, on_gpu - 1), []
    for group in reversed(model.layers):
        kept.append(replace(group, count=min(left, group.count)))
        left -= kept[-1].count
    return merge(group for group in kept if group.count)


@dataclass(frozen=True, slots=True)
class WholeSequences(Geometry):
    """Memory for whole sequences, each with its own cells."""

    def num_blocks(self, pool_bytes: int, seq_len: Count) -> Count:
        """Return the cells of all sequences that fit, in steps of 256 [-]."""
        fit: Any = self.sequences(pool_bytes, seq_len)
        cells: Count = fit * -(-seq_len // self.block_size)
        return cells


@dataclass(frozen=True)
class LlamaCpp(Engine):
    """The rules of llama.cpp.

    Attributes
    ----------
    margin_bytes : int
        What ``--fit-target`` leaves free on each device [bytes].
    """

    name: ClassVar[str] = "llama.cpp"
    title: ClassVar[str] = "llama.cpp"
    oldest: ClassVar = (0, 0, 0)
    newest: ClassVar = (0, 0, 0)
    kv_cache_dtypes: ClassVar = ("fp32", "fp16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
    weight_dtypes: ClassVar = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k")
    only_here: ClassVar = ("swa_full", "speculative_config", "n_cpu_moe", "n_gpu_layers")
    draft_methods: ClassVar = ("draft_model",)
    starts_short: ClassVar = False
    claims: ClassVar = {
        EveryToken: _claim_every_token,
        LatentVectors: _claim_every_token,
        Window: _claim_window,
        Chunk: _claim_window,
        State: _claim_state,
    }
    splits_layers: ClassVar = False
    in_blocks: ClassVar = False
    in_flight_bytes: ClassVar = 4  # ggml.c: what a matrix product gives is F32
    loads_encoders: ClassVar = False
    # 0c1e570, src/llama-model.cpp: the input layer is assigned to the CPU, whatever is offloaded
    embeds_on_host: ClassVar = True
    # 0c1e570, src/models/*.cpp: those that set swa_type
    window_types: ClassVar = frozenset({
        "afmoe", "cohere2", "cohere2_moe", "exaone4", "exaone_moe", "gemma2", "gemma3_text", "gemma3n_text",
        "gemma4_text", "gpt_oss", "lfm2_moe", "llama4_text", "mimo_v2_flash", "olmo3",
    })  # fmt: skip
    flags: ClassVar = {
        "model": "llama-server --model",
        "seq_len": "--ctx-size",
        "kv_cache_dtype": "--cache-type-k",
        "max_num_seqs": "--parallel",
        "max_num_batched_tokens": "--ubatch-size",
        "swa_full": "--swa-full",
        "speculative_config": "--model-draft",
        "n_cpu_moe": "--n-cpu-moe",
        "n_gpu_layers": "--n-gpu-layers",
    }
    changes: ClassVar = (
        Change(
            (0, 0, 0),
            {
                "margin_bytes": 1024 * MIB,
                "device_defaults": (DeviceDefaults(0, 512, 4),),
                "admission": Admission(whole_context=True),
            },
            "llama.cpp 0c1e570: common/fit.cpp, common/common.h, src/llama-kv-cache.cpp, src/llama-kv-cache-iswa.cpp, "
            "src/llama-context.cpp",
        ),
    )

    margin_bytes: int = 0

    @classmethod
    def at(cls, asked: str | None) -> Engine:
        """Return the rules of the one build that is known; another is said to be taken as it."""
        note = "" if asked is None else build_note(cls.title, asked, BUILD)
        change = cls.changes[0]
        return cls(asked_version=asked or "", version=BUILD, note=note, source=change.source, **change.values)

    def check(self, model: ModelArchitecture, values: Mapping[str, Any]) -> None:
        """Raise ``CalculatorError`` where the engine does not have what is asked."""
        super().check(model, values)
        on_gpu = values["n_gpu_layers"]
        if on_gpu is not None and on_gpu < (least := self.least_on_gpu(model)):
            raise UnsupportedError(
                say(
                    "rules.n_gpu_layers_output",
                    "n_gpu_layers {n_gpu_layers}: the output counts as the last layer, so that no layer's "
                    "cache is on a GPU and there is nothing to plan; from {least_on_gpu} on one is",
                    n_gpu_layers=on_gpu,
                    least_on_gpu=least,
                ),
                what="n_gpu_layers",
                asked=on_gpu,
                nearest=least,
            )
        if on_gpu is not None and values["pipeline_parallel_size"] > 1:
            raise UnsupportedError(
                say(
                    "rules.n_gpu_layers_how",
                    "n_gpu_layers: how llama.cpp divides fewer layers than all over several GPUs is not known here",
                ),
                what="n_gpu_layers",
                asked=on_gpu,
            )
        tp = values["tensor_parallel_size"]
        if tp > 1:
            raise ParallelismError(
                say(
                    "rules.tensor_parallel_size_llama",
                    "tensor_parallel_size {tp}: llama.cpp puts whole layers on each GPU; give "
                    "pipeline_parallel_size {tp_2} and tensor_parallel_size 1",
                    tp=tp,
                    tp_2=tp * values["pipeline_parallel_size"],
                ),
                what="tensor_parallel_size",
                asked=tp,
                allowed=(1,),
                nearest=1,
            )

    def least_on_gpu(self, model: ModelArchitecture) -> int:
        """Return the fewest layers on the GPU of which one has a cache, the output being the last of them [-]."""
        for on_gpu in range(2, model.num_layers + 1):
            if self.caches_of_stage(model, last_layers(model, on_gpu), storage_format(PLAIN), Split()):
                return on_gpu
        return model.num_layers + 1

    def default_block_size(
        self,
        model: ModelArchitecture,
        storage: StorageFormat,
        split: Split,
        asked: int | None,
        values: Mapping[str, Any],
    ) -> int:
        """Return 256: the cells of a sequence are padded to a multiple of it [tokens]."""
        if asked and asked != CELLS:
            raise InvalidValueError(
                say(
                    "rules.block_size_llama_cpp",
                    "block_size {asked}: llama.cpp has no blocks, it pads cells to {cells}; leave it",
                    asked=asked,
                    cells=CELLS,
                ),
                what="block_size",
                asked=asked,
                allowed=(CELLS,),
                nearest=CELLS,
            )
        if any(cached.cache.sparse for cached in self.caches(model)):
            raise UnsupportedError(
                say(
                    "rules.how_llama_cpp_keeps",
                    "how llama.cpp keeps the keys of a sparse-attention indexer is not known here",
                ),
                what="model",
                asked=model.name,
            )
        return CELLS

    def default_fraction(self, model: ModelArchitecture, accelerator: Accelerator, values: Mapping[str, Any]) -> float:
        """Return what the margin leaves of the device, as a fraction [-]."""
        return max(1, accelerator.memory_bytes - self.margin_bytes) / accelerator.memory_bytes

    def overheads(
        self,
        model: ModelArchitecture,
        accelerator: Accelerator,
        request: Request,
        stage: int,
    ) -> tuple[Overhead, ...]:
        """Return the compute buffer and the device's context."""
        return (
            compute_buffer(model, request.max_num_batched_tokens),
            context(1),
            none(CUDA_GRAPH, say("llama_cpp.graphs", "part of the context")),
        )

    def requested_bytes(self, total_bytes: int, fraction: float, weights_bytes: int, overhead_bytes: int) -> int:
        """Return all but the margin [bytes].

        References
        ----------
        llama.cpp 0c1e570, ``common/common.h`` ``fit_params_target``: 1,024 MiB on each device.
        """
        return max(0, total_bytes - self.margin_bytes)

    def geometry(self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], request: Cutting) -> Geometry:
        """Return bytes as the pool, and the cells of one sequence as what it takes.

        Notes
        -----
        ``pad256(length)`` cells; with a window ``pad256(min(length, window + n_ubatch))``; states in 32 bit.

        References
        ----------
        llama.cpp 0c1e570, ``src/llama-kv-cache-iswa.cpp``, ``src/llama-memory-recurrent.cpp``.
        """
        if request.n_gpu_layers is not None:
            layers = last_layers(model, request.n_gpu_layers)
        full_length = request.swa_full or not self.keeps_windows(model)
        at_once = None if full_length else request.max_num_batched_tokens
        caches = self.caches_of_stage(model, layers, request.storage, Split())
        claims = tuple(self.claims[type(cached.cache)](cached.cache, cached.layers, at_once) for cached in caches)
        return WholeSequences((Pool(1, claims),), CELLS)

    def geometry_with_draft(
        self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], request: Cutting, draft: Draft, here: Draft
    ) -> Geometry:
        """Return the same where a draft model has a context of its own: as many cells, in 16 bit.

        References
        ----------
        llama.cpp 0c1e570, ``common/arg.cpp`` (``--cache-type-k-draft``, f16 by default), ``tools/server/server.cpp``.
        """
        cut = self.geometry(model, layers, request)
        beside = self.geometry(model, merge(here.layers), request._replace(kv_cache_dtype=DRAFT_CACHE))
        if not here.layers:
            return cut
        return replace(cut, pools=(Pool(1, (*cut.pools[0].claims, *beside.pools[0].claims)),))

    def hosted_bytes(self, model: ModelArchitecture, request: Request, stage: int, weights_bytes: int) -> int:
        """Return the weights of layers, or of their experts, that the host holds [bytes].

        References
        ----------
        llama.cpp, ``src/llama-model.cpp`` ``load_tensors`` (the output counts as the last layer), ``common/arg.cpp``
        ``--n-cpu-moe``.
        """
        on_gpu = request.n_gpu_layers
        if on_gpu is None and not request.n_cpu_moe:
            return 0
        first = 0 if on_gpu is None else model.num_layers + 1 - on_gpu
        ranks = expert_ranks(self, request)
        whole = sum(size for number, size in by_layer(model, request, ranks, stage) if number < first)
        experts = by_layer(model, request, ranks, stage, "experts")
        return whole + sum(size for number, size in experts if first <= number < (request.n_cpu_moe or 0))

    def state_bytes(self, state: State, request: Request) -> int:
        """Return a state in 32 bit [bytes]."""
        return STATE_ELEMENT_BYTES * (state.conv_elements + state.state_elements)

    def budget_words(self, model: ModelArchitecture, request: Request) -> str:
        """Say what the margin is."""
        margin = self.margin_bytes // MIB
        if request.pipeline_parallel_size > 1:
            text = template("all but a margin of {margin:,} MiB, whole layers on each GPU")
            return say("llama_cpp.budget_stages", text, margin=margin)
        return say("llama_cpp.budget", "all but a margin of {margin:,} MiB", margin=margin)
