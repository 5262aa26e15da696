"""A ``config.json`` from the Hugging Face Hub: its text alone, at a revision that is recorded, and never any code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from calculator.architecture.model import ModelArchitecture
from calculator.configs.checkpoints.folder import with_tensors
from calculator.configs.checkpoints.given import parsed_text
from calculator.configs.checkpoints.index import MAX_BYTES
from calculator.configs.checkpoints.safetensors import tensors_of
from calculator.configs.checkpoints.tensors import Tensors
from calculator.configs.reader import CONFIG, QUANTISATION, model_from_hf_config, with_quantisation
from calculator.errors import CalculatorError, FileFormatError, InvalidValueError, UnsupportedError, friendly, shown
from calculator.messages import say
from calculator.reading import strict_yaml
from calculator.reading.masking import mask, mask_paths
from calculator.reading.strict_json import parse_config

# The Hub's own rules for names (huggingface_hub.utils.validate_repo_id): no "--" and no "..", no dot or dash at the
# ends, none that ends in ".git"; git's for references: no "..", no "//", no part that begins with a dot.
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")
_REVISION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,98}[A-Za-z0-9_-])?")
_TRICKS = re.compile(r"\.\.|--|\.git(?:/|\Z)")
_TRICKS_OF_REVISIONS = re.compile(r"\.\.|//|/\.|\./|\.lock(?:/|\Z)")


def is_available() -> bool:
    """Say whether the optional package that talks to the Hub is installed."""
    return find_spec("huggingface_hub") is not None


@friendly
def model_from_hub(
    repository: str, revision: str | None = None, token: str | bool = False, headers: bool = True
) -> ModelArchitecture:
    """Build a model from the ``config.json`` of a repository on the Hub, and from what lies beside it.

    Parameters
    ----------
    repository : str
        Such as ``meta-llama/Meta-Llama-3-70B`` [-].
    revision : str, optional
        A branch, tag or commit; by default the newest [-].
    token : str or bool
        What proves who asks: by default nobody, so that a shared page never reads with its owner's rights; True takes
        the token that is saved on this machine, for private and gated repositories in a notebook [-].
    headers : bool
        Whether the headers of its weights are asked for too, a range of each file; where the client cannot have them,
        weights are as the config states them [-].

    Returns
    -------
    ModelArchitecture
        The model; its ``source`` names the repository, the revision and the files that were read beside the config.

    Raises
    ------
    UnsupportedError
        If the optional package huggingface_hub is not installed, or the config is refused.
    InvalidValueError
        If the name is no repository's, or the Hub does not answer.
    """
    content, read = download_config(repository, revision, token)
    config, name = parse_config(content, f"{repository}/{CONFIG}"), repository.split("/")[1]
    beside = None
    if isinstance(config, Mapping) and config.get("quantization_config") is None:
        beside = download_beside(repository, QUANTISATION, revision, token)
    together = with_quantisation(config, parsed_text(beside, f"{repository}/{QUANTISATION}") if beside else None)
    model = model_from_hf_config(together, name)
    said = [] if together is config else [QUANTISATION]
    if headers:
        model, found = _with_headers(model, repository, revision, token)
        said += found
    source = f"Hub: {repository} at revision {read}" + (f"; read beside it: {', '.join(said)}" if said else "")
    return replace(model, huggingface_id=repository, source=source)


def _with_headers(
    model: ModelArchitecture, repository: str, revision: str | None, token: str | bool
) -> tuple[ModelArchitecture, list[str]]:
    """Return a model that takes what the headers of its files say, or as it is where they cannot be had."""
    import huggingface_hub

    try:
        known = huggingface_hub.get_safetensors_metadata(repository, revision=revision, token=token)
        files = {str(name): dict(file.tensors) for name, file in known.files_metadata.items()}
    except Exception:  # the client raises errors of many libraries
        return model, []
    try:
        tensors = Tensors()
        for name, described in files.items():
            tensors.add(tensors_of(described, f"{repository}/{name}"), model.num_layers)
        return with_tensors(model, tensors, repository, len(files)), [f"headers of {len(files):,} files"]
    except CalculatorError as error:
        taken = say("hub.headers", "headers of the files are not used: {reason}", reason=str(error))
        return replace(model, assumed=(*model.assumed, taken)), []


def download_beside(repository: str, name: str, revision: str | None, token: str | bool) -> bytes | None:
    """Return a file beside a repository's config.json, None where there is none or where it is too large."""
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(repository, name, revision=revision, token=token))
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        return content if path.name == name and len(content) <= MAX_BYTES else None
    except Exception:  # the client raises errors of many libraries, for a file that is not there too
        return None


def download_config(repository: str, revision: str | None = None, token: str | bool = False) -> tuple[str, str]:
    """Return the text of a repository's config.json and the revision that it is of; raises as ``model_from_hub``."""
    if not _is_named(repository, _REPOSITORY, _TRICKS):
        raise InvalidValueError(
            f"a repository on the Hub is named owner/name, not {shown(repository)}; either is of letters, digits, "
            "single - and ., and _, begins with a letter or digit, and ends with neither - nor ., nor .git"
        )
    if revision is not None and not _is_named(revision, _REVISION, _TRICKS_OF_REVISIONS):
        raise InvalidValueError(
            say(
                "hub.revision_branch_tag_commit",
                "a revision is a branch, tag or commit, not {revision}; it is of letters, digits, -, _, "
                ". and /, with no .. or // in it, and no part of it begins or ends with a .",
                revision=shown(revision),
            )
        )
    if not isinstance(token, bool | str) or token == "":
        raise InvalidValueError(
            say("hub.token_text_true_one", "a token is text, True for the one saved on this machine, or False for none")
        )
    if not is_available():
        raise UnsupportedError(
            say(
                "hub.reading_from_hub_needs",
                "reading from the Hub needs the optional package huggingface_hub, which is not installed",
            )
        )
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(repository, "config.json", revision=revision, token=token))
    except Exception as error:
        # The client raises errors of many libraries: network, disk, HTTP, its own.
        reason = _reason(error)
        raise InvalidValueError(
            say(
                "hub.hub_did_not_give",
                "the Hub did not give the config.json of {repository}: {reason}",
                repository=repository,
                reason=reason,
            )
        ) from None
    try:
        return strict_yaml.read_text(path), path.parent.name
    except FileFormatError as error:
        raise FileFormatError(str(error).replace(str(path), f"{repository}/config.json")) from None


def _is_named(name: object, form: re.Pattern[str], tricks: re.Pattern[str]) -> bool:
    return isinstance(name, str) and bool(form.fullmatch(name)) and not tricks.search(name)


def _reason(error: Exception) -> str:
    """Return an error's first line, without secrets and without where this machine keeps its files."""
    said = mask_paths(mask(str(error))).strip().splitlines()
    return said[0][:200] if said else type(error).__name__
