"""Every view by its name, in the order in which a person asks."""

from __future__ import annotations

from collections.abc import Callable

from calculator.planning.answer import Plan
from calculator.views.base import View
from calculator.views.engines import engines_view, kv_in_use_view, parallelism_view
from calculator.views.growth import kv_head_view, sequence_length_view, tensor_parallel_view

VIEWS: dict[str, Callable[[Plan], View]] = {
    "sequence-length": sequence_length_view,
    "kv-heads": kv_head_view,
    "tensor-parallel": tensor_parallel_view,
    "engines": engines_view,
    "kv-in-use": kv_in_use_view,
    "parallelism": parallelism_view,
}
