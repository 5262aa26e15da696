"""What of a set-up lies outside the public measured speeds of its engine, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from calculator.architecture.layers import CrossAttention
from calculator.architecture.recurrent import AttentionAndState, RecurrentState
from calculator.engines.beside.experts import replicas_joined
from calculator.engines.measured import (
    KINDS,
    LARGEST_MODEL,
    LONGEST_PROMPT,
    NOT_DESCRIBED,
    SMALLEST_MODEL,
    architecture_kind,
    plain,
    release,
)
from calculator.engines.versions import named
from calculator.messages import phrase, say

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.planning.answer import Plan
    from calculator.request import Request

LAYOUTS = {
    "stages": phrase("work in pipeline stages"),
    "attention": phrase("attention data parallelism"),
    "context": phrase("decode context parallelism"),
}
"""Ways to spread over GPUs besides tensor parallelism."""


def outside(plan: Plan, prompt_tokens: float, output_tokens: float | None, sequences: float) -> Iterator[str]:
    """Yield what of a set-up no public figure is known of, or none that the sum describes."""
    figures = plan.rules.speed
    if not figures.devices:
        yield say("unmeasured.no_speed_was_measured", "no speed of {title} was measured", title=plan.rules.title)
    else:
        yield from _of_version(plan)
        yield from _of_formats(plan)
        yield from _of_model(plan)
        yield from _of_layout(plan)
    if sequences > figures.most_sequences:
        yield say(
            "unmeasured.sequences_at_once_measured",
            "{sequences:,.0f} sequences at once, measured were up to {most_sequences}",
            sequences=sequences,
            most_sequences=figures.most_sequences,
        )
    if prompt_tokens > LONGEST_PROMPT:
        yield say(
            "unmeasured.prompts_tokens_measured_were",
            "prompts of {prompt_tokens:,.0f} tokens, measured were up to {longest_prompt:,}",
            prompt_tokens=prompt_tokens,
            longest_prompt=LONGEST_PROMPT,
        )
    if output_tokens is not None and output_tokens > figures.longest_output:
        yield say(
            "unmeasured.answers_tokens_measured_were",
            "answers of {output_tokens:,.0f} tokens, measured were up to {longest_output:,}",
            output_tokens=output_tokens,
            longest_output=figures.longest_output,
        )
    yield from (row.why for row in NOT_DESCRIBED + figures.not_described if row.holds(plan, output_tokens, sequences))


def newer_than_measured(plan: Plan) -> bool:
    """Say whether the version of a plan's engine is newer than all that were measured."""
    newest = plan.rules.speed.newest
    return bool(newest) and (release(plan.rules.asked_version or plan.rules.version) or newest) > newest


def _of_version(plan: Plan) -> Iterator[str]:
    rules, figures = plan.rules, plan.rules.speed
    if not rules.asked_version or not figures.oldest:
        return
    asked = named(rules.title, rules.asked_version, rules.newest).release
    if asked is None:
        yield say(
            "unmeasured.which_release_was_not",
            "which release {title} {asked_version} is was not said",
            title=rules.title,
            asked_version=rules.asked_version,
        )
    elif asked < figures.oldest:
        yield say(
            "unmeasured.no_speed_before_was",
            "no speed of {title} before {join} was measured",
            title=rules.title,
            join=".".join(map(str, figures.oldest)),
        )
    elif asked > rules.newest and newer_than_measured(plan):
        yield say(
            "unmeasured.newer_than_all_whose",
            "{title} {asked_version} is newer than all whose rules are known",
            title=rules.title,
            asked_version=rules.asked_version,
        )


