"""The inputs: what the reader asks, and what was made of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import streamlit as st

import calculator
from calculator.catalogue.presets import all_gpu_ids, load_gpu, load_model, model_file
from calculator.configs import hub
from calculator.configs.checkpoints.given import INDEX_END, read_given
from calculator.configs.checkpoints.index import NAME as INDEX
from calculator.configs.reader import CONFIG, QUANTISATION, model_from_hf_config
from calculator.engines import ENGINES, engine_class
from calculator.engines.base import Engine
from calculator.formats import kv as storage
from calculator.formats import weights
from calculator.formats.names import STATE_FORMATS
from calculator.planning.resolve import check_degree, legal_degrees
from calculator.reading.strict_json import parse_config
from calculator.request import OPTIONS
from calculator.units import GIB, gib_to_bytes, plural
from dashboard import state
from dashboard.link import drafts, packing
from dashboard.log import calibrating
from dashboard.text import plain, sentence

LABELS = {state.CUSTOM: "Own architecture", state.CONFIG: "From a config.json"}
OWN_GPU = "Own GPU"
OWN_GPU_GIB = 80.0
ENCODER_TOKENS = 512
MAX_DEGREE = 16
MAX_UPLOAD_MB = 48
SWITCHES = {
    "enable_expert_parallel": "Experts whole on their GPUs",
    "enable_attention_dp": "Attention data parallel",
    "disable_hybrid_kv_cache_manager": "Windows at full length",
    "swa_full": "Windows at full length (swa-full)",
    "enforce_eager": "No CUDA graphs",
    "language_model_only": "Text only, encoders of images not loaded",
}
BESIDE = {
    "max_loras": ("LoRA adapters of a batch", 1),
    "max_lora_rank": ("Largest LoRA rank", 1),
    "cpu_offload_gb": ("Weights on the host, GiB a GPU", 1.0),
    "n_cpu_moe": ("Layers whose experts the host holds", 1),
    "n_gpu_layers": ("Layers on GPUs", 1),
}
"""Numbers of what stands beside a model, and the step of each."""
STATE_FORMATS_ASKED = {
    "mamba_cache_dtype": "Format of states' convolutions",
    "mamba_ssm_cache_dtype": "Format of recurrent states",
}

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
        If an architecture typed by hand or a config is not possible.
    """
    model = ask_model()
    st.caption(plain(_shape(model)))
    gpu = ask_gpu()
    if gpu is not None:
        st.caption(plain(gpu.memory_note))
    ask_tensor_parallel(model)
    ask_number("Sequence length, tokens", "seq_len", step=1024, help="Prompt and generated")
    ask_number("Sequences at once", "batch_size", help="What one replica must hold")
    ask_encoder(model)
    ask_weights(model)
    ask_kv_cache(model)
    with st.expander("Engine and overheads"):
        ask_engine(gpu)
    return {"model": model, "gpu": gpu, **keywords()}


def ask_model(below: AbstractContextManager[Any] | None = None) -> calculator.ModelArchitecture:
    """Ask for the model, and for what an own one is: here, or below a row that has no room for it.

    Raises
    ------
    CalculatorError
        If an architecture typed by hand or a config is not possible.
    """
    choose_model()
    with below or nullcontext():
        return chosen_model()


def choose_model() -> None:
    """Show the list of models."""
    st.selectbox(
        "Model",
        [*calculator.model_ids(), *LABELS],
        format_func=_model_name,
        key="model",
        on_change=_forget_checkpoint,
    )


def chosen_model() -> calculator.ModelArchitecture:
    """Return the model that is chosen; ask for what an own one is.

    Raises
    ------
    CalculatorError
        If an architecture typed by hand or a config is not possible.
    """
    return _MODELS.get(st.session_state["model"], _preset)()


def ask_gpu() -> calculator.Accelerator | None:
    """Ask for the GPU; None for an own one, whose memory is asked for."""
    st.selectbox("GPU", [*all_gpu_ids(), state.CUSTOM], format_func=_gpu_name, key="gpu", on_change=_forget_own_memory)
    if st.session_state["gpu"] != state.CUSTOM:
        return load_gpu(st.session_state["gpu"])
    if st.session_state["gpu_memory_gib"] is None:
        st.session_state["gpu_memory_gib"] = OWN_GPU_GIB
    _gib("Memory that a program sees, GiB", "gpu_memory_gib")
    return None


def ask_encoder(model: calculator.ModelArchitecture) -> None:
    """Ask for the encoder's tokens, of a model that needs them."""
    if model.needs_encoder:
        st.session_state["encoder_seq_len"] = st.session_state["encoder_seq_len"] or ENCODER_TOKENS
        ask_number("Encoder length, tokens", "encoder_seq_len")
    else:
        st.session_state["encoder_seq_len"] = None


