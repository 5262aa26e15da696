"""How fast one replica serves: the terms of a step, the range that was measured, and whether it was."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from calculator.errors import InvalidValueError, friendly, shown
from calculator.messages import say
from calculator.planning import SCHEMA_VERSION
from calculator.planning.traffic import words
from calculator.planning.traffic.inputs import OF_STEP, check_plan
from calculator.planning.traffic.timing.clients import decoding
from calculator.planning.traffic.timing.domain import range_of, why_not_checked
from calculator.planning.traffic.timing.step import Lengths, Pace, Term, pace_of
from calculator.reading.html import table

if TYPE_CHECKING:
    import pandas

    from calculator.planning.answer import Plan

PROMPT_RANGE = (0.5, 2.9)
"""Times to the first token over computed ones, under load and alone, nine of ten: an order of magnitude [-]."""


@dataclass(frozen=True)
class Speed:
    """How fast one replica serves.

    Attributes
    ----------
    batch_size : float
        Sequences that decode at once, over all ranks of the replica [-].
    time_per_output_token_s, time_per_output_token_s_low, time_per_output_token_s_high : float
        Seconds from one token of a sequence to its next, prefill of new prompts included [s].
    output_tokens_per_second, output_tokens_per_second_low, output_tokens_per_second_high : float
        Tokens of all its sequences [1/s].
    prefill_s, prefill_s_low, prefill_s_high : float
        Seconds that one prompt takes alone on an idle replica, reading the weights once and launching the kernels
        included: an order of magnitude [s].
    prompt_compute_s : float
        Of them FLOPs and all-reduces of the prompt: what it adds to steps that run anyway, and what a hit in a prefix
        cache saves [s].
    terms : tuple of Term
        The parts of a step; they sum to ``time_per_output_token_s``.
    bound : str
        The largest part: weights, kv, compute, links, launch or prefill.
    checked : bool
        Whether such a set-up was measured.
    why : str
        What of it was not.
    prompt_tokens : float
        Mean length of a prompt [tokens].
    output_tokens : float or None
        Mean length of an answer; None for a step without new prompts [tokens].
    plan : Plan
        What was asked.
    """

    batch_size: float
    time_per_output_token_s: float
    time_per_output_token_s_low: float
    time_per_output_token_s_high: float
    output_tokens_per_second: float
    output_tokens_per_second_low: float
    output_tokens_per_second_high: float
    prefill_s: float
    prefill_s_low: float
    prefill_s_high: float
    prompt_compute_s: float
    terms: tuple[Term, ...]
    bound: str
    checked: bool
    why: str
    prompt_tokens: float
    output_tokens: float | None
    plan: Plan = field(repr=False, compare=False)

    @property
    def finding(self) -> str:
        """The answer in a sentence."""
        return words.fast(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the answer as plain values under the documented JSON keys."""
        plain = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("terms", "plan")}
        return {
            "schema_version": SCHEMA_VERSION,
            "fits": self.plan.fits,
            "finding": self.finding,
            **plain,
            "terms": self._rows(),
            "request": asdict(self.plan.request),
            "notes": list(self.plan.notes),
        }

    def _rows(self) -> list[dict[str, Any]]:
        step = self.time_per_output_token_s
        return [{"name": term.name, "seconds": term.seconds, "share": term.seconds / step} for term in self.terms]

    def frame(self) -> pandas.DataFrame:
        """Return the terms of a step as a DataFrame: seconds, and the share of the step."""
        import pandas

        return pandas.DataFrame(self._rows()).rename(columns={"name": "term"})

    def _repr_html_(self) -> str:
        rows = [
            ("Time per output token", f"{words.milliseconds(self.time_per_output_token_s)} ms"),
            *((f"of it: {words.PARTS[term.name]}", f"{words.milliseconds(term.seconds)} ms") for term in self.terms),
            ("Tokens a second, one replica", words.rate(self.output_tokens_per_second)),
            ("One prompt alone", f"{words.milliseconds(self.prefill_s)} ms"),
            ("Checked", words.checked(self)),
        ]
        return table(f"{self.plan.model.name} on {self.plan.gpus_per_replica} × {self.plan.accelerator.name}", rows)


