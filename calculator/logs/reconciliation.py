"""A start-up log beside the plan of the same set-up: term by term, in a sentence, and with what explains it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.errors import friendly
from calculator.hardware import Accelerator
from calculator.logs.causes import causes_of
from calculator.logs.compared import compare
from calculator.logs.comparison import HALF_OF_THE_LAST_DIGIT, Comparison, Term
from calculator.logs.questions import Question
from calculator.logs.reading import StartupLog, read_log
from calculator.messages import Message, phrase, say, template
from calculator.planning.answer import SCHEMA_VERSION, Plan
from calculator.request.calibration import Calibration


@dataclass(frozen=True)
class Reconciliation:
    """What a log says beside what was to be expected.

    Attributes
    ----------
    log : StartupLog
        What was read.
    plan : Plan
        The plan of the set-up that the log states.
    terms : tuple of Term
        Figure by figure.
    finding : str
        The result in a sentence.
    causes : tuple of str
        What explains the difference, the likeliest first.
    assumed : tuple of str
        What the log does not state and was taken.
    agrees : bool
        Whether the reported capacity is the predicted one or lies within its range.
    missing : tuple of Question
        What the log does not say and the comparison needs, the first to be asked first.
    calibration : Calibration or None
        What this machine holds, for ``plan(..., calibration=...)``; None where the log does not tell.
    """

    log: StartupLog
    plan: Plan
    terms: tuple[Term, ...]
    finding: str
    causes: tuple[str, ...]
    assumed: tuple[str, ...]
    agrees: bool
    missing: tuple[Question, ...] = ()
    calibration: Calibration | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "engine": self.log.engine,
            "agrees": self.agrees,
            "finding": self.finding,
            "causes": list(self.causes),
            "assumed": list(self.assumed),
            "calibration": self.calibration.as_dict() if self.calibration else None,
            "missing": [question.as_dict() for question in self.missing],
            "terms": [{**asdict(term), "difference": term.difference} for term in self.terms],
            "request": self.plan.as_dict()["request"],
            "problems": list(self.log.problems),
            "not_understood": [{"line": line, "text": text} for line, text in self.log.not_understood],
            "unlisted": self.log.unlisted,
        }


@friendly
def reconcile(
    log: StartupLog | str | bytes,
    model: ModelArchitecture | str | None = None,
    gpu: Accelerator | str | None = None,
    **given: Any,
) -> Reconciliation:
    """Set a start-up log beside the plan of the same set-up, and name what explains the difference.

    Parameters
    ----------
    log : StartupLog, str or bytes
        A log or its content [-].
    model : ModelArchitecture or str, optional
        The model, where the log does not name one of the presets [-].
    gpu : Accelerator or str, optional
        The GPU, where the log does not name it [-].
    **given : object
        Any other keyword of ``plan``; it takes the place of what the log states [-].

    Returns
    -------
    Reconciliation
        Predicted beside reported, and the cause.

    Raises
    ------
    CalculatorError
        If the log cannot be read, or its model or device is not known and not given.
    """
    compared = compare(log if isinstance(log, StartupLog) else read_log(log), model, gpu, given)
    return Reconciliation(
        compared.log,
        compared.plan,
        compared.terms,
        _finding(compared),
        causes_of(compared),
        compared.assumed,
        compared.agrees,
        compared.missing,
        compared.calibration,
    )


def _finding(compared: Comparison) -> Message:
    """Say in a sentence how the two compare."""
    plan, printed, tokens = compared.plan, compared.printed_pool_gib, compared.printed_tokens

    def said(key: str, text: str, **values: Any) -> Message:
        who = {"model": plan.model.name, "engine": plan.rules.title}
        what = say("logs.finding", text, **values)
        return say(f"logs.finding.{key}", "{model} on {engine}: {what}", what=what, **who, **values)

    if not compared.own.sizes_pool:
        if printed is None:
            return said("no_cache", phrase("the log shows no KV cache to compare with."))
        text = template("a KV cache of {predicted:,.2f} MiB is predicted, {reported:,.2f} MiB reported.")
        return said("cache", text, predicted=1024 * compared.predicted_gib, reported=1024 * printed)
    if printed is None and tokens is None:
        return said("no_capacity", phrase("the log shows no KV capacity to compare with."))
    if not compared.knows_device:
        return _without_device(compared, said)
    reported, predicted = compared.reported_gib, compared.predicted_gib
    if reported is None:
        text = template("{predicted:,} tokens are predicted, {reported:,.0f} reported.")
        return said("tokens", text, predicted=plan.reported_kv_tokens, reported=tokens)
    within = "within" if compared.in_range else "outside"
    low, high = compared.range_gib
    if printed is None:
        text = template(
            "{predicted:,} tokens are predicted, {reported:,.0f} reported, outside the range of {low:,.0f} to "
            "{high:,.0f}."
        )
        if compared.in_range:
            text = template(
                "{predicted:,} tokens are predicted, {reported:,.0f} reported, within the range of {low:,.0f} to "
                "{high:,.0f}."
            )
        each = plan.reported_kv_tokens / predicted
        ends = {
            "low": max(0.0, (low - HALF_OF_THE_LAST_DIGIT) * each),
            "high": (high + HALF_OF_THE_LAST_DIGIT) * each,
        }
        return said(f"tokens_{within}", text, predicted=plan.reported_kv_tokens, reported=tokens, **ends)
    text = template(
        "a KV pool of {predicted:.2f} GiB is predicted, {reported:.2f} GiB reported{share}, outside the range of "
        "{low:.2f} to {high:.2f} GiB{but}."
    )
    if compared.in_range:
        text = template(
            "a KV pool of {predicted:.2f} GiB is predicted, {reported:.2f} GiB reported{share}, within the range of "
            "{low:.2f} to {high:.2f} GiB{but}."
        )
    key, but = f"pool_{within}", Message("logs.no_but", "", {})
    share = f" ({predicted / reported - 1:+.1%})".replace("-", "−") if reported > 0 else ""
    holds = {} if compared.holds_what_is_printed else {"held": compared.held_tokens(printed), "tokens": tokens}
    if holds:
        key += "_of_other_tokens"
        but = say("logs.but", ", but it holds {held:,} tokens, {tokens:,.0f} are reported", **holds)
    ends = {"low": max(0.0, low), "high": high}
    return said(key, text, predicted=predicted, reported=reported, share=share, but=but, **ends, **holds)


def _without_device(compared: Comparison, said: Any) -> Message:
    """Say as much as follows without the memory of the device: what the printed pool holds."""
    printed, tokens, reported = compared.printed_pool_gib, compared.printed_tokens, compared.reported_gib
    message: Message
    if printed is None:
        text = template("the device is not known, so the {tokens:,.0f} tokens reported cannot be predicted.")
        if reported:
            text = template(
                "the device is not known, so the {tokens:,.0f} tokens reported cannot be predicted; by this model's "
                "layers they take {reported:.2f} GiB of each GPU."
            )
        message = said("no_device_tokens", text, tokens=tokens, reported=reported)
    elif tokens is None:
        text = template("the device is not known, so the KV pool of {pool:.2f} GiB cannot be predicted.")
        message = said("no_device_pool", text, pool=printed)
    else:
        text = template("the reported pool of {pool:.2f} GiB holds {held:,} tokens, {tokens:,} are reported.")
        message = said("no_device", text, pool=printed, held=compared.held_tokens(printed), tokens=int(tokens))
    return message
