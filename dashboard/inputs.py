"""The sidebar: what the reader asks, and what was made of it."""

from __future__ import annotations

from typing import Any

import streamlit as st

import calculator
from calculator import storage, weights
from calculator.presets import load_gpu, load_model, model_file
from calculator.units import gib_to_bytes
from dashboard import state
from dashboard.text import plain, sentence

OWN_MODEL, OWN_GPU = "Own architecture", "Own GPU"
MAX_DEGREE = 16

ARCHITECTURE_LABELS = {
    "num_layers": "Layers, L",
    "num_attention_heads": "Query heads, H",
    "num_key_value_heads": "KV heads, G",
    "head_dim": "Head size, d_k",
    "hidden_size": "Hidden size",
    "intermediate_size": "MLP size",
    "vocab_size": "Vocabulary",
    "max_position_embeddings": "Longest context",
    "num_experts": "Experts",
    "num_experts_per_tok": "Experts a token",
    "moe_intermediate_size": "Expert size",
}


def ask() -> dict[str, Any]:
    """Show the inputs; return the keywords of ``calculator.plan``.

    Raises
    ------
    CalculatorError
        If an architecture typed by hand is not possible.
    """
    st.selectbox("Model", [*calculator.model_ids(), state.CUSTOM], format_func=_model_name, key="model")
    if st.session_state["model"] == state.CUSTOM:
        model = _own_model()
    else:
        model = load_model(st.session_state["model"])
        st.session_state["_last_model"] = model.id
    st.caption(plain(_shape(model)))
    st.selectbox("GPU", [*calculator.gpu_ids(), state.CUSTOM], format_func=_gpu_name, key="gpu")
    gpu = None if st.session_state["gpu"] == state.CUSTOM else load_gpu(st.session_state["gpu"])
    if gpu is None:
        if st.session_state["gpu_memory_gib"] is None:
            st.session_state["gpu_memory_gib"] = 80.0
        _gib("Memory that a program sees, GiB", "gpu_memory_gib", least=0.1)
    else:
        st.caption(plain(gpu.memory_note))
    _tensor_parallel(model)
    st.number_input("Sequence length, tokens", 1, 1_000_000_000, step=1024, key="seq_len", help="Prompt and generated")
    st.number_input("Sequences at once", 1, 1_000_000_000, step=1, key="batch_size", help="What one replica must hold")
    left, right = st.columns(2)
    left.selectbox("Weights", ["auto", *weights.FORMATS], format_func=_auto(model), key="weight_dtype")
    right.selectbox("KV cache", ["auto", *storage.FORMATS], format_func=_auto(model), key="kv_cache_dtype")
    with st.expander("Engine and overheads"):
        _engine(gpu)
    return {"model": model, "gpu": gpu, **_asked()}


def _asked() -> dict[str, Any]:
    """Turn the state into keywords; GiB become bytes."""
    plain_names = (
        "seq_len", "batch_size", "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size",
        "weight_dtype", "kv_cache_dtype", "gpu_memory_utilization", "block_size", "max_num_seqs",
        "max_num_batched_tokens",
    )  # fmt: skip
    asked = {name: st.session_state[name] for name in plain_names}
    for name, keyword in state.GIB_FIELDS.items():
        if st.session_state[name] is not None:
            asked[keyword] = gib_to_bytes(st.session_state[name])
    return {name: value for name, value in asked.items() if value is not None}


def _model_name(key: str) -> str:
    return OWN_MODEL if key == state.CUSTOM else load_model(key).name


def _gpu_name(key: str) -> str:
    return OWN_GPU if key == state.CUSTOM else load_gpu(key).name


def _auto(model: calculator.ModelArchitecture) -> Any:
    return lambda name: f"auto ({model.resolve_dtype(name)})" if name == "auto" else name


