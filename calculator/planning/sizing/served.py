"""How a plan serves a load: with how many replicas, where each is run, and what it reaches there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from calculator.engines.beside.experts import replicas_joined
from calculator.errors import InvalidValueError, UnsupportedError, friendly, shown
from calculator.messages import say
from calculator.planning.sizing.loads import Load, load_of
from calculator.planning.sizing.operating import TTFT_BAND, Goals, Point, Replica, known_speed
from calculator.planning.sizing.prices import Given, Price, price_of
from calculator.planning.sizing.service import RANGED, Service
from calculator.planning.traffic.concurrency import checked_risk
from calculator.planning.traffic.inputs import check_plan
from calculator.planning.traffic.timing.speed import Speed, speed_at

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.workload import Workload

MOST_REPLICAS = 10**9


@friendly
def service(
    plan: Plan,
    workload: Workload,
    risk: float = 0.01,
    max_ttft_s: float | None = None,
    max_tpot_s: float | None = None,
    prices: Given | None = None,
    replicas: int | None = None,
) -> Service:
    """Return how a plan serves a workload, with how many replicas, and what it costs.

    Parameters
    ----------
    plan : Plan
        The plan of one replica; replicas that share experts come in the number that it says [-].
    workload : Workload
        The traffic over all replicas [-].
    risk : float
        The share of time in which the pool may be exceeded, and of requests that may find every slot taken [-].
    max_ttft_s, max_tpot_s : float, optional
        Goals of the mean time to the first token, and from one token to the next [s].
    prices : mapping, optional
        Prices of one's own by the ids of GPUs, each a number or the lowest and the highest; by default the
        catalogue's dated examples [USD per GPU and hour].
    replicas : int, optional
        How many there are; by default as many as hold the rate at the low end of the memory's range [-].

    Returns
    -------
    Service
        Where a replica is run, how many there are, how full they are, and the cost. Where one sequence alone misses a
        goal, ``meets`` is False and the numbers are those of one sequence.

    Raises
    ------
    CalculatorError
        If a number is out of bounds, a price is none, or no speed of the device is known.

    Notes
    -----
    ``usd_per_million_output_tokens = GPUs × price / (3600 × requests/s × output tokens) × 10⁶``. Replicas are
    ``rate / what one takes``, which leaves room for arrivals at random: the mean R in service keeps
    ``R m + z √(R (s² + D m²)) ≤ pool`` where memory stops it, else ``R + z √(D R) ≤ N``, each replica by itself.
    """
    check_plan(plan)
    load = load_of(plan.request.seq_len, workload, risk=checked_risk(risk))
    goals = Goals(max_ttft_s, max_tpot_s)
    if replicas is not None and (type(replicas) is not int or not 1 <= replicas <= MOST_REPLICAS):
        raise InvalidValueError(
            say(
                "served.replicas_must_whole_number",
                "replicas must be a whole number from 1 to {most_replicas:,}, not {replicas}",
                most_replicas=MOST_REPLICAS,
                replicas=shown(replicas),
            ),
            what="replicas",
            asked=replicas,
        )
    return Sizing(plan, load, goals, price_of(plan.accelerator, prices), unknown=known_speed(plan)).service(replicas)


class Sizing:
    """One plan under a load: what one replica takes, and the service of any number of them.

    Parameters
    ----------
    plan, load, goals, price : Plan, Load, Goals, Price
        What is asked [-].
    unknown : str
        Why no speed is known; empty where it is.
    """

    def __init__(self, plan: Plan, load: Load, goals: Goals, price: Price | None, unknown: str = "") -> None:
        self.plan, self.load, self.goals, self.price, self.unknown = plan, load, goals, price, unknown
        self.unit = replicas_joined(plan.rules, plan.request)
        if unknown and (goals.any or load.workload is not None):
            raise UnsupportedError(unknown)
        self.replica = Replica(plan, load.lengths_on(plan))
        self._points: dict[int, Point] = {}
        self._between: dict[int, tuple[Point, Point]] = {}

    def point(self, end: int) -> Point:
        """Return where a replica is run, at the low end of the memory's range (0), its middle (1) or high end (2)."""
        if end not in self._points:
            low, high = self._points_between(end)
            self._points[end] = low if low == high else self._point(self.load.room(self.plan, end))
        return self._points[end]

    def _points_between(self, end: int) -> tuple[Point, Point]:
        """Return bounds of ``point``, from what is known of plans near to this one."""
        if end not in self._between:
            least, most = self.load.room_between(self.plan, end)
            low = self._point(least)
            self._between[end] = low, low if least == most else self._point(most)
        return self._between[end]

    def _point(self, room: int) -> Point:
        return Point(room, "memory", room > 0) if self.unknown else self.replica.point(room, self.goals)

    def missed_by(self) -> float:
        """Return how many times over its worst goal even one sequence is; 1 where it meets them all [-]."""
        return self.goals.missed_by(self.replica.time_per_output_token_s(1), self.replica.time_to_first_token_s(1))

    def needed(self, end: int) -> int:
        """Return the replicas that hold the load: at the low end of the memory's range (0) or in its middle (1)."""
        point = self.point(end)
        if not point.batch_size:
            return 0
        return self._replicas(self.load.taken(self.plan, self.replica, point, end))

    def needed_between(self, end: int) -> tuple[int, int]:
        """Return bounds of ``needed`` where a replica meets its goals, (0, 0) where it does not.

        What is known of plans near to this one says them mostly; else it is worked out.
        """
        if end not in self._points:
            low, high = self._points_between(end)
            if low.meets and low.limited_by == high.limited_by:
                taken = self.load.taken_between(self.plan, self.replica, (low, high), end)
                return self._replicas(taken[1]), self._replicas(taken[0])
        count = self.needed(end) if self.point(end).meets else 0
        return count, count

    def _replicas(self, each: float) -> int:
        count = ceil(self.load.asked / each * (1 - 1e-12)) if each > 0 else MOST_REPLICAS
        return ceil(min(count, MOST_REPLICAS) / self.unit) * self.unit

    def mean_batch(self, replicas: int) -> float:
        """Return how many sequences decode at once on each of so many replicas at the load's own rate [-]."""
        return self._mean_batch(replicas, self.point(1).batch_size)

    def mean_batch_about(self, replicas: int) -> float:
        """Return the same to a millionth, of so many replicas as hold the load, without working out what one holds.

        What is in service is below what one holds, so that a bound of either end of the range will do.
        """
        if 1 in self._points or self.load.workload is None:
            return self._mean_batch(replicas, self.point(1).batch_size)
        return self._mean_batch(replicas, self._points_between(1 if 1 in self._between else 0)[1].batch_size)

    def _mean_batch(self, replicas: int, batch: int) -> float:
        if not replicas or not batch:
            return 0.0
        each = self.load.asked / replicas
        if self.load.workload is None:
            return float(min(batch, ceil(each)))
        return self.replica.count_at(each, batch)

    def service(self, replicas: int | None = None) -> Service:
        """Return the service of so many replicas, by default of as many as hold the load at the low end."""
        high, central, low = (self.point(end) for end in (2, 1, 0))
        least = self.needed(0)
        count = replicas if replicas is not None else (least or self.needed(1))
        users, batch = self.load.users, central.batch_size
        mean = self.mean_batch(count)
        known = bool(mean) and not self.unknown
        if users is not None and central.meets:
            batch = ceil(mean)
        at = speeds_at(self.replica, batch, self.goals) if batch and not self.unknown else Speeds()
        capacity = self.load.capacity(self.replica, central)
        return Service(
            plan=self.plan,
            load=self.load,
            replicas=count,
            batch_size=batch,
            batch_size_low=min(low.batch_size, batch),
            batch_size_high=max(high.batch_size, batch) if users is None else batch,
            limited_by=central.limited_by,
            meets=central.meets,
            meets_high=central.meets and at.meets_high,
            holds=bool(least) and count >= least and central.meets and low.meets,
            goals=self.goals,
            risk=self.load.risk,
            mean_batch_size=mean,
            mean_time_per_output_token_s=self.replica.time_per_output_token_s(mean) if known else None,
            mean_time_to_first_token_s=(
                self.replica.time_to_first_token_s(mean) if known and self.load.output_tokens else None
            ),
            utilisation=self.load.asked / (count * capacity) if count and capacity else None,
            price=self.price,
            **at.values,
            speed=at.speed,
        )


