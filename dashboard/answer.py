"""The verdict: the headline, one sequence, the numbers, what bears on them, and what was understood of a config."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

import calculator
from calculator.planning.search import shape
from calculator.units import format_gib, format_size, plural
from calculator.views import words
from dashboard import downloads
from dashboard.text import plain, sentence

UNLIMITED = 999_000_000
MAX_NAMES, MAX_NAME = 40, 120


def show(plan: calculator.Plan) -> None:
    """Show the verdict: the headline, one sequence, the numbers, and why not where it does not fit."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.title(plain(words.headline(plan)), anchor=False, width="content")
        downloads.save_and_share(plan)
    around = words.spread(plan)
    st.markdown(plain(f"{words.detail(plan)} Range: {around}." if around and plan.fits else words.detail(plan)))
    if not plan.fits:
        st.error(plain(sentence(plan.notes[0])))
    smallest = calculator.smallest_fit(plan)
    memory, asked = plan.per_gpu, f"{plan.request.batch_size:,}"
    with st.grid(5, min_column_width=150):
        st.metric("Sequences that fit, all replicas", f"{plan.total_max_batch_size:,}")
        st.metric("KV per sequence, one replica", format_size(plan.kv_bytes_per_sequence))
        st.metric(f"Longest by memory, {asked} at once", _tokens(plan))
        st.metric("KV pool, one GPU", format_size(memory.kv_pool_bytes))
        st.metric("Fewest GPUs that would do", f"{smallest.num_gpus}" if smallest else "over 64")
    st.caption(plain(_small_print(plan, smallest)))


def _own_name(plan: calculator.Plan, keyword: str) -> str:
    return plan.rules.flags[keyword].strip("-").replace("-", "_")


def _tokens(plan: calculator.Plan) -> str:
    return "no limit" if plan.max_context_len >= UNLIMITED else f"{plan.max_context_len:,} tokens"


def _small_print(plan: calculator.Plan, smallest: calculator.Plan | None) -> str:
    request = plan.request
    parts = [f"{plural(request.batch_size, 'sequence')} at once asked of one replica"]
    if smallest:
        parts.append(f"fewest GPUs: {words.hardware(smallest)} with {shape(smallest)}")
    parts += [
        f"rules of {plan.rules.title} {plan.rules.version}",
        plan.rules.budget_words(plan.model, request),
        f"weights {request.weight_dtype}",
        f"KV {request.kv_cache_dtype}",
        f"TP {request.tensor_parallel_size}, PP {request.pipeline_parallel_size}, DP {request.data_parallel_size}",
        f"blocks of {request.block_size} tokens",
        f"{_own_name(plan, 'max_num_seqs')} {request.max_num_seqs:,}",
        f"{_own_name(plan, 'max_num_batched_tokens')} {request.max_num_batched_tokens:,}",
    ]
    own = (
        ("GPU memory", plan.asked.get("gpu_memory_bytes")),
        ("KV pool", request.kv_cache_memory_bytes),
        ("checkpoint", request.checkpoint_bytes),
        ("activations", request.activation_bytes),
        ("non-torch", request.non_torch_bytes),
        ("CUDA graphs", request.cuda_graph_bytes),
        ("other processes", request.other_memory_bytes),
    )
    if request.speculative_config:
        parts.append(f"drafts of {request.speculative_config.num_tokens} tokens by {request.speculative_config.method}")
    parts += [f"{name} given by hand: {format_gib(value)}" for name, value in own if value is not None]
    if words.price(plan):
        parts.append(words.price(plan))
    return " · ".join(parts)


def notes(plan: calculator.Plan) -> None:
    """Show assumptions and warnings, and what of the GPU is not verified."""
    lines = [sentence(note) for note in plan.notes[0 if plan.fits else 1 :]]
    if plan.accelerator.unverified:
        lines.append(f"Not verified for {plan.accelerator.name}: {', '.join(plan.accelerator.unverified)}")
    for line in (*lines, sentence(words.NOT_MODELLED)):
        st.caption(plain(line))


def understood(model: calculator.ModelArchitecture) -> None:
    """Show what was understood of a config: the layers, the weights by part, what was assumed and what ignored."""
    with st.expander("What was understood of the config"):
        st.dataframe(model.layer_rows(), hide_index=True, key="understood_layers", alt="Groups of layers")
        parts = [{"Part": part, "Parameters": f"{count:,}"} for part, count in model.parts.items()]
        st.dataframe(parts, hide_index=True, key="understood_parts", alt="Parameters by part")
        for label, names in (("Assumed", model.assumed), ("Ignored keys", model.ignored_keys)):
            if names:
                st.caption(plain(f"{label}: {_first(names)}."))


def _first(names: Sequence[str]) -> str:
    """Name the first of many, each cut to a length that can be read."""
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(name[:MAX_NAME] for name in names[:MAX_NAMES]) + more
