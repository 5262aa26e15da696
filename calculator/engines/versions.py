"""What the name of an engine's version says, the known version whose rules hold for it, and what a version changes.

References
----------
Names of releases, of builds before one and of builds after one: https://peps.python.org/pep-0440/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calculator.errors import InvalidValueError, shown
from calculator.messages import say

Version = tuple[int, int, int]

NO_RELEASE = ((0, 0), (0, 1))
"""What build tools call a development build of sources that no release is known of."""
_NAME = re.compile(
    r"v?(?P<release>\d{1,4}+\.\d{1,4}+(?:\.\d{1,4}+){0,3}+)"
    r"(?P<before>[-_.]?(?:alpha|a|beta|b|preview|pre|rc|c)(?![a-z])[-_.]?\d{0,6}+)?+"
    r"(?:[-_.]?post[-_.]?\d{0,6}+)?+"
    r"(?P<development>[-_.]?(?:dev|nightly)[-_.]?\d{0,14}+)?+"
    r"(?P<local>[-_+][0-9a-z][0-9a-z._+-]{0,80}+)?+",
    re.IGNORECASE | re.ASCII,
)
_BUILD = re.compile(
    r"b?\d{1,6}(?:[ -]\(?(?P<commit>[0-9a-f]{4,40}|unknown)\)?)?|(?P<alone>[0-9a-f]{7,40})", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True)
class Change:
    """Rule values from a version on, and where they are read from; ``own`` are sources of single ones."""

    since: Version
    values: Mapping[str, Any]
    source: str
    own: Mapping[str, str] = field(default_factory=dict)

    def source_of(self, names: Iterable[str]) -> str:
        """Return where some of the values are read from: their own sources, where each has one."""
        said = [self.own.get(name, "") for name in names]
        return "; ".join(dict.fromkeys(said)) if said and all(said) else self.source


@dataclass(frozen=True, slots=True)
class DeviceDefaults:
    """What an engine assumes on devices of a size when the user does not say.

    Attributes
    ----------
    at_least_mib : int
        Smallest memory of such a device [MiB].
    max_num_batched_tokens, max_num_seqs : int
        Tokens and sequences of one forward pass [tokens, -].
    not_named : tuple of str
        A device with one of these in its name is passed over, as the engine does.
    offline_tokens : int
        Tokens of one forward pass without a server, 0 where they are the same [tokens].
    """

    at_least_mib: int
    max_num_batched_tokens: int
    max_num_seqs: int
    not_named: tuple[str, ...] = ()
    offline_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """What an engine sets aside for a request before it lets it in.

    Attributes
    ----------
    watermark : float
        Share of the blocks that stay free when requests are let in [-].
    reserve_ratio : float
        Share of the output still expected that is set aside [-].
    reserve_most_tokens : int
        Tokens of output beyond which no more is expected of a request [tokens].
    whole_output : bool
        Whether all that a request may answer is set aside.
    whole_context : bool
        Whether every slot has the memory of the longest sequence.
    """

    watermark: float = 0.0
    reserve_ratio: float = 0.0
    reserve_most_tokens: int = 0
    whole_output: bool = False
    whole_context: bool = False


@dataclass(frozen=True, slots=True)
class Named:
    """What the name of a version says.

    Attributes
    ----------
    release : tuple of int or None
        The release that it is, or that it comes before, three numbers or more; None where it names none [-].
    is_before : bool
        Whether it is a build before that release, not the release.
    """

    release: tuple[int, ...] | None
    is_before: bool


def named(title: str, asked: str, newest: Version) -> Named:
    """Return what the name of a version says; raise ``InvalidValueError`` for one that is none."""
    found = _NAME.fullmatch(asked.strip().rstrip(".")) if isinstance(asked, str) else None
    if not found:
        raise InvalidValueError(
            say(
                "versions.engine_version_must_look",
                "engine_version must look like {newest}.{newest_2} or {names}, not {asked} (of {title}); "
                "the newest known is {in_words}",
                newest=newest[0],
                newest_2=newest[1],
                names=".".join(map(str, newest)),
                asked=shown(asked),
                title=title,
                in_words=in_words(newest),
            ),
            what="engine_version",
            asked=asked,
            nearest=in_words(newest),
        )
    numbers = [*map(int, found["release"].split(".")), 0]
    last = max((place for place, number in enumerate(numbers) if number), default=0)
    release = tuple(numbers[: max(3, last + 1)])
    is_before = bool(found["before"] or found["development"])
    if release[:2] in NO_RELEASE and (is_before or (not any(release) and found["local"])):
        return Named(None, is_before=True)
    return Named(release, is_before)


def names_no_release(asked: str) -> bool:
    """Whether a version is that of a development build that names no release."""
    try:
        return named("", asked, (0, 0, 0)).release is None
    except InvalidValueError:
        return False


def nearest(
    title: str,
    asked: str,
    oldest: Version,
    newest: Version,
    not_read: Sequence[tuple[Version, Version]] = (),
    read: Sequence[Version] = (),
) -> tuple[Version, str]:
    """Return the version whose rules hold for an asked one, and a note where it is not known by them.

    From the oldest to the newest version that was read, all count as known: a release between two that were read
    follows the rows of what changed, its patches those of their minor, without a note. What was made after the newest
    was not read, be it a patch of it, and neither was what lies in a gap. Builds after a release (``.post1``) and
    local parts (``+cu124``) are their release: they pack the same sources anew.

    Parameters
    ----------
    title : str
        The engine [-].
    asked : str
        The version asked for [-].
    oldest, newest : tuple of int
        The versions that rules were read from, and all between them [-].
    not_read : sequence of two tuple
        Gaps between them: the last version before and the first one after, both of which were read [-].
    read : sequence of tuple
        The only versions that were read, ascending, where between two of them the nearer one holds; empty for all [-].

    Returns
    -------
    tuple
        The version, and the note; empty where none is needed.

    Raises
    ------
    InvalidValueError
        If the version is none.
    """
    name = named(title, asked, newest)
    shown_as = asked.strip()
    if name.release is None:
        return newest, say(
            "versions.unnamed_build",
            "{engine} {asked} is a development build whose version names no release: the newest rules that are known, "
            "those of {used}, are used",
            engine=title,
            asked=shown_as,
            used=in_words(newest),
        )
    before = next((last for last, first in not_read if last < name.release < first), name.release)
    if read and before < newest and before not in read:
        before = _nearer(before, read, whole=asked.count(".") == 1)
    used = max(oldest, min(newest, (before[0], before[1], before[2])))
    if name.is_before:
        return used, say(
            "versions.build_before",
            "{engine} {asked} is a build before {release}: the rules of {used}, the nearest known version, are used",
            engine=title,
            asked=shown_as,
            release=".".join(map(str, name.release)),
            used=in_words(used),
        )
    if before == name.release and oldest <= name.release <= newest:
        return used, ""
    return used, say(
        "versions.nearest",
        "the rules of {engine} {asked} are not known: those of {used}, the nearest known version, are used",
        engine=title,
        asked=shown_as,
        used=in_words(used),
    )


def _nearer(release: tuple[int, ...], read: Sequence[Version], whole: bool) -> tuple[int, ...]:
    """Return the version that was read and is nearest to a release, the older of two; of a whole minor its newest.

    The first number that differs counts first, so that a release is nearest to those of its own minor.
    """
    if whole and (of_minor := [version for version in read if version[:2] == release[:2]]):
        return of_minor[-1]
    return min(read, key=lambda version: tuple(abs(one - two) for one, two in zip(version, release, strict=False)))


def build_note(title: str, asked: str, known: str) -> str:
    """Return a note where a build is not the known one, empty where it is; raise ``InvalidValueError`` for none.

    Parameters
    ----------
    title : str
        The engine [-].
    asked : str
        The build asked for: its number, its commit, or both [-].
    known : str
        The commit that rules were read from [-].

    Returns
    -------
    str
        The note.

    Raises
    ------
    InvalidValueError
        If what is asked for is no build.
    """
    name = _BUILD.fullmatch(asked.strip()) if isinstance(asked, str) else None
    if not name:
        raise InvalidValueError(
            say(
                "versions.engine_version_build_such",
                "engine_version of {title} is a build such as b4321, 4321 (abcdef0) or {known}, not "
                "{asked}; the one known is {known}",
                title=title,
                known=known,
                asked=shown(asked),
            ),
            what="engine_version",
            asked=asked,
            nearest=known,
        )
    commit = (name["commit"] or name["alone"] or "").lower()
    if commit.startswith(known):
        return ""
    return say(
        "versions.other_build",
        "the rules of {engine} {asked} are not known: {engine} is told apart by its builds, and those of build {used}, "
        "the only one that is known, are used",
        engine=title,
        asked=asked.strip()[:50],
        used=known,
    )


def in_words(version: Version) -> str:
    """Return a version as it is written: without a last number of 0."""
    return ".".join(map(str, version[:2])) + (f".{version[2]}" if version[2] else "")