def ask_weights(model: calculator.ModelArchitecture) -> None:
    """Ask for the format of the weights."""
    st.selectbox(
        "Weights", ["auto", *weights.FORMATS], format_func=_auto(model.resolve_weight_dtype), key="weight_dtype"
    )


def ask_kv_cache(model: calculator.ModelArchitecture) -> None:
    """Ask for the format of the KV cache."""
    st.selectbox(
        "KV cache", ["auto", *storage.FORMATS], format_func=_auto(model.resolve_kv_dtype), key="kv_cache_dtype"
    )


def keywords() -> dict[str, Any]:
    """Turn the state into keywords; GiB become bytes."""
    asked = {name: st.session_state[name] for name in state.PARAMETERS if name in OPTIONS}
    for name, keyword in state.GIB_FIELDS.items():
        if st.session_state[name] is not None:
            asked[keyword] = gib_to_bytes(st.session_state[name])
    if asked["speculative_config"]:
        asked["speculative_config"] = drafts.read(asked["speculative_config"])
    asked |= calibrating.keywords(asked["engine"], _own_gpu())
    return {name: value for name, value in asked.items() if value not in (None, "")}


def calibration_chip() -> None:
    """Show whose log the answers go by, where there is one."""
    calibrating.chip(st.session_state["engine"], _own_gpu())


def _own_gpu() -> str | None:
    """Return the GPU whose memory must be that of a calibration; None where it is given by hand."""
    is_given = st.session_state["gpu"] == state.CUSTOM or st.session_state["gpu_memory_gib"] is not None
    return None if is_given else st.session_state["gpu"]


def _model_name(key: str) -> str:
    """Return a model's name and what else it is searched by: its repository, and its id where that says more."""
    if key in LABELS:
        return LABELS[key]
    model = load_model(key)
    said = " · ".join(filter(None, (model.name, model.huggingface_id)))
    return said if _is_found(key, said) else f"{said} · {key}"


def _is_found(typed: str, label: str) -> bool:
    """Whether a list that is searched by letters in their order finds a label."""
    letters = iter(label.lower())
    return all(letter in letters for letter in typed.lower())


def _gpu_name(key: str) -> str:
    return OWN_GPU if key == state.CUSTOM else load_gpu(key).name


def _forget_own_memory() -> None:
    """Forget a memory given by hand when another GPU is chosen: it belonged to the one before."""
    st.session_state["gpu_memory_gib"] = None


def _forget_checkpoint() -> None:
    """Forget the stored bytes of a checkpoint when another model is chosen: they belonged to the one before."""
    st.session_state["checkpoint_gib"] = None


def _auto(resolve: Callable[[str], str]) -> Callable[[str], str]:
    return lambda name: f"auto ({resolve(name)})" if name == "auto" else name


def _shape(model: calculator.ModelArchitecture) -> str:
    heads, groups = model.num_attention_heads, model.num_key_value_heads
    kinds = [f"{group.count} × {group.spec.kind}" for group in model.groups]
    parts = [plural(model.num_layers, "layer")] if model.is_uniform else kinds
    parts.append(plural(heads, "head"))
    if groups:
        kind = "MHA" if groups == heads else "MQA" if groups == 1 else f"GQA {heads / groups:g}:1"
        parts += [plural(groups, "KV head"), kind] if model.is_uniform else [plural(groups, "KV head")]
    parts.append(_billions(model.num_parameters))
    text = " · ".join(parts)
    return f"{text} · not verified: {model.unverified}" if model.unverified else text


def _billions(parameters: int) -> str:
    return f"{parameters / 1e9:,.2f} billion parameters" if parameters >= 10_000_000 else f"{parameters:,} parameters"


def _preset() -> calculator.ModelArchitecture:
    model = load_model(st.session_state["model"])
    st.session_state["_last_model"] = model.id
    return model


def _own_model() -> calculator.ModelArchitecture:
    """Ask for an architecture by hand, starting from the preset that was shown before."""
    raw = model_file().entries[st.session_state.get("_last_model", state.PARAMETERS["model"].default)]
    raw = raw if "num_layers" in raw else model_file().entries[state.PARAMETERS["model"].default]
    given = [name for name in state.OWN_FIELDS if st.session_state[name] is not None]
    missing = [name for name in (*state.ARCHITECTURE_COUNTS, "tie_word_embeddings") if name not in given]
    for name in missing if given else state.OWN_FIELDS:
        st.session_state[name] = raw.get(name)
    if given and missing:
        taken = ", ".join(f"{name} {raw.get(name)}" for name in missing)
        state.say(f"An own architecture needs more than was given; taken from {raw['name']}: {taken}.")
    with st.expander("Own architecture", expanded=True):
        with st.grid(6, min_column_width=115):
            for name, label in ARCHITECTURE_LABELS.items():
                ask_number(label, name, placeholder="none" if name in state.OPTIONAL_COUNTS else "needed")
        st.checkbox("The head is the embedding", key="tie_word_embeddings")
        st.caption("A gated MLP, two norms a layer and no biases are assumed.")
    fields = {name: st.session_state[name] for name in state.OWN_FIELDS}
    return calculator.custom_model(**{name: value for name, value in fields.items() if value is not None})


