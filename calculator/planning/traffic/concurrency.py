"""How many requests of real traffic one replica holds: through the engine's own blocks, windows, states and pools."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from calculator.architecture.counts import NO_LIMIT
from calculator.engines.pools import Pool
from calculator.errors import InvalidValueError, friendly, shown
from calculator.planning import SCHEMA_VERSION
from calculator.planning.traffic import words
from calculator.planning.traffic.admission import settle
from calculator.planning.traffic.inputs import EVEN, OF_RISK, check_plan
from calculator.planning.traffic.residence import Residents, drawn_at_risk, most_at_risk, residents
from calculator.planning.traffic.workload import Workload
from calculator.reading.html import table

if TYPE_CHECKING:
    import pandas

    from calculator.planning.answer import Plan, Stage
    from calculator.planning.traffic.workload import Pairs

NEAR = 1000
"""Where the sequences that fit whatever they hold come this near, one part in so many, they are the answer."""
MOST_BY_DRAWS = 50_000
"""Of more sequences the expansion is taken as it is: their sum hardly spreads."""


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
        The limit that keeps the risk: sequences of one scheduler [-].
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

        A seeded simulation of the engine's admission on the tightest pool, at either end of the pool's range; none
        where the engine sets the output aside.
        """
        plan, admission = self.plan, self.plan.rules.admission
        if admission.whole_output or admission.whole_context or admission.reserve_ratio:
            return (0.0, 0.0, 0.0)
        pairs = self.workload.pairs(plan.request.seq_len)
        some = residents(pairs)
        stage = min(plan.stages, key=lambda stage: _held(stage, plan, some, self.workload, self.risk))
        found = sorted(
            settle(
                partial(_own_blocks, pool, shared),
                free,
                pairs.prompt_tokens,
                pairs.output_tokens,
                pairs.weights,
                admission.watermark,
                plan.request.max_num_seqs,
                seed,
            ).preemptions_per_request
            for seed, size in enumerate((stage.usable_range[0], stage.usable_bytes, stage.usable_range[1]))
            for pool, free, shared in free_pools(stage, plan, self.workload, size)[:1]
        )
        return found[0], found[1], found[2]

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


def _own_blocks(pool: Pool, shared: int, tokens: Any) -> Any:
    """Return the blocks that requests of so many tokens take for themselves."""
    return (pool.blocks(tokens) - shared).clip(min=0)


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
    pairs = workload.pairs(request.seq_len)
    some = residents(pairs)
    mean, variance, _ = some.moments(some.tokens)
    ranks = request.attention_replicas
    held = min(_held(stage, plan, some, workload, risk) for stage in plan.stages)
    even = min(_held(stage, plan, some, workload, EVEN) for stage in plan.stages)
    settled = min(_settled(stage, plan, some, pairs, workload) for stage in plan.stages)
    return Concurrency(
        sequences=held * ranks,
        sequences_even=even * ranks,
        mean_tokens=mean,
        sd_tokens=variance**0.5,
        saturated=settled * ranks,
        max_num_seqs=max(1, held),
        risk=risk,
        plan=plan,
        workload=workload,
    )


def check_asked(plan: Any, workload: Any, risk: Any) -> float:
    """Return a risk [-]; refuse one out of bounds, and what is no plan or no workload."""
    check_plan(plan)
    if not isinstance(workload, Workload):
        text = f"a workload is a Workload, or what workload and workload_from_trace answer, not {shown(workload)}"
        raise InvalidValueError(text, what="workload", asked=workload, allowed=("Workload",))
    asked: float = OF_RISK.validate({"risk": risk})["risk"]
    return asked


def free_pools(
    stage: Stage, plan: Plan, workload: Workload, pool_bytes: int | None = None
) -> list[tuple[Pool, int, int]]:
    """Return each pool of a stage with its free blocks and the blocks of a shared prefix, which are kept once."""
    size = stage.usable_bytes if pool_bytes is None else pool_bytes
    counts = stage.geometry.counts(size, plan.request.seq_len)
    found = []
    kept_once = min(workload.shared_prefix_tokens, plan.request.seq_len - 1)
    for pool, count in zip(stage.geometry.pools, counts, strict=True):
        shared = sum(
            claim.weight * (kept_once // claim.block_size)
            for claim in pool.claims
            if claim.block_size and claim.limit >= NO_LIMIT
        )
        found.append((pool, max(0, int(count) - pool.held_back - shared), shared))
    return found


def own_blocks(pool: Pool, tokens: Any, shared: int) -> Any:
    """Return the blocks of a pool that residents of so many tokens take for themselves."""
    import numpy

    return numpy.maximum(0, pool.blocks(tokens) - shared).astype(numpy.float64)


def _held(stage: Stage, plan: Plan, some: Residents, workload: Workload, risk: float) -> int:
    pools = free_pools(stage, plan, workload)
    each = risk / len(pools) if risk < EVEN else risk  # any of them may be the one that is exceeded
    fewest = None
    for pool, free, shared in pools:
        values = own_blocks(pool, some.tokens, shared)
        largest = values.max() or 1.0  # what takes none counts as one block, as in ``Pool.sequences``
        count, trusted = most_at_risk(some.moments(values), free, each) if values.any() else (free, True)
        certain = int(free // largest)
        if count - certain <= count // NEAR:
            count = certain
        elif not trusted and count <= MOST_BY_DRAWS:
            count = drawn_at_risk(some, values, free, each)
        fewest = count if fewest is None else min(fewest, count)
    return fewest or 0


def _settled(stage: Stage, plan: Plan, some: Residents, pairs: Pairs, workload: Workload) -> float:
    """Return what the engine's admission settles at: the pool over what it reserves for a request in the mean."""
    import numpy

    admission = plan.rules.admission
    most = workload.max_output_tokens or plan.request.seq_len
    cut = numpy.clip(plan.request.seq_len - pairs.prompt_tokens, 1, most)
    outputs = pairs.mean(pairs.output_tokens)
    fewest = float("inf")
    for pool, free, shared in free_pools(stage, plan, workload):
        if admission.whole_context:
            mean = float(pool.blocks(plan.request.seq_len))
        elif admission.whole_output:
            mean = pairs.mean(pairs.output_tokens * pool.blocks(pairs.prompt_tokens + cut)) / outputs
        else:
            mean = some.moments(own_blocks(pool, some.tokens, shared))[0]
            if admission.reserve_ratio:
                left = numpy.minimum(numpy.maximum(cut - pairs.output_tokens / 2, 0), admission.reserve_most_tokens)
                tokens = admission.reserve_ratio * pairs.mean(pairs.output_tokens * left) / outputs
                mean += tokens * _blocks_a_token(pool)
        fewest = min(fewest, (1 - admission.watermark) * free / (mean or 1.0))
    return fewest


def _blocks_a_token(pool: Pool) -> float:
    return sum(claim.weight / claim.block_size for claim in pool.claims if claim.block_size and claim.limit >= NO_LIMIT)
