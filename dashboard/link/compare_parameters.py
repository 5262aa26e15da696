"""What a link says of the plan that one is compared with: what of it is other, by the names of ``calculator.plan``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import calculator
from calculator.catalogue.presets import gpu_id
from calculator.engines import engine_rules
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format
from calculator.messages import phrase, say
from calculator.request import OPTIONS
from dashboard.link.parameters import Parameter, bounded, model_meant, preset, whole

MOST_VERSION = 60
OTHER = "to_"
SAME = phrase("as it is")
MOST_RANKS = 16


def _checked(check: Callable[[str], Any]) -> Parameter:
    """Return the parameter of a name; an alias becomes the name itself, as the field offers it."""

    def read(text: str) -> str:
        found = check(text)
        return found if isinstance(found, str) else str(getattr(found, "name", text))

    return Parameter(read, None, absent=SAME)


def _version(text: str) -> None:
    if len(text) > MOST_VERSION or not text.isprintable():
        raise calculator.InvalidValueError(
            say(
                "compare_parameters.must_at_most_characters",
                "must be at most {most_version} characters that can be seen",
                most_version=MOST_VERSION,
            )
        )


def _whole_gpu(text: str) -> str | None:
    """Return the GPU that a name means, None for a part of one: the field offers whole ones."""
    found = gpu_id(text)
    return found if found in calculator.gpu_ids() else None


COMPARE = {
    "to_model": _checked(preset(calculator.model_ids, "model", model_meant)),
    "to_gpu": _checked(preset(calculator.gpu_ids, "GPU", _whole_gpu)),
    "to_engine": _checked(engine_rules),
    "to_engine_version": _checked(_version),
    "to_tensor_parallel_size": Parameter(
        lambda text: bounded(whole(text), 1, MOST_RANKS), None, 1, MOST_RANKS, SAME, clears=True
    ),
    "to_weight_dtype": _checked(weight_format),
    "to_kv_cache_dtype": _checked(storage_format),
}
assert all(name.removeprefix(OTHER) in ("model", "gpu", *OPTIONS) for name in COMPARE)
