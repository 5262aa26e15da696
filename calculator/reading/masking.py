"""What looks like a secret in foreign text, masked before it is shown."""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"(?<![A-Za-z0-9])(hf_(?=[A-Za-z0-9]{6})|sk-|gh[oprsu]_|github_pat_|glpat-|xox[abeoprs]-|nvapi-|A[KS]IA|AIza|eyJ)"
    r"[\w.~+/=-]{6,}"
    r"|(?i:((?:(?:api|access|secret|private)[_-]?key(?:[_-]?id)?|token|secret|password|passwd|pwd|credential|signature|authorization)"
    r"['\"]?+\s{0,40}+[=:]\s{0,40}+\[?+(?:(?:bearer|basic|token) )?+|\b(?:bearer|basic) (?=\S{8}))"
    r"(?:\"[^\"]{4,400}+\"|'[^']{4,400}+'|['\"]?+[^\s'\",;)\]}&]{4,}))"
    r"|(://)[^/\s@]{1,400}+@"
)
_PATH = re.compile(r"(?<![\w:/.])(?:~|[A-Za-z]:)?[/\\](?:[^\s'\":,;()<>]{1,4000})")


def mask(text: str) -> str:
    """Return a line with what looks like a secret masked: keys and tokens by their form, values by their name."""
    return _SECRET.sub(lambda found: (found[2] or found[3] or found[1] or "") + "•••" + ("@" if found[3] else ""), text)


def mask_paths(text: str) -> str:
    """Return a line with the paths of this machine masked; addresses stay."""
    return _PATH.sub("•••", text)