@friendly
def speed(
    plan: Plan,
    batch_size: float | None = None,
    prompt_tokens: float = 1000,
    output_tokens: float | None = 250,
    clients: float | None = None,
    computed_prompt_tokens: float | None = None,
    resident_tokens: float | None = None,
) -> Speed:
    """Return how fast one replica of a plan serves.

    Parameters
    ----------
    plan : Plan
        The plan; it may hold fewer sequences, which is said [-].
    batch_size : float, optional
        Sequences that decode at once, over all ranks of the replica [-].
    prompt_tokens, output_tokens : float
        Mean lengths of a request; output None for a step without new prompts [tokens].
    clients : float, optional
        In place of ``batch_size``: requests in a closed loop; those in prefill, and those for which the pool or the
        limit of sequences has no room, do not decode [-].
    computed_prompt_tokens : float, optional
        What of a prompt is computed, where a prefix cache holds the rest (``prefix_reuse``); by default all [tokens].
    resident_tokens : float, optional
        What a decoding sequence holds in the mean, where lengths vary (``concurrency(...).mean_tokens``); by default
        the prompt and half of the output [tokens].

    Returns
    -------
    Speed
        TPOT, tokens a second and the time of one prompt, each with its range, and the terms behind them.

    Raises
    ------
    CalculatorError
        If a number is out of bounds, or the bandwidth or FLOPs of the device are not known.

    References
    ----------
    Factors fitted to public measured speeds of vLLM, SGLang and TensorRT-LLM.
    """
    check_plan(plan)
    asked: dict[str, Any] = OF_STEP.validate(
        {
            "batch_size": batch_size,
            "clients": clients,
            "prompt_tokens": prompt_tokens,
            "output_tokens": output_tokens,
            "computed_prompt_tokens": computed_prompt_tokens,
            "resident_tokens": resident_tokens,
        }
    )
    if (asked["batch_size"] is None) == (asked["clients"] is None):
        raise InvalidValueError(
            say("speed.give_one_batch_size", "give one of batch_size and clients"), what="batch_size", asked=batch_size
        )
    lengths = Lengths(
        asked["prompt_tokens"], asked["output_tokens"], asked["computed_prompt_tokens"], asked["resident_tokens"]
    )
    if lengths.computed is not None and lengths.computed > lengths.prompt:
        raise InvalidValueError(
            say(
                "speed.computed_prompt_tokens_more",
                "computed_prompt_tokens {computed_prompt_tokens} is more than the {prompt:g} "
                "prompt_tokens of which they are a part",
                computed_prompt_tokens=shown(computed_prompt_tokens),
                prompt=lengths.prompt,
            ),
            what="computed_prompt_tokens",
            asked=computed_prompt_tokens,
            nearest=lengths.prompt,
        )
    count = asked["batch_size"] or decoding(plan, asked["clients"], lengths)
    found = speed_at(plan, count, lengths, pace_of(plan, lengths), asked["clients"])
    return replace(
        found,
        prompt_tokens=prompt_tokens if isinstance(prompt_tokens, int | float) else lengths.prompt,
        output_tokens=output_tokens if isinstance(output_tokens, int | float) else lengths.output,
    )


def speed_at(plan: Plan, count: float, lengths: Lengths, pace: Pace, clients: float | None = None) -> Speed:
    """Return how fast one replica of a plan serves so many sequences, of what its steps take."""
    step = pace.at(count)
    why = why_not_checked(plan, count, lengths, clients)
    low, high = range_of(plan, count, bool(why))
    seconds = step.seconds
    return Speed(
        batch_size=count,
        time_per_output_token_s=seconds,
        time_per_output_token_s_low=seconds * low,
        time_per_output_token_s_high=seconds * high,
        output_tokens_per_second=count / seconds,
        output_tokens_per_second_low=count / (seconds * high),
        output_tokens_per_second_high=count / (seconds * low),
        prefill_s=step.alone_s,
        prefill_s_low=step.alone_s * PROMPT_RANGE[0],
        prefill_s_high=step.alone_s * PROMPT_RANGE[1],
        prompt_compute_s=step.prompt_s,
        terms=step.terms,
        bound=max(step.terms, key=lambda term: term.seconds).name,
        checked=not why,
        why=why,
        prompt_tokens=lengths.prompt,
        output_tokens=lengths.output,
        plan=plan,
    )
