"""A ``config.json`` from the Hugging Face Hub: its text alone, at a revision that is recorded, and never any code."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from calculator import strict_yaml
from calculator.errors import InvalidValueError, UnsupportedError, friendly, shown
from calculator.hf_config import model_from_hf_config, parse_config
from calculator.model import ModelArchitecture

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


def is_available() -> bool:
    """Say whether the optional package that talks to the Hub is installed."""
    return find_spec("huggingface_hub") is not None


@friendly
def model_from_hub(repository: str, revision: str | None = None) -> ModelArchitecture:
    """Build a model from the ``config.json`` of a repository on the Hub.

    Parameters
    ----------
    repository : str
        Such as ``meta-llama/Meta-Llama-3-70B`` [-].
    revision : str, optional
        A branch, tag or commit; by default the newest [-].

    Returns
    -------
    ModelArchitecture
        The model; its ``source`` names the repository and the revision that was read.

    Raises
    ------
    UnsupportedError
        If the optional package huggingface_hub is not installed, or the config is refused.
    InvalidValueError
        If the name is no repository's, or the Hub does not answer.
    """
    content, read = download_config(repository, revision)
    model = model_from_hf_config(parse_config(content, f"{repository}/config.json"), repository.split("/")[1])
    return replace(model, huggingface_id=repository, source=f"Hub: {repository} at revision {read}")


def download_config(repository: str, revision: str | None = None) -> tuple[str, str]:
    """Return the text of a repository's config.json and the revision that it is of; raises as ``model_from_hub``."""
    if not isinstance(repository, str) or not _REPOSITORY.fullmatch(repository):
        raise InvalidValueError(f"a repository on the Hub is named owner/name, not {shown(repository)}")
    if revision is not None and (not isinstance(revision, str) or not _REVISION.fullmatch(revision)):
        raise InvalidValueError(f"a revision is a branch, tag or commit, not {shown(revision)}")
    if not is_available():
        raise UnsupportedError(
            "reading from the Hub needs the optional package huggingface_hub, which is not installed"
        )
    from huggingface_hub import hf_hub_download

    try:
        path = Path(hf_hub_download(repository, "config.json", revision=revision))
    except Exception as error:
        # The client raises errors of many libraries: network, disk, HTTP, its own.
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InvalidValueError(f"the Hub did not give the config.json of {repository}: {reason}") from None
    return strict_yaml.read_text(path), path.parent.name