_UNKNOWN = dict.fromkeys(f"{name}{end}" for name in RANGED for end in ("", "_low", "_high"))


@dataclass(frozen=True)
class Speeds:
    """What a replica reaches with so many sequences at once: each ranged number, by its name."""

    values: Mapping[str, Any] = field(default_factory=lambda: _UNKNOWN)
    speed: Speed | None = None
    meets_high: bool = True


def speeds_at(replica: Replica, batch: int, goals: Goals) -> Speeds:
    """Return what a replica reaches with so many sequences at once."""
    each = replica.lengths
    step = speed_at(replica.plan, float(batch), each.of_step, replica.pace)
    first = replica.time_to_first_token_s(batch) if each.output_tokens else None
    values: dict[str, Any] = {}
    for end in ("", "_low", "_high"):
        tokens = getattr(step, f"output_tokens_per_second{end}")
        values[f"time_per_output_token_s{end}"] = getattr(step, f"time_per_output_token_s{end}")
        values[f"output_tokens_per_second{end}"] = tokens
        values[f"replica_requests_per_second{end}"] = tokens / each.output_tokens if each.output_tokens else None
    for end, factor in (("", 1.0), ("_low", TTFT_BAND[0]), ("_high", TTFT_BAND[1])):
        values[f"time_to_first_token_s{end}"] = first * factor if first is not None else None
    reached = (
        (goals.max_tpot_s, values["time_per_output_token_s_high"]),
        (goals.max_ttft_s, values["time_to_first_token_s_high"]),
    )
    return Speeds(values, step, all(goal is None or (value or 0) <= goal for goal, value in reached))
