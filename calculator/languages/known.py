"""Which languages there are: English, and each whose catalogue lies here."""

from __future__ import annotations

import gettext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from calculator.errors import unknown_name
from calculator.messages import template

FOLDER = Path(__file__).parent
SOURCE, COMPILED = ".po", ".mo"
ENGLISH_CODE = "en"
OWN_NAME = template("English")
"""The name of a language in itself: each catalogue translates it by its own."""


@dataclass(frozen=True)
class Language:
    """A language.

    Attributes
    ----------
    code : str
        Its code, as browsers and links write it, such as ``zh`` [-].
    name : str
        What it calls itself [-].
    catalogue : gettext.NullTranslations or None
        Its texts by their English templates; None of English [-].
    """

    code: str
    name: str
    catalogue: gettext.NullTranslations | None = field(default=None, repr=False, compare=False)


ENGLISH = Language(ENGLISH_CODE, OWN_NAME)


@cache
def languages() -> tuple[str, ...]:
    """Return the codes of all languages, English first."""
    return (ENGLISH_CODE, *sorted(file.stem for file in FOLDER.glob(f"*{COMPILED}")))


def language(code: str) -> Language:
    """Return a language by its code.

    Parameters
    ----------
    code : str
        One of ``languages()`` [-].

    Returns
    -------
    Language
        The language.

    Raises
    ------
    UnknownNameError
        If there is no catalogue of it.
    """
    if code not in languages():
        raise unknown_name("language", code, languages())
    return _read(code)


@cache
def _read(code: str) -> Language:
    if code == ENGLISH_CODE:
        return ENGLISH
    with (FOLDER / f"{code}{COMPILED}").open("rb") as compiled:
        catalogue = gettext.GNUTranslations(compiled)
    return Language(code, catalogue.gettext(OWN_NAME), catalogue)


def meant_by(locale: str | None) -> Language:
    """Return the language of a browser's locale, such as ``zh-CN``; English where there is no catalogue of it."""
    code = (locale or "").replace("_", "-").split("-")[0].lower()
    return language(code) if code in languages() else ENGLISH
