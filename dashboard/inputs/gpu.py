"""Which GPU: one of the catalogue, or any by its memory."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator.catalogue.presets import all_gpu_ids, load_gpu
from calculator.messages import phrase
from dashboard import state
from dashboard.frame.names import gpu_label
from dashboard.inputs.numbers import ask_gib
from dashboard.text import tell

OWN_GPU = phrase("Own GPU")
OWN_GPU_GIB = 80.0


def ask_gpu() -> calculator.Accelerator | None:
    """Ask for the GPU; None for an own one, whose memory is asked for."""
    st.selectbox("GPU", [*all_gpu_ids(), state.CUSTOM], format_func=_gpu_name, key="gpu", on_change=_forget_own_memory)
    if st.session_state["gpu"] != state.CUSTOM:
        return load_gpu(st.session_state["gpu"])
    if st.session_state["gpu_memory_gib"] is None:
        st.session_state["gpu_memory_gib"] = OWN_GPU_GIB
    ask_gib(tell("Memory that a program sees, GiB"), "gpu_memory_gib")
    return None


def _gpu_name(key: str) -> str:
    return OWN_GPU if key == state.CUSTOM else gpu_label(key)


def _forget_own_memory() -> None:
    """Forget a memory given by hand when another GPU is chosen: it belonged to the one before."""
    st.session_state["gpu_memory_gib"] = None
