"""What converting a trained model costs: to every number of KV heads that its own pool into, and to a latent vector."""

from __future__ import annotations

from dataclasses import dataclass
from math import isinf
from typing import Any

from calculator.messages import phrase, say
from calculator.planning.heads.study import HeadStudy
from calculator.planning.heads.uptraining import Uptraining, conversion_targets, uptraining
from calculator.planning.heads.variants import can_be_latent
from calculator.views.base import ABSENT, Row, View
from calculator.views.heads.chosen import LATENT, known_plan

NAME, TITLE = "converting", phrase("Converting a trained model")
_NOT_OF_SERVICE = ("model", "batch_size")


@dataclass(frozen=True, eq=False)
class ConvertingRow(Row):
    """One conversion.

    Attributes
    ----------
    label : str
        KV heads that it ends with, or MLA.
    tokens : int
        Tokens to train on [tokens].
    flops : int
        FLOPs of that [-].
    gpu_hours : float or None
        Hours of one of the plan's GPUs [h].
    usd_low, usd_high : float or None
        Their price [USD].
    served_tokens_to_pay : float or None
        Output tokens after which faster decode has saved as many hours [tokens]; None where it is not known.
    never_pays : bool
        Whether decode is no faster afterwards, so that nothing pays it back.
    chosen : bool
        Whether it is the one asked about.
    """

    label: str
    tokens: int
    flops: int
    gpu_hours: float | None = ABSENT
    usd_low: float | None = ABSENT
    usd_high: float | None = ABSENT
    served_tokens_to_pay: float | None = ABSENT
    never_pays: bool = False
    chosen: bool = False


def targets(study: HeadStudy) -> list[str]:
    """Return what a model can be converted to: numbers of KV heads below its own, and ``mla``."""
    found = [str(each) for each in conversion_targets(study.model)]
    return [*found, LATENT] if can_be_latent(study.model) else found


def nearest_target(study: HeadStudy, wanted: str | None) -> str | None:
    """Return the target that is wanted, else the nearest below it; None where there is none."""
    offered = targets(study)
    if wanted in offered or not offered:
        return wanted if offered else None
    numbers = [int(each) for each in offered if each != LATENT]
    below = [each for each in numbers if wanted is not None and wanted.isdecimal() and each <= int(wanted)]
    return str(max(below or numbers)) if numbers else LATENT


def converting_view(
    study: HeadStudy, chosen: str, training_tokens: int, share: float | None = None
) -> View[ConvertingRow]:
    """Return the cost of every conversion that a model of a study can have, on the plan's own hardware.

    Parameters
    ----------
    study : HeadStudy
        The study [-].
    chosen : str
        The target whose finding it has, one of ``targets`` [-].
    training_tokens : int
        Tokens that the model was trained on [tokens].
    share : float, optional
        Share of them to train on again; by default 5 % [-].

    Returns
    -------
    View
        A row a target, from the fewest KV heads to the most, latent attention last.

    Raises
    ------
    CalculatorError
        As ``uptraining``.
    """
    plan = known_plan(study)
    service = {name: value for name, value in plan.asked.items() if name not in _NOT_OF_SERVICE and value is not None}
    asked: dict[str, Any] = {} if share is None else {"share": share}
    asked |= {"training_tokens": training_tokens}
    asked |= service | {"seq_len": study.seq_len} if "gpu" in service else {}
    made = {
        each: uptraining(
            study.model, **({"to_latent": True} if each == LATENT else {"to_kv_heads": int(each)}), **asked
        )
        for each in targets(study)
    }
    rows = [_row(each, one, each == chosen) for each, one in made.items()]
    return View(NAME, TITLE, say("converting.finding", "{finding}", finding=made[chosen].finding), plan, rows)


def _row(target: str, made: Uptraining, chosen: bool) -> ConvertingRow:
    never = made.served_tokens_to_pay is not None and isinf(made.served_tokens_to_pay)
    low, high = made.usd or (None, None)
    return ConvertingRow(
        "MLA" if target == LATENT else target, made.tokens, made.flops, made.gpu_hours, low, high,
        None if never else made.served_tokens_to_pay, never, chosen,
    )  # fmt: skip
