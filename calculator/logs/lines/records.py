"""Records of a log: lines as the engine printed them, whatever a terminal or a page made of them.

A terminal breaks long lines at its width. Such a log has many lines of nearly one length, which none of the engines
would print; what follows one of them and does not begin as a record does is the rest of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

NARROWEST, WIDEST = 40, 260
"""Widths at which a log can have been broken [characters]."""
SHARE = 0.08
"""Of a log that was broken, at least so many lines are as long as its width lets them be [-]."""
RAGGED = 24
"""How much shorter a line is than the width where it was broken between words [characters]."""
LONGEST = 16_384
"""No record is longer [characters]."""
_BEGINS = re.compile(
    r"\s{0,8}+(?:\(\w{3,30}+[^)]{0,60}\)|\[|INFO|WARN|ERROR|DEBUG|CRITICAL|Traceback|ValueError|RuntimeError|torch\.|"
    r"[0-9]{4}-[0-9]{2}|[0-9]{2}[-/:][0-9]{2}|[A-Z][a-z]{2} {1,2}[0-9]|llama_|llm_|ggml_|print_info|load_tensors|"
    r"sched_reserve|srv |slot |main:|build:|system_info|version:|common_|\||\+[-=]|\$|#|python|vllm serve|docker|"
    r"trtllm|Load weight|KV Cache|Memory pool|Mamba|Capture|Loading|server_args)"
)


def records(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Yield the records of a log, each with the number of its first line.

    Parameters
    ----------
    lines : iterable of (int, str)
        Number and text of the lines [-].

    Returns
    -------
    iterator of (int, str)
        The lines, those that were broken made whole.
    """
    kept = list(lines)
    if not kept:
        return
    width = _width([text for _, text in kept])
    if not width:
        yield from kept
        return
    broken = [len(one) for (_, one), (_, other) in pairwise(kept) if _goes_on(len(one), other, width)]
    cuts_words = 2 * broken.count(width) > len(broken)
    first, whole, last = 0, "", 0
    for number, text in kept:
        if whole and _goes_on(last, text, width) and len(whole) < LONGEST:
            whole += text if cuts_words and last >= width else f" {text.lstrip()}"
        else:
            if first:
                yield first, whole
            first, whole = number, text
        last = len(text)
    if first:
        yield first, whole


def _goes_on(before: int, text: str, width: int) -> bool:
    """Whether a line is the rest of one so long: it begins no record, and its first word had no room there."""
    if not text.strip() or _BEGINS.match(text):
        return False
    return before + 1 + len(text.split(None, 1)[0]) > width


def _width(lines: list[str]) -> int:
    """Return the width at which a log was broken, 0 where it was not [characters]."""
    lengths = Counter(map(len, lines))
    longest = max(lengths)
    if not NARROWEST <= longest <= WIDEST:
        return 0
    near = sum(count for length, count in lengths.items() if length > longest - RAGGED)
    begins = sum(1 for line in lines if _BEGINS.match(line))
    rests = sum(1 for line in lines if line.strip()) - begins
    return longest if begins >= 2 <= near and near >= SHARE * len(lines) and rests >= near / 3 else 0
