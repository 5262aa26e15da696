"""One row of a study, by the name that links and flags know it by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from calculator.errors import InvalidValueError, shown
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.planning.answer import Plan
    from calculator.planning.heads.rows import HeadRow
    from calculator.planning.heads.study import HeadStudy

LATENT, OWN, LISTED = "mla", "own", "list"


def name_of(row: HeadRow) -> str:
    """Return what a row is known by: its KV heads, ``mla``, ``own`` where the model's layers differ, or ``list``."""
    if row.is_counted:
        return str(row.num_key_value_heads)
    if row.kind == LATENT:
        return LATENT
    return OWN if row.this_model else LISTED


def names(rows: Sequence[HeadRow]) -> list[str]:
    """Return what the rows of a study are known by, in their order, each once."""
    return list(dict.fromkeys(map(name_of, rows)))


def row_of(study: HeadStudy, name: str | None = None) -> HeadRow:
    """Return the row of a name; by default that of the model as it is.

    Raises
    ------
    InvalidValueError
        If the study has no such row, with the nearest that it has.
    """
    rows = study.rows
    if name is None:
        return next((row for row in rows if row.this_model), rows[0])
    found = next((row for row in rows if name_of(row) == name), None)
    if found is None:
        nearest = _nearest(study, name)
        wanted = name if name.isdecimal() else shown(name)
        raise InvalidValueError(
            say(
                "chosen.cannot_have_kv_heads",
                "{name} cannot have {wanted} KV heads here: there are {names}, the nearest is {nearest}",
                name=study.model.name,
                wanted=wanted,
                names=", ".join(names(rows)),
                nearest=nearest,
            ),
            what="kv_heads",
            asked=name,
            allowed=tuple(names(rows)),
            nearest=nearest,
        )
    return found


def plan_of(study: HeadStudy, row: HeadRow) -> Plan | None:
    """Return the plan behind a row; None where it is refused."""
    return next(plan for each, plan in zip(study.rows, study.plans, strict=True) if each is row)


def known_plan(study: HeadStudy) -> Plan:
    """Return the plan of the model as it is, or of the first row that has one: what is asked is the same in all."""
    own = plan_of(study, row_of(study))
    return own or next(plan for plan in study.plans if plan)


def ends(study: HeadStudy) -> tuple[HeadRow | None, HeadRow | None]:
    """Return the rows of multi-head and of multi-query attention, where the study has them."""
    by_kind = {row.kind: row for row in study.rows if row.is_counted}
    return by_kind.get("mha"), by_kind.get("mqa")


def _nearest(study: HeadStudy, name: str) -> str:
    counted = [row.num_key_value_heads for row in study.rows if row.num_key_value_heads]
    if not name.isdecimal() or not counted:
        return name_of(row_of(study))
    return str(min(counted, key=lambda count: (abs(count - int(name)), count)))
