"""What looks like a secret in foreign text, masked before it is shown."""

from __future__ import annotations

import re

_NAME = (
    r"(?:(?:api|access|secret|private)[_-]?+key(?:[_-]?id)?+"
    r"|token|secret|password|passwd|pwd|credential|signature|authorization)"
)
_QUOTED = r"\"[^\"]{4,400}+\"|'[^']{4,400}+'"
_WORD = r"(?:\"[^\"]{1,400}+\"|'[^']{1,400}+'|[^\s'\",)\]}]{1,4000}+)"
_ITEMS = r"(?:\"[^\"]{0,400}+\"?+|'[^']{0,400}+'?+|[^\])'\"]{1,400}+){1,4000}+"
_SECRET = re.compile(
    # each alternative keeps its one group and masks the rest: a key by its form,
    r"(?<![A-Za-z0-9])(hf_(?=[A-Za-z0-9]{6})|sk-|gh[oprsu]_|github_pat_|glpat-|xox[abeoprs]-|nvapi-|A[KS]IA|AIza|eyJ)"
    r"[\w.~+/=-]{6,}"
    # every item of a list by its name, every word after a flag by the flag's, up to the next flag,
    rf"|(?i:({_NAME}['\"]?+\s{{0,40}}+[=:]\s{{0,40}}+[\[(]){_ITEMS})"
    rf"|(?i:(?<![\w-])(--?+[a-z0-9_-]{{0,40}}?{_NAME}['\"]?+,?+\s{{1,40}}+)"
    rf"(?!['\"]?+--|\\){_WORD}(?:,?+\s{{1,40}}+(?!['\"]?+[-\\]){_WORD}){{0,400}}+)"
    # one value by its name, and who asks by the address
    rf"|(?i:((?:{_NAME}['\"]?+\s{{0,40}}+[=:]\s{{0,40}}+(?:(?:bearer|basic|token) )?+|\b(?:bearer|basic) (?=\S{{8}})))"
    rf"(?:{_QUOTED}|['\"]?+[^\s'\",;)\]}}&]{{4,}}))"
    r"|(://)[^/\s@]{1,400}+(?=@)"
)
_PATH = re.compile(r"(?<![\w:/.])(?:~|[A-Za-z]:)?[/\\](?:[^\s'\":,;()<>]{1,4000})")


def mask(text: str) -> str:
    """Return a line with what looks like a secret masked: keys and tokens by their form, values by their name."""
    return _SECRET.sub(lambda found: found[found.lastindex or 0] + "•••", text)


def mask_paths(text: str) -> str:
    """Return a line with the paths of this machine masked; addresses stay."""
    return _PATH.sub("•••", text)
