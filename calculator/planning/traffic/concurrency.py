"""How many requests of real traffic one replica holds: through the engine's own blocks, windows, states and pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calculator.architecture.counts import NO_LIMIT
from calculator.errors import friendly
from calculator.planning import SCHEMA_VERSION
from calculator.planning.traffic import words
from calculator.planning.traffic.inputs import EVEN, OF_RISK, check_plan
from calculator.planning.traffic.pools.loaded import LoadedPool, held_by, loaded, loaded_at, traffic_of
from calculator.planning.traffic.pools.queue import preemptions
from calculator.planning.traffic.workload import Workload, check_workload
from calculator.reading.html import table

if TYPE_CHECKING:
    import pandas

    from calculator.engines.base import Admission
    from calculator.engines.pools import Pool
    from calculator.planning.answer import Plan
    from calculator.planning.traffic.residence import Residents
    from calculator.planning.traffic.workload import Pairs


@dataclass(frozen=True)
class Concurrency:
    """What one replica holds of a workload, by memory alone.

    Attributes
    ----------
    sequences : int
        Requests in decode at once at which the pool is exceeded with no more than the stated risk [-].
    sequences_even : int
        The same at a risk of one half [-].
    mean_tokens, sd_tokens : float
        Mean and standard deviation of the tokens that a resident request holds, before blocks [tokens].
    saturated : float
        What the engine's own admission settles at with a full queue [-].
    max_num_seqs : int
        The limit that keeps the risk, at most what the engine's own admission settles at: sequences of one scheduler
        [-].
    risk : float
        The stated risk [-].
    plan, workload : Plan, Workload
        What was asked.
    """

    sequences: int
    sequences_even: int
    mean_tokens: float
    sd_tokens: float
    saturated: float
    max_num_seqs: int
    risk: float
    plan: Plan = field(repr=False, compare=False)
    workload: Workload = field(repr=False, compare=False)

    @cached_property
    def preemptions_per_request(self) -> tuple[float, float, float]:
        """Times that a request is thrown out and computed again with a full queue: low, central, high [-].

        A seeded simulation of the engine's admission on the tightest pool, at either end of the pool's range, three
        deviations between draws on either side; none where the engine sets the output aside.
        """
        plan = self.plan
        return preemptions(plan, self.workload, plan.rules.admission, plan.request.max_num_seqs, self.risk)

    @property
    def servable(self) -> int:
        """Requests at once that hold the risk and that the engine's own admission lets in [-]."""
        return min(self.sequences, _whole(self.saturated))

    @property
    def finding(self) -> str:
        """The answer in a sentence."""
        return words.held(self)

    def _values(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("plan", "workload")}

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as plain values under the documented JSON keys."""
        return {
            "schema_version": SCHEMA_VERSION,
            "fits": self.plan.fits,
            "finding": self.finding,
            **self._values(),
            "preemptions_per_request": list(self.preemptions_per_request),
            "workload": self.workload.as_dict(),
            "request": asdict(self.plan.request),
            "notes": list(self.plan.notes),
        }

    def frame(self) -> pandas.DataFrame:
        """Return the answer as one row of a DataFrame, so that answers can stand one below the other."""
        import pandas

        low, central, high = self.preemptions_per_request
        preemptions = {"": central, "_low": low, "_high": high}
        named = {f"preemptions_per_request{end}": value for end, value in preemptions.items()}
        return pandas.DataFrame([{**self._values(), **named}])

    def _repr_html_(self) -> str:
        rows = [
            (f"Requests that decode at once, risk {words.percent(self.risk)}", f"{self.sequences:,}"),
            ("At even odds", f"{self.sequences_even:,}"),
            ("Tokens of a resident request", f"{self.mean_tokens:,.0f} ± {self.sd_tokens:,.0f}"),
            ("With a full queue", f"{self.saturated:,.0f}"),
            ("max_num_seqs that keeps the risk", f"{self.max_num_seqs:,}"),
            ("Traffic", words.lengths(self.workload)),
        ]
        return table(f"{self.plan.model.name} on {self.plan.gpus_per_replica} × {self.plan.accelerator.name}", rows)


@friendly
def concurrency(plan: Plan, workload: Workload, risk: float = 0.01) -> Concurrency:
    """Return how many requests of a workload one replica holds at a risk that its pool is exceeded.

    Parameters
    ----------
    plan : Plan
        The plan of one replica; its ``seq_len`` cuts prompts and outputs [-].
    workload : Workload
        The traffic [-].
    risk : float
        The share of time in which the pool may be exceeded, from 1e-6 to 0.5 [-].

    Returns
    -------
    Concurrency
        By memory alone, not capped by ``max_num_seqs``.

    Raises
    ------
    InvalidValueError
        If the risk is out of bounds.

    Notes
    -----
    Blocks of a resident request are summed over the distribution of residents, pool by pool and stage by stage; the
    tightest decides. Prefill is taken as instantaneous.
    """
    risk = check_asked(plan, workload, risk)
    request = plan.request
    _, some = traffic_of(workload, request.seq_len)
    mean, variance, _ = some.moments(some.tokens)
    ranks = request.attention_replicas
    stages = loaded(plan, workload)
    held = min(held_by(pools, risk) for pools in stages)
    even = min(held_by(pools, EVEN) for pools in stages)
    saturated = settles_at(plan, workload, plan.rules.admission)
    return Concurrency(
        sequences=held * ranks,
        sequences_even=even * ranks,
        mean_tokens=mean,
        sd_tokens=variance**0.5,
        saturated=saturated,
        max_num_seqs=max(1, min(held, _whole(saturated / ranks))),
        risk=risk,
        plan=plan,
        workload=workload,
    )


def _whole(count: float) -> int:
    """Return the whole requests in a mean number of them, but for its rounding [-]."""
    return int(count * (1 + 1e-9)) if count < NO_LIMIT else NO_LIMIT


def check_asked(plan: Any, workload: Any, risk: Any) -> float:
    """Return a risk [-]; refuse one out of bounds, and what is no plan or no workload."""
    check_plan(plan)
    check_workload(workload)
    return checked_risk(risk)


def checked_risk(risk: Any) -> float:
    """Return a risk; raise ``InvalidValueError`` for one that is out of bounds [-]."""
    found: float = OF_RISK.validate({"risk": risk})["risk"]
    return found


def settles_at(plan: Plan, workload: Workload, admission: Admission, end: int | None = None) -> float:
    """Return what a rule of admission settles at: the pool over what it reserves for a request in the mean.

    Of the pool at the low (0) or the high end (1) of its range, where one is given.
    """
    pairs, some = traffic_of(workload, plan.request.seq_len)
    return settled_in(plan, workload, admission, pairs, some, loaded_at(plan, workload, some, end))


def settled_in(
    plan: Plan,
    workload: Workload,
    admission: Admission,
    pairs: Pairs,
    some: Residents,
    loads: Sequence[Sequence[LoadedPool]],
) -> float:
    """Return the same of pools under load, of a whole replica [-]."""
    fewest = float("inf")
    for pools in loads:
        for pool in pools:
            key = "reserved", admission, id(pool.blocks), plan.request.seq_len, workload.max_output_tokens
            if key not in some.known:
                some.known[key] = _reserved(pool, plan, pairs, workload, admission)
            fewest = min(fewest, (1 - admission.watermark) * pool.free / (some.known[key] or 1.0))
    return fewest * plan.request.attention_replicas


def _reserved(under_load: LoadedPool, plan: Plan, pairs: Pairs, workload: Workload, admission: Admission) -> float:
    """Return the blocks that a rule of admission reserves for a request in the mean [-]."""
    import numpy

    length, pool = plan.request.seq_len, under_load.pool
    if admission.whole_context:
        return float(pool.blocks(length))
    if not admission.whole_output and not admission.reserve_ratio:
        return under_load.moments[0]
    cut = numpy.clip(length - pairs.prompt_tokens, 1, workload.max_output_tokens or length)
    outputs = pairs.mean(pairs.output_tokens)
    if admission.whole_output:
        return pairs.mean(pairs.output_tokens * pool.blocks(pairs.prompt_tokens + cut)) / outputs
    left = numpy.minimum(numpy.maximum(cut - pairs.output_tokens / 2, 0), admission.reserve_most_tokens)
    tokens = admission.reserve_ratio * pairs.mean(pairs.output_tokens * left) / outputs
    return under_load.moments[0] + tokens * _blocks_a_token(pool)


def _blocks_a_token(pool: Pool) -> float:
    return sum(claim.weight / claim.block_size for claim in pool.claims if claim.block_size and claim.limit >= NO_LIMIT)
