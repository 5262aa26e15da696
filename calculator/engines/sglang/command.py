"""The command line of SGLang."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from calculator.engines.command import Command, Parts, is_sparse, repository_of

if TYPE_CHECKING:
    from calculator.planning.answer import Plan


ALGORITHMS = {"mtp": "NEXTN", "eagle": "EAGLE", "eagle3": "EAGLE3", "draft_model": "STANDALONE", "ngram": "NGRAM"}


class SglangCommand(Command):
    """``python -m sglang.launch_server``."""

    # 0.5.23 arg_groups/fields/model.py kv_cache_dtype
    kv_formats: ClassVar = {"bf16": "bfloat16", "fp8_e4m3": "fp8_e4m3", "fp8_e5m2": "fp8_e5m2", "nvfp4": "nvfp4"}
    dtype_flag: ClassVar = "--dtype"
    # 0.5.23 arg_groups/choices.py; its nvfp4_online is of experts only
    on_load: ClassVar = {
        "fp8": (((0,), ("fp8",)),),
        "nf4": (((0,), ("bitsandbytes", "--load-format", "bitsandbytes")),),
    }

    def ranks_counted(self, plan: Plan) -> int:
        """Return the ranks of attention DP: 0.5.23 mem_cache/kv_cache_configurator.py divides the count by them [-]."""
        return plan.request.attention_replicas

    def data_parallel_size(self, plan: Plan, flag: str) -> Parts:
        """State the replicas; with attention DP the flag counts its ranks, and 0.5.23 refuses replicas beside them."""
        if plan.request.data_parallel_size > 1 and plan.request.enable_attention_dp:
            return None
        return super().data_parallel_size(plan, flag)

    def enable_attention_dp(self, plan: Plan, flag: str) -> Parts:
        """Switch it on, and state its ranks by the flag of replicas."""
        request = plan.request
        size = [plan.rules.flags["data_parallel_size"], str(request.tensor_parallel_size)]
        return [flag, *size] if request.enable_attention_dp else []

    def enable_prefix_caching(self, plan: Plan, flag: str) -> Parts:
        """Switch the cache of prefixes off, which is on otherwise."""
        return [flag] if plan.request.enable_prefix_caching is False else []

    def max_loras(self, plan: Plan, flag: str) -> Parts:
        """Switch adapters on, and state how many of one batch."""
        request = plan.request
        adapters = [flag, str(request.max_loras)] if request.max_loras else []
        return ["--enable-lora", *adapters] if request.max_loras or request.max_lora_rank else []

    def speculative_config(self, plan: Plan, flag: str) -> Parts:
        """Name the way to draft, its steps and its drafter; the token that is checked counts as drafted here."""
        config = plan.request.speculative_config
        if config is None:
            return []
        tokens = config.num_tokens or 0
        words = [flag, ALGORITHMS[config.method], "--speculative-num-draft-tokens", str(tokens + 1)]
        if config.method != "ngram":
            words += ["--speculative-num-steps", str(tokens), "--speculative-eagle-topk", "1"]
        return (
            [*words, "--speculative-draft-model-path", repository_of(config["model"])] if config.get("model") else words
        )

    def kv_format(self, plan: Plan) -> str:
        """Return the format; 0.5.23 mem_cache/kv_cache_configurator.py has that layout for fp8 with an indexer."""
        name = plan.request.kv_cache_dtype
        return "fp8_e4m3" if name == "fp8_ds_mla" and is_sparse(plan) else name


COMMAND = SglangCommand()