def _of_formats(plan: Plan) -> Iterator[str]:
    """Yield devices, kinds of models and formats without a figure of the engine."""
    gpu, request, title, figures = plan.accelerator, plan.request, plan.rules.title, plan.rules.speed
    kind, generation = architecture_kind(plan.model), gpu.generation
    if gpu.id not in figures.devices:
        yield say(
            "unmeasured.no_speed_was_measured",
            "no speed on {name} was measured with {title}",
            name=gpu.name,
            title=title,
        )
    if all(kind not in kinds for kinds in figures.weights.values()):
        yield say(
            "unmeasured.no_speed_was_measured",
            "no speed of {kinds} was measured on {title}",
            kinds=KINDS[kind],
            title=title,
        )
    elif generation in figures.weights and plain(request.weight_dtype) not in figures.weights[generation].get(kind, ()):
        yield (
            say(
                "unmeasured.no_speed_weights_was",
                "no speed of {kinds} with weights in {weight_dtype} was measured on {title} and this "
                "generation of devices",
                kinds=KINDS[kind],
                weight_dtype=request.weight_dtype,
                title=title,
            )
        )
    if generation in figures.caches and plain(request.kv_cache_dtype) not in figures.caches[generation]:
        yield (
            say(
                "unmeasured.no_speed_kv_cache",
                "no speed of a KV cache in {kv_cache_dtype} was measured on {title} and this generation of devices",
                kv_cache_dtype=request.kv_cache_dtype,
                title=title,
            )
        )


def _of_model(plan: Plan) -> Iterator[str]:
    """Yield what sets a model apart from those of its kind that were measured."""
    model, figures = plan.model, plan.rules.speed
    specs = [group.spec for group in model.groups]
    if any(isinstance(spec, CrossAttention) for spec in specs):
        yield phrase("no speed of models that attend to an encoder was measured")
    unseen = sorted(_recurrences(model) - set(figures.recurrences))
    yield from (
        say(
            "unmeasured.no_speed_models_was",
            "no speed of models with {state} was measured on {title}",
            state=state,
            title=plan.rules.title,
        )
        for state in unseen
    )
    if not figures.without_gate and _without_gate(model):
        yield say(
            "unmeasured.no_speed_models_whose",
            "no speed of models whose MLP has no gate was measured on {title}",
            title=plan.rules.title,
        )
    size = model.num_parameters
    if not SMALLEST_MODEL <= size <= LARGEST_MODEL:
        yield (
            say(
                "unmeasured.model_billion_parameters_measured",
                "a model of {size:,.2f} billion parameters, measured were {smallest_model:.2f} to {largest_model:,.0f}",
                size=size / 1e9,
                smallest_model=SMALLEST_MODEL / 1e9,
                largest_model=LARGEST_MODEL / 1e9,
            )
        )


def _recurrences(model: ModelArchitecture) -> set[str]:
    """Return what makes the states of a model."""
    states = [spec.state if isinstance(spec, AttentionAndState) else spec for spec in (g.spec for g in model.groups)]
    return {state.variant.value for state in states if isinstance(state, RecurrentState)}


def _without_gate(model: ModelArchitecture) -> bool:
    """Say whether a layer's MLP is two matrices."""
    for group in model.layers:
        shapes = [matrix for matrix in group.weights if matrix.part == "dense MLP" and matrix.inputs > 1]
        if sum(matrix.copies for matrix in shapes) == 2:
            return True
    return False


def _of_layout(plan: Plan) -> Iterator[str]:
    request, title, figures = plan.request, plan.rules.title, plan.rules.speed
    unseen = [words for name, words in LAYOUTS.items() if _spreads(request, name) and name not in figures.layouts]
    yield from (
        say("unmeasured.was_not_measured", "{words} was not measured on {title}", words=words, title=title)
        for words in unseen
    )
    if request.pipeline_parallel_size > 1 and "stages" in figures.layouts and plan.accelerator.has_fast_link:
        yield phrase("work in pipeline stages was measured over PCIe alone")
    if replicas_joined(plan.rules, request) > 1:
        yield phrase("what replicas that share experts send each other is not modelled")
    if request.enforce_eager:
        yield phrase("no speed without CUDA graphs was measured")


def _spreads(request: Request, layout: str) -> bool:
    """Say whether a request spreads over GPUs in one of ``LAYOUTS``."""
    return {
        "stages": request.pipeline_parallel_size > 1,
        "attention": request.enable_attention_dp,
        "context": request.decode_context_parallel_size > 1,
    }[layout]
