"""SGLang: what is free before loading, less a slack for activations and graphs; pools of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.architecture.caches import Chunk, LatentVectors, State, Window
from calculator.architecture.model import LayerGroup, ModelArchitecture
from calculator.configs.towers.rows import named_size
from calculator.engines.base import Admission, Change, DeviceDefaults, Engine
from calculator.engines.beside import adapters
from calculator.engines.overheads import captured_graphs, context, forward_activation
from calculator.engines.pools import Claim, Geometry, Pool
from calculator.engines.sglang.groups import PARTS, Part, StatePools, WindowPools
from calculator.errors import InvalidValueError, ParallelismError, UnsupportedError
from calculator.formats.names import STATE_BYTES as STATE_BYTES_OF
from calculator.messages import say
from calculator.request import Cutting
from calculator.units import MIB, plural

if TYPE_CHECKING:
    from calculator.architecture.draft import Draft
    from calculator.architecture.split import Split
    from calculator.engines.overheads import Overhead
    from calculator.formats.kv import StorageFormat
    from calculator.hardware import Accelerator
    from calculator.request import Request
    from calculator.request.speculation import Speculation

SPARSE_PAGE = 64
STATE_SLOTS_PER_REQUEST = 3
VIT_LARGE = {"num_hidden_layers": 24, "hidden_size": 1024}
"""Sizes of ViT-L/14, which stand in for those that an encoder's config does not name."""
SEQUENCES_WITH_DRAFTS = 48
CONV_BYTES, STATE_BYTES = 2, 4
"""Bytes of an element of a state's convolution, and of the state where the model names no format."""
_FRACTION_SOURCE = "SGLang 0.5.23 arg_groups/memory_hook.py"


@dataclass(frozen=True, slots=True)
class GraphDefaults:
    """Largest batch captured as a CUDA graph, on devices up to a size, below and from TP 4 on."""

    below_mib: int
    few_ranks: int
    many_ranks: int


