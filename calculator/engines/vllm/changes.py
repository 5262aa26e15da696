"""vLLM version by version: rule values, since when, and where they are read from."""

from __future__ import annotations

from dataclasses import replace

from calculator.architecture.caches import Recurrence
from calculator.engines.base import Admission, Change, DeviceDefaults
from calculator.engines.vllm.kernels import KERNELS
from calculator.engines.vllm.overheads import NON_TORCH_0_6, NON_TORCH_0_8, NON_TORCH_0_18
from calculator.engines.vllm.sources import OWN

ALL_TYPES = None
"""Stands for every model type where a rule names some."""
_MAMBA = frozenset({Recurrence.MAMBA1, Recurrence.MAMBA2})
_EXPERTS_ON_SECOND_RUNNER = ("deepseek_v2", "qwen2_moe", "granitemoe")
_DEPRECATED = {
    "fbgemm_fp8": "it is deprecated and refused without --allow-deprecated-quantization",
    "fp_quant": "it is deprecated and refused without --allow-deprecated-quantization",
}
_NEITHER = "it has no class of it, and that of transformers does not let its attention be replaced"
_NO_CLASS = {"bailing_moe_linear": "neither it nor transformers has a class of it; SGLang has"} | dict.fromkeys(
    (
        "gpt_neo",
        "gpt_neox_japanese",
        "codegen",
        "openai-gpt",
        "xglm",
        "big_bird",
        "megatron-bert",
        "rembert",
        "roformer",
    ),
    _NEITHER,
)
_NO_CLASS_0_24 = {**_NO_CLASS, **dict.fromkeys(("baichuan", "qwen"), "0.23.0 was the last that had a class of it")}
_NO_CLASS_0_29 = {**_NO_CLASS_0_24, "mpt": "0.28.0 was the last that had a class of it"}

