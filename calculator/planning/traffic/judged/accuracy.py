"""Public measured speeds beside what ``speed`` answers for the same set-up.

Rows are told apart by a rule fixed beforehand, the hash of their id: those that figures may be fitted to (given), and
those held out.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from calculator.catalogue.presets import data_file
from calculator.engines import ENGINES
from calculator.engines.measured import BANDS, group_of
from calculator.errors import CalculatorError, UnknownNameError
from calculator.planning.answer import Plan
from calculator.planning.plan import plan
from calculator.planning.traffic.timing.speed import speed

QUEUE = 1e6
"""Clients of a row that prints only that there were more than memory holds [-]."""
COUNTS = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
SWITCHES = ("enable_attention_dp", "enable_expert_parallel")
NAMES = ("engine", "model", "gpu", "weight_dtype", "kv_cache_dtype")


@dataclass(frozen=True)
class Measured:
    """A row of the table of speed figures: what was run and what was measured.

    Attributes
    ----------
    id, kind, source : str
        The row; ``serve`` (a closed loop), ``static`` (one batch), ``full`` (a full queue), ``burst`` (requests sent at
        once) or ``ttft1`` (one request).
    asked : dict
        Keywords of ``plan``.
    prompt_tokens, output_tokens : float
        Mean lengths [tokens].
    sequences : float or None
        Clients of a closed loop, or the batch [-].
    clients : float or None
        Those of a full queue, None where they are not printed [-].
    tpot_s, ttft_s, output_tokens_per_second : float or None
        What was measured, None where it is not printed [s, s, 1/s].
    """

    id: str
    kind: str
    source: str
    asked: dict[str, Any]
    prompt_tokens: float
    output_tokens: float
    sequences: float | None
    clients: float | None
    tpot_s: float | None
    ttft_s: float | None
    output_tokens_per_second: float | None

    @property
    def given(self) -> bool:
        """Whether figures may be fitted to the row: the first byte of the hash of its id is even."""
        return hashlib.sha256(self.id.encode()).digest()[0] % 2 == 0

    @property
    def step_s(self) -> float | None:
        """Seconds from one token to the next; of one static batch, its share of prefill included [s]."""
        if (
            self.tpot_s is None
            and self.sequences
            and self.output_tokens_per_second
            and self.kind in ("serve", "static")
        ):
            return self.sequences / self.output_tokens_per_second
        return self.tpot_s

    @property
    def decoding(self) -> float | None:
        """Sequences that decoded at once: those in prefill did not, ``N = clients × O t / (TTFT + O t)`` [-]."""
        if self.sequences is None or self.ttft_s is None or self.tpot_s is None:
            return self.sequences
        answering = self.output_tokens * self.tpot_s
        return self.sequences * answering / (self.ttft_s + answering)

    @property
    def rate(self) -> float | None:
        """Tokens a second of a closed loop, as printed or from its times [1/s]."""
        if self.output_tokens_per_second or self.sequences is None or self.tpot_s is None or self.ttft_s is None:
            return self.output_tokens_per_second
        return self.sequences * self.output_tokens / (self.ttft_s + (self.output_tokens - 1) * self.tpot_s)


@dataclass(frozen=True)
class Judged:
    """A row beside its answer.

    Attributes
    ----------
    row : Measured
        The row.
    plan : Plan or None
        Its plan, None where its engine, model or device is not known here.
    refused : str
        Why there is none.
    group : str
        The group whose range holds.
    checked : bool
        Whether the answer says that such a set-up was measured.
    step_error, rate_error, first_error : float or None
        Computed over measured, less 1: of the step at the sequences that decoded, of tokens a second with only the
        clients known (of a full queue: from this package's own pool), of the time to the first token [-].
    in_range : bool or None
        Whether the measured step lies within the range of its group, which that of the answer is at least; of one
        request whether the first token lies within that of ``prefill_s``.
    """

    row: Measured
    plan: Plan | None
    refused: str = ""
    group: str = ""
    checked: bool = False
    step_error: float | None = None
    rate_error: float | None = None
    first_error: float | None = None
    in_range: bool | None = None


@cache
def measured() -> tuple[Measured, ...]:
    """Return the rows of the table of speed figures, in their order."""
    text = data_file("speed_figures.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(map(_read, csv.DictReader(lines)))


def _read(cells: dict[str, str]) -> Measured:
    def number(name: str, factor: float = 1.0) -> float | None:
        return float(cells[name]) * factor if cells[name] else None

    asked: dict[str, Any] = {name: cells[name] for name in NAMES}
    asked |= {name: int(cells[name]) for name in COUNTS if cells[name]}
    asked |= {name: True for name in SWITCHES if cells[name]}
    if cells["version"]:
        asked["engine_version"] = cells["version"]
    prompt, output = number("prompt_tokens") or 0.0, number("output_tokens") or 0.0
    asked["seq_len"] = math.ceil(prompt + output)
    return Measured(
        cells["id"], cells["kind"], cells["source"], asked, prompt, output, number("sequences"), number("clients"),
        number("tpot_ms", 1e-3), number("ttft_ms", 1e-3), number("output_tokens_per_second"),
    )  # fmt: skip


@cache
def judged() -> tuple[Judged, ...]:
    """Return every row beside its answer."""
    return tuple(map(_judge, measured()))


def planned() -> Iterator[tuple[Measured, Plan]]:
    """Yield the rows that can be planned, with their plans."""
    for row in measured():
        found = _plan_of(row)
        if isinstance(found, Plan):
            yield row, found


@cache
def _same(*asked: tuple[str, Any]) -> Plan | str:
    try:
        return plan(**dict(asked))
    except CalculatorError as error:
        return f"{error.what} {error.asked}" if isinstance(error, UnknownNameError) else str(error)


def _plan_of(row: Measured) -> Plan | str:
    """Return the plan of a row, or why there is none."""
    if row.asked["engine"] not in ENGINES:
        return f"engine {row.asked['engine']}"
    return _same(*row.asked.items())


def _judge(row: Measured) -> Judged:
    found = _plan_of(row)
    if isinstance(found, str):
        return Judged(row, None, found)
    lengths = {"prompt_tokens": row.prompt_tokens, "output_tokens": row.output_tokens}
    replicas = found.request.data_parallel_size
    if row.kind == "ttft1":
        first = speed(found, batch_size=1, prompt_tokens=row.prompt_tokens, output_tokens=None)
        held = None if row.ttft_s is None else first.prefill_s_low <= row.ttft_s <= first.prefill_s_high
        error = _error(first.prefill_s, row.ttft_s)
        return Judged(row, found, "", "one request", first.checked, first_error=error, in_range=held)
    if row.kind in ("full", "burst"):
        full = speed(found, clients=(row.clients or QUEUE) / replicas, **lengths)
        group = group_of(found, full.batch_size)
        error = _error(full.output_tokens_per_second * replicas, row.output_tokens_per_second)
        return Judged(row, found, "", group, full.checked, rate_error=error)
    count, step_s = row.decoding, row.step_s
    if count is None or step_s is None:
        return Judged(row, found)
    known = speed(found, batch_size=count / replicas, **lengths)
    low, high = BANDS[group_of(found, count / replicas)]
    held = low <= step_s / known.time_per_output_token_s <= high
    rate = first_error = None
    if row.kind == "serve" and row.sequences is not None:
        loop = speed(found, clients=row.sequences / replicas, **lengths)
        rate = _error(loop.output_tokens_per_second * replicas, row.rate)
        waited = found.rules.speed.first_token(loop.prompt_compute_s, loop.batch_size, loop.time_per_output_token_s)
        first_error = _error(waited, row.ttft_s)
    return Judged(
        row, found, "", group_of(found, count), known.checked, known.time_per_output_token_s / step_s - 1, rate,
        first_error, held,
    )  # fmt: skip


def _error(computed: float, wanted: float | None) -> float | None:
    return computed / wanted - 1 if wanted else None
