"""What a link says of a search for hardware, by the names of ``calculator.size``; goals are in ms there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import calculator
from calculator.architecture.limits import MAX_TOKENS
from calculator.catalogue.presets import all_gpu_ids, gpu_id
from calculator.engines import engine_rules
from calculator.errors import unknown_name
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format
from calculator.messages import phrase
from calculator.planning.sizing.bounds import MOST_GPUS, MOST_OWNED, MOST_SECONDS, MOST_USERS
from calculator.planning.sizing.prices import prices_in_text
from dashboard.link.parameters import Parameter, bounded, number, preset, whole

GPUS, MODELS = "gpus", "models"
"""What is searched: GPUs for a load, or models for the GPUs that are there."""
USERS, TRAFFIC = "users", "traffic"
LEAST_MS, MOST_MS = 0.001, 1e3 * MOST_SECONDS
MAX_LIST = 2_000


def _count(default: int | None, most: int, absent: str) -> Parameter:
    return Parameter(lambda text: bounded(whole(text), 1, most), default, 1, most, absent, clears=True)


def _goal() -> Parameter:
    ends = LEAST_MS, MOST_MS
    return Parameter(lambda text: bounded(number(text), *ends), None, *ends, "none", clears=True)


def _one_of(what: str, *known: str) -> Parameter:
    def read(text: str) -> str:
        if text not in known:
            raise unknown_name(what, text, known)
        return text

    return Parameter(read, known[0])


def _several(check: Callable[[str], Any], *default: str) -> Parameter:
    """Return the parameter of names with commas between, none of them twice; an alias becomes the name itself."""

    def named(name: str) -> str:
        if name == "auto" and "auto" in default:
            return name
        found = check(name)
        return found if isinstance(found, str) else getattr(found, "name", name)

    def read(text: str) -> list[str]:
        return list(dict.fromkeys(map(named, text.split(","))))

    return Parameter(read, list(default), absent=", ".join(default) or "all")


def _prices(text: str) -> str:
    prices_in_text(text)
    return text


NEED = {
    "search": _one_of("search", GPUS, MODELS),
    "load": _one_of("load", USERS, TRAFFIC),
    "users": _count(200, MOST_USERS, "200"),
    "answer_tokens": _count(None, MAX_TOKENS, phrase("not counted")),
    "num_gpus": _count(2, MOST_OWNED, "2"),
    "gpus": _several(preset(all_gpu_ids, "GPU", gpu_id)),
    "engines": _several(engine_rules, calculator.engines.DEFAULT_ENGINE),
    "weight_dtypes": _several(weight_format, "auto"),
    "kv_cache_dtypes": _several(storage_format, "auto"),
    "max_gpus": _count(64, MOST_GPUS, "64"),
    "max_tpot_ms": _goal(),
    "max_ttft_ms": _goal(),
    "prices": Parameter(_prices, None),
}
LONG = ("gpus", "engines", "weight_dtypes", "kv_cache_dtypes", "prices")
"""What may take more characters in a link than a number or a name."""