_ROWS = (
    Change(
        (0, 6, 0),
        {
            "gpu_memory_utilization": 0.9,
            "sampler_copies_tenths": 96,
            "activation_spread": (0.75, 1.25),
            "device_defaults": (DeviceDefaults(0, 2_048, 256),),
            "unchunked": True,
            "latent_row_multiple": 128,
            "keeps_latents": False,
            "admission": Admission(watermark=0.01),
            "non_torch": NON_TORCH_0_6,
            "start_check": "stage",
            "types_without_class": _NO_CLASS,
        },
        "vLLM 0.7.3 core/block_manager.py (no block is kept), worker/worker.py; 0.6 to 0.7: a prompt of 32,768 "
        "tokens is not chunked; latent rows of 576 are kept as 640 (294,688 tokens in 21.43 GiB logged for "
        "DeepSeek-R1)",
    ),
    Change(
        (0, 7, 0),
        {"keeps_latents": True, "budget_of_device": True},
        "vLLM 0.7.1 and newer attention/backends/mla; 0.7.0, which has none, is not told apart from them; 0.7.3 "
        "worker/worker.py counts what grows while it profiles (0.6.4: all that is in use on the device)",
    ),
    Change(
        (0, 8, 0),
        {
            "unchunked": False,
            "activation_spread": (0.8, 1.25),
            "latent_row_multiple": 1,
            "admission": Admission(),
            "held_back": 1,
            "budget_of_device": False,
            "non_torch": NON_TORCH_0_8,
            "start_check": None,
            "device_defaults": (
                DeviceDefaults(70 * 1024, 8_192, 1024, not_named=("a100",), offline_tokens=16_384),
                DeviceDefaults(0, 2_048, 256, offline_tokens=8_192),
            ),
        },
        "vLLM 0.8 to 0.11: engine/arg_utils.py; 0.8.5 v1/core/kv_cache_utils.py makes every layer full-length, "
        "its start-up check names no length; v1/core/block_pool.py null_block; v1/worker/gpu_worker.py takes all "
        "that is in use on the device for its own",
    ),
    Change(
        (0, 9, 1),
        {"groups_layers": True, "start_check": "layers", "budget_of_device": True, "needs_budget_free": True},
        "vLLM 0.9.1 and 0.10.0 v1/core/kv_cache_utils.py, v1/worker/gpu_worker.py init_device (free memory against the "
        "utilisation); between 0.8.5 and them not read",
    ),
    Change(
        (0, 11, 0),
        {
            "device_defaults": (
                DeviceDefaults(70 * 1024, 8_192, 1024, not_named=("a100", "gb10"), offline_tokens=16_384),
                DeviceDefaults(0, 2_048, 256, offline_tokens=8_192),
            ),
        },
        "vLLM 0.11 on GB10 logs 2,048 batched tokens",
    ),
    Change(
        (0, 12, 0),
        {"padding_factor": 1.25, "async_scheduling": True, "mode_follows_model": _MAMBA},
        "vLLM 0.12.0 v1/core/kv_cache_utils.py, model_executor/models/config.py",
    ),
    Change(
        (0, 14, 0),
        {"chunks_as_such": True, "start_check": "model"},
        "vLLM 0.14.0 VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE, v1/core/kv_cache_utils.py",
    ),
    Change(
        (0, 15, 0),
        {"pages_of_cached_state": 2, "charges_whole_passes": True},
        "vLLM 0.15.0 v1/kv_cache_interface.py MambaSpec.max_memory_usage_bytes (2 pages in align mode); 0.15.1 "
        "CrossAttentionSpec.max_memory_usage_bytes, which 0.10.2 does not have",
    ),
    Change(
        (0, 17, 0),
        {"sampler_copies_tenths": 37, "experts_stay": True, "start_check": "stage"},
        "vLLM 0.16 and 0.17: logged activation peaks, 5.64 and 2.23 GiB for the same model; "
        "0.17.0 v1/core/kv_cache_utils.py _project_kv_cache_groups_to_worker",
    ),
    Change(
        (0, 18, 0),
        {"padding_factor": 1.5, "non_torch": NON_TORCH_0_18},
        "vLLM 0.18.0 v1/core/kv_cache_utils.py; logged memory outside the allocator",
    ),
    Change(
        (0, 20, 0),
        {
            "gpu_memory_utilization": 0.92,
            "graphs_in_budget": True,
            "activation_spread": (0.5, 1.8),
            "graphs_need_states": True,
            "packs_rows": True,
        },
        "vLLM 0.20.0 config/compilation.py resolve_cudagraph_mode_and_sizes (0.19.0 captures fewer), "
        "config/cache.py, envs.py VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS (0.19.0: 0.9 and off); "
        "0.20.0 model_executor/models/deepseek_v4.py, laid out as 0.33.0 does",
    ),
    Change((0, 21, 0), {"tokens_from_concurrency": True}, "vLLM 0.21.0 v1/core/kv_cache_utils.py"),
    Change(
        (0, 22, 0),
        {"second_runner_types": frozenset({"qwen3"}), "second_runner_copies_tenths": 15},
        "vLLM 0.22.0 config/vllm.py DEFAULT_V2_MODEL_RUNNER_ARCHITECTURES, v1/worker/gpu/model_runner.py; 0.22.0, "
        "0.23.0 and 0.25.0 v1/worker/gpu/sample/sampler.py copies 16 bit logits to fp32 whatever is asked",
    ),
    Change((0, 23, 0), {"second_runner_types": frozenset({"qwen3", "llama", "mistral"})}, "vLLM 0.23.0 config/vllm.py"),
    Change(
        (0, 24, 0),
        {
            "second_runner_types": frozenset({"qwen3", "llama", "mistral", *_EXPERTS_ON_SECOND_RUNNER}),
            "refused_methods": _DEPRECATED,
            "types_without_class": _NO_CLASS_0_24,
        },
        "vLLM 0.24.0 config/vllm.py, layers/quantization/__init__.py; 0.33.0 model_executor/models/registry.py "
        "_PREVIOUSLY_SUPPORTED_MODELS",
    ),
    Change(
        (0, 25, 0),
        {"second_runner_types": frozenset(_EXPERTS_ON_SECOND_RUNNER), "second_runner_serves_dense": True},
        "vLLM 0.25.0 config/vllm.py _is_default_v2_model_runner_model",
    ),
    Change(
        (0, 26, 0),
        {"batches_in_flight": True, "unexplained_bytes_per_token": 14_000, "second_runner_copies_tenths": 5},
        "vLLM 0.26.0 config/vllm.py max_in_flight_tokens, v1/worker/gpu/sample/sampler.py (in place, and 0.27.1 leaves "
        "logits as they are); public starts of 0.26 to 0.28 hold 0.3-1.7 GiB more, more "
        "with a longer context, of unknown cause",
    ),
    Change(
        (0, 27, 0),
        {"second_runner_counts_outputs": True},
        "vLLM 0.27.1 utils/mem_utils.py total_consumed (all that is no longer free), v1/worker/gpu/sample/penalties.py "
        "output_bin_counts; 0.26.0 keeps the same and counts weights, the peak and what is outside the allocator alone",
    ),
    Change(
        (0, 28, 0),
        {
            "kernels": KERNELS,
            "caches_states": True,
            "mode_follows_model": frozenset(),
            "device_defaults": (
                DeviceDefaults(160 * 1024, 16_384, 1024),
                DeviceDefaults(70 * 1024, 8_192, 1024, not_named=("a100", "gb10"), offline_tokens=16_384),
                DeviceDefaults(0, 2_048, 256, offline_tokens=8_192),
            ),
        },
        "vLLM 0.28.0 engine/arg_utils.py get_batch_defaults, config/model.py is_prefix_caching_supported",
    ),
    Change(
        (0, 29, 0),
        {
            "second_runner_types": ALL_TYPES,
            "second_runner_profiles_graphs": True,
            "start_check_holds_back": True,
            "refused_methods": {**_DEPRECATED, "bitsandbytes": "it is not among its methods (0.24.0 had it)"},
            "types_without_class": _NO_CLASS_0_29,
        },
        "vLLM 0.29.0 v1/core/kv_cache_utils.py get_kv_cache_configs, config/vllm.py use_v2_model_runner, "
        "v1/worker/gpu/model_runner.py profile_cudagraph_memory, layers/quantization/__init__.py",
    ),
    Change(
        (0, 32, 0),
        {"checkpoint_alignment": {Recurrence.MAMBA2: 1}},
        "vLLM 0.32.0 model_executor/layers/mamba/mamba_mixer2.py num_prefill_checkpoint_blocks",
    ),
    Change(
        (0, 33, 0),
        {
            "checkpoint_alignment": {Recurrence.GATED_DELTA_NET: 64, Recurrence.MAMBA2: 1},
            "second_runner_copies_tenths": 37,
            "unexplained_bytes_per_token": 0,
            "windows_longer": {"cohere2": 1, "cohere2_moe": 1},
            "sees_images_whole": True,
            "gptq_groups": (-1, 32, 64, 128),
        },
        "vLLM 0.33.0 model_executor/models/commandr.py, cohere2_moe.py (sliding_window + 1, which 0.27.1 does not "
        "have); v1/worker/gpu/model_runner.py _dummy_sampler_run (a second pass in fp32), "
        "v1/core/kv_cache_planning.py, qwen_gdn_linear_attn.py; utils/marlin_utils.py MARLIN_SUPPORTED_GROUP_SIZES",
    ),
)
CHANGES = tuple(replace(row, own=OWN.get(row.since, {})) for row in _ROWS)
