"""Saying a text in a language: its template by the catalogue, and what is filled in by the same language.

Results hold English texts, as readers of several languages may share them; a face says them as it shows them.
"""

from __future__ import annotations

import gettext
import string
from typing import Any

from calculator.languages.known import Language
from calculator.messages import JOINED, Counted, Message


def said_in(text: str, language: Language) -> str:
    """Return a text as a language says it; one that has no key, such as a name, is the same in all.

    Parameters
    ----------
    text : str
        A text; a ``Message`` is known by its template [-].
    language : Language
        The language [-].

    Returns
    -------
    str
        The text.
    """
    if language.catalogue is None or not isinstance(text, Message):
        return text
    return _said(text, language.catalogue)


def _said(text: Message, catalogue: gettext.NullTranslations) -> str:
    values = {
        name: _said(value, catalogue) if isinstance(value, Message) else value for name, value in text.values.items()
    }
    if text.key == JOINED:
        return _with_separators(text.template, catalogue).format(**values)
    if isinstance(text, Counted):
        return catalogue.ngettext(*text.forms, text.values["number"]).format(**values)
    return (catalogue.gettext(text.template) if text.template else "").format(**values)


def _with_separators(template: str, catalogue: gettext.NullTranslations) -> str:
    """Return a template of parts with what stands between them as a language writes it."""
    return "".join(
        (catalogue.gettext(between) if between else "") + (f"{{{name}}}" if name is not None else "")
        for between, name, _, _ in string.Formatter().parse(template)
    )


def texts_said_in(value: Any, language: Language) -> Any:
    """Return dictionaries and lists with every text in them said in a language; those given stay as they are."""
    if language.catalogue is None:
        return value
    return _texts_said(value, language.catalogue)


def _texts_said(value: Any, catalogue: gettext.NullTranslations) -> Any:
    if isinstance(value, Message):
        return _said(value, catalogue)
    if isinstance(value, dict):
        return {key: _texts_said(inner, catalogue) for key, inner in value.items()}
    if isinstance(value, list):
        return [_texts_said(inner, catalogue) for inner in value]
    if type(value) is tuple:
        return tuple(_texts_said(inner, catalogue) for inner in value)
    return value
