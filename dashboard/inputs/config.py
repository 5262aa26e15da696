"""A config.json: pasted, chosen as a file with those beside it, or fetched; what was pasted stays to be corrected."""

from __future__ import annotations

import streamlit as st

import calculator
from calculator.configs import hub
from calculator.configs.checkpoints.given import INDEX_END, read_given
from calculator.configs.checkpoints.index import NAME as INDEX
from calculator.configs.reader import CONFIG, QUANTISATION, model_from_hf_config
from calculator.messages import capitalised, joined, phrase, say
from calculator.reading.strict_json import parse_config
from calculator.units import GIB
from dashboard import state
from dashboard.frame.page import strong
from dashboard.link import packing
from dashboard.text import plain, tell

MAX_UPLOAD_MB = 48
_WRONG = "_config_wrong"
"""Why what was last tried could not be read."""


def config_model() -> calculator.ModelArchitecture:
    """Ask for a config.json, pasted or as a file; what was understood is shown with the answer.

    Raises
    ------
    CalculatorError
        If none is read yet, or it is not understood.
    """
    content = st.session_state["config_json"]
    with st.expander("config.json", expanded=content is None, key="fold-config"):
        st.text_area(tell("Paste its content"), key="_pasted", max_chars=packing.MAX_CONFIG_BYTES, height=160)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.button(tell("Read it"), on_click=_take_config, type=strong())
            if hub.is_available():
                st.text_input(
                    tell("Or a repository on the Hub"), key="_repository", placeholder="owner/name", max_chars=200
                )
                st.button(tell("Fetch it"), on_click=_fetch_config)
        wrong = st.session_state.get(_WRONG)
        if wrong:
            st.error(plain(wrong))
        st.file_uploader(
            tell("Or choose the file, and those beside it: hf_quant_config.json, model.safetensors.index.json"),
            type="json",
            key="_uploaded",
            accept_multiple_files=True,
            max_upload_size=MAX_UPLOAD_MB,
            on_change=_take_uploaded,
        )
    if content is None:
        raise calculator.InvalidValueError(
            say("config.no_config_json_read", "no config.json is read yet: paste one, or choose a file"),
            what="config_json",
        )
    return model_from_hf_config(parse_config(content, "config.json"))


def _take_config() -> None:
    """Take what was pasted, else what was uploaded; bounded, and never echoed as markup."""
    pasted = st.session_state.get("_pasted")
    if pasted:
        _try({CONFIG: pasted.encode("utf-8", "surrogatepass")})
    elif st.session_state.get("_uploaded"):
        _take_uploaded()
    else:
        st.session_state[_WRONG] = phrase("There is nothing to read yet: paste a config.json, or choose a file.")


def _take_uploaded() -> None:
    """Take the files that were chosen, together."""
    uploaded = st.session_state.get("_uploaded")
    files = uploaded if isinstance(uploaded, list) else [uploaded]
    if uploaded:
        _try({_named(file.name): file.getvalue() for file in files})


def _try(files: dict[str, bytes]) -> None:
    try:
        _keep(files)
    except calculator.CalculatorError as error:
        _refuse(error)


def _refuse(error: calculator.CalculatorError) -> None:
    st.session_state[_WRONG] = say("config.nothing_read", "{error}; nothing was read.", error=capitalised(str(error)))


def _named(name: str) -> str:
    """Return what a file is taken to be: one of those beside a config, else the config, the last one that is."""
    return name if name == QUANTISATION or name.endswith(INDEX_END) else CONFIG


def _fetch_config() -> None:
    """Take the config.json of a repository on the Hub, at the revision that it has now; never any code."""
    repository = st.session_state["_repository"]
    if not repository:
        st.session_state[_WRONG] = phrase("There is nothing to fetch yet: name a repository, as owner/name.")
        return
    try:
        content, revision = hub.download_config(repository)
        files = {CONFIG: content.encode()}
        for name in (QUANTISATION, INDEX):
            beside = hub.download_beside(repository, name, revision if revision.isalnum() else None, token=False)
            files |= {name: beside} if beside else {}
        read = _keep(files)
        beside_it = say("config.read", "; read: {files}", files=joined(", ", read)) if len(read) > 1 else ""
        state.say(
            say(
                "config.from_hub",
                "Read from the Hub: {repository} at revision {revision}{beside_it}.",
                repository=repository,
                revision=revision,
                beside_it=beside_it,
            )
        )
    except calculator.CalculatorError as error:
        _refuse(error)


def _keep(files: dict[str, bytes]) -> tuple[str, ...]:
    """Keep what files of a checkpoint say in the state, if it can travel in a link; return those that were read.

    The bytes of its weights, where an index says them, stand in their own field.
    """
    for name, file in files.items():
        if not name.endswith(INDEX_END) and len(file) > packing.MAX_CONFIG_BYTES:
            raise calculator.InvalidValueError(
                say(
                    "config.config_larger_than_bytes",
                    "the config is larger than {max_config_bytes:,} bytes",
                    max_config_bytes=packing.MAX_CONFIG_BYTES,
                )
            )
    alone = set(files) == {CONFIG}
    content, size, read = (_text(files), 0, tuple(files)) if alone else read_given(files)
    if len(packing.pack_config(content)) > packing.MAX_LINK_PACKED:
        raise calculator.InvalidValueError(
            say("config.config_too_long_link", "the config is too long for a link, even packed")
        )
    st.session_state.update({"config_json": content, "checkpoint_gib": size / GIB if size else None, _WRONG: None})
    return read


def _text(files: dict[str, bytes]) -> str:
    """Return the text of the only file."""
    try:
        return next(iter(files.values())).decode("utf-8")
    except UnicodeDecodeError:
        raise calculator.FileFormatError(say("config.file_not_utf_text", "the file is not UTF-8 text")) from None
