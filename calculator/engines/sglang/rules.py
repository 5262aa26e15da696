"""SGLang: what is free before loading, less a slack for activations and graphs; pools of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.architecture.caches import Chunk, LatentVectors, State, Window
from calculator.architecture.latent import LatentAttention
from calculator.architecture.model import LayerGroup, ModelArchitecture
from calculator.engines.base import Engine
from calculator.engines.beside import adapters
from calculator.engines.beside.experts import expert_ranks
from calculator.engines.overheads import captured_graphs, forward_activation
from calculator.engines.pools import Claim, Geometry, Pool
from calculator.engines.sglang.changes import CHANGES, READ, GraphDefaults
from calculator.engines.sglang.context import check_context
from calculator.engines.sglang.fraction import ByWork, FractionRule, Start, encoder_factor, reported_mib
from calculator.engines.sglang.groups import PARTS, CountedPool, Part, WindowPools
from calculator.engines.sglang.overheads import in_use
from calculator.engines.sglang.states import state_bytes, with_states
from calculator.errors import InvalidValueError, UnsupportedError
from calculator.formats.kv import storage_format
from calculator.messages import say
from calculator.request import Cutting

if TYPE_CHECKING:
    from calculator.architecture.draft import Draft
    from calculator.architecture.split import Split
    from calculator.engines.overheads import Overhead
    from calculator.formats.kv import StorageFormat
    from calculator.hardware import Accelerator
    from calculator.request import Request
    from calculator.request.speculation import Speculation

SPARSE_PAGE = 64
AITER_LATENT_HEADS = (16, 128)
"""Heads of a rank for which aiter is the default of latent attention."""
LONG_CONTEXT = 8_192
"""Above this many tokens of context aiter takes its share."""
PLAIN_FP8 = storage_format("fp8_e4m3")
SEQUENCES_WITH_DRAFTS = 48


@dataclass(frozen=True)
class Sglang(Engine):
    """The rules of SGLang.

    Attributes
    ----------
    fraction_rule : FractionRule
        How ``--mem-fraction-static`` is derived where it is not given.
    fixed_encoder_factor : float or None
        What an encoder of images takes off it, None where that follows from the encoder's size [-].
    long_context_factor : float
        What aiter takes off any fraction, given or derived, for a context of more than 8,192 tokens [-].
    graphs : tuple of GraphDefaults
        Largest captured batch by device; first match wins.
    requests_cap_graphs : bool
        Whether that is no more than the requests at once.
    prefill_graphs_with_attention_dp : bool
        Whether graphs of prompts are captured with attention data parallelism.
    window_ratio, state_ratio : float
        ``--swa-full-tokens-ratio`` and ``--mamba-full-memory-ratio``; 0 where states are not known [-].
    slots_follow_requests : bool
        Whether without a cache of prefixes there are as many slots of states as requests at once are asked for.
    most_slots : int
        How many there are where none are asked for; 0 where the ratio says it [-].
    padding_slots : int
        Slots of states that are counted besides [-].
    counts_plain_rows : bool
        Whether 8 bit rows of sparse attention are counted without their scales, though allocated with them.
    """

    name: ClassVar[str] = "sglang"
    title: ClassVar[str] = "SGLang"
    oldest: ClassVar = READ[0]
    newest: ClassVar = READ[-1]
    read: ClassVar = READ
    kv_cache_dtypes: ClassVar = ("fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "nvfp4", "fp8_ds_mla")
    weight_dtypes: ClassVar = ("fp8", "int8", "awq-int4", "gptq-int4", "nvfp4")
    only_here: ClassVar = (
        "enable_attention_dp", "decode_context_parallel_size", "disable_hybrid_kv_cache_manager", "speculative_config",
        "max_loras", "max_lora_rank", "mamba_ssm_cache_dtype", "cpu_offload_gb", "enable_prefix_caching",
    )  # fmt: skip
    derives_fraction: ClassVar = True
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
        "enable_prefix_caching": "--disable-radix-cache",
        "speculative_config": "--speculative-algorithm",
        "max_loras": "--max-loras-per-batch",
        "max_lora_rank": "--max-lora-rank",
        "mamba_ssm_cache_dtype": "--mamba-ssm-dtype",
        "cpu_offload_gb": "--cpu-offload-gb",
    }
    changes: ClassVar = CHANGES

    fraction_rule: FractionRule = field(default=ByWork(prefill_graphs=True))
    fixed_encoder_factor: float | None = None
    long_context_factor: float = 1.0
    graphs: tuple[GraphDefaults, ...] = ()
    requests_cap_graphs: bool = False
    prefill_graphs_with_attention_dp: bool = True
    window_ratio: float = 1.0
    state_ratio: float = 0.0
    slots_follow_requests: bool = False
    most_slots: int = 0
    padding_slots: int = 0
    counts_plain_rows: bool = False

    def batch_defaults(
        self,
        accelerator: Accelerator,
        seq_len: int,
        speculation: Speculation | None = None,
        usage_context: str | None = None,
    ) -> tuple[int, int]:
        """Return the defaults; with drafts fewer requests run at once (0.5.23 ``arg_groups/speculative_hook.py``)."""
        tokens, sequences = super().batch_defaults(accelerator, seq_len)
        return tokens, min(sequences, SEQUENCES_WITH_DRAFTS) if speculation else sequences

    def check(self, model: ModelArchitecture, values: Mapping[str, Any]) -> None:
        """Raise ``CalculatorError`` where the engine does not have what is asked."""
        super().check(model, values)
        if values["decode_context_parallel_size"] > 1:
            check_context(model, values, has_windows=bool({Window, Chunk} & {*self.kinds(model)}))

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
                say(
                    "rules.block_size_not_possible",
                    "block_size {asked} is not possible for {name}: SGLang's sparse attention has pages of 64",
                    asked=asked,
                    name=model.name,
                ),
                what="block_size",
                asked=asked,
                nearest=max(1, round(asked / SPARSE_PAGE)) * SPARSE_PAGE,
            )
        return asked or (SPARSE_PAGE if sparse else 1)

    def default_fraction(self, model: ModelArchitecture, accelerator: Accelerator, values: Mapping[str, Any]) -> float:
        """Return ``mem_fraction_static`` as the engine derives it: memory less what it reserves [-]."""
        memory = reported_mib(accelerator.memory_bytes, accelerator.reported_mib)
        tp, alone = values["tensor_parallel_size"], values["pipeline_parallel_size"] == 1
        row = next(row for row in self.graphs if memory < row.below_mib)
        largest = row.few_ranks if tp < 4 else row.many_ranks
        if self.requests_cap_graphs and values["max_num_seqs"]:
            largest = min(largest, values["max_num_seqs"])
        eager, apart = values["enforce_eager"], values["enable_attention_dp"]
        start = Start(
            memory_mib=memory,
            tensor_parallel_size=tp,
            pipeline_parallel_size=values["pipeline_parallel_size"],
            chunk=values["max_num_batched_tokens"],
            largest_batch=0 if eager else largest,
            attention_dp=apart,
            latent=LatentVectors in self.kinds(model),
            prefill_graphs=not eager
            and alone
            and values["decode_context_parallel_size"] == 1
            and not model.towers
            and accelerator.vendor != "AMD"
            and (self.prefill_graphs_with_attention_dp or not apart),
        )
        share = self.fraction_rule.fraction(start)
        return max(0.001, share * encoder_factor(model, self.fixed_encoder_factor))

    def fraction_used(self, model: ModelArchitecture, accelerator: Accelerator, request: Request) -> float:
        """Return the fraction less what aiter takes of it for a long context [-].

        References
        ----------
        SGLang 0.4.9 ``model_executor/model_runner.py``, 0.5.23 ``arg_groups/attention_hook.py``: aiter is the default
        on AMD, with latent attention where a rank has 16 or 128 heads, and not for sparse attention.
        """
        fraction = request.gpu_memory_utilization
        if accelerator.vendor != "AMD" or request.seq_len <= LONG_CONTEXT:
            return fraction
        if LatentVectors in self.kinds(model):
            heads = model.num_attention_heads // (1 if request.enable_attention_dp else request.tensor_parallel_size)
            sparse = any(cached.cache.sparse for cached in self.caches(model))
            if sparse or heads not in AITER_LATENT_HEADS:
                return fraction
        return fraction * self.long_context_factor

    def overheads(
        self,
        model: ModelArchitecture,
        accelerator: Accelerator,
        request: Request,
        stage: int,
    ) -> tuple[Overhead, ...]:
        """Return what is in use before loading and left by it; activations and graphs run in the slack."""
        tp = request.tensor_parallel_size
        return (
            forward_activation(model, tp, request.max_num_batched_tokens, in_slack=True),
            in_use(accelerator, tp * request.pipeline_parallel_size),
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
            raise UnsupportedError(
                say(
                    "rules.how_sglang_divides_memory",
                    "how SGLang divides memory between states and sliding windows is not known here",
                )
            )
        whole = Pool(max(1, size * row(full)), (Claim(size * request.decode_context_parallel_size),))
        if state:
            return with_states(self, whole if row(full) else None, state, request)
        if windows:
            longest = max(cached.cache.window for cached in windows)
            window = Pool(size * row(windows), (Claim(size, longest + size),))
            if not row(full):
                return Geometry((window,), size)
            return WindowPools((whole, window), size, self.window_ratio)
        saved = self._uncounted_bytes(model, layers, request) if full else 0
        return CountedPool((whole,), size, size * (row(full) - saved)) if saved else Geometry((whole,), size)

    def _uncounted_bytes(self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], request: Cutting) -> int:
        """Return what a token's rows of sparse attention take beyond what is counted of them [bytes].

        References
        ----------
        SGLang 0.5.8, ``mem_cache/memory_pool.py`` ``NSATokenToKVPool``: of 512 + 64 elements in 8 bit 656 bytes are
        allocated, 576 counted.
        """
        if not self.counts_plain_rows or not (request.storage.is_fp8 or request.storage.packs_latents):
            return 0
        beyond = 0
        for group in self.as_kept(model, layers):
            spec = group.spec
            if isinstance(spec, LatentAttention) and spec.index_head_dim:
                plain = replace(spec, index_head_dim=0)
                packed = spec.bytes_per_token(request.storage, 1)
                indexer = packed - replace(spec, shares_index=True).bytes_per_token(request.storage, 1)
                beyond += group.count * (packed - indexer - plain.bytes_per_token(PLAIN_FP8, 1))
        return beyond

    def bearing(self, model: ModelArchitecture, cutting: Cutting) -> Cutting:
        """Return of a request what bears on how memory is cut; requests at once do where states follow them."""
        bears = super().bearing(model, cutting)
        follow = cutting.speculative_config is not None or cutting.enable_prefix_caching is False
        follows = follow and State in self.kinds(model)
        return bears.within(bears.max_num_batched_tokens, cutting.max_num_seqs) if follows else bears

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
        experts = expert_ranks(self, request)
        size = adapters.of_linear_layers(layers, request, experts)
        of_attention = adapters.of_linear_layers(layers, request, experts, adapters.OF_ATTENTION)
        return (adapters.line(size, of_attention, size, request),)

    def state_bytes(self, state: State, request: Request) -> int:
        """Return a state in the formats that the engine keeps it in [bytes]."""
        return state_bytes(state, request.mamba_ssm_cache_dtype)

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
