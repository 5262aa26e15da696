"""The values of vLLM's rules: which flags and formats it has, what its own classes do, and what a version sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from calculator.architecture.caches import CompressedRows, Recurrence, RowsInPassing
from calculator.engines.base import Engine
from calculator.engines.vllm.changes import CHANGES
from calculator.engines.vllm.groups import CLAIMS
from calculator.engines.vllm.kernels import Kernel
from calculator.engines.vllm.overheads import NON_TORCH_0_6, NonTorch
from calculator.request.speculation import METHODS

LONGEST_UNCHUNKED = 32_768
"""Tokens of a sequence up to which a forward pass that is not cut takes a whole prompt."""


@dataclass(frozen=True)
class Values(Engine):
    """The values of vLLM's rules; rows of ``changes`` set the fields by version.

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
