"""The engine and what is set of it; an empty field means the engine's default, or the estimate."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator.engines import ENGINES, engine_class
from calculator.engines.base import Engine
from calculator.formats.names import STATE_FORMATS
from calculator.messages import phrase
from calculator.request import OPTIONS
from dashboard import state
from dashboard.inputs.numbers import ask_gib, ask_number
from dashboard.inputs.split import LEFT_STAGES, OF_SPLIT, ask_ways
from dashboard.text import plain, tell, told

SWITCHES = {
    "enable_expert_parallel": phrase("Experts whole on their GPUs"),
    "enable_attention_dp": phrase("Attention data parallel"),
    "disable_hybrid_kv_cache_manager": phrase("Windows at full length"),
    "swa_full": phrase("Windows at full length (swa-full)"),
    "enforce_eager": phrase("No CUDA graphs"),
    "language_model_only": phrase("Text only, encoders of images not loaded"),
}
BESIDE = {
    "max_loras": (phrase("LoRA adapters of a batch"), 1),
    "max_lora_rank": (phrase("Largest LoRA rank"), 1),
    "cpu_offload_gb": (phrase("Weights on the host, GiB a GPU"), 1.0),
    "n_cpu_moe": (phrase("Layers whose experts the host holds"), 1),
    "n_gpu_layers": (phrase("Layers on GPUs"), 1),
}
"""Numbers of what stands beside a model, and the step of each."""
STATE_FORMATS_ASKED = {
    "mamba_cache_dtype": phrase("Format of states' convolutions"),
    "mamba_ssm_cache_dtype": phrase("Format of recurrent states"),
}
OF_MEMORY = ("gpu_memory_utilization", "gpu_memory_gib", "other_memory_gib", "kv_cache_memory_gib")
MORE = (
    "block_size", "max_num_seqs", "max_num_batched_tokens", "activation_gib", "cuda_graph_gib", "non_torch_gib",
    "checkpoint_gib",
)  # fmt: skip
_SHOWN = "_engine_shown"


def ask_engine(gpu: calculator.Accelerator | None) -> None:
    """Ask for all that is set of an engine, in one place."""
    ask_engine_and_version()
    ask_memory(gpu)
    ask_ways()
    ask_number(tell("Pipeline stages"), "pipeline_parallel_size")
    ask_number(tell("Replicas"), "data_parallel_size")
    ask_more()


def ask_engine_and_version() -> None:
    """Ask for the engine and its version."""
    st.session_state[_SHOWN] = st.session_state["engine"]
    st.selectbox(
        tell("Engine"), list(ENGINES), format_func=lambda name: engine_class(name).title, key="engine", on_change=_turn
    )
    st.text_input(tell("Its version"), key="engine_version", placeholder=tell("the newest known"), max_chars=40)
    known = _known()
    if known is not None:
        st.markdown(tell(":gray[:small[Rules of {engine}.]]", engine=plain(f"{known.title} {known.version}")))


def _known() -> Engine | None:
    """Return the rules of the engine at its version; None where there is no such version."""
    try:
        return calculator.engine_rules(st.session_state["engine"], st.session_state["engine_version"] or None)
    except calculator.CalculatorError:
        return None


def _turn() -> None:
    """Forget the version, which belonged to the engine before; its stages of whole layers become ranks again."""
    st.session_state["engine_version"] = ""
    before, now = engine_class(st.session_state[_SHOWN]), engine_class(st.session_state["engine"])
    st.session_state[LEFT_STAGES] = before.title if now.splits_layers and not before.splits_layers else ""


def ask_memory(gpu: calculator.Accelerator | None) -> None:
    """Ask what of the device the engine may use."""
    rules = engine_class(st.session_state["engine"])
    if gpu is not None:
        st.markdown(f":gray[:small[{plain(gpu.memory_note)}]]")
    if "gpu_memory_utilization" in rules.flags:
        ask_number(tell("Memory fraction"), "gpu_memory_utilization", step=0.01, placeholder=tell("default"))
    if gpu is not None:
        ask_gib(tell("GPU memory, GiB"), "gpu_memory_gib", placeholder=tell("catalogue"))
    ask_gib(tell("Other processes, GiB"), "other_memory_gib", placeholder=tell("none"))
    ask_gib(tell("KV pool, GiB"), "kv_cache_memory_gib", placeholder=tell("what is left"))


def ask_more() -> None:
    """Ask for what is rarely touched."""
    rules = engine_class(st.session_state["engine"])
    st.markdown(tell("An empty field means the engine's default, or the estimate."))
    with st.grid(2, min_column_width=170):
        ask_number(tell("Block size, tokens"), "block_size", placeholder=tell("default"))
        ask_number("max_num_seqs", "max_num_seqs", placeholder=tell("default"))
        ask_number("max_num_batched_tokens", "max_num_batched_tokens", placeholder=tell("default"))
        ask_gib(tell("Activations, GiB"), "activation_gib")
        ask_gib(tell("CUDA graphs, GiB"), "cuda_graph_gib")
        ask_gib(tell("Non-torch, GiB"), "non_torch_gib")
        ask_gib(tell("Stored weights of the whole model, GiB"), "checkpoint_gib", placeholder=tell("by their format"))
        _ask_what_stands_beside(rules)
    for name, label in SWITCHES.items():
        if name in rules.flags and name not in OF_SPLIT:
            st.checkbox(told(label), key=name)


def _ask_what_stands_beside(rules: type[Engine]) -> None:
    """Ask for drafts, adapters, formats of states and what the host holds: what of them the engine has."""
    if "speculative_config" in rules.flags:
        st.text_input(
            tell("Drafts of speculative decoding"),
            key="speculative_config",
            placeholder='{"method": "mtp", "num_speculative_tokens": 3}',
            help=tell("In vLLM's own keys: method, num_speculative_tokens, and model for a drafter"),
            max_chars=state.MAX_LINK_MAPPING,
        )
    for name in (*BESIDE, *STATE_FORMATS_ASKED):
        if name not in rules.flags:
            continue
        if name in STATE_FORMATS_ASKED:
            st.selectbox(told(STATE_FORMATS_ASKED[name]), STATE_FORMATS, key=name)
        else:
            label, step = BESIDE[name]
            ask_number(
                told(label), name, step=step, placeholder=tell("none") if name != "n_gpu_layers" else tell("all")
            )


def forget_what_it_lacks(rules: type[Engine]) -> None:
    """Forget what was set of an engine that this one does not have."""
    for name in (*BESIDE, *STATE_FORMATS_ASKED, "speculative_config", "gpu_memory_utilization"):
        if name not in rules.flags:
            st.session_state[name] = OPTIONS[name].default
    for name in SWITCHES:
        if name not in rules.flags and name != "enable_expert_parallel":
            st.session_state[name] = False


def how_many_set(*names: str) -> int:
    """Return how many of some settings are other than what they open with [-]."""
    return sum(st.session_state[name] not in (None, "", False, state.PARAMETERS[name].default) for name in names)