def _config_model() -> calculator.ModelArchitecture:
    """Ask for a config.json, pasted or as a file; what was understood is shown with the answer."""
    with st.expander("config.json", expanded=st.session_state["config_json"] is None):
        pasted = st.text_area("Paste its content", key="_pasted", max_chars=packing.MAX_CONFIG_BYTES, height=160)
        st.file_uploader(
            "Or choose the file, and those beside it: hf_quant_config.json, model.safetensors.index.json",
            type="json",
            key="_uploaded",
            accept_multiple_files=True,
            max_upload_size=MAX_UPLOAD_MB,
            on_change=_take_config,
        )
        st.button("Read it", on_click=_take_config, disabled=not pasted)
        if hub.is_available():
            st.text_input("Or a repository on the Hub", key="_repository", placeholder="owner/name", max_chars=200)
            st.button("Fetch it", on_click=_fetch_config, disabled=not st.session_state["_repository"])
    content = st.session_state["config_json"]
    if content is None:
        raise calculator.InvalidValueError("no config.json is read yet: paste one, or choose a file")
    return model_from_hf_config(parse_config(content, "config.json"))


def _take_config() -> None:
    """Take what was pasted, else what was uploaded; bounded, and never echoed as markup."""
    pasted, uploaded = st.session_state.get("_pasted"), st.session_state.get("_uploaded")
    if not pasted and not uploaded:
        return
    files = uploaded if isinstance(uploaded, list) else [uploaded]
    try:
        if pasted:
            _keep({CONFIG: pasted.encode("utf-8", "surrogatepass")})
        else:
            _keep({_named(file.name): file.getvalue() for file in files})
    except calculator.CalculatorError as error:
        state.say(f"{sentence(str(error))}; nothing was read.")


def _named(name: str) -> str:
    """Return what a file is taken to be: one of those beside a config, else the config, the last one that is."""
    return name if name == QUANTISATION or name.endswith(INDEX_END) else CONFIG


def _fetch_config() -> None:
    """Take the config.json of a repository on the Hub, at the revision that it has now; never any code."""
    repository = st.session_state["_repository"]
    try:
        content, revision = hub.download_config(repository)
        files = {CONFIG: content.encode()}
        for name in (QUANTISATION, INDEX):
            beside = hub.download_beside(repository, name, revision if revision.isalnum() else None, token=False)
            files |= {name: beside} if beside else {}
        read = _keep(files)
        beside_it = f"; read: {', '.join(read)}" if len(read) > 1 else ""
        state.say(f"Read from the Hub: {repository} at revision {revision}{beside_it}.")
    except calculator.CalculatorError as error:
        state.say(f"{sentence(str(error))}; nothing was read.")


def _keep(files: dict[str, bytes]) -> tuple[str, ...]:
    """Keep what files of a checkpoint say in the state, if it can travel in a link; return those that were read.

    The bytes of its weights, where an index says them, stand in their own field.
    """
    for name, file in files.items():
        if not name.endswith(INDEX_END) and len(file) > packing.MAX_CONFIG_BYTES:
            raise calculator.InvalidValueError(f"the config is larger than {packing.MAX_CONFIG_BYTES:,} bytes")
    alone = set(files) == {CONFIG}
    content, size, read = (_text(files), 0, tuple(files)) if alone else read_given(files)
    if len(packing.pack_config(content)) > packing.MAX_LINK_PACKED:
        raise calculator.InvalidValueError("the config is too long for a link, even packed")
    st.session_state["config_json"] = content
    st.session_state["checkpoint_gib"] = size / GIB if size else None
    return read


def _text(files: dict[str, bytes]) -> str:
    """Return the text of the only file."""
    try:
        return next(iter(files.values())).decode("utf-8")
    except UnicodeDecodeError:
        raise calculator.FileFormatError("the file is not UTF-8 text") from None


_MODELS = {state.CUSTOM: _own_model, state.CONFIG: _config_model}


