"""What an engine lacks of what is asked: keywords, kinds of cache, checkpoints, ways to draft, pipeline stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from calculator.errors import ParallelismError, UnsupportedError
from calculator.messages import phrase, say

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.engines.base import Engine
    from calculator.request.speculation import Speculation

ASKED_BY_ANY = ("max_loras", "max_lora_rank", "cpu_offload_gb", "n_cpu_moe", "n_gpu_layers")
"""Counts that ask for something whatever they are."""
OPTIONS = {
    "usage_context": phrase("other defaults without a server"),
    "enable_attention_dp": phrase(
        "attention data parallelism within a replica; data_parallel_size with "
        "enable_expert_parallel does the same there"
    ),
    "decode_context_parallel_size": phrase("decode context parallelism"),
    "async_scheduling": phrase("switch for scheduling ahead"),
    "enable_prefix_caching": phrase("page that depends on prefix caching"),
    "disable_hybrid_kv_cache_manager": phrase("switch for full-length windows by that name"),
    "language_model_only": phrase("switch to leave encoders of images unloaded by that name"),
    "swa_full": phrase("switch for full-length windows by that name"),
    "max_loras": phrase("LoRA adapters whose memory is known here"),
    "max_lora_rank": phrase("LoRA adapters whose memory is known here"),
    "mamba_cache_dtype": phrase("switch for the format of the convolutions of states by that name"),
    "mamba_ssm_cache_dtype": phrase("switch for the format of recurrent states by that name"),
    "cpu_offload_gb": phrase("share of the weights that the host holds by that name"),
    "n_cpu_moe": phrase("switch for experts that the host holds by that name"),
    "n_gpu_layers": phrase("switch for layers that the host holds by that name"),
    "speculative_config": phrase("drafts of speculative decoding whose memory is known here"),
}
"""Keywords that not every engine has, and what an engine without one lacks."""


def check_keywords(engine: Engine, values: Mapping[str, Any]) -> None:
    """Raise ``UnsupportedError`` for a keyword that the engine does not have."""
    read, none_given = engine.read_lacks
    if read(values) == none_given:
        return
    for name, what in engine.lacks:
        value = values[name]
        if value is True or (name in ASKED_BY_ANY and value is not None) or value not in (None, False, 1, "auto"):
            raise UnsupportedError(
                say("base.has_no", "{name}: {title} has no {what}", name=name, title=engine.title, what=what),
                what=name,
                asked=value,
            )


def check_kinds(engine: Engine, model: ModelArchitecture) -> None:
    """Raise ``UnsupportedError`` for a kind of cache that the engine's rules do not cover."""
    for kind in engine.kinds(model):
        if kind not in engine.claims:
            raise UnsupportedError(
                say(
                    "base.keeps_which_rules_known",
                    "{name} keeps {words}, which the rules of {title} that are known here do not cover",
                    name=model.name,
                    words=kind.words,
                    title=engine.title,
                ),
                what="model",
                asked=model.name,
            )


def check_checkpoint(engine: Engine, model: ModelArchitecture, weight_dtype: str) -> None:
    """Raise ``UnsupportedError`` for a checkpoint that was written by what the engine does not load."""
    why = engine.refused_methods.get(model.quant_method)
    if why and model.is_as_stored(weight_dtype):
        raise UnsupportedError(
            say(
                "base.does_not_load_whose",
                "{title} {version} does not load {name}, whose quant_method is {quant_method}: {why}; "
                "plan another checkpoint of it",
                title=engine.title,
                version=engine.version,
                name=model.name,
                quant_method=model.quant_method,
                why=why,
            ),
            what="weight_dtype",
            asked=weight_dtype,
        )


def check_drafts(engine: Engine, speculation: Speculation | None) -> None:
    """Raise ``UnsupportedError`` for a way to draft whose memory is not known with the engine."""
    if speculation and speculation.method not in engine.draft_methods:
        raise UnsupportedError(
            say(
                "base.speculative_config_what_drafts",
                "speculative_config: what drafts by {method} take with {title} is not known here; known are {names}",
                method=speculation.method,
                title=engine.title,
                names=", ".join(engine.draft_methods),
            ),
            what="speculative_config",
            asked=speculation.method,
            allowed=engine.draft_methods,
        )


def check_stages(engine: Engine, model: ModelArchitecture, stages: int) -> None:
    """Raise ``ParallelismError`` for pipeline stages of a type that the engine's own class cannot cut."""
    if stages > 1 and model.model_type in engine.no_pipeline:
        raise ParallelismError(
            say(
                "base.pipeline_parallel_size_not",
                "pipeline_parallel_size {stages} is not possible: {title}'s own class of {model_type} "
                "has no pipeline stages; use 1, and tensor_parallel_size for more GPUs",
                stages=stages,
                title=engine.title,
                model_type=model.model_type,
            ),
            what="pipeline_parallel_size",
            asked=stages,
            allowed=(1,),
            nearest=1,
        )
