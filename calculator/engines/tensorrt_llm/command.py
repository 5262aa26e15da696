"""The command line of TensorRT-LLM, and what only its YAML file takes."""

from __future__ import annotations

from typing import ClassVar

from calculator.engines.command import Command


class TensorRtLlmCommand(Command):
    """``trtllm-serve``."""

    # pull request 11487, not verified in a release
    kv_formats: ClassVar = {"fp8_e4m3": "fp8", "nvfp4": "nvfp4"}
    kv_flag_since: ClassVar = (1, 3)
    # by its documented names, not verified in a release
    file_keys: ClassVar = {
        "enable_attention_dp": "enable_attention_dp",
        "block_size": "kv_cache_config.tokens_per_block",
        "kv_cache_dtype": "kv_cache_config.dtype",
        "enforce_eager": "cuda_graph_config",
    }
    file_flag: ClassVar = "--extra_llm_api_options (--config in newer versions)"


COMMAND = TensorRtLlmCommand()
