"""Open arrivals: how many requests are in service at a rate, and how often they exceed the pool."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from calculator.errors import InvalidValueError, friendly, shown
from calculator.messages import say
from calculator.planning import SCHEMA_VERSION
from calculator.planning.traffic.arrivals.in_service import InService
from calculator.planning.traffic.concurrency import check_asked
from calculator.planning.traffic.inputs import MOST_RATE, STEP
from calculator.reading.schema import Schema

if TYPE_CHECKING:
    import pandas

    from calculator.planning.answer import Plan
    from calculator.planning.traffic.workload import Workload

_OF_COMPUTED = Schema("Arrivals", {"computed_prompt_tokens": STEP["computed_prompt_tokens"]})


@dataclass(frozen=True)
class OpenArrivals:
    """What open arrivals make of one replica.

    Attributes
    ----------
    requests_per_second : float
        The rate that comes to the replica [1/s].
    stable : bool
        Whether it keeps up; else requests, times and tokens have no bound.
    requests, sd_requests : float
        Mean and standard deviation of the requests in service, prefill and decode [-].
    batch_size : float
        Those that decode, in the mean [-].
    mean_tokens, sd_tokens : float
        Mean and standard deviation of the tokens that they hold, before blocks [tokens].
    dispersion : float
        Variance over mean of the requests in service, 1 for Poisson arrivals at a step of one length [-].
    time_to_first_token_s, time_per_output_token_s : float
        Means at that rate [s].
    exceeded, exceeded_low, exceeded_high : float
        Share of time in which the pool does not hold all that is in service; at either end of the range of speed [-].
    risk : float
        The stated risk [-].
    largest_requests_per_second, largest_requests_per_second_low, largest_requests_per_second_high : float
        The rate at which the pool is exceeded with that risk, and the range by speed [1/s].
    largest_requests : float
        Mean requests in service at that rate [-].
    """

    requests_per_second: float
    stable: bool
    requests: float
    sd_requests: float
    batch_size: float
    mean_tokens: float
    sd_tokens: float
    dispersion: float
    time_to_first_token_s: float
    time_per_output_token_s: float
    exceeded: float
    exceeded_low: float
    exceeded_high: float
    risk: float
    largest_requests_per_second: float
    largest_requests_per_second_low: float
    largest_requests_per_second_high: float
    largest_requests: float

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as plain values under the documented JSON keys; what has no bound is None."""
        plain = {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}
        return {"schema_version": SCHEMA_VERSION, **plain}

    def frame(self) -> pandas.DataFrame:
        """Return the answer as one row of a DataFrame, so that answers can stand one below the other."""
        import pandas

        return pandas.DataFrame([asdict(self)])


@friendly
def open_arrivals(
    plan: Plan,
    workload: Workload,
    risk: float = 0.01,
    requests_per_second: float | None = None,
    computed_prompt_tokens: float | None = None,
) -> OpenArrivals:
    """Return how many requests are in service on one replica at a rate, and how often its pool is exceeded.

    Parameters
    ----------
    plan : Plan
        The plan of one replica; its ``seq_len`` cuts prompts and outputs [-].
    workload : Workload
        The traffic; times of a trace say how unevenly it comes, else its ``dispersion`` [-].
    risk : float
        The share of time in which the pool may be exceeded, from 1e-6 to 0.5 [-].
    requests_per_second : float, optional
        The rate at this replica; by default the workload's over the plan's replicas [1/s].
    computed_prompt_tokens : float, optional
        What of a mean prompt is computed, where a prefix cache holds the rest (``prefix_reuse``); by default what the
        workload's shared prefix or hit rate leaves, and all where it states neither [tokens].

    Returns
    -------
    OpenArrivals
        At that rate, and the largest rate at the risk; by memory and speed, not capped by ``max_num_seqs``.

    Raises
    ------
    CalculatorError
        If a number is out of bounds, or the bandwidth or FLOPs of the device are not known.

    Notes
    -----
    Tokens held are the sum over R requests of what each holds: mean ``R m``, variance ``R (s² + D m²)``; their
    distribution in blocks is exact but for the law of the number in service (``Compound``). Bursts of a trace are
    taken as common to all its requests: at k times its rate ``D_a − 1`` is k times as large, and on one of k replicas
    one k-th. Requests that wait are counted as in service; the clumping of prefills is not, beyond their mean.

    References
    ----------
    Kelly, Reversibility and Stochastic Networks (1979), 3.3: symmetric queues do not depend on the law of the service.
    """
    risk = check_asked(plan, workload, risk)
    computed = _OF_COMPUTED.validate({"computed_prompt_tokens": computed_prompt_tokens})["computed_prompt_tokens"]
    if requests_per_second is None:
        rate = workload.requests_per_second / plan.request.data_parallel_size
    else:
        rate = requests_per_second
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not number or not 0 < rate <= MOST_RATE:
            raise InvalidValueError(
                say(
                    "open_arrivals.requests_per_second_must",
                    "requests_per_second must be more than 0 and at most {most_rate:g}, not {rate}",
                    most_rate=MOST_RATE,
                    rate=shown(rate),
                ),
                what="requests_per_second",
                asked=rate,
            )
    service = InService(plan, workload, computed)
    at, largest = service.at_rate(rate), service.largest(risk)
    low, high = service.range_of_speed(at.decoding if math.isfinite(at.decoding) else largest.decoding)
    # a replica that is slower throughout is one to which requests come more often
    exceeded = [service.exceeded(load) for load in (at, service.at_rate(rate * low), service.at_rate(rate * high))]
    mean, variance = service.tokens(at)
    return OpenArrivals(
        requests_per_second=float(rate),
        stable=math.isfinite(at.requests),
        requests=at.requests,
        sd_requests=(at.requests * at.dispersion) ** 0.5,
        batch_size=at.decoding,
        mean_tokens=at.requests * mean,
        sd_tokens=(at.requests * (variance + at.dispersion * mean**2)) ** 0.5,
        dispersion=at.dispersion,
        time_to_first_token_s=at.first_token_s,
        time_per_output_token_s=at.step_s,
        exceeded=exceeded[0],
        exceeded_low=min(exceeded),
        exceeded_high=max(exceeded),
        risk=risk,
        largest_requests_per_second=largest.rate,
        largest_requests_per_second_low=largest.rate / high,
        largest_requests_per_second_high=largest.rate / low,
        largest_requests=largest.requests,
    )
