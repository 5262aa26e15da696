"""Traffic as pairs of prompt and output lengths: from a trace, from a shipped table, or from means and variation."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import lru_cache
from math import expm1, log1p, sqrt
from typing import TYPE_CHECKING, Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.errors import InvalidValueError, friendly, shown
from calculator.messages import say
from calculator.planning.traffic.columns import COLUMNS, check_pairs, lengths
from calculator.planning.traffic.inputs import OF_MEANS, OF_TRACE

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    from calculator.planning.traffic.reuse.prefixes import Prefixes

    Lengths = NDArray[numpy.int64]
    Weights = NDArray[numpy.float64]

ROUNDING = 1e-9
_STEP, _REACH = 0.02, 8.0
"""Grid of normal deviates that a lognormal is summed over: 8 deviations leave 1e-15 outside."""


@dataclass(frozen=True)
class Pairs:
    """Requests by their lengths, each with its share.

    Attributes
    ----------
    prompt_tokens, output_tokens : array of int64
        Lengths of each request, at least 1 [tokens].
    weights : array of float64
        Its share of all requests; they sum to 1 [-].
    """

    prompt_tokens: Lengths
    output_tokens: Lengths
    weights: Weights

    def mean(self, values: Any) -> float:
        """Return the mean over requests [-]."""
        return float((self.weights * values).sum())


@dataclass(frozen=True)
class Workload:
    """Traffic of a service: how often requests come, and how long they are.

    Attributes
    ----------
    requests_per_second : float
        Mean rate of arrivals over all replicas [1/s].
    prompt_tokens, output_tokens : float
        Mean lengths of a request [tokens].
    prompt_cv, output_cv : float
        Coefficients of variation: standard deviation over mean [-].
    correlation : float
        Pearson correlation of the two lengths [-].
    shared_prefix_tokens : int
        Leading tokens that all prompts share and a prefix cache keeps once [tokens].
    max_output_tokens : int or None
        What requests ask for at most, which cuts longer answers, and which some engines reserve; None for up to the
        longest sequence [tokens].
    trace : tuple of arrays, or None
        Lengths of a trace, pair by pair; means and variation are then those of the pairs [tokens].
    name, licence, source : str
        Of a trace, what it is called, under which licence it comes, and from where.
    dispersion : float
        Variance over mean of the arrivals in windows of a minute, 1 for Poisson; without times it is taken for that of
        the requests in service [-].
    prefix_hit_rate : float or None
        Share of prompt tokens that a prefix cache holds, where it is known; it stands above hashes [-].
    times : array of float64, or None
        When each request of a trace came [s].
    prefixes : Prefixes or None
        What its prompts share, block by block.
    """

    requests_per_second: float
    prompt_tokens: float
    output_tokens: float
    prompt_cv: float = 1.0
    output_cv: float = 1.0
    correlation: float = 0.0
    shared_prefix_tokens: int = 0
    max_output_tokens: int | None = None
    trace: tuple[Any, Any] | None = field(default=None, repr=False, compare=False)
    name: str = ""
    licence: str = ""
    source: str = ""
    dispersion: float = 1.0
    prefix_hit_rate: float | None = None
    times: Any = field(default=None, repr=False, compare=False)
    prefixes: Prefixes | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is no traffic, with the bounds."""
        for name in ("name", "licence", "source"):
            if not isinstance(getattr(self, name), str):
                said = getattr(self, name)
                raise InvalidValueError(
                    say("workload.must_text_not", "{name} must be text, not {said}", name=name, said=shown(said)),
                    what=name,
                    asked=said,
                )
        asked = OF_MEANS if self.trace is None else OF_TRACE
        checked: dict[str, Any] = asked.validate({name: getattr(self, name) for name in asked.fields})
        if self.trace is None:
            _check_correlation(checked["prompt_cv"], checked["output_cv"], checked["correlation"])
        else:
            checked["trace"] = _pairs_of(self.trace)
            checked |= _moments(*checked["trace"])
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        blocks = None if self.prefixes is None else self.prefixes.counts
        for name, beside in (("times", self.times), ("prefixes", blocks)):
            if beside is not None and (self.trace is None or len(beside) != len(self.trace[0])):
                raise InvalidValueError(
                    say(
                        "workload.must_requests_trace_one",
                        "{name} must be of the requests of a trace, one by one",
                        name=name,
                    ),
                    what=name,
                )
        if self.shared_prefix_tokens > self.prompt_tokens:
            raise InvalidValueError(
                say(
                    "workload.shared_prefix_tokens_must",
                    "shared_prefix_tokens must be at most the mean of prompt_tokens, {prompt_tokens:,.0f}, "
                    "not {shared_prefix_tokens:,}: prompts begin with it",
                    prompt_tokens=self.prompt_tokens,
                    shared_prefix_tokens=self.shared_prefix_tokens,
                ),
                what="shared_prefix_tokens",
                asked=self.shared_prefix_tokens,
                allowed=(0, int(self.prompt_tokens)),
                nearest=int(self.prompt_tokens),
            )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, a trace by the number of its requests."""
        plain = {
            one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("trace", "times", "prefixes")
        }
        return {**plain, "num_requests": None if self.trace is None else len(self.trace[0])}

    def pairs(self, seq_len: int) -> Pairs:
        """Return the pairs of lengths as an engine with that longest sequence serves them.

        Parameters
        ----------
        seq_len : int
            The longest sequence; prompts are cut at one less, outputs at what is left, at least 1, and at what the
            requests ask for at most [tokens].

        Returns
        -------
        Pairs
            Each request of a trace, or the lognormal's grid.

        Notes
        -----
        ``ln P`` and ``ln O`` are normal with ``σ² = ln(1 + cv²)``, ``μ = ln mean − σ²/2`` and the correlation
        ``ln(1 + r c_p c_o) / (σ_p σ_o)``, which gives the lengths the Pearson correlation r.
        """
        import numpy

        if self.trace is not None:
            prompt, output = self.trace
            weights = numpy.full(len(prompt), 1 / len(prompt))
        else:
            prompt, output, weights = _lognormal(
                self.prompt_tokens, self.output_tokens, self.prompt_cv, self.output_cv, self.correlation
            )
        prompt = numpy.clip(prompt, 1, max(1, seq_len - 1))
        output = numpy.clip(output, 1, numpy.maximum(1, seq_len - prompt))
        if self.max_output_tokens is not None:
            output = numpy.minimum(output, self.max_output_tokens)
        return Pairs(prompt, output, weights)


@lru_cache(maxsize=4)
def _lognormal(
    prompt_tokens: float, output_tokens: float, prompt_cv: float, output_cv: float, correlation: float
) -> tuple[Any, Any, Any]:
    """Return the grid of lognormal lengths, whatever their rate."""
    import numpy

    deviates, share = _normal_grid()
    sigma_p, sigma_o = _sigma(prompt_cv), _sigma(output_cv)
    together = 0.0
    if sigma_p and sigma_o:
        together = log1p(correlation * prompt_cv * output_cv) / (sigma_p * sigma_o)
    # of lengths that do not vary one deviate stands, whichever
    first, second = (deviates if sigma_p else deviates[:1]), (deviates if sigma_o else deviates[:1])
    weights = numpy.outer(share if sigma_p else [1.0], share if sigma_o else [1.0]).ravel()
    x, y = (grid.ravel() for grid in numpy.meshgrid(first, second, indexing="ij"))
    y = together * x + sqrt(max(0.0, 1 - together**2)) * y if sigma_o else y
    prompt = _rounded(prompt_tokens * numpy.exp(sigma_p * x - sigma_p**2 / 2))
    output = _rounded(output_tokens * numpy.exp(sigma_o * y - sigma_o**2 / 2))
    kept = weights > 1e-15 * weights.max()
    found = prompt[kept], output[kept], weights[kept] / weights[kept].sum()
    for each in found:
        each.flags.writeable = False
    return found


def _normal_grid() -> tuple[Any, Any]:
    import numpy

    deviates = numpy.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    share = numpy.exp(-(deviates**2) / 2)
    return deviates, share / share.sum()


def _rounded(lengths: Any) -> Any:
    import numpy

    return numpy.clip(numpy.rint(lengths), 1, MAX_TOKENS).astype(numpy.int64)


def _sigma(cv: float) -> float:
    return sqrt(log1p(cv * cv))


def _check_correlation(prompt_cv: float, output_cv: float, correlation: float) -> None:
    """Refuse a correlation that no pair of lognormal lengths can have."""
    if not correlation:
        return
    reach = _sigma(prompt_cv) * _sigma(output_cv)
    if not reach:
        text = say(
            "workload.correlation_not_possible_one",
            "correlation {correlation:g} is not possible: one of the lengths does not vary, the nearest is 0",
            correlation=correlation,
        )
        raise InvalidValueError(text, what="correlation", asked=correlation, allowed=(0.0, 0.0), nearest=0.0)
    low, high = (expm1(sign * reach) / (prompt_cv * output_cv) for sign in (-1, 1))
    if not low - ROUNDING <= correlation <= high + ROUNDING:
        nearest = max(low, min(high, correlation))
        raise InvalidValueError(
            say(
                "workload.correlation_not_possible_lognormal",
                "correlation {correlation:g} is not possible: lognormal lengths with these variations "
                "reach {low:.3f} to {high:.3f}, the nearest is {nearest:.3f}",
                correlation=correlation,
                low=low,
                high=high,
                nearest=nearest,
            ),
            what="correlation",
            asked=correlation,
            allowed=(low, high),
            nearest=nearest,
        )


def check_workload(workload: Any) -> None:
    """Refuse what is no workload."""
    if not isinstance(workload, Workload):
        text = say(
            "workload.workload_workload_what_workload",
            "a workload is a Workload, or what workload and workload_from_trace answer, not {workload}",
            workload=shown(workload),
        )
        raise InvalidValueError(text, what="workload", asked=workload, allowed=("Workload",))


def _pairs_of(trace: Any) -> tuple[Lengths, Lengths]:
    """Return the two columns of a trace, checked."""
    if not isinstance(trace, tuple | list) or len(trace) != 2:
        text = say(
            "workload.trace_must_lengths_prompts",
            "trace must be the lengths of prompts and of answers, two columns, not {trace}",
            trace=shown(trace),
        )
        raise InvalidValueError(text, what="trace", asked=trace)
    prompt, output = (lengths(column, name, "trace") for column, name in zip(trace, COLUMNS[:2], strict=True))
    check_pairs(prompt, output, "trace")
    return prompt, output


def _moments(prompt: Lengths, output: Lengths) -> dict[str, float]:
    """Return means, variation and correlation of the lengths of a trace."""
    import numpy

    correlation = 0.0
    if prompt.std() > 0 and output.std() > 0:
        correlation = float(numpy.clip(numpy.corrcoef(prompt, output)[0, 1], -1, 1))
    return {
        "prompt_tokens": float(prompt.mean()),
        "output_tokens": float(output.mean()),
        "prompt_cv": float(prompt.std() / prompt.mean()),
        "output_cv": float(output.std() / output.mean()),
        "correlation": correlation,
    }


Workload.__init__ = friendly(Workload.__init__)  # type: ignore[method-assign]
