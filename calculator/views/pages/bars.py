"""One GPU as it was expected and as a log has it, part by part on one scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from calculator.engines.overheads import ACTIVATION, CUDA_GRAPH, NON_TORCH
from calculator.logs.reconciliation import Reconciliation
from calculator.messages import Message, say
from calculator.units import GIB
from calculator.views.pages.log import LEAST_SHOWN_GIB, capacity_of


class Part(Enum):
    """What a part of a bar is."""

    WEIGHTS = "weights"
    OVERHEADS = "overheads"
    UNEXPLAINED = "unexplained"
    KV = "kv"


Bar = tuple[tuple[Part, float], ...]
"""Parts of one GPU's budget from left to right [GiB]."""


@dataclass(frozen=True)
class Bars:
    """One GPU, as it was expected and as the log has it, on one scale.

    Attributes
    ----------
    expected, reported : tuple of (Part, float)
        Parts from left to right [GiB].
    unexplained : float
        What the log's figures leave open of the expected sum; below 0 where they come to more [GiB].
    in_range : bool
        Whether that is within the range of what is estimated.
    """

    expected: Bar
    reported: Bar
    unexplained: float
    in_range: bool

    @property
    def said(self) -> Message:
        """The part that is not explained, in words."""
        if self.unexplained > 0:
            return say("pages.log.open_more", "{size:.1f} GiB more than expected", size=self.unexplained)
        return say("pages.log.open_less", "{size:.1f} GiB more KV than expected", size=-self.unexplained)


TERM_OF_LINE: Mapping[str, str] = {ACTIVATION.key: "activations", NON_TORCH.key: "outside", CUDA_GRAPH.key: "graphs"}
TOGETHER: Mapping[str, tuple[str, ...]] = {
    "consumed": ("weights", "outside"),
    "activations_and_graphs": ("activations", "graphs"),
}
"""Terms that a log may print as a sum."""


def bars(result: Reconciliation) -> Bars | None:
    """Return one GPU as expected and as logged; None where no pool is compared."""
    capacity = capacity_of(result)
    if capacity is None or not capacity.is_pool:
        return None
    expected = dict(_expected(result))
    weights, others = expected.pop("weights"), sum(expected.values())
    logged = _logged(result, {"weights": weights, **expected})
    taken = max(0.0, sum(logged.values()))
    unexplained = weights + others + capacity.expected - taken - capacity.reported
    unprinted = sum(size for name, size in expected.items() if logged.get(name) == size)
    logged_weights = min(taken, logged.get("weights", weights))
    logged_others = taken - logged_weights
    kv, more = capacity.reported, 0.0
    if unexplained < 0:  # first estimates were too high, then the sum is other than expected
        more = min(kv, -unexplained)
        logged_others = max(0.0, logged_others - min(unprinted, more))
        parts = ((Part.KV, kv - more), (Part.UNEXPLAINED, more))
    else:
        parts = ((Part.UNEXPLAINED, unexplained), (Part.KV, kv))
    first: Bar = ((Part.WEIGHTS, weights), (Part.OVERHEADS, others), (Part.KV, capacity.expected))
    second: Bar = ((Part.WEIGHTS, logged_weights), (Part.OVERHEADS, logged_others), *parts)
    return Bars(_shown(first), _shown(second), unexplained, capacity.in_range)


def _shown(bar: Bar) -> Bar:
    """Return the parts that can be seen; one that is not explained only where it is more than rounding."""
    least = {Part.UNEXPLAINED: LEAST_SHOWN_GIB}
    return tuple((part, size) for part, size in bar if size > least.get(part, 0.0))


def _expected(result: Reconciliation) -> Iterator[tuple[str, float]]:
    """Yield weights and the overheads inside the budget, by the names of terms where there are such [GiB]."""
    yield "weights", result.plan.per_gpu.weights_bytes / GIB
    for line in result.plan.stage.overheads:
        if not line.in_slack:
            yield TERM_OF_LINE.get(line.line.key, line.line.key), line.bytes / GIB


def _logged(result: Reconciliation, expected: Mapping[str, float]) -> dict[str, float]:
    """Return what the log prints of them, sums under a name of their own; what it does not print as expected [GiB]."""
    printed = {term.key: term.reported for term in result.terms if term.reported is not None}
    sums = {name: parts for name, parts in TOGETHER.items() if name in printed and expected.keys() >= set(parts)}
    apart = {name for parts in sums.values() for name in parts}
    logged = {name: printed.get(name, size) for name, size in expected.items() if name not in apart}
    return logged | {name: printed[name] for name in sums}
