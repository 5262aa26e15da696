"""A plan file beside what it was: which deployments are other, in what, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.planning.answer import Plan
from calculator.planning.comparing.compare import Comparison, compare
from calculator.planning.files.plan_file import read_each
from calculator.reading import strict_yaml


@dataclass(frozen=True)
class Changed:
    """A deployment that is other than it was.

    Attributes
    ----------
    name : str
        What it is called.
    before, after : Plan or None
        Its plan then and now; None where there was none, or is none any more.
    line : int
        Where it stands now, 1 where it does no more.
    """

    name: str
    before: Plan | None
    after: Plan | None
    line: int

    @property
    def comparison(self) -> Comparison | None:
        """What differs, where it was and is."""
        return compare(self.before, self.after) if self.before and self.after else None


def changed_deployments(before: strict_yaml.Document | None, after: strict_yaml.Document) -> list[Changed]:
    """Return the deployments of a file that are new, gone, or answer otherwise than in another version of it.

    Deployments are known by their names; one that cannot be answered counts as none. Where there was no other version,
    all are new.

    Raises
    ------
    FileFormatError
        If either is no plan file.
    """
    old = {one.name: one for one in read_each(before)[0]} if before else {}
    new = {one.name: one for one in read_each(after)[0]}
    found = []
    for name in dict.fromkeys((*old, *new)):
        was, is_now = old.get(name), new.get(name)
        line = after.line(is_now.location) if is_now else 1
        made = Changed(name, was.plan if was else None, is_now.plan if is_now else None, line)
        if made.comparison is None or made.comparison.changed:
            found.append(made)
    return found