def _shape(model: calculator.ModelArchitecture) -> str:
    heads, groups = model.num_attention_heads, model.num_key_value_heads
    kind = "MHA" if groups == heads else "MQA" if groups == 1 else f"GQA {heads // groups}:1"
    parts = [f"{model.num_layers} layers", f"{heads} heads", f"{groups} KV heads", kind]
    parts.append(f"{model.num_parameters / 1e9:,.2f} billion parameters")
    text = " · ".join(parts)
    return f"{text} · not verified: {model.unverified}" if model.unverified else text


def _own_model() -> calculator.ModelArchitecture:
    """Ask for an architecture by hand, starting from the preset that was shown before."""
    template = load_model(st.session_state.get("_last_model", state.PARAMETERS["model"].default))
    raw = model_file().entries[template.id]
    if all(st.session_state[name] is None for name in state.OWN_FIELDS):
        for name in state.OWN_FIELDS:
            st.session_state[name] = raw.get(name)
    with st.expander("Own architecture", expanded=True):
        columns = st.columns(2)
        for index, (name, label) in enumerate(ARCHITECTURE_LABELS.items()):
            optional = name in state.OPTIONAL_COUNTS
            columns[index % 2].number_input(
                label, 1, 1_000_000_000, value=None, step=1, key=name, placeholder="none" if optional else None
            )
        st.checkbox("The head is the embedding", key="tie_word_embeddings")
        st.caption("A gated MLP, two norms a layer and no biases are assumed.")
    fields = {name: st.session_state[name] for name in state.OWN_FIELDS}
    return calculator.custom_model(**{name: value for name, value in fields.items() if value is not None})


def _tensor_parallel(model: calculator.ModelArchitecture) -> None:
    """Offer the legal degrees; one that is not legal for this model is replaced by the nearest, and said."""
    asked, legal = st.session_state["tensor_parallel_size"], model.tensor_parallel_degrees
    if asked not in legal:
        try:
            model.check_tensor_parallel(asked)
        except calculator.ParallelismError as error:
            state.say(f"{sentence(str(error))}; that is used.")
        asked = st.session_state["tensor_parallel_size"] = min(legal, key=lambda degree: (abs(degree - asked), degree))
    offered = [degree for degree in legal if degree <= MAX_DEGREE or degree == asked]
    st.segmented_control(
        "Tensor parallel, GPUs that share a layer", offered, key="tensor_parallel_size", required=True, width="stretch"
    )


def _engine(gpu: calculator.Accelerator | None) -> None:
    """Ask for what is rarely touched; an empty field means the engine's default or the estimate."""
    st.caption("Rules of vLLM 0.33. An empty field means the engine's default, or the estimate.")
    st.number_input("Memory utilisation, fraction", 0.01, 1.0, step=0.01, key="gpu_memory_utilization")
    left, right = st.columns(2)
    left.number_input("Pipeline stages", 1, 1024, step=1, key="pipeline_parallel_size")
    right.number_input("Replicas", 1, 65_536, step=1, key="data_parallel_size")
    _optional(left, "Block size, tokens", "block_size")
    _optional(right, "max_num_seqs", "max_num_seqs")
    _optional(left, "max_num_batched_tokens", "max_num_batched_tokens")
    if gpu is not None:
        with right:
            _gib("GPU memory, GiB", "gpu_memory_gib", least=0.1)
    with left:
        _gib("Activations, GiB", "activation_gib")
        _gib("CUDA graphs, GiB", "cuda_graph_gib")
    with right:
        _gib("Non-torch, GiB", "non_torch_gib")
        _gib("KV pool, GiB", "kv_cache_memory_gib", least=0.001)


def _optional(place: Any, label: str, key: str) -> None:
    place.number_input(label, 1, 1_048_576, value=None, step=1, key=key, placeholder="default")


def _gib(label: str, key: str, least: float = 0.0) -> None:
    st.number_input(label, least, 1_000_000.0, value=None, step=0.25, key=key, placeholder="estimate", format="%.3f")
