"""Which version holds how much: the same request at every version of an engine at which a rule changes."""

from __future__ import annotations

from dataclasses import dataclass

from calculator.engines.versions import in_words
from calculator.errors import CalculatorError
from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.planning.plan import vary
from calculator.views.base import ABSENT, Row, View, possible

NAME, TITLE = "versions", phrase("Versions")


@dataclass(frozen=True, eq=False)
class VersionRow(Row):
    """The answer at one version.

    Attributes
    ----------
    version : str
        The version from which these rules hold.
    this_plan : bool
        Whether the plan's own rules are these.
    refused : str
        Why it cannot serve the request; empty where it can.
    max_batch_size, max_batch_size_low, max_batch_size_high : int
        Sequences that one replica holds, and the range of that [-].
    reported_kv_tokens : int
        The token count that its log shows [tokens].
    kv_pool_bytes_per_gpu, allocated_bytes_per_sequence : int
        The KV pool of one GPU, and what one sequence takes of it [bytes].
    source : str
        What changed, and where that is read from.
    """

    version: str
    this_plan: bool
    refused: str = ""
    max_batch_size: int = ABSENT
    max_batch_size_low: int = ABSENT
    max_batch_size_high: int = ABSENT
    reported_kv_tokens: int = ABSENT
    kv_pool_bytes_per_gpu: int = ABSENT
    allocated_bytes_per_sequence: int = ABSENT
    source: str = ""

    @property
    def called(self) -> str:
        """What the row is called where it is said to be impossible."""
        return self.version


def versions_view(plan: Plan) -> View[VersionRow]:
    """Answer a request at every version of its engine at which a rule changes.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        A row a version, the oldest first; none where the engine's rules are known of one version alone.
    """
    changes = plan.rules.changes
    own = max((change.since for change in changes if in_words(change.since) == plan.rules.version), default=None)
    rows = (
        [_row(plan, in_words(one.since), one.since == own, one.source) for one in changes] if len(changes) > 1 else []
    )
    return View(NAME, TITLE, _finding(plan, rows), plan, rows)


def _row(plan: Plan, version: str, is_own: bool, source: str) -> VersionRow:
    try:
        other = vary(plan, engine_version=version)
    except CalculatorError as error:
        return VersionRow(version, is_own, str(error), source=source)
    return VersionRow(
        version=version,
        this_plan=is_own,
        max_batch_size=other.max_batch_size,
        max_batch_size_low=other.max_batch_size_low,
        max_batch_size_high=other.max_batch_size_high,
        reported_kv_tokens=other.reported_kv_tokens,
        kv_pool_bytes_per_gpu=other.kv_pool_bytes,
        allocated_bytes_per_sequence=other.allocated_bytes_per_sequence,
        source=source,
    )


def _finding(plan: Plan, rows: list[VersionRow]) -> str:
    answered, engine, tokens = possible(rows), plan.rules.title, plan.request.seq_len
    if not answered:
        return say("versions.one", "The rules of {engine} are known of one version alone.", engine=engine)
    most = max(answered, key=lambda row: row.max_batch_size)
    fewest = min(answered, key=lambda row: row.max_batch_size)
    values = {"engine": engine, "tokens": tokens, "first": answered[0].version, "last": answered[-1].version}
    if most.max_batch_size == fewest.max_batch_size:
        return say(
            "versions.same",
            "{engine} holds {most:,} sequences of {tokens:,} tokens on a replica from {first} to {last}.",
            most=most.max_batch_size, **values,
        )  # fmt: skip
    return say(
        "versions.range",
        "From {first} to {last} a replica of {engine} holds {fewest:,} ({least_version}) to {most:,} ({most_version}) "
        "sequences of {tokens:,} tokens.",
        fewest=fewest.max_batch_size, least_version=fewest.version,
        most=most.max_batch_size, most_version=most.version, **values,
    )  # fmt: skip
