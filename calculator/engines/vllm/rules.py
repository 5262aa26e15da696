"""vLLM: a fraction of the device's total memory, cut into equal blocks that groups of layers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import lcm
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.architecture.caches import Keeps
from calculator.architecture.model import LayerGroup, ModelArchitecture
from calculator.architecture.split import Split
from calculator.engines import overheads
from calculator.engines.base import Admission, Cached, Change, DeviceDefaults, Engine, caches_of, caches_of_model, has
from calculator.engines.pools import Geometry
from calculator.engines.vllm.groups import BLOCK_SIZE, hybrid_block_size, pool_of_layers, vllm_geometry
from calculator.errors import InvalidValueError, ParallelismError, UnsupportedError
from calculator.request import Cutting

if TYPE_CHECKING:
    from calculator.engines.overheads import Overhead
    from calculator.formats.kv import StorageFormat
    from calculator.hardware import Accelerator
    from calculator.planning.answer import Stage
    from calculator.request import Request

SPARSE_BLOCK_SIZE = 64
SMALL_BLOCK_SIZES = (1, 8)
LONGEST_UNCHUNKED = 32_768
ALL_TYPES = None
"""Stands for every model type where a rule names some."""
MODE_FOLLOWS_MODEL = {"Mamba 1 state", "Mamba 2 state"}
"""State kinds of which some models keep a page for every block with prefix caching before 0.28."""
_EXPERTS_ON_SECOND_RUNNER = ("deepseek_v2", "qwen2_moe", "granitemoe")


@dataclass(frozen=True)
class Vllm(Engine):
    """The rules of vLLM.

    Attributes
    ----------
    gpu_memory_utilization : float
        Default fraction of a device's total memory [-].
    sampler_copies_tenths, second_runner_copies_tenths : int
        Copies of the fp32 logits that the sampler holds at its worst point, times ten, of either model runner [-].
    second_runner_types : frozenset of str or None
        Model types that the second model runner serves by default; None for all.
    second_runner_serves_dense : bool
        Whether it also serves every model with neither experts nor states.
    second_runner_profiles_graphs : bool
        Whether it, too, subtracts CUDA graphs before the KV cache is sized.
    activation_spread : tuple of float
        Range of the activation estimate, as factors of it [-].
    experts_stay : bool
        Whether work buffers of experts stay allocated while the sampler runs.
    graphs_in_budget : bool
        Whether CUDA graphs are subtracted before the KV cache is sized.
    tokens_from_concurrency : bool
        Whether the log's token count is concurrency × longest sequence.
    batches_in_flight : bool
        Whether windows are charged for every batch in flight, not for one.
    async_scheduling : bool
        Whether batches are scheduled ahead by default.
    padding_factor : float
        Layers of one kind are padded to another's count below this ratio [-].
    state_pages : bool
        Whether prefix caching of states is on by default, which keeps a second page.
    checkpoint_alignment : dict of str to int
        State kinds whose prefill keeps a third page for a checkpoint, and the tokens that its place is aligned to.
    pages_by_mode : bool
        Whether prefix caching of states, where asked for, keeps pages in a mode that depends on the model.
    chunks_as_such : bool
        Whether chunked local attention is allocated as such.
    unchunked : bool
        Whether a forward pass takes a whole prompt by default.
    groups_layers : bool
        Whether windows are allocated as such.
    latent_row_multiple : int
        Elements that a latent row is padded to a multiple of [elements].
    held_back : int
        Blocks that the pool keeps for itself [-].
    start_check : str or None
        What the start-up check, which names the longest sequence, sums up: each of a stage's ``layers`` by itself,
        the groups of the whole ``model`` against the smallest pool, the groups of each ``stage``; None for no name.
    start_check_holds_back : bool
        Whether it takes the block off that the pool keeps for itself.
    """

    context_in_slack: ClassVar = True
    name: ClassVar[str] = "vllm"
    title: ClassVar[str] = "vLLM"
    oldest: ClassVar = (0, 6, 0)
    newest: ClassVar = (0, 33, 0)
    kv_cache_dtypes: ClassVar = (
        "fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2",
        "fp8_per_token_head", "int8_per_token_head", "int4_per_token_head", "nvfp4", "fp8_ds_mla",
    )  # fmt: skip
    weight_dtypes: ClassVar = ("fp8", "int8", "awq-int4", "gptq-int4", "nvfp4")
    # 0.33.0, model_executor/models: attention without cache_config
    ignores_kv_cache_dtype: ClassVar = frozenset({"falcon"})
    expert_multiples: ClassVar = {"mxfp4": (256, 64)}
    only_here: ClassVar = (
        "async_scheduling", "enable_prefix_caching", "disable_hybrid_kv_cache_manager", "decode_context_parallel_size",
        "language_model_only",
    )  # fmt: skip
    flags: ClassVar = {
        "model": "vllm serve",
        "seq_len": "--max-model-len",
        "tensor_parallel_size": "--tensor-parallel-size",
        "pipeline_parallel_size": "--pipeline-parallel-size",
        "data_parallel_size": "--data-parallel-size",
        "decode_context_parallel_size": "--decode-context-parallel-size",
        "weight_dtype": "--quantization",
        "kv_cache_dtype": "--kv-cache-dtype",
        "gpu_memory_utilization": "--gpu-memory-utilization",
        "enable_expert_parallel": "--enable-expert-parallel",
        "block_size": "--block-size",
        "max_num_seqs": "--max-num-seqs",
        "max_num_batched_tokens": "--max-num-batched-tokens",
        "kv_cache_memory_bytes": "--kv-cache-memory-bytes",
        "async_scheduling": "--async-scheduling",
        "enable_prefix_caching": "--enable-prefix-caching",
        "disable_hybrid_kv_cache_manager": "--disable-hybrid-kv-cache-manager",
        "enforce_eager": "--enforce-eager",
        "language_model_only": "--language-model-only",
    }
    changes: ClassVar = (
        Change(
            (0, 6, 0),
            {
                "gpu_memory_utilization": 0.9,
                "sampler_copies_tenths": 96,
                "activation_spread": (0.75, 1.25),
                "device_defaults": (DeviceDefaults(0, 2_048, 256),),
                "unchunked": True,
                "latent_row_multiple": 128,
                "admission": Admission(watermark=0.01),
                "start_check": "stage",
            },
            "vLLM 0.7.3 core/block_manager.py (no block is kept), worker/worker.py; 0.6 to 0.7: a prompt of 32,768 "
            "tokens is not chunked; latent rows of 576 are kept as 640 (294,688 tokens in 21.43 GiB logged for "
            "DeepSeek-R1)",
        ),
        Change(
            (0, 8, 0),
            {
                "unchunked": False,
                "activation_spread": (0.88, 1.12),
                "latent_row_multiple": 1,
                "admission": Admission(),
                "held_back": 1,
                "start_check": None,
                "device_defaults": (
                    DeviceDefaults(70 * 1024, 8_192, 1024, not_named=("a100",)),
                    DeviceDefaults(0, 2_048, 256),
                ),
            },
            "vLLM 0.8 to 0.11: engine/arg_utils.py; 0.8.5 v1/core/kv_cache_utils.py makes every layer full-length, "
            "its start-up check names no length; v1/core/block_pool.py null_block",
        ),
        Change(
            (0, 9, 1),
            {"groups_layers": True, "start_check": "layers"},
            "vLLM 0.9.1 and 0.10.0 v1/core/kv_cache_utils.py; between 0.8.5 and them not read",
        ),
        Change(
            (0, 12, 0),
            {"padding_factor": 1.25, "async_scheduling": True, "pages_by_mode": True},
            "vLLM 0.12.0 v1/core/kv_cache_utils.py, model_executor/models/config.py",
        ),
        Change(
            (0, 14, 0),
            {"chunks_as_such": True, "start_check": "model"},
            "vLLM 0.14.0 VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE, v1/core/kv_cache_utils.py",
        ),
        Change(
            (0, 17, 0),
            {"sampler_copies_tenths": 37, "experts_stay": True, "start_check": "stage"},
            "vLLM 0.16 and 0.17: logged activation peaks, 5.64 and 2.23 GiB for the same model; "
            "0.17.0 v1/core/kv_cache_utils.py _project_kv_cache_groups_to_worker",
        ),
        Change((0, 18, 0), {"padding_factor": 1.5}, "vLLM 0.18.0 v1/core/kv_cache_utils.py"),
        Change(
            (0, 20, 0),
            {"gpu_memory_utilization": 0.92, "graphs_in_budget": True, "activation_spread": (0.5, 1.8)},
            "vLLM 0.20.0 config/cache.py, envs.py VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS (0.19.0: 0.9 and off)",
        ),
        Change((0, 21, 0), {"tokens_from_concurrency": True}, "vLLM 0.21.0 v1/core/kv_cache_utils.py"),
        Change(
            (0, 22, 0),
            {"second_runner_types": frozenset({"qwen3"}), "second_runner_copies_tenths": 5},
            "vLLM 0.22.0 config/vllm.py DEFAULT_V2_MODEL_RUNNER_ARCHITECTURES, v1/worker/gpu/model_runner.py",
        ),
        Change(
            (0, 23, 0), {"second_runner_types": frozenset({"qwen3", "llama", "mistral"})}, "vLLM 0.23.0 config/vllm.py"
        ),
        Change(
            (0, 24, 0),
            {"second_runner_types": frozenset({"qwen3", "llama", "mistral", *_EXPERTS_ON_SECOND_RUNNER})},
            "vLLM 0.24.0 config/vllm.py",
        ),
        Change(
            (0, 25, 0),
            {"second_runner_types": frozenset(_EXPERTS_ON_SECOND_RUNNER), "second_runner_serves_dense": True},
            "vLLM 0.25.0 config/vllm.py _is_default_v2_model_runner_model",
        ),
        Change((0, 26, 0), {"batches_in_flight": True}, "vLLM 0.26.0 config/vllm.py max_in_flight_tokens"),
        Change(
            (0, 28, 0),
            {
                "state_pages": True,
                "pages_by_mode": False,
                "device_defaults": (
                    DeviceDefaults(160 * 1024, 16_384, 1024),
                    DeviceDefaults(70 * 1024, 8_192, 1024, not_named=("a100", "gb10")),
                    DeviceDefaults(0, 2_048, 256),
                ),
            },
            "vLLM 0.28.0 engine/arg_utils.py get_batch_defaults, config/model.py is_prefix_caching_supported",
        ),
        Change(
            (0, 29, 0),
            {"second_runner_types": ALL_TYPES, "second_runner_profiles_graphs": True, "start_check_holds_back": True},
            "vLLM 0.29.0 v1/core/kv_cache_utils.py get_kv_cache_configs, config/vllm.py use_v2_model_runner, "
            "v1/worker/gpu/model_runner.py profile_cudagraph_memory",
        ),
        Change(
            (0, 32, 0),
            {"checkpoint_alignment": {"Mamba 2 state": 1}},
            "vLLM 0.32.0 model_executor/layers/mamba/mamba_mixer2.py num_prefill_checkpoint_blocks",
        ),
        Change(
            (0, 33, 0),
            {"checkpoint_alignment": {"gated delta net": 64, "Mamba 2 state": 1}, "second_runner_copies_tenths": 37},
            "vLLM 0.33.0 v1/worker/gpu/model_runner.py _dummy_sampler_run (a second pass in fp32), "
            "v1/core/kv_cache_planning.py, qwen_gdn_linear_attn.py",
        ),
    )

    gpu_memory_utilization: float = 0.0
    sampler_copies_tenths: int = 0
    activation_spread: tuple[float, float] = (1.0, 1.0)
    experts_stay: bool = False
    graphs_in_budget: bool = False
    tokens_from_concurrency: bool = False
    batches_in_flight: bool = False
    async_scheduling: bool = False
    padding_factor: float = 1.0
    state_pages: bool = False
    checkpoint_alignment: Mapping[str, int] = field(default_factory=dict)
    pages_by_mode: bool = False
    chunks_as_such: bool = False
    second_runner_types: frozenset[str] | None = frozenset()
    second_runner_copies_tenths: int = 0
    second_runner_serves_dense: bool = False
    second_runner_profiles_graphs: bool = False
    unchunked: bool = False
    groups_layers: bool = False
    latent_row_multiple: int = 1
    held_back: int = 0
    start_check: str | None = None
    start_check_holds_back: bool = False

    def check(self, model: ModelArchitecture, values: Mapping[str, Any]) -> None:
        """Raise ``CalculatorError`` where the engine does not have what is asked."""
        super().check(model, values)
        tp, dcp = values["tensor_parallel_size"], values["decode_context_parallel_size"]
        if dcp == 1:
            return
        kinds = {cached.cache.keeps for cached in model_caches(model)}
        if kinds & {Keeps.WINDOW, Keeps.CHUNK}:
            raise UnsupportedError(
                f"decode_context_parallel_size {dcp}: vLLM does not split the context of sliding windows; use 1"
            )
        most = tp if Keeps.LATENT in kinds else max(1, tp // max(1, model.num_key_value_heads))
        legal = [size for size in range(1, most + 1) if most % size == 0]
        if dcp not in legal:
            nearest = min(legal, key=lambda size: abs(size - dcp))
            raise ParallelismError(
                f"decode_context_parallel_size {dcp} is not possible: with TP {tp}, ranks that keep a copy of the same "
                f"KV heads can share the context; legal are {', '.join(map(str, legal))}, the nearest is {nearest}"
            )

    def batch_defaults(self, accelerator: Accelerator, seq_len: int) -> tuple[int, int]:
        """Return the default of ``max_num_batched_tokens`` and ``max_num_seqs``."""
        tokens, sequences = super().batch_defaults(accelerator, seq_len)
        if self.unchunked and seq_len <= LONGEST_UNCHUNKED:
            tokens = max(tokens, seq_len)
        return tokens, sequences

    def default_block_size(
        self,
        model: ModelArchitecture,
        storage: StorageFormat,
        split: Split,
        asked: int | None,
        values: Mapping[str, Any],
    ) -> int:
        """Return the tokens of a block: 16, more where a kernel or a state's page needs it [tokens]."""
        if asked and asked % BLOCK_SIZE and asked not in SMALL_BLOCK_SIZES:
            raise InvalidValueError(
                f"block_size {asked} is not one of vLLM's: 1, 8 or a multiple of 16; "
                f"the nearest is {max(16, round(asked / 16) * 16)}"
            )
        caches = caches_of_model(model, storage, split)
        sparse = any(cached.cache.sparse for cached in caches)
        if sparse and asked and asked % SPARSE_BLOCK_SIZE:
            raise InvalidValueError(
                f"block_size {asked} is not possible for {model.name}: vLLM's sparse attention has blocks of a "
                f"multiple of {SPARSE_BLOCK_SIZE}"
            )
        size = asked or (SPARSE_BLOCK_SIZE if sparse else BLOCK_SIZE)
        if has(caches, Keeps.STATE):
            return hybrid_block_size(caches, size, self._checkpoint_alignment(caches, values))
        return size

    def default_fraction(self, model: ModelArchitecture, accelerator: Accelerator, values: Mapping[str, Any]) -> float:
        """Return the default utilisation of total memory [-]."""
        return self.gpu_memory_utilization

    def overheads(
        self, model: ModelArchitecture, accelerator: Accelerator, request: Request, stage: int
    ) -> tuple[Overhead, ...]:
        """Return activations, non-torch memory and CUDA graphs of one GPU of a stage."""
        tp, last = request.tensor_parallel_size, stage == request.pipeline_parallel_size - 1
        second = self.on_second_runner(model)
        copies = self.second_runner_copies_tenths if second else self.sampler_copies_tenths
        outside = overheads.vllm_non_torch(accelerator, tp, self.version_key)
        graphs = overheads.vllm_graphs(
            accelerator, request.max_num_seqs, request.enforce_eager, in_slack=not self.graphs_inside(model)
        )
        activation = overheads.vllm_activation(
            model,
            copies,
            self.experts_stay,
            tp,
            request.max_num_seqs,
            request.max_num_batched_tokens,
            last,
            self.activation_spread,
        )
        if model.towers and not request.language_model_only:
            activation = overheads.with_encoder(activation)
        return activation, outside, graphs

    @property
    def follows_length(self) -> bool:
        """Whether the tokens of a forward pass follow the length of a sequence by default."""
        return self.unchunked

    def on_second_runner(self, model: ModelArchitecture) -> bool:
        """Whether the second model runner serves a model by default."""
        if self.second_runner_types is ALL_TYPES or model.model_type in self.second_runner_types:
            return True
        return self.second_runner_serves_dense and not (
            model.moe_intermediate_size or has(model_caches(model), Keeps.STATE)
        )

    def graphs_inside(self, model: ModelArchitecture) -> bool:
        """Whether CUDA graphs are taken from the budget."""
        return self.graphs_in_budget and (self.second_runner_profiles_graphs or not self.on_second_runner(model))

    @property
    def version_key(self) -> tuple[int, ...]:
        """The version as numbers, to compare."""
        return tuple(int(part) for part in self.version.split("."))

    def requested_bytes(self, total_bytes: int, fraction: float, weights_bytes: int, overhead_bytes: int) -> int:
        """Return ``ceil(total × utilisation)`` [bytes].

        Notes
        -----
        In floating point, as the engine computes it, so that the last byte agrees.

        References
        ----------
        vLLM 0.33.0, ``v1/worker/utils.py`` ``request_memory``.
        """
        product = total_bytes * fraction
        return int(product) + (product > int(product))

    def geometry(self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], request: Cutting) -> Geometry:
        """Return the groups of layers that share one pool of equal blocks."""
        caches = caches_of_model(model, request.storage, request.split)
        if self.latent_row_multiple > 1 and has(caches, Keeps.LATENT) and self.version_key < (0, 7):
            raise UnsupportedError(
                "vLLM before 0.7 keeps latent attention as expanded heads, whose layout is not known here"
            )
        return vllm_geometry(
            caches,
            caches if layers is model.groups else caches_of(layers, request.storage, request.split),
            request,
            in_flight=self._in_flight(request),
            padding_factor=self.padding_factor,
            full_length=request.disable_hybrid_kv_cache_manager
            or not self.groups_layers
            or (not self.chunks_as_such and has(caches, Keeps.CHUNK)),
            state_pages=self._state_pages(caches, request.enable_prefix_caching),
            row_multiple=self.latent_row_multiple,
            held_back=self.held_back,
        )

    def reported_longest(self, model: ModelArchitecture, request: Request, stages: tuple[Stage, ...]) -> int | None:
        """Return what the start-up check prints as "the estimated maximum model length", None where it prints none.

        Notes
        -----
        The check compares bytes and does not always count as the scheduler does: before 0.29 it does not take the
        block off that the pool keeps, so that a request of the printed length is admitted and never finishes.

        References
        ----------
        vLLM 0.8.5 to 0.33.0, ``v1/core/kv_cache_utils.py`` and ``kv_cache_planning.py``
        ``_check_enough_kv_cache_memory``; ``v1/core/block_pool.py`` ``null_block``.
        """
        if self.start_check is None:
            return None
        cutting = request.cutting
        if self.start_check == "layers":
            pools = []
            for stage in stages:
                caches = caches_of(stage.layers, request.storage, request.split)
                pages = self._state_pages(caches, request.enable_prefix_caching)
                pool = pool_of_layers(caches, cutting, in_flight=self._in_flight(cutting), state_pages=pages)
                pools.append((pool, stage.usable_bytes))
        elif self.start_check == "model":
            (pool,) = self.geometry(model, model.groups, cutting).pools
            pools = [(pool, min(stage.usable_bytes for stage in stages))]
        else:
            pools = [(stage.geometry.pools[0], stage.usable_bytes) for stage in stages]
        kept = 1 if self.start_check_holds_back else 0
        return min(int(pool.longest(max(0, size // pool.block_bytes - kept))) for pool, size in pools)

    def _in_flight(self, request: Cutting) -> int:
        """Return the tokens of all batches that are in flight at once [tokens]."""
        batches = 1
        if self.batches_in_flight:
            ahead = self.async_scheduling if request.async_scheduling is None else request.async_scheduling
            batches = request.pipeline_parallel_size + ahead
        return batches * request.max_num_batched_tokens

    def _state_pages(self, caches: tuple[Cached, ...], prefix_caching: bool | None) -> dict[str, int]:
        """Return the pages that a request holds of each kind of state."""
        kinds = {cached.cache.variant for cached in caches if cached.cache.keeps is Keeps.STATE}
        if not kinds or not has(caches, Keeps.ALL, Keeps.LATENT, Keeps.WINDOW, Keeps.CHUNK):
            return dict.fromkeys(kinds, 1)
        if not (self.state_pages if prefix_caching is None else prefix_caching):
            return dict.fromkeys(kinds, 1)
        if self.version_key < (0, 12):
            return dict.fromkeys(kinds, 1)
        if self.pages_by_mode and self.version_key < (0, 15) and not kinds & MODE_FOLLOWS_MODEL:
            return dict.fromkeys(kinds, 1)
        if self.pages_by_mode and kinds & MODE_FOLLOWS_MODEL:
            raise UnsupportedError(
                f"enable_prefix_caching: how many pages of states vLLM {self.version} keeps depends on the model and "
                "is not known here; leave it, or take 0.28 or newer"
            )
        return {kind: 2 + (kind in self.checkpoint_alignment) for kind in kinds}

    def _checkpoint_alignment(self, caches: tuple[Cached, ...], values: Mapping[str, Any]) -> int:
        """Return the tokens that blocks are aligned to for checkpoints of states [tokens]."""
        pages = self._state_pages(caches, values["enable_prefix_caching"])
        if min(pages.values()) < 2 or not all(kind in self.checkpoint_alignment for kind in pages):
            return 1
        return lcm(*(self.checkpoint_alignment[kind] for kind in pages))

    def reported_tokens(self, geometry: Geometry, pool_bytes: int, request: Request) -> int:
        """Return the token count of the log: concurrency × longest sequence; blocks a group × block size before 0.21.

        References
        ----------
        vLLM 0.20.0 and 0.21.0, ``v1/core/kv_cache_utils.py``.
        """
        blocks = geometry.num_blocks(pool_bytes, request.seq_len)
        taken = geometry.pools[0].blocks(request.seq_len)
        if self.tokens_from_concurrency and taken:
            return int(blocks / taken * request.seq_len)
        groups = sum(claim.weight if claim.block_size else 1 for claim in geometry.pools[0].claims) or 1
        return blocks // groups * geometry.block_size * request.decode_context_parallel_size

    def budget_words(self, model: ModelArchitecture, request: Request) -> str:
        """Say what the fraction is of."""
        inside = "CUDA graphs inside" if self.graphs_inside(model) else "CUDA graphs outside"
        return f"{request.gpu_memory_utilization:g} of all memory, {inside}"


def model_caches(model: ModelArchitecture) -> tuple[Cached, ...]:
    """Return the caches of a model in 16 bit, to ask which kinds it has."""
    from calculator.formats.kv import storage_format

    return caches_of_model(model, storage_format("bf16"), Split())