def ask_tensor_parallel(model: calculator.ModelArchitecture) -> None:
    """Offer the legal degrees; one that is not legal for this model is replaced by the nearest, and said."""
    asked, rules = st.session_state["tensor_parallel_size"], engine_class(st.session_state["engine"])
    options = {
        "tensor_parallel_size": asked,
        "enable_attention_dp": bool(st.session_state["enable_attention_dp"]) and "enable_attention_dp" in rules.flags,
        "enable_expert_parallel": bool(st.session_state["enable_expert_parallel"]),
    }
    legal = legal_degrees(model, options)
    if asked not in legal:
        try:
            check_degree(model, options)
        except calculator.ParallelismError as error:
            state.say(f"{sentence(str(error))}; that is used.")
        asked = st.session_state["tensor_parallel_size"] = min(legal, key=lambda degree: (abs(degree - asked), degree))
    offered = [degree for degree in legal if degree <= MAX_DEGREE or degree == asked]
    st.segmented_control(
        "Tensor parallel, GPUs that share a layer", offered, key="tensor_parallel_size", required=True, width="stretch"
    )


def ask_engine(gpu: calculator.Accelerator | None) -> None:
    """Ask for what is rarely touched; an empty field means the engine's default or the estimate."""
    st.selectbox("Engine", list(ENGINES), format_func=lambda name: engine_class(name).title, key="engine")
    rules = engine_class(st.session_state["engine"])
    st.text_input("Its version", key="engine_version", placeholder="the newest known", max_chars=40)
    known = calculator.engine_rules(rules.name, st.session_state["engine_version"] or None)
    st.caption(
        plain(f"Rules of {known.title} {known.version}. An empty field means the engine's default, or the estimate.")
    )
    if "gpu_memory_utilization" in rules.flags:
        ask_number("Memory fraction", "gpu_memory_utilization", step=0.01, placeholder="default")
    else:
        st.session_state["gpu_memory_utilization"] = None
    for name, label in SWITCHES.items():
        if name in rules.flags or name == "enable_expert_parallel":
            st.checkbox(label, key=name)
        else:
            st.session_state[name] = False
    if "decode_context_parallel_size" in rules.only_here:
        ask_number("GPUs that share a context", "decode_context_parallel_size")
    else:
        st.session_state["decode_context_parallel_size"] = 1
    _ask_what_stands_beside(rules)
    left, right = st.columns(2)
    with left:
        ask_number("Pipeline stages", "pipeline_parallel_size")
        ask_number("Block size, tokens", "block_size", placeholder="default")
        ask_number("max_num_batched_tokens", "max_num_batched_tokens", placeholder="default")
        _gib("Activations, GiB", "activation_gib")
        _gib("CUDA graphs, GiB", "cuda_graph_gib")
        _gib("Other processes, GiB", "other_memory_gib", placeholder="none")
    with right:
        ask_number("Replicas", "data_parallel_size")
        ask_number("max_num_seqs", "max_num_seqs", placeholder="default")
        if gpu is not None:
            _gib("GPU memory, GiB", "gpu_memory_gib", placeholder="catalogue")
        _gib("Non-torch, GiB", "non_torch_gib")
        _gib("KV pool, GiB", "kv_cache_memory_gib", placeholder="what is left")
        _gib("Stored weights of the whole model, GiB", "checkpoint_gib", placeholder="by their format")


def _ask_what_stands_beside(rules: type[Engine]) -> None:
    """Ask for drafts, adapters, formats of states and what the host holds: what of them the engine has."""
    for name in (*BESIDE, *STATE_FORMATS_ASKED, "speculative_config"):
        if name not in rules.flags:
            st.session_state[name] = OPTIONS[name].default
    if "speculative_config" in rules.flags:
        st.text_input(
            "Drafts of speculative decoding",
            key="speculative_config",
            placeholder='{"method": "mtp", "num_speculative_tokens": 3}',
            help="In vLLM's own keys: method, num_speculative_tokens, and model for a drafter",
            max_chars=state.MAX_LINK_MAPPING,
        )
    columns = st.columns(2)
    asked = [name for name in (*BESIDE, *STATE_FORMATS_ASKED) if name in rules.flags]
    for index, name in enumerate(asked):
        with columns[index % 2]:
            if name in STATE_FORMATS_ASKED:
                st.selectbox(STATE_FORMATS_ASKED[name], STATE_FORMATS, key=name)
            else:
                label, step = BESIDE[name]
                ask_number(label, name, step=step, placeholder="none" if name != "n_gpu_layers" else "all")


def ask_number(label: str, key: str, step: float = 1, **options: Any) -> None:
    """Show a number within the bounds that links have too."""
    bounds = state.PARAMETERS[key]
    st.number_input(label, bounds.least, bounds.most, value=None, step=step, key=key, **options)


def _gib(label: str, key: str, placeholder: str = "estimate") -> None:
    ask_number(label, key, step=0.25, format="%.3f", placeholder=placeholder)
