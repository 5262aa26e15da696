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

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.planning.answer import Plan
    from calculator.request import Request

LAYOUTS = {
    "stages": "work in pipeline stages",
    "attention": "attention data parallelism",
    "context": "decode context parallelism",
}
"""Ways to spread over GPUs besides tensor parallelism."""


def outside(plan: Plan, prompt_tokens: float, output_tokens: float | None, sequences: float) -> Iterator[str]:
    """Yield what of a set-up no public figure is known of, or none that the sum describes."""
    figures = plan.rules.speed
    if not figures.devices:
        yield f"no speed of {plan.rules.title} was measured"
    else:
        yield from _of_version(plan)
        yield from _of_formats(plan)
        yield from _of_model(plan)
        yield from _of_layout(plan)
    if sequences > figures.most_sequences:
        yield f"{sequences:,.0f} sequences at once, measured were up to {figures.most_sequences}"
    if prompt_tokens > LONGEST_PROMPT:
        yield f"prompts of {prompt_tokens:,.0f} tokens, measured were up to {LONGEST_PROMPT:,}"
    if output_tokens is not None and output_tokens > figures.longest_output:
        yield f"answers of {output_tokens:,.0f} tokens, measured were up to {figures.longest_output:,}"
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
        yield f"which release {rules.title} {rules.asked_version} is was not said"
    elif asked < figures.oldest:
        yield f"no speed of {rules.title} before {'.'.join(map(str, figures.oldest))} was measured"
    elif asked > rules.newest and newer_than_measured(plan):
        yield f"{rules.title} {rules.asked_version} is newer than all whose rules are known"


def _of_formats(plan: Plan) -> Iterator[str]:
    """Yield devices, kinds of models and formats without a figure of the engine."""
    gpu, request, title, figures = plan.accelerator, plan.request, plan.rules.title, plan.rules.speed
    kind, generation = architecture_kind(plan.model), gpu.generation
    if gpu.id not in figures.devices:
        yield f"no speed on {gpu.name} was measured with {title}"
    if all(kind not in kinds for kinds in figures.weights.values()):
        yield f"no speed of {KINDS[kind]} was measured on {title}"
    elif generation in figures.weights and plain(request.weight_dtype) not in figures.weights[generation].get(kind, ()):
        yield (
            f"no speed of {KINDS[kind]} with weights in {request.weight_dtype} was measured on {title} and this "
            "generation of devices"
        )
    if generation in figures.caches and plain(request.kv_cache_dtype) not in figures.caches[generation]:
        yield (
            f"no speed of a KV cache in {request.kv_cache_dtype} was measured on {title} and this generation of devices"
        )


def _of_model(plan: Plan) -> Iterator[str]:
    """Yield what sets a model apart from those of its kind that were measured."""
    model, figures = plan.model, plan.rules.speed
    specs = [group.spec for group in model.groups]
    if any(isinstance(spec, CrossAttention) for spec in specs):
        yield "no speed of models that attend to an encoder was measured"
    unseen = sorted(_recurrences(model) - set(figures.recurrences))
    yield from (f"no speed of models with {state} was measured on {plan.rules.title}" for state in unseen)
    if not figures.without_gate and _without_gate(model):
        yield f"no speed of models whose MLP has no gate was measured on {plan.rules.title}"
    size = model.num_parameters
    if not SMALLEST_MODEL <= size <= LARGEST_MODEL:
        yield (
            f"a model of {size / 1e9:,.2f} billion parameters, measured were {SMALLEST_MODEL / 1e9:.2f} to "
            f"{LARGEST_MODEL / 1e9:,.0f}"
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
    yield from (f"{words} was not measured on {title}" for words in unseen)
    if request.pipeline_parallel_size > 1 and "stages" in figures.layouts and plan.accelerator.has_fast_link:
        yield "work in pipeline stages was measured over PCIe alone"
    if replicas_joined(plan.rules, request) > 1:
        yield "what replicas that share experts send each other is not modelled"
    if request.enforce_eager:
        yield "no speed without CUDA graphs was measured"


def _spreads(request: Request, layout: str) -> bool:
    """Say whether a request spreads over GPUs in one of ``LAYOUTS``."""
    return {
        "stages": request.pipeline_parallel_size > 1,
        "attention": request.enable_attention_dp,
        "context": request.decode_context_parallel_size > 1,
    }[layout]
