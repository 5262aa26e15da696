"""The command line of vLLM."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from calculator.engines.base import OFFLINE
from calculator.engines.command import Command, Parts, repository_of

if TYPE_CHECKING:
    from calculator.planning.answer import Plan

_BY_OUR_NAMES = (
    "fp8_e5m2", "nvfp4", "fp8_ds_mla", "int8_per_token_head", "fp8_per_token_head", "int4_per_token_head",
)  # fmt: skip


class VllmCommand(Command):
    """``vllm serve``."""

    # 0.33.0 config/cache.py CacheDType
    kv_formats: ClassVar = {
        "bf16": "bfloat16", "fp16": "float16", "fp8_e4m3": "fp8", **{name: name for name in _BY_OUR_NAMES},
    }  # fmt: skip
    dtype_flag: ClassVar = "--dtype"
    # 0.20.0 to 0.33.0 model_executor/layers/quantization; its int8 and nvfp4 shorthands leave linear layers alone
    on_load: ClassVar = {
        "fp8": (((0, 31), ("fp8_per_tensor",)), ((0,), ("fp8",))),
        "fp8-block": (((0, 20), ("fp8_per_block",)),),
        "nf4": (((0, 28), ()), ((0,), ("bitsandbytes",))),
    }

    def max_num_batched_tokens(self, plan: Plan, flag: str) -> Parts:
        """State the tokens of a forward pass, also where they are those of a start without a server."""
        if plan.request.usage_context == OFFLINE:
            return [flag, str(plan.request.max_num_batched_tokens)]
        return super().max_num_batched_tokens(plan, flag)

    def max_loras(self, plan: Plan, flag: str) -> Parts:
        """Switch adapters on, and state how many of one batch."""
        request = plan.request
        adapters = [flag, str(request.max_loras)] if request.max_loras else []
        return ["--enable-lora", *adapters] if request.max_loras or request.max_lora_rank else []

    def speculative_config(self, plan: Plan, flag: str) -> Parts:
        """State how tokens are drafted, in JSON."""
        config = plan.request.speculative_config
        if not config:
            return []
        drafter = {"model": repository_of(config["model"])} if config.get("model") else {}
        return [flag, json.dumps({**config, **drafter}, separators=(",", ":"))]

    def enable_expert_parallel(self, plan: Plan, flag: str) -> Parts:
        """Switch it on: all ranks of all replicas share the experts."""
        return [flag] if plan.request.enable_expert_parallel else []


COMMAND = VllmCommand()
