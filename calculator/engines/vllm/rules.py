"""vLLM: a fraction of the device's total memory, cut into equal blocks that groups of layers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.architecture.caches import (
    Chunk,
    CompressedRows,
    EveryToken,
    LatentVectors,
    Recurrence,
    RowsInPassing,
    State,
    Window,
)
from calculator.architecture.model import LayerGroup, ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import has
from calculator.engines import engine_rules
from calculator.engines.base import USAGE_CONTEXTS, Engine
from calculator.engines.beside.experts import expert_ranks
from calculator.engines.overheads import captured_graphs
from calculator.engines.pools import Geometry
from calculator.engines.vllm.adapters import lora_buffers
from calculator.engines.vllm.block_size import kernel_block_size
from calculator.engines.vllm.changes import ALL_TYPES, CHANGES
from calculator.engines.vllm.checks import check_adapters, check_class, check_context, check_groups
from calculator.engines.vllm.groups import CLAIMS, hybrid_block_size, vllm_geometry
from calculator.engines.vllm.kernels import Kernel, device_class, layers_of, why_none
from calculator.engines.vllm.overheads import (
    NON_TORCH_0_6,
    NonTorch,
    activation,
    non_torch,
    output_counts,
    with_encoder,
)
from calculator.engines.vllm.packed import packed_geometry
from calculator.engines.vllm.starting import longest_named, not_free, too_few_states
from calculator.engines.vllm.states import Keeping, as_kept, checkpoint_block_alignment, keeping, kept, state_pages
from calculator.errors import InvalidValueError, UnsupportedError
from calculator.formats.kv import storage_format
from calculator.messages import Message, say
from calculator.request import Cutting
from calculator.request.speculation import METHODS

if TYPE_CHECKING:
    from calculator.engines.beside.refusals import Refusal
    from calculator.engines.overheads import Overhead
    from calculator.formats.kv import StorageFormat
    from calculator.hardware import Accelerator
    from calculator.planning.stage import Stage
    from calculator.request import Request
    from calculator.request.speculation import Speculation

LONGEST_UNCHUNKED = 32_768
LONGEST_MEASURED = 131_072
"""Tokens of context up to which what grows with it was seen."""
TOKENS = (EveryToken, LatentVectors, Window, Chunk)


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
    second_runner_counts_outputs : bool
        Whether what its sampler keeps of every sequence's output is taken from the budget.
    second_runner_serves_dense : bool
        Whether it also serves every model with neither experts nor states.
    second_runner_profiles_graphs : bool
        Whether it, too, subtracts CUDA graphs before the KV cache is sized.
    activation_spread : tuple of float
        Range of the activation estimate, as factors of it [-].
    unexplained_bytes_per_token : int
        What profiling may hold more for each token of context, by an unknown cause [bytes].
    non_torch : NonTorch
        What grows outside torch's allocator while it profiles.
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
    caches_states : bool
        Whether prefix caching of states is on by default.
    pages_of_cached_state : int
        Pages that a request holds of a state under prefix caching [-].
    mode_follows_model : frozenset of Recurrence
        States of which prefix caching, where asked for, keeps pages in a mode that depends on the model.
    checkpoint_alignment : dict of Recurrence to int
        States whose prefill keeps a page more for a checkpoint, and the tokens that its place is aligned to.
    chunks_as_such : bool
        Whether chunked local attention is allocated as such.
    unchunked : bool
        Whether a forward pass takes a whole prompt by default.
    groups_layers : bool
        Whether windows are allocated as such.
    latent_row_multiple : int
        Elements that a latent row is padded to a multiple of [elements].
    keeps_latents : bool
        Whether latent attention is kept as its latent rows.
    held_back : int
        Blocks that the pool keeps for itself [-].
    charges_whole_passes : bool
        Whether a request is charged an encoder's tokens of a whole forward pass where concurrency is told.
    packs_rows : bool
        Whether rows that stand for several tokens are kept.
    windows_longer : dict of str to int
        Model types whose own class keeps more than the window, and how many tokens more [tokens].
    start_check : str or None
        What the start-up check, which names the longest sequence, sums up: each of a stage's ``layers`` by itself,
        the groups of the whole ``model`` against the smallest pool, the groups of each ``stage``; None for no name.
    start_check_holds_back : bool
        Whether it takes the block off that the pool keeps for itself.
    graphs_need_states : bool
        Whether it does not start with CUDA graphs of more sequences than the pool has blocks for a state.
    needs_budget_free : bool
        Whether it does not start where less than its budget is free.
    kernels : dict of str to tuple of Kernel
        Its kernels of attention on each class of devices; none where they were not read.
    gptq_groups : tuple of int
        Inputs that may share a scale in checkpoints of GPTQ, -1 for a whole row; none for any [elements].
    sees_images_whole : bool
        Whether it was read which models' images see all of themselves, which not every kernel knows.
    """

    shares_experts_across_replicas: ClassVar = True
    draft_methods: ClassVar = METHODS
    starts_short: ClassVar = False
    context_in_slack: ClassVar = True
    defaults_change_after: ClassVar = LONGEST_UNCHUNKED
    name: ClassVar[str] = "vllm"
    title: ClassVar[str] = "vLLM"
    oldest: ClassVar = (0, 6, 0)
    newest: ClassVar = (0, 33, 0)
    not_read: ClassVar = (((0, 8, 5), (0, 9, 1)),)
    kv_cache_dtypes: ClassVar = (
        "fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2",
        "fp8_per_token_head", "int8_per_token_head", "int4_per_token_head", "nvfp4", "fp8_ds_mla",
    )  # fmt: skip
    weight_dtypes: ClassVar = ("fp8", "int8", "awq-int4", "gptq-int4", "nvfp4")
    # 0.33.0, model_executor/models: attention without cache_config
    ignores_kv_cache_dtype: ClassVar = frozenset({"falcon"})
    # 0.33.0, model_executor/models/minicpm3.py: num_kv_heads is that of query heads, v padded to qk_head_dim
    expands_latents: ClassVar = frozenset({"minicpm3"})
    # 0.33.0, model_executor/models/whisper.py, zamba2.py, mamba2.py, gemma3n.py: classes without SupportsPP, which
    # config/model.py verify_with_parallel_config refuses
    no_pipeline: ClassVar = frozenset({"whisper", "zamba2", "mamba2", "gemma3n_text"})
    # 0.33.0, layers/mamba/gdn/olmo_gdn_linear_attn.py: no get_prefill_checkpoint_alignment, as qwen_gdn_linear_attn.py
    no_checkpoints: ClassVar = frozenset({"olmo_hybrid"})
    """Model types whose own layer of states exports no checkpoint of a prefill."""
    # 0.33.0, model_executor/models/mamba.py, mamba2.py: IsAttentionFree, for which prefix caching stays off
    attention_free: ClassVar = frozenset({"mamba", "falcon_mamba", "mamba2"})
    """Model types whose own class is known to have no attention at all."""
    claims: ClassVar = {**CLAIMS, CompressedRows: None, RowsInPassing: None}
    expert_multiples: ClassVar = {"mxfp4": (256, 64)}
    # Marlin repacks there (fused_moe/oracle/mxfp4.py): 13.72 GiB logged of gpt-oss 20B on an A100, 13.47 on an H100
    expert_multiples_on: ClassVar = {("mxfp4", generation): (256, 128) for generation in ("turing", "ampere", "ada")}
    only_here: ClassVar = (
        "async_scheduling", "enable_prefix_caching", "disable_hybrid_kv_cache_manager", "decode_context_parallel_size",
        "language_model_only", "speculative_config", "max_loras", "max_lora_rank", "mamba_cache_dtype",
        "mamba_ssm_cache_dtype", "cpu_offload_gb", "usage_context",
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
        "speculative_config": "--speculative-config",
        "max_loras": "--max-loras",
        "max_lora_rank": "--max-lora-rank",
        "mamba_cache_dtype": "--mamba-cache-dtype",
        "mamba_ssm_cache_dtype": "--mamba-ssm-cache-dtype",
        "cpu_offload_gb": "--cpu-offload-gb",
    }
    changes: ClassVar = CHANGES

    gpu_memory_utilization: float = 0.0
    sampler_copies_tenths: int = 0
    activation_spread: tuple[float, float] = (1.0, 1.0)
    unexplained_bytes_per_token: int = 0
    non_torch: NonTorch = NON_TORCH_0_6
    experts_stay: bool = False
    graphs_in_budget: bool = False
    tokens_from_concurrency: bool = False
    batches_in_flight: bool = False
    async_scheduling: bool = False
    padding_factor: float = 1.0
    caches_states: bool = False
    pages_of_cached_state: int = 1
    mode_follows_model: frozenset[Recurrence] = frozenset()
    checkpoint_alignment: Mapping[Recurrence, int] = field(default_factory=dict)
    chunks_as_such: bool = False
    second_runner_types: frozenset[str] | None = frozenset()
    second_runner_copies_tenths: int = 0
    second_runner_counts_outputs: bool = False
    second_runner_serves_dense: bool = False
    second_runner_profiles_graphs: bool = False
    unchunked: bool = False
    groups_layers: bool = False
    latent_row_multiple: int = 1
    keeps_latents: bool = True
    held_back: int = 0
    charges_whole_passes: bool = False
    packs_rows: bool = False
    windows_longer: Mapping[str, int] = field(default_factory=dict)
    start_check: str | None = None
    start_check_holds_back: bool = False
    graphs_need_states: bool = False
    needs_budget_free: bool = False
    types_without_class: Mapping[str, str] = field(default_factory=dict)
    kernels: Mapping[str, tuple[Kernel, ...]] = field(default_factory=dict)
    sees_images_whole: bool = False
    gptq_groups: tuple[int, ...] = ()

    def check(self, model: ModelArchitecture, values: Mapping[str, Any]) -> None:
        """Raise ``CalculatorError`` where the engine does not have what is asked."""
        super().check(model, values)
        context = values["usage_context"]
        if context not in (None, *USAGE_CONTEXTS):
            raise InvalidValueError(
                say(
                    "rules.usage_context_none_vllm",
                    "usage_context {context!r} is none of vLLM's: {names}",
                    context=context,
                    names=" or ".join(USAGE_CONTEXTS),
                ),
                what="usage_context",
                asked=context,
                allowed=USAGE_CONTEXTS,
            )
        check_class(model, values, f"{self.title} {self.version}", self.types_without_class)
        check_adapters(model, values)
        check_groups(model, values, f"{self.title} {self.version}", self.gptq_groups)
        if not self.packs_rows and {CompressedRows, RowsInPassing} & {*self.kinds(model)}:
            raise UnsupportedError(
                say(
                    "rules.vllm_does_not_serve",
                    "vLLM {version} does not serve {name}: it keeps no rows for several tokens before 0.20",
                    version=self.version,
                    name=model.name,
                ),
                what="engine_version",
                asked=self.asked_version,
            )
        if values["decode_context_parallel_size"] > 1:
            heads = max(group.spec.kv_heads for group in self.as_kept(model, model.groups))
            check_context(values, heads, has_windows=bool({Window, Chunk} & {*self.kinds(model)}))

    def why_no_kernel(
        self, model: ModelArchitecture, accelerator: Accelerator, kv_cache_dtype: str, values: Mapping[str, Any]
    ) -> Message | None:
        """Say why no kernel of attention serves a model's layers on a device with a cache in a format."""
        device = device_class(accelerator)
        if not self.kernels.get(device):
            return None
        reasons = model.remember(
            _without_kernel, self.version, device, kv_cache_dtype, bool(values["language_model_only"])
        )
        return reasons[0] if reasons else None

    def batch_defaults(
        self,
        accelerator: Accelerator,
        seq_len: int,
        speculation: Speculation | None = None,
        usage_context: str | None = None,
    ) -> tuple[int, int]:
        """Return the default of ``max_num_batched_tokens`` and ``max_num_seqs``."""
        tokens, sequences = super().batch_defaults(accelerator, seq_len, None, usage_context)
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
        how, caching = keeping(values), values["enable_prefix_caching"]
        if self.is_mixed:
            return _block_size_by(self, model, storage, split, asked, how, caching)
        return model.remember(_block_size, self.version, storage.name, split, asked, how, caching)

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
        graphs = captured_graphs(
            accelerator, request.max_num_seqs, request.enforce_eager, in_slack=not self.graphs_inside(model)
        )
        asked = model, copies, self.experts_stay, tp, request.max_num_seqs
        peak = activation(*asked, request.max_num_batched_tokens, last, self.activation_spread)
        if model.towers and not request.language_model_only:
            peak = with_encoder(peak)
        if self.unexplained_bytes_per_token:
            more = self.unexplained_bytes_per_token * min(request.seq_len, LONGEST_MEASURED)
            peak = replace(peak, high=peak.high + more)
        lines = peak, non_torch(accelerator, tp, self.non_torch), graphs
        if not (second and last and self.second_runner_counts_outputs):
            return lines
        return (*lines, output_counts(model.vocab_size, request.max_num_seqs))

    @property
    def follows_length(self) -> bool:
        """Whether the tokens of a forward pass follow the length of a sequence by default."""
        return self.unchunked

    def window_more(self, model: ModelArchitecture) -> int:
        """Return the tokens that the own class of a model's type keeps beyond a window [tokens]."""
        return self.windows_longer.get(model.model_type, 0)

    def on_second_runner(self, model: ModelArchitecture) -> bool:
        """Whether the second model runner serves a model by default."""
        if self.second_runner_types is ALL_TYPES or model.model_type in self.second_runner_types:
            return True
        return self.second_runner_serves_dense and not (model.moe_intermediate_size or State in self.kinds(model))

    def graphs_inside(self, model: ModelArchitecture) -> bool:
        """Whether CUDA graphs are taken from the budget."""
        return self.graphs_in_budget and (self.second_runner_profiles_graphs or not self.on_second_runner(model))

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
        how = keeping(request)
        caches = kept(self.caches(model, request.storage, request.split), how)
        if has(caches, CompressedRows, RowsInPassing):
            here = self.caches_of_stage(model, layers, request.storage, request.split)
            return packed_geometry(caches, here, request.block_size, self.in_flight(request), self.held_back)
        if not self.keeps_latents and has(caches, LatentVectors):
            raise UnsupportedError(
                say(
                    "rules.vllm_before_keeps_latent",
                    "vLLM before 0.7 keeps latent attention as expanded heads, whose layout is not known here",
                ),
                what="engine_version",
                asked=self.asked_version,
            )
        return vllm_geometry(
            caches,
            caches
            if layers is model.groups
            else kept(self.caches_of_stage(model, layers, request.storage, request.split), how),
            request,
            in_flight=self.in_flight(request),
            padding_factor=self.padding_factor,
            full_length=request.disable_hybrid_kv_cache_manager
            or not self.groups_layers
            or (not self.chunks_as_such and has(caches, Chunk)),
            state_pages=state_pages(self, model, caches, request.enable_prefix_caching, how.drafted),
            row_multiple=self.latent_row_multiple,
            held_back=self.held_back,
            charges_whole_passes=self.charges_whole_passes,
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
        return longest_named(self, model, request, stages)

    def adapters(self, model: ModelArchitecture, request: Request, stage: int) -> tuple[Overhead, ...]:
        """Return the line of LoRA buffers; in the first and the last stage of some types beside the vocabulary too."""
        return lora_buffers(model, request, expert_ranks(self, request), stage)

    def state_bytes(self, state: State, request: Request) -> int:
        """Return a state in the formats that are asked for, without columns for drafts [bytes]."""
        return as_kept(state, keeping(request)._replace(drafted=0)).state_bytes

    def refusals(
        self, model: ModelArchitecture, request: Request, stages: tuple[Stage, ...], asked: Mapping[str, Any]
    ) -> tuple[Refusal, ...]:
        """Say why vLLM does not start with what is asked, whatever the length of a sequence."""
        refused: list[Refusal] = []
        if self.needs_budget_free and request.other_memory_bytes:
            refused += not_free(request, stages[0].memory.requested_bytes)
        if self.graphs_need_states and not request.enforce_eager and State in self.kinds(model):
            refused += too_few_states(request, stages, by_default="max_num_seqs" not in asked)
        return tuple(refused)

    def longest_start(self, model: ModelArchitecture, request: Request, stages: tuple[Stage, ...]) -> int | None:
        """Return the length beyond which the check of 0.14 to 0.16 refuses what memory holds, in stages [tokens].

        It sets the layers of all pipeline stages against the pool of one.
        """
        staged = self.start_check == "model" and request.pipeline_parallel_size > 1
        return self.reported_longest(model, request, stages) if staged else None

    def in_flight(self, request: Cutting) -> int:
        """Return the tokens of all batches that are in flight at once [tokens]."""
        batches = 1
        if self.batches_in_flight:
            ahead = self.async_scheduling if request.async_scheduling is None else request.async_scheduling
            batches = request.pipeline_parallel_size + ahead
        return batches * request.max_num_batched_tokens

    def reported_tokens(self, geometry: Geometry, pool_bytes: int, request: Request) -> int:
        """Return the token count of the log: concurrency × longest sequence; blocks a group × block size before 0.21.

        References
        ----------
        vLLM 0.20.0 and 0.21.0, ``v1/core/kv_cache_utils.py``.
        """
        blocks = geometry.num_blocks(pool_bytes, request.seq_len)
        taken = geometry.pools[0].charged_blocks(request.seq_len)
        if self.tokens_from_concurrency and taken:
            return int(blocks / taken * request.seq_len)
        groups = sum(claim.weight if claim.block_size else 1 for claim in geometry.pools[0].claims) or 1
        return blocks // groups * geometry.block_size * request.decode_context_parallel_size

    def budget_words(self, model: ModelArchitecture, request: Request) -> str:
        """Say what the fraction is of."""
        fraction = request.gpu_memory_utilization
        if self.graphs_inside(model):
            return say("vllm.budget_graphs_in", "{fraction:g} of all memory, CUDA graphs inside", fraction=fraction)
        return say("vllm.budget_graphs_out", "{fraction:g} of all memory, CUDA graphs outside", fraction=fraction)


def _without_kernel(
    model: ModelArchitecture, engine_version: str, device: str, kv_cache_dtype: str, language_model_only: bool
) -> tuple[Message, ...]:
    """Return why layers have no kernel of attention on a class of devices, of each that has none."""
    rules = engine_rules(Vllm.name, engine_version)
    assert isinstance(rules, Vllm)
    kept_in = rules.stored_in(model, storage_format(kv_cache_dtype)).name
    images = rules.sees_images_whole and not language_model_only
    layers = layers_of(model, rules.as_kept(model, model.groups), images)
    return tuple([why for layer in layers if (why := why_none(rules.kernels[device], layer, kept_in))])


def _block_size(
    model: ModelArchitecture,
    engine_version: str,
    kv_cache_dtype: str,
    split: Split,
    asked: int | None,
    how: Keeping,
    caching: bool | None,
) -> int:
    rules = engine_rules(Vllm.name, engine_version)
    assert isinstance(rules, Vllm)
    return _block_size_by(rules, model, storage_format(kv_cache_dtype), split, asked, how, caching)


def _block_size_by(
    rules: Vllm,
    model: ModelArchitecture,
    storage: StorageFormat,
    split: Split,
    asked: int | None,
    how: Keeping,
    caching: bool | None,
) -> int:
    caches = kept(rules.caches(model, storage, split), how)
    size = kernel_block_size(model.name, caches, asked)
    if not has(caches, State):
        return size
    pages = state_pages(rules, model, caches, caching, how.drafted)
    return hybrid_block_size(caches, size, checkpoint_block_alignment(rules, model, pages, how.drafted))
