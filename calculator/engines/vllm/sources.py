"""Where one value of a version's row is read from, where the row has several from several places."""

from __future__ import annotations

from collections.abc import Mapping

from calculator.engines.versions import Version

_0_7_3 = "vLLM 0.7.3 worker/worker.py counts what grows while it profiles (0.6.4: all that is in use on the device)"
_COPIES_0_22 = (
    "vLLM 0.22.0, 0.23.0 and 0.25.0 v1/worker/gpu/sample/sampler.py copies 16 bit logits to fp32 whatever is asked"
)
OWN: Mapping[Version, Mapping[str, str]] = {
    (0, 7, 0): {
        "keeps_latents": "vLLM 0.7.1 and newer attention/backends/mla; 0.7.0, which has none, is not told apart",
        "budget_of_device": _0_7_3,
    },
    (0, 8, 0): {
        "unchunked": "vLLM 0.8 to 0.11 engine/arg_utils.py",
        "device_defaults": "vLLM 0.8 to 0.11 engine/arg_utils.py",
        "held_back": "vLLM 0.8.5 v1/core/block_pool.py null_block",
        "start_check": "vLLM 0.8.5 v1/core/kv_cache_utils.py, whose start-up check names no length",
        "budget_of_device": "vLLM 0.8.5 v1/worker/gpu_worker.py takes all that is in use on the device for its own",
        "non_torch": "0.13-0.14 GiB logged on one H100, 0.21-0.55 with tensor parallelism, before 0.18",
    },
    (0, 9, 1): {
        "groups_layers": "vLLM 0.9.1 and 0.10.0 v1/core/kv_cache_utils.py",
        "start_check": "vLLM 0.9.1 and 0.10.0 v1/core/kv_cache_utils.py",
        "needs_budget_free": "vLLM 0.10.0 v1/worker/gpu_worker.py init_device (free memory against the utilisation)",
    },
    (0, 12, 0): {
        "padding_factor": "vLLM 0.12.0 v1/core/kv_cache_utils.py",
        "mode_follows_model": "vLLM 0.12.0 model_executor/models/config.py",
    },
    (0, 17, 0): {
        "sampler_copies_tenths": "vLLM 0.16 and 0.17: logged activation peaks, 5.64 and 2.23 GiB for the same model",
        "start_check": "vLLM 0.17.0 v1/core/kv_cache_utils.py _project_kv_cache_groups_to_worker",
    },
    (0, 18, 0): {
        "padding_factor": "vLLM 0.18.0 v1/core/kv_cache_utils.py",
        "non_torch": "0.24-0.27 GiB logged on one H100, 2.06-2.21 on linked ones, from 0.18 on",
    },
    (0, 20, 0): {
        "gpu_memory_utilization": "vLLM 0.20.0 config/cache.py (0.19.0: 0.9)",
        "graphs_in_budget": "vLLM 0.20.0 envs.py VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS (0.19.0: off)",
        "graphs_need_states": (
            "vLLM 0.20.0 config/compilation.py resolve_cudagraph_mode_and_sizes (0.19.0 captures fewer)"
        ),
        "packs_rows": "vLLM 0.20.0 model_executor/models/deepseek_v4.py, laid out as 0.33.0 does",
    },
    (0, 22, 0): {
        "second_runner_types": "vLLM 0.22.0 config/vllm.py DEFAULT_V2_MODEL_RUNNER_ARCHITECTURES",
        "second_runner_copies_tenths": _COPIES_0_22,
    },
    (0, 24, 0): {
        "second_runner_types": "vLLM 0.24.0 config/vllm.py",
        "refused_methods": "vLLM 0.24.0 layers/quantization/__init__.py",
        "types_without_class": "vLLM 0.33.0 model_executor/models/registry.py _PREVIOUSLY_SUPPORTED_MODELS",
    },
    (0, 26, 0): {
        "batches_in_flight": "vLLM 0.26.0 config/vllm.py max_in_flight_tokens",
        "second_runner_copies_tenths": (
            "vLLM 0.26.0 v1/worker/gpu/sample/sampler.py (in place, and 0.27.1 leaves logits as they are)"
        ),
        "unexplained_bytes_per_token": (
            "public starts of 0.26 to 0.28 hold 0.3-1.7 GiB more, more with a longer context, of unknown cause"
        ),
    },
    (0, 28, 0): {
        "device_defaults": "vLLM 0.28.0 engine/arg_utils.py get_batch_defaults",
        "caches_states": "vLLM 0.28.0 config/model.py is_prefix_caching_supported",
    },
    (0, 29, 0): {
        "second_runner_types": "vLLM 0.29.0 config/vllm.py use_v2_model_runner",
        "second_runner_profiles_graphs": "vLLM 0.29.0 v1/worker/gpu/model_runner.py profile_cudagraph_memory",
        "start_check_holds_back": "vLLM 0.29.0 v1/core/kv_cache_utils.py get_kv_cache_configs",
        "refused_methods": "vLLM 0.29.0 layers/quantization/__init__.py",
    },
    (0, 33, 0): {
        "windows_longer": (
            "vLLM 0.33.0 model_executor/models/commandr.py, cohere2_moe.py (sliding_window + 1, which 0.27.1 does not "
            "have)"
        ),
        "second_runner_copies_tenths": (
            "vLLM 0.33.0 v1/worker/gpu/model_runner.py _dummy_sampler_run (a second pass in fp32)"
        ),
        "gptq_groups": "vLLM 0.33.0 utils/marlin_utils.py MARLIN_SUPPORTED_GROUP_SIZES",
    },
}
