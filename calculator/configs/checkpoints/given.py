"""Files of a checkpoint that were handed over one by one: config.json, and those beside it that say more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from calculator.configs.checkpoints.folder import from_index
from calculator.configs.checkpoints.index import NAME as INDEX
from calculator.configs.checkpoints.index import parse_index
from calculator.configs.reader import CONFIG, QUANTISATION, model_from_hf_config, with_quantisation
from calculator.errors import FileFormatError, shown
from calculator.messages import say
from calculator.reading import strict_json

INDEX_END = ".safetensors.index.json"


class Given(NamedTuple):
    """What some files say together.

    Attributes
    ----------
    content : str
        The config with all that they say of formats, as JSON.
    checkpoint_bytes : int
        What the index says that all weights take, 0 where it says nothing that holds [bytes].
    files : tuple of str
        The files that were read.
    """

    content: str
    checkpoint_bytes: int
    files: tuple[str, ...]


def read_given(files: Mapping[str, bytes]) -> Given:
    """Read files by their names; a single one of another name is taken to be the config, unless it lies beside one.

    Raises
    ------
    FileFormatError
        If a file is not what its name says, or the config is not among them.
    CalculatorError
        As ``model_from_hf_config``.
    """
    named = dict(files)
    if len(named) == 1 and not {QUANTISATION, INDEX}.intersection(named):
        named = {CONFIG: next(iter(named.values()))}
    if CONFIG not in named:
        raise FileFormatError(
            say(
                "given.not_among_files",
                "{config} is not among the files: {named}",
                config=CONFIG,
                named=shown(sorted(named)),
            )
        )
    config = parsed_text(named[CONFIG], CONFIG)
    beside = parsed_text(named[QUANTISATION], QUANTISATION) if QUANTISATION in named else None
    together = with_quantisation(config, beside)
    read, size = [CONFIG, *([QUANTISATION] if together is not config else [])], 0
    index = next((name for name in named if name.endswith(INDEX_END)), None)
    if index is not None:
        size = from_index(model_from_hf_config(together), parse_index(named[index], index)).checkpoint_bytes
        read += [index] if size else []
    content = _text(named[CONFIG], CONFIG) if together is config else json.dumps(together)
    return Given(content, size, tuple(read))


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise FileFormatError(say("given.not_utf_text", "{name}: not UTF-8 text", name=name)) from None


def parsed_text(content: bytes, name: str) -> Any:
    """Return what a file of JSON holds; ``name`` stands for it in messages."""
    return strict_json.parse_config(_text(content, name), name)
