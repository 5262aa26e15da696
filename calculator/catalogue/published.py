"""Published quality of KV heads, latent attention and KV formats: pairs of models as printed, each with its source."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, NamedTuple

from calculator.catalogue.presets import data_file
from calculator.errors import FileFormatError, shown
from calculator.messages import say
from calculator.reading import strict_yaml
from calculator.reading.fields import names, text
from calculator.reading.schema import Schema

KINDS = ("mqa", "gqa", "mla", "format")
"""What is compared with multi-head attention; ``format`` is a KV format beside 16 bit."""
CATEGORIES = ("trained", "uptrained", "converted", "format", "speed")


@dataclass(frozen=True, slots=True)
class PublishedPair:
    """One printed pair of values: a model with multi-head attention (or a 16 bit cache), and the same otherwise.

    Attributes
    ----------
    study : str
        The work that prints it.
    category : str
        Trained from scratch, uptrained, converted, a KV format, or a speed.
    kind : str
        ``mqa``, ``gqa``, ``mla`` or ``format``.
    variant, model : str
        What is compared, and of which model.
    num_parameters, num_attention_heads, num_key_value_heads : int or None
        Parameters, query heads and KV heads [-]; None where not printed.
    training_tokens : int or None
        Tokens of training, or of the conversion [tokens].
    kv_saving : float or None
        Share of the KV cache that is saved, where printed [-].
    benchmark, unit : str
        What was measured, and in what.
    higher_is_better : bool
        Whether more of it is better.
    baseline, value : float
        With multi-head attention or a 16 bit cache, and with the variant.
    second_hand : bool
        Whether it was read from a summary, not from the source or a copy of its table.
    source, note : str
        Where it is printed, and under which conditions.
    """

    study: str
    category: str
    kind: str
    variant: str
    model: str
    num_parameters: int | None
    num_attention_heads: int | None
    num_key_value_heads: int | None
    training_tokens: int | None
    kv_saving: float | None
    benchmark: str
    unit: str
    higher_is_better: bool
    baseline: float
    value: float
    second_hand: bool
    source: str
    note: str

    @property
    def change(self) -> float:
        """The variant less the baseline, to the digits that are printed."""
        return round(self.value - self.baseline, 6)

    @property
    def query_heads_per_kv_head(self) -> float | None:
        """H / G [-], None where either is not printed."""
        if not self.num_attention_heads or not self.num_key_value_heads:
            return None
        return self.num_attention_heads / self.num_key_value_heads


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to be said beside published figures.

    Attributes
    ----------
    key : str
        What it is known by.
    kinds : tuple of str
        The kinds of attention, or ``format``, that it bears on.
    says, why, source : str
        What is printed or is not; why sources differ, empty where they do not; and where.
    """

    key: str
    kinds: tuple[str, ...]
    says: str
    why: str
    source: str


@cache
def published_pairs() -> tuple[PublishedPair, ...]:
    """Return every pair of the shipped table, in its order.

    Raises
    ------
    FileFormatError
        If the table is not what it should be, with its line.
    """
    path = data_file("published_quality.csv")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        wanted = [field.name for field in fields(PublishedPair)]
        if header != wanted:
            raise FileFormatError(
                say(
                    "published.columns_must",
                    "{path}:1: the columns must be {names}",
                    path=path,
                    names=", ".join(wanted),
                )
            )
        return tuple(_pair(row, f"{path}:{reader.line_num}") for row in reader)


def _whole(cell: str) -> int | None:
    return int(cell) if cell else None


def _share(cell: str) -> float | None:
    return float(cell) if cell else None


def _yes(cell: str) -> bool:
    return {"yes": True, "no": False}[cell]


def _said(cell: str) -> str:
    if not cell:
        raise ValueError
    return cell


_READ: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("study", "variant", "model", "benchmark", "unit", "source"), _said),
    "category": {name: name for name in CATEGORIES}.__getitem__,
    "kind": {name: name for name in KINDS}.__getitem__,
    **dict.fromkeys(("num_parameters", "num_attention_heads", "num_key_value_heads", "training_tokens"), _whole),
    "kv_saving": _share,
    **dict.fromkeys(("higher_is_better", "second_hand"), _yes),
    **dict.fromkeys(("baseline", "value"), float),
    "note": str,
}
"""What each column holds."""


def _pair(row: list[str], where: str) -> PublishedPair:
    names = [field.name for field in fields(PublishedPair)]
    if len(row) != len(names):
        raise FileFormatError(
            say(
                "published.has_cells_there_columns",
                "{where}: has {row} cells, and there are {names} columns",
                where=where,
                row=len(row),
                names=len(names),
            )
        )
    made = {}
    for name, cell in zip(names, row, strict=True):
        try:
            made[name] = _READ[name](cell)
        except (ValueError, KeyError):
            raise FileFormatError(
                say("published.cannot", "{where}: {name} cannot be {cell}", where=where, name=name, cell=shown(cell))
            ) from None
    return PublishedPair(**made)


_REMARK = {"kinds": names(KINDS), "says": text(600), "source": text(300)}
_SCHEMAS = {
    "conflicts": Schema("Conflict", _REMARK | {"why": text(600)}),
    "missing": Schema("Missing", _REMARK),
    "costs": Schema("Cost", _REMARK),
}


class Remarks(NamedTuple):
    """What stands beside the pairs: conflicts, what is printed nowhere, and what conversions cost."""

    conflicts: tuple[Remark, ...]
    missing: tuple[Remark, ...]
    costs: tuple[Remark, ...]


@cache
def published_remarks() -> Remarks:
    """Return the conflicts between published figures, what is printed nowhere, and what conversions cost.

    Raises
    ------
    FileFormatError
        If the file is not what it should be, with line and field.
    """
    document = strict_yaml.read(data_file("published_remarks.yaml"))
    return Remarks(*(_section(document, name, _SCHEMAS[name]) for name in Remarks._fields))


def _section(document: strict_yaml.Document, section: str, schema: Schema) -> tuple[Remark, ...]:
    found = []
    for key, entry in document.data[section].items():
        for location, problem in schema.all_problems(entry):
            raise document.error((section, key, *location), str(problem))
        found.append(Remark(key, tuple(entry["kinds"]), entry["says"], entry.get("why", ""), entry["source"]))
    return tuple(found)
