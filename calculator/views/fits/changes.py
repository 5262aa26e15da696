"""What would change an answer, as rows that a reader can compare: users, price, and what each change costs besides."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from calculator.catalogue.model_names import meaning
from calculator.catalogue.presets import data_file, model_names
from calculator.messages import joined, say
from calculator.planning.knobs import SPLIT, split_of
from calculator.planning.sizing.layouts import in_words
from calculator.planning.sizing.prices import Given, price_of
from calculator.units import format_size

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.search import Lever

UNKNOWN, NONE_KNOWN = ("lever.no_quality",), "change.unknown"
RISKS_BRIEFLY = {
    "lever.dcp": say("change.dcp", "unmeasured exchange"),
    "lever.ep": say("change.ep", "uneven experts"),
    "lever.attention_dp": say("change.attention_dp", "fewer if uneven"),
    "lever.stages": say("change.stages", "slower for few"),
    "lever.not_verified": say("change.not_verified", "unverified"),
}
"""What is not sure of a change, in few words, by the key of what says it in full."""
OF_A_KIND = 2
"""So many changes of one knob stand among the first [-]."""


@dataclass(frozen=True, eq=False)
class ChangeRow:
    """One change; what it costs in words is made when it is read.

    Attributes
    ----------
    change : Message
        What it is, in a few words.
    users : int
        Users that fit with it, over all replicas [-].
    fits : bool
        Whether those that were asked for do.
    usd_per_hour_low, usd_per_hour_high : float or None
        What all GPUs cost with it [USD/h].
    checkpoint : Message
        Whether weights in its format are known to be published; empty where the weights stay as they are.
    lever : Lever
        The change itself.
    """

    change: str
    users: int
    fits: bool
    usd_per_hour_low: float | None
    usd_per_hour_high: float | None
    checkpoint: str
    lever: Lever

    @cached_property
    def quality(self) -> str:
        """What it may cost in answers, as published; empty where it costs none."""
        return self.lever.quality

    @property
    def is_known(self) -> bool:
        """Whether nothing is unknown of it: quality is published or cannot suffer, and there is a checkpoint."""
        return getattr(self.quality, "key", "") not in UNKNOWN and getattr(self.checkpoint, "key", "") != NONE_KNOWN

    @property
    def costs(self) -> str:
        """What it costs besides the price: quality as published, what is not sure."""
        said = [text for text in (self.quality, self.lever.risk) if text]
        return joined("; ", [*said, self.lever.cost])

    @property
    def briefly(self) -> str:
        """What it costs in so few words that a column of a phone holds most of them, figures first."""
        return _briefly(self.lever, self.quality, self.checkpoint)


def rows_of(plan: Plan, levers: Iterable[Lever], prices: Given | None = None) -> list[ChangeRow]:
    """Return changes of a plan as rows: those that hold what is asked first, the cheapest of them first.

    Parameters
    ----------
    plan : Plan
        The answer that they change [-].
    levers : iterable of Lever
        The changes [-].
    prices : mapping, optional
        The reader's own prices by the ids of GPUs [USD per GPU and hour].

    Returns
    -------
    list of ChangeRow
        One for each.
    """
    rows = [_row(plan, lever, prices) for lever in levers]
    return sorted(rows, key=_order)


def _order(row: ChangeRow) -> tuple[bool, bool, float, bool, bool, int]:
    """Those that hold the load, by price; of one price other splits, which cost nothing, then what is known best.

    The gentlest step comes first: users alone would put 4 bit first everywhere.
    """
    price, splits = row.usd_per_hour_low, row.lever.key == SPLIT.key
    users = -row.users if splits else row.users
    return not row.fits, price is None, price or 0.0, not splits, not row.is_known, users


def first_of(plan: Plan, rows: Sequence[ChangeRow], most: int) -> list[ChangeRow]:
    """Return the rows that are read first: what gains, of each kind the cheapest few, in the order of the rows."""
    held = plan.total_max_batch_size if plan.fits else 0
    counted: dict[str, int] = {}
    found = []
    for row in rows:
        kind = row.lever.key
        if not row.fits or row.users <= held or counted.get(kind, 0) >= OF_A_KIND:
            continue
        counted[kind] = counted.get(kind, 0) + 1
        found.append(row)
    return found[:most]


def _row(plan: Plan, lever: Lever, prices: Given | None) -> ChangeRow:
    price = price_of(lever.plan.accelerator, prices)
    low, high = (each * lever.plan.num_gpus for each in price.usd_per_hour) if price else (None, None)
    return ChangeRow(
        change=in_short(lever),
        users=lever.users,
        fits=lever.plan.fits,
        usd_per_hour_low=low,
        usd_per_hour_high=high,
        checkpoint=_checkpoint(plan, lever.changes),
        lever=lever,
    )


def _briefly(lever: Lever, published: str, checkpoint: str) -> str:
    quality = _parts(published)
    if quality.get("lever.quality"):
        said = say("change.published", "{before:g} → {after:g} {benchmark}", **quality["lever.quality"])
    elif "weight_dtype" in lever.changes and getattr(checkpoint, "key", "") == NONE_KNOWN:
        said = say("change.nothing_known", "checkpoint unknown")
    elif "weight_dtype" in lever.changes:
        said = say("change.checkpoint_known", "checkpoint, unrated")
    elif any(key in quality for key in UNKNOWN):
        said = say("change.not_published", "nothing published")
    elif memory := _parts(lever.cost).get("lever.gpu_memory"):
        said = say("change.memory", "{memory} a GPU", **memory)
    elif lever.key == SPLIT.key:
        said = say("change.same_gpus", "the same GPUs")
    else:
        said = lever.cost
    risks = [text for key, text in RISKS_BRIEFLY.items() if key in _parts(lever.risk)]
    if risks and lever.key == SPLIT.key:
        return joined(", ", risks)
    return joined(", ", [said, *risks])


def _parts(text: str) -> dict[str, dict[str, Any]]:
    """Return what a text says, and each of its parts, by their keys: the values that they were said with."""
    values = getattr(text, "values", {})
    found = {getattr(text, "key", ""): values}
    for part in values.values():
        found |= _parts(part) if isinstance(part, str) else {}
    return found


def in_short(lever: Lever) -> str:
    """Name a change in a few words: ``4 × MI300X``, ``KV in fp8_e4m3``, ``8 GPUs, TP 8``."""
    changes, plan = lever.changes, lever.plan
    request = plan.request
    if "gpu" in changes:
        return say("change.gpu", "{gpus:,} × {name}", gpus=plan.num_gpus, name=plan.accelerator.name)
    if "seq_len" in changes:
        return say("change.length", "{tokens:,} tokens", tokens=request.seq_len)
    if "kv_cache_dtype" in changes:
        return say("change.kv", "KV in {name}", name=request.kv_cache_dtype)
    if "weight_dtype" in changes:
        return say("change.weights", "Weights in {name}", name=request.weight_dtype)
    if "max_num_batched_tokens" in changes:
        return say("change.batched", "{tokens:,} batched tokens", tokens=request.max_num_batched_tokens)
    if "kv_cache_memory_bytes" in changes:
        return say("change.pool", "KV pool of {size}", size=format_size(request.kv_cache_memory_bytes or 0))
    if lever.key == SPLIT.key:
        return say("change.split", "{split}", split=in_words(split_of(plan)))
    if "tensor_parallel_size" in changes or "pipeline_parallel_size" in changes:
        gpus, split = plan.num_gpus, in_words(split_of(plan))
        return say("change.gpus", "{gpus:,} GPUs, {split}" if gpus > 1 else "{gpus:,} GPU, {split}",
                   gpus=gpus, split=split)  # fmt: skip
    return lever.label


def _checkpoint(plan: Plan, changes: dict[str, Any]) -> str:
    if "weight_dtype" not in changes:
        return ""
    known = known_checkpoint(plan.model.id, changes["weight_dtype"])
    return say("change.known", "{name}", name=known) if known else say(NONE_KNOWN, "none known here")


def known_checkpoint(model: str, weight_dtype: str) -> str:
    """Return a repository of a preset in a weight format that a public start-up used; empty where none is known.

    Parameters
    ----------
    model : str
        The id of a preset [-].
    weight_dtype : str
        The weight format [-].
    """
    return _checkpoints().get((model, weight_dtype), "")


@cache
def _checkpoints() -> dict[tuple[str, str], str]:
    """Return the repositories of the table of start-up figures whose names say a preset and a format, by both."""
    lines = data_file("startup_figures.csv").read_text(encoding="utf-8").splitlines()
    found: dict[tuple[str, str], str] = {}
    for row in csv.DictReader(line for line in lines if not line.startswith("#")):
        name = row["logged_model"]
        meant = meaning(name, model_names()) if "/" in name and " " not in name else None
        if meant is not None and meant.weight_dtype:
            found.setdefault((meant.preset, meant.weight_dtype), name)
    return found
