"""A plan under a load: how many replicas, how fast they answer, how full they are, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from calculator.messages import Message, say
from calculator.planning import SCHEMA_VERSION
from calculator.planning.command import serve_command
from calculator.planning.plan import vary
from calculator.planning.sizing.layouts import in_words
from calculator.planning.traffic.concurrency import Concurrency, concurrency
from calculator.reading.html import table
from calculator.units import dollars, plural

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.sizing.loads import Load
    from calculator.planning.sizing.operating import Goals
    from calculator.planning.sizing.prices import Price
    from calculator.planning.traffic.timing.speed import Speed

Pair = tuple[float, float]
LIMITS = {
    "memory": say("service.memory", "memory"),
    "tpot": say("service.tpot", "the time per output token"),
    "ttft": say("service.ttft", "the time to the first token"),
    "prefill": say("service.prefill", "the prefill of new prompts"),
    "max_num_seqs": say("service.max_num_seqs", "max_num_seqs"),
}
"""What stops a replica, in words."""


@dataclass(frozen=True)
class Service:
    """A plan under a load.

    Attributes
    ----------
    plan : Plan
        The plan of one replica.
    load : Load
        What it serves.
    replicas : int
        Replicas that the load needs, 0 where memory holds none of it [-].
    batch_size, batch_size_low, batch_size_high : int
        Sequences that decode at once on one replica, where a limit stops it; at either end of the memory's range [-].
    limited_by : str
        What stops it there: memory, tpot, ttft, prefill, or max_num_seqs where that was asked for.
    meets, meets_high : bool
        Whether the goals are met by central means, and by the high ends of their ranges too.
    holds : bool
        Whether so many replicas hold the load at the low end of the memory's range.
    goals : Goals
        What was asked of latency.
    risk : float
        The risk that the pool is exceeded or a request finds all slots taken [-].
    time_per_output_token_s, time_per_output_token_s_low, time_per_output_token_s_high : float or None
        Mean time from one token to the next at ``batch_size``, prefill of new prompts included; None where no speed
        of the device is known [s].
    time_to_first_token_s, time_to_first_token_s_low, time_to_first_token_s_high : float or None
        Mean time to the first token there, an order of magnitude [s].
    output_tokens_per_second, output_tokens_per_second_low, output_tokens_per_second_high : float or None
        Tokens of one replica there [1/s].
    replica_requests_per_second, replica_requests_per_second_low, replica_requests_per_second_high : float or None
        Capacity of one replica there [1/s].
    mean_batch_size : float
        Sequences that decode at once on one replica at the load's own rate, in the mean [-].
    mean_time_per_output_token_s, mean_time_to_first_token_s : float or None
        Mean time from one token to the next, and to the first one, with so many [s].
    utilisation : float
        The load's share of the capacity of all replicas; for users, of the sequences that they hold [-].
    price : Price or None
        What one GPU costs; None where no price is known.
    speed : Speed or None
        The step there, term by term, and whether such a set-up was measured.
    """

    plan: Plan
    load: Load
    replicas: int
    batch_size: int
    batch_size_low: int
    batch_size_high: int
    limited_by: str
    meets: bool
    meets_high: bool
    holds: bool
    goals: Goals
    risk: float
    time_per_output_token_s: float | None
    time_per_output_token_s_low: float | None
    time_per_output_token_s_high: float | None
    time_to_first_token_s: float | None
    time_to_first_token_s_low: float | None
    time_to_first_token_s_high: float | None
    output_tokens_per_second: float | None
    output_tokens_per_second_low: float | None
    output_tokens_per_second_high: float | None
    replica_requests_per_second: float | None
    replica_requests_per_second_low: float | None
    replica_requests_per_second_high: float | None
    mean_batch_size: float
    mean_time_per_output_token_s: float | None
    mean_time_to_first_token_s: float | None
    utilisation: float | None
    price: Price | None
    speed: Speed | None = field(repr=False)

    @property
    def num_gpus(self) -> int:
        """All GPUs: replicas × TP × PP [-]."""
        return self.replicas * self.plan.gpus_per_replica

    @cached_property
    def concurrency(self) -> Concurrency | None:
        """What one replica holds of the workload, by memory alone; None for users."""
        workload = self.load.workload
        return concurrency(self.plan, workload, self.risk) if workload is not None else None

    @property
    def max_num_seqs(self) -> int:
        """The limit of one scheduler that keeps the goals and the risk [-]."""
        return max(1, self.plan.request.split.sequences_on_rank(self.batch_size))

    @cached_property
    def command(self) -> str:
        """The engine's command line of one replica, with that limit."""
        plan = self.plan
        if "max_num_seqs" not in plan.rules.flags:
            return serve_command(plan)
        limited = vary(plan, max_num_seqs=self.max_num_seqs)
        if plan.rules.in_blocks and self.load.workload is not None:  # of shorter requests memory holds more
            limited = replace(limited, max_batch_size=max(limited.max_batch_size, self.batch_size))
        return serve_command(limited)

    @property
    def finding(self) -> Message:
        """The answer in a sentence."""
        gpu = self.plan.accelerator.name
        if not self.batch_size:
            return say("service.none", "{gpu} ({split}) has no room for one request.", gpu=gpu, split=self.split)
        if not self.meets:
            return say(
                "service.missed", "Even one request at a time misses the goal of {limit} on {gpu} ({split}).",
                limit=LIMITS[self.limited_by], gpu=gpu, split=self.split,
            )  # fmt: skip
        price = self.usd_per_hour
        money = say("service.price", ", for {price} an hour", price=dollars(*price)) if price else ""
        return say(
            "service.answer",
            "{replicas} of {gpu} ({split}), {gpus} in all{money}: each runs up to {batch:,} at once, where {limit} "
            "stops it{held}.",
            replicas=plural(self.replicas, "replica"), gpu=gpu, split=self.split, gpus=plural(self.num_gpus, "GPU"),
            money=money, batch=self.batch_size, limit=LIMITS[self.limited_by],
            held="" if self.holds else say("service.not_held", ", and they do not hold the load"),
        )  # fmt: skip

    @property
    def split(self) -> str:
        """How the GPUs of a replica share the model, in words."""
        return in_words(self.plan.asked)

    @property
    def requests_per_second(self) -> float | None:
        """The load's own rate; for users what they ask of it, where outputs are known [1/s]."""
        workload, users = self.load.workload, self.load.users
        if workload is not None:
            return workload.requests_per_second
        output, step = self.load.output_tokens, self.time_per_output_token_s
        return users / (output * step) if users and output and step else None

    @property
    def usd_per_hour(self) -> Pair | None:
        """What all GPUs cost: the lowest and the highest price, None where no price is known [USD per hour]."""
        return _times(self.price.usd_per_hour if self.price else None, self.num_gpus)

    @property
    def usd_per_million_output_tokens(self) -> Pair | None:
        """The same for a million output tokens, at the load's own rate; for users with all of them decoding [USD]."""
        rate, output = self.requests_per_second, self.load.output_tokens
        if self.load.users is not None and not output:
            return self.usd_per_million_output_tokens_full
        return _times(self.usd_per_hour, 1e6 / (3600 * rate * output) if rate and output else None)

    @property
    def usd_per_million_output_tokens_full(self) -> Pair | None:
        """The same with every replica at its capacity [USD]."""
        tokens = self.output_tokens_per_second
        return _times(self.usd_per_hour, 1e6 / (3600 * self.replicas * tokens) if tokens and self.replicas else None)

    @property
    def usd_per_request(self) -> Pair | None:
        """The same for a request, at the load's own rate [USD]."""
        rate = self.requests_per_second
        return _times(self.usd_per_hour, 1 / (3600 * rate) if rate else None)

    @property
    def usd_per_user_hour(self) -> Pair | None:
        """The same for each sequence that decodes at once, at capacity [USD per sequence and hour]."""
        held = self.replicas * self.batch_size
        return _times(self.usd_per_hour, 1 / held if held else None)

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as plain values under the documented JSON keys."""
        request, price = self.plan.request, self.price
        return {
            "schema_version": SCHEMA_VERSION,
            "finding": str(self.finding),
            **self.row(),
            "risk": self.risk,
            "max_ttft_s": self.goals.max_ttft_s,
            "max_tpot_s": self.goals.max_tpot_s,
            "requests_per_second": self.requests_per_second,
            "users": self.load.users,
            "max_num_seqs": self.max_num_seqs,
            "price_is_own": price.own if price else None,
            "checked": self.speed.checked if self.speed else None,
            "why": self.speed.why if self.speed else None,
            "terms": {term.name: term.seconds for term in self.speed.terms} if self.speed else None,
            "seq_len": request.seq_len,
            "engine_version": request.engine_version,
            "command": self.command if self.batch_size else None,
        }

    def row(self) -> dict[str, Any]:
        """Return the answer as one row of a table, without what takes long to say."""
        request, price = self.plan.request, self.price
        split = {name: getattr(request, name) for name in _SPLIT}
        numbers = {name: getattr(self, name) for name in _NUMBERS}
        for name in _PAIRS:
            low, high = getattr(self, name) or (None, None)
            numbers |= {f"{name}_low": low, f"{name}_high": high}
        return {
            "gpu": self.plan.accelerator.id,
            "num_gpus": self.num_gpus,
            "replicas": self.replicas,
            "engine": request.engine,
            "weight_dtype": request.weight_dtype,
            "kv_cache_dtype": request.kv_cache_dtype,
            **split,
            "limited_by": self.limited_by,
            "meets": self.meets,
            "meets_high": self.meets_high,
            "holds": self.holds,
            **numbers,
            "price_date": price.date or None if price else None,
            "price_quotes": price.quotes if price else None,
        }

    def _repr_html_(self) -> str:
        rows = [(name.replace("_", " "), _cell(value)) for name, value in self.row().items() if value is not None]
        return table(str(self.finding), rows)


_SPLIT = (
    "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "decode_context_parallel_size",
    "enable_expert_parallel", "enable_attention_dp",
)  # fmt: skip
RANGED = (
    "time_per_output_token_s",
    "time_to_first_token_s",
    "output_tokens_per_second",
    "replica_requests_per_second",
)
_NUMBERS = (
    "batch_size", "batch_size_low", "batch_size_high",
    *(f"{name}{end}" for name in RANGED for end in ("", "_low", "_high")),
    "mean_batch_size", "mean_time_per_output_token_s", "mean_time_to_first_token_s", "utilisation",
)  # fmt: skip
_PAIRS = (
    "usd_per_hour", "usd_per_million_output_tokens", "usd_per_million_output_tokens_full", "usd_per_request",
    "usd_per_user_hour",
)  # fmt: skip


def _times(pair: Pair | None, factor: float | None) -> Pair | None:
    return (pair[0] * factor, pair[1] * factor) if pair and factor is not None else None


def _cell(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