@dataclass(frozen=True)
class Sglang(Engine):
    """The rules of SGLang.

    Attributes
    ----------
    graphs : tuple of GraphDefaults
        Largest captured batch by device; first match wins.
    window_ratio, state_ratio : float
        ``--swa-full-tokens-ratio`` and ``--mamba-full-memory-ratio`` [-].
    """

    name: ClassVar[str] = "sglang"
    title: ClassVar[str] = "SGLang"
    oldest: ClassVar = (0, 5, 23)
    newest: ClassVar = (0, 5, 23)
    kv_cache_dtypes: ClassVar = ("fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "nvfp4", "fp8_ds_mla")
    weight_dtypes: ClassVar = ("fp8", "int8", "awq-int4", "gptq-int4", "nvfp4")
    only_here: ClassVar = (
        "enable_attention_dp", "decode_context_parallel_size", "disable_hybrid_kv_cache_manager", "speculative_config",
        "max_loras", "max_lora_rank", "mamba_ssm_cache_dtype", "cpu_offload_gb",
    )  # fmt: skip
    draft_methods: ClassVar = ("mtp", "eagle", "eagle3", "draft_model", "ngram")
    keeps_shared: ClassVar = True
    claims: ClassVar = PARTS
    # 0.5.23, configs/model_config.py is_hybrid_swa_model
    window_types: ClassVar = frozenset({"gemma4_text", "gpt_oss", "llama4_text", "mimo_v2_flash"})
    flags: ClassVar = {
        "model": "python -m sglang.launch_server --model-path",
        "seq_len": "--context-length",
        "tensor_parallel_size": "--tp-size",
        "pipeline_parallel_size": "--pp-size",
        "data_parallel_size": "--dp-size",
        "decode_context_parallel_size": "--dcp-size",
        "enable_attention_dp": "--enable-dp-attention",
        "enable_expert_parallel": "--ep-size",
        "weight_dtype": "--quantization",
        "kv_cache_dtype": "--kv-cache-dtype",
        "gpu_memory_utilization": "--mem-fraction-static",
        "block_size": "--page-size",
        "max_num_seqs": "--max-running-requests",
        "max_num_batched_tokens": "--chunked-prefill-size",
        "disable_hybrid_kv_cache_manager": "--disable-hybrid-swa-memory",
        "enforce_eager": "--disable-cuda-graph",
        "speculative_config": "--speculative-algorithm",
        "max_loras": "--max-loras-per-batch",
        "max_lora_rank": "--max-lora-rank",
        "mamba_ssm_cache_dtype": "--mamba-ssm-dtype",
        "cpu_offload_gb": "--cpu-offload-gb",
    }
    changes: ClassVar = (
        Change(
            (0, 5, 0),
            {
                "device_defaults": (
                    DeviceDefaults(160 * 1024, 16_384, 2_048),
                    DeviceDefaults(60 * 1024, 8_192, 2_048),
                    DeviceDefaults(20 * 1024, 4_096, 2_048),
                    DeviceDefaults(0, 2_048, 2_048),
                ),
                "graphs": (
                    GraphDefaults(20 * 1024, 8, 8),
                    GraphDefaults(35 * 1024, 48, 160),
                    GraphDefaults(60 * 1024, 32, 160),
                    GraphDefaults(160 * 1024, 256, 512),
                    GraphDefaults(2**40, 512, 512),
                ),
                "window_ratio": 0.8,
                "state_ratio": 0.9,
                # managers/schedule_policy.py: 0.7 of conservativeness falls to 0.14 of itself in a steady state
                "admission": Admission(reserve_ratio=0.098, reserve_most_tokens=4096),
            },
            "SGLang 0.5.23 arg_groups/memory_hook.py, model_executor/pool_configurator.py, "
            "mem_cache/kv_cache_configurator.py",
        ),
    )

    graphs: tuple[GraphDefaults, ...] = ()
    window_ratio: float = 1.0
    state_ratio: float = 1.0

    def batch_defaults(
        self, accelerator: Accelerator, seq_len: int, speculation: Speculation | None = None
    ) -> tuple[int, int]:
        """Return the defaults; with drafts fewer requests run at once (0.5.23 ``arg_groups/speculative_hook.py``)."""
        tokens, sequences = super().batch_defaults(accelerator, seq_len)
        return tokens, min(sequences, SEQUENCES_WITH_DRAFTS) if speculation else sequences

    def check(self, model: ModelArchitecture, values: Mapping[str, Any]) -> None:
        """Raise ``CalculatorError`` where the engine does not have what is asked."""
        super().check(model, values)
        self._check_context(model, values)

    def _check_context(self, model: ModelArchitecture, values: Mapping[str, Any]) -> None:
        """Raise ``CalculatorError`` where ranks cannot share a sequence's tokens so.

        References
        ----------
        SGLang 0.5.23, ``distributed/parallel_state.py`` (groups of neighbours within TP, whatever sequences attention
        data parallelism gives them), ``configs/model_config.py`` ``get_num_kv_heads`` (KV heads over TP // DCP; with
        one attention rank it divides by zero), ``model_executor/pool_configurator.py`` (windows: heads over TP).
        """
        tp, dcp = values["tensor_parallel_size"], values["decode_context_parallel_size"]
        if dcp == 1:
            return
        asked, what = f"decode_context_parallel_size {dcp} is not possible", "decode_context_parallel_size"
        if values["enable_attention_dp"]:
            raise ParallelismError(
                f"{asked} with enable_attention_dp: each GPU then serves sequences of its own, and none is left to "
                "share their tokens with; use 1, or leave enable_attention_dp out",
                what=what,
                asked=dcp,
                allowed=(1,),
                nearest=1,
            )
        if {Window, Chunk} & {*self.kinds(model)}:
            raise UnsupportedError(
                f"decode_context_parallel_size {dcp}: how SGLang shares the context of sliding windows is not known "
                "here; use 1",
                what=what,
                asked=dcp,
                allowed=(1,),
                nearest=1,
            )
        legal = [size for size in range(1, tp + 1) if tp % size == 0 and model.why_not(tp // size) is None]
        if dcp not in legal:
            nearest = min(legal, key=lambda size: (abs(size - dcp), size))
            heads = model.num_key_value_heads
            raise ParallelismError(
                f"{asked}: it must divide tensor_parallel_size {tp}, and {plural(heads, 'KV head')} must be split or "
                f"copied evenly over TP / DCP; legal are {', '.join(map(str, legal))}, the nearest is {nearest}",
                what=what,
                asked=dcp,
                allowed=tuple(legal),
                nearest=nearest,
            )

    def default_block_size(
        self,
        model: ModelArchitecture,
        storage: StorageFormat,
        split: Split,
        asked: int | None,
        values: Mapping[str, Any],
    ) -> int:
        """Return the tokens of a page: 1, or 64 for sparse attention [tokens]."""
        sparse = any(cached.cache.sparse for cached in self.caches(model))
        if sparse and asked and asked % SPARSE_PAGE:
            raise InvalidValueError(
                f"block_size {asked} is not possible for {model.name}: SGLang's sparse attention has pages of 64",
                what="block_size",
                asked=asked,
                nearest=max(1, round(asked / SPARSE_PAGE)) * SPARSE_PAGE,
            )
        return asked or (SPARSE_PAGE if sparse else 1)

    def default_fraction(self, model: ModelArchitecture, accelerator: Accelerator, values: Mapping[str, Any]) -> float:
        """Return ``mem_fraction_static`` as the engine derives it: memory less what it reserves [-].

        Notes
        -----
        ``reserved = 512 + 1.5 × chunk + 1024 × TP × PP / 8 + graphs`` MiB, at least 10,240 above 60 GiB;
        ``fraction = round((memory − reserved) / memory, 3)``; with an encoder of images × 0.95 × (1 − 0.1 × (its
        layers × width² over those of ViT-L/14 − 1)), the last factor 0.8 to 1.05.
        """
        memory = max(1, accelerator.reported_mib or accelerator.memory_bytes // MIB)
        tp, chunk = values["tensor_parallel_size"], values["max_num_batched_tokens"]
        row = next(row for row in self.graphs if memory < row.below_mib)
        largest = row.few_ranks if tp < 4 else row.many_ranks
        if values["max_num_seqs"]:
            largest = min(largest, values["max_num_seqs"])
        eager, latent = values["enforce_eager"], LatentVectors in self.kinds(model)
        reserved = 512 + 1.5 * max(chunk, 2048) + 1024 * tp * values["pipeline_parallel_size"] / 8
        if not eager:
            reserved += 2 * largest
            if values["pipeline_parallel_size"] == values["decode_context_parallel_size"] == 1 and not model.towers:
                reserved += 1536 if latent else 8 * prefill_graph_sizes(chunk)
            if values["enable_attention_dp"]:
                reserved += 3 * largest * tp + (1.5 * largest * tp if largest > 300 else 0)
        if memory > 60 * 1024:
            reserved = max(reserved, 10 * 1024)
        return max(0.001, float(round((memory - reserved) / memory, 3)) * _encoder_factor(model))

    def overheads(
        self,
        model: ModelArchitecture,
        accelerator: Accelerator,
        request: Request,
        stage: int,
    ) -> tuple[Overhead, ...]:
        """Return what is in use before loading; activations and graphs run in the slack."""
        tp = request.tensor_parallel_size
        return (
            forward_activation(model, tp, request.max_num_batched_tokens, in_slack=True),
            context(tp * request.pipeline_parallel_size),
            captured_graphs(accelerator, request.max_num_seqs, request.enforce_eager, in_slack=True),
        )

    def requested_bytes(self, total_bytes: int, fraction: float, weights_bytes: int, overhead_bytes: int) -> int:
        """Return total memory less the slack: ``(1 − fraction)`` of what was free before loading [bytes].

        References
        ----------
        SGLang 0.5.23, ``mem_cache/kv_cache_configurator.py`` ``_profile_available_bytes``.
        """
        free = max(0, total_bytes - overhead_bytes)
        return total_bytes - int(free * (1 - fraction))

    def geometry(self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], request: Cutting) -> Geometry:
        """Return one pool of tokens, or two where windows or states stand beside full attention."""
        size = request.block_size
        full_length = request.disable_hybrid_kv_cache_manager or not self.keeps_windows(model)
        parts: dict[Part, list[Any]] = {part: [] for part in Part}
        for cached in self.caches_of_stage(model, layers, request.storage, request.split):
            part = self.claims[type(cached.cache)]
            parts[Part.TOKENS if part is Part.WINDOWS and full_length else part].append(cached)
        full, windows, state = parts.values()

        def row(some: list[Any]) -> int:
            return sum(cached.layers * cached.cache.bytes_per_token for cached in some)

        if state and windows:
            raise UnsupportedError("how SGLang divides memory between states and sliding windows is not known here")
        whole = Pool(max(1, size * row(full)), (Claim(size * request.decode_context_parallel_size),))
        if state:
            slot = sum(cached.layers * _state_bytes(cached.cache, request.mamba_ssm_cache_dtype) for cached in state)
            claims = Pool(slot, (Claim(0, fixed=STATE_SLOTS_PER_REQUEST),))
            if not row(full):
                return Geometry((claims,), size)
            drafted = _draft_tokens(request)
            return StatePools(
                (whole, claims),
                size,
                self.state_ratio,
                drafted,
                request.max_num_seqs if drafted else 0,
                STATE_SLOTS_PER_REQUEST,
            )
        if windows:
            longest = max(cached.cache.window for cached in windows)
            window = Pool(size * row(windows), (Claim(size, longest + size),))
            if not row(full):
                return Geometry((window,), size)
            return WindowPools((whole, window), size, self.window_ratio)
        return Geometry((whole,), size)

    def bearing(self, model: ModelArchitecture, cutting: Cutting) -> Cutting:
        """Return of a request what bears on how memory is cut; the requests at once do beside drafts of states."""
        bears = super().bearing(model, cutting)
        drafts = cutting.speculative_config is not None and State in self.kinds(model)
        return bears._replace(max_num_seqs=cutting.max_num_seqs) if drafts else bears

    def geometry_with_draft(
        self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], request: Cutting, draft: Draft, here: Draft
    ) -> Geometry:
        """Return the pools where a drafter keeps tokens too: as many bytes for each of its layers as the model's take.

        References
        ----------
        SGLang 0.5.23, ``model_executor/pool_configurator.py`` ``DefaultPoolConfigurator`` and
        ``HybridSWAPoolConfigurator``.
        """
        cut = self.geometry(model, layers, request)
        kept = self.caches_of_stage(model, layers, request.storage, request.split)
        attends = sum(cached.layers for cached in kept if self.claims[type(cached.cache)] is Part.TOKENS)
        if not here.layers or not attends:
            return cut
        whole, *others = cut.pools
        size = whole.block_bytes + whole.block_bytes * here.num_layers // attends
        return replace(cut, pools=(replace(whole, block_bytes=size), *others))

    def adapters(self, model: ModelArchitecture, request: Request, stage: int) -> tuple[Overhead, ...]:
        """Return the line of LoRA buffers: of every linear layer, at the low end of attention alone.

        References
        ----------
        SGLang 0.5.23, ``lora/mem_pool.py`` (``target_modules`` of the adapters that are loaded).
        """
        layers = model.stages(request.pipeline_parallel_size)[stage]
        size = adapters.of_linear_layers(layers, request)
        return (adapters.line(size, adapters.of_linear_layers(layers, request, adapters.OF_ATTENTION), size, request),)

    def state_bytes(self, state: State, request: Request) -> int:
        """Return a state in the formats that the engine keeps it in [bytes]."""
        return _state_bytes(state, request.mamba_ssm_cache_dtype)

    def reported_tokens(self, geometry: Geometry, pool_bytes: int, request: Request) -> int:
        """Return ``max_total_num_tokens``: the tokens of the full pool [tokens]."""
        tokens = geometry.num_blocks(pool_bytes, request.seq_len) * geometry.block_size
        return tokens * request.decode_context_parallel_size

    def budget_words(self, model: ModelArchitecture, request: Request) -> str:
        """Say what the fraction is of."""
        return say(
            "sglang.budget",
            "{fraction:g} of what is free before loading; activations and graphs in the rest",
            fraction=request.gpu_memory_utilization,
        )


def _state_bytes(state: State, asked: str) -> int:
    """Return what a state takes in the format that is asked for, ``auto`` for the model's own [bytes]."""
    element = STATE_BYTES_OF.get(asked) or (state.state_element_bytes if state.state_named else STATE_BYTES)
    return state.conv_elements * CONV_BYTES + state.state_elements * element


def _draft_tokens(request: Cutting) -> int:
    """Return the tokens of a draft with the one that is checked beside them; 0 without drafts [tokens]."""
    speculation = request.speculative_config
    return 1 + (speculation.num_tokens or 0) if speculation else 0


def _encoder_factor(model: ModelArchitecture) -> float:
    """Return what the engine takes off its fraction for an encoder of images [-].

    References
    ----------
    SGLang 0.5.23, ``arg_groups/memory_hook.py`` ``adjust_mem_fraction_for_vlm``: it reads ``num_hidden_layers``
    and ``hidden_size`` and takes 24 and 1,024 where a config has other names.
    """
    if "vision_config" not in model.towers:
        return 1.0
    config = (model.fields or {}).get("vision_config")
    config = config if isinstance(config, Mapping) else {}
    layers, width = (named_size(config, key, size) for key, size in VIT_LARGE.items())
    complexity = layers * width**2 / (24 * 1024**2)
    factor: float = 0.95 * max(0.8, min(1.05, 1.0 - 0.1 * (complexity - 1.0)))
    return factor


def prefill_graph_sizes(largest: int) -> int:
    """Return how many prompt sizes are captured as graphs: steps of 4, 16, 32, 64, 256 and 512 tokens [-].

    References
    ----------
    SGLang 0.5.23, ``arg_groups/cuda_graph_hook.py``; 58 sizes up to 8,192 tokens.
    """
    steps = ((4, 33, 4), (48, 257, 16), (288, 513, 32), (576, 1025, 64), (1280, 4097, 256), (4608, largest + 1, 512))
    return sum(1 for step in steps for size in range(*step) if size <= largest)
