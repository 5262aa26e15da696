"""Traffic as pairs of prompt and output lengths: from a trace, from a shipped table, or from means and variation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite, log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.catalogue.traces import TRACES, trace_text
from calculator.errors import FileFormatError, InvalidValueError, shown, unknown_name

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Lengths = NDArray[numpy.int64]
    Weights = NDArray[numpy.float64]

MOST_CV, MOST_RATE = 100.0, 1e9
MAX_TRACE_BYTES, MAX_TRACE_ROWS = 256 * 2**20, 5_000_000
COLUMNS = ("input_tokens", "output_tokens", "timestamp_s")
OTHER_NAMES = {
    "input_tokens": ("prompt_tokens", "contexttokens", "input_length", "num_prefill_tokens", "prompt_len", "isl"),
    "output_tokens": (
        "generatedtokens",
        "output_length",
        "num_decode_tokens",
        "completion_tokens",
        "output_len",
        "osl",
    ),
    "timestamp_s": ("timestamp", "arrived_at", "arrival_time", "time"),
}
"""What other traces call the same; a trace is refused with the name to use, never guessed."""
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
        What requests ask for at most, which some engines reserve; None for up to the longest sequence [tokens].
    trace : tuple of arrays, or None
        Lengths of a trace, pair by pair; means and variation are then those of the pairs [tokens].
    name, licence, source : str
        Of a trace, what it is called, under which licence it comes, and from where.
    dispersion : float
        Variance over mean of the arrivals in windows of a minute, 1 for Poisson [-].
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

    def __post_init__(self) -> None:
        """Refuse what is no traffic, with the bounds."""
        _number("requests_per_second", self.requests_per_second, 0, MOST_RATE, above=True)
        _number("prompt_tokens", self.prompt_tokens, 1, MAX_TOKENS)
        _number("output_tokens", self.output_tokens, 1, MAX_TOKENS)
        _number("prompt_cv", self.prompt_cv, 0, MOST_CV)
        _number("output_cv", self.output_cv, 0, MOST_CV)
        _number("correlation", self.correlation, -1, 1)
        _number("dispersion", self.dispersion, 0, 1e6)
        _count("shared_prefix_tokens", self.shared_prefix_tokens, 0)
        if self.max_output_tokens is not None:
            _count("max_output_tokens", self.max_output_tokens, 1)
        if self.trace is None:
            _check_correlation(self.prompt_cv, self.output_cv, self.correlation)

    def pairs(self, seq_len: int) -> Pairs:
        """Return the pairs of lengths as an engine with that longest sequence serves them.

        Parameters
        ----------
        seq_len : int
            The longest sequence; prompts are cut at one less, outputs at what is left, at least 1 [tokens].

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
            prompt, output, weights = self._lognormal()
        prompt = numpy.clip(prompt, 1, max(1, seq_len - 1))
        output = numpy.clip(output, 1, numpy.maximum(1, seq_len - prompt))
        return Pairs(prompt, output, weights)

    def _lognormal(self) -> tuple[Any, Any, Any]:
        import numpy

        deviates, share = _normal_grid()
        sigma_p, sigma_o = _sigma(self.prompt_cv), _sigma(self.output_cv)
        together = 0.0
        if sigma_p and sigma_o:
            together = log(1 + self.correlation * self.prompt_cv * self.output_cv) / (sigma_p * sigma_o)
        first, second = (deviates if sigma_p else deviates[:1] * 0), (deviates if sigma_o else deviates[:1] * 0)
        weights = numpy.outer(share if sigma_p else [1.0], share if sigma_o else [1.0]).ravel()
        x, y = (grid.ravel() for grid in numpy.meshgrid(first, second, indexing="ij"))
        y = together * x + sqrt(max(0.0, 1 - together**2)) * y if sigma_o else y
        prompt = _rounded(self.prompt_tokens * numpy.exp(sigma_p * x - sigma_p**2 / 2))
        output = _rounded(self.output_tokens * numpy.exp(sigma_o * y - sigma_o**2 / 2))
        kept = weights > 1e-15 * weights.max()
        return prompt[kept], output[kept], weights[kept] / weights[kept].sum()


def workload_from_trace(
    trace: Any, requests_per_second: float | None = None, max_output_tokens: int | None = None
) -> Workload:
    """Return the workload of a trace, pair by pair.

    Parameters
    ----------
    trace : DataFrame, mapping of columns, path or str
        A table with the columns ``input_tokens`` and ``output_tokens`` and perhaps ``timestamp_s``, or the path of
        a CSV file with them [-].
    requests_per_second : float, optional
        Its rate; by default that of its timestamps [1/s].
    max_output_tokens : int, optional
        What requests ask for at most [tokens].

    Returns
    -------
    Workload
        The pairs as they are, never their means alone.

    Raises
    ------
    CalculatorError
        If a column is missing or a length is no whole number above 0, with the row and the column.
    """
    if isinstance(trace, str | Path):
        path = Path(trace)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_TRACE_BYTES + 1)
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
        return _of_columns(_columns(content, str(path)), path.stem, requests_per_second, max_output_tokens)
    return _of_columns(trace, "trace", requests_per_second, max_output_tokens)


def workload(name: str, requests_per_second: float | None = None, max_output_tokens: int | None = None) -> Workload:
    """Return the workload of a shipped table.

    Parameters
    ----------
    name : str
        One of ``workload_ids()`` [-].
    requests_per_second : float, optional
        Its rate; by default that of the table, 1 where it has no times [1/s].
    max_output_tokens : int, optional
        What requests ask for at most [tokens].

    Returns
    -------
    Workload
        Its pairs, with licence and source.

    Raises
    ------
    UnknownNameError
        If there is no such table.
    """
    from dataclasses import replace

    if name not in TRACES:
        raise unknown_name("workload", name, TRACES)
    about = TRACES[name]
    made = _of_columns(_columns(trace_text(name), name), name, requests_per_second, max_output_tokens)
    return replace(made, licence=about.licence, source=about.source)


def workload_ids() -> tuple[str, ...]:
    """Return the names of the shipped tables."""
    return tuple(TRACES)


def _columns(content: bytes, name: str) -> dict[str, Any]:
    """Read a CSV file into columns of numbers; anything else is refused with row and column."""
    import csv

    if len(content) > MAX_TRACE_BYTES:
        raise FileFormatError(f"{name}: larger than {MAX_TRACE_BYTES:,} bytes, the most that is read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileFormatError(f"{name}: not UTF-8 text") from None
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    reader = csv.reader(lines)
    header = [title.strip() for title in next(reader, [])]
    places = {column: header.index(column) for column in COLUMNS if column in header}
    _check_columns(places, header, name)
    columns: dict[str, list[str]] = {column: [] for column in places}
    for row in reader:
        for column, place in places.items():
            columns[column].append(row[place] if place < len(row) else "")
    return columns


def _check_columns(found: Iterable[str], there: Iterable[str], name: str) -> None:
    there = list(there)
    for column in COLUMNS[:2]:
        if column not in found:
            same = [title for title in there if title.lower().replace(" ", "_") in OTHER_NAMES[column]]
            hint = (
                f"rename {shown(same[0])} to it" if same else f"there are {', '.join(map(shown, there[:8])) or 'none'}"
            )
            raise InvalidValueError(
                f"{name}: the column {column} is missing: {hint}", what=column, allowed=COLUMNS, asked=there[:8]
            )


def _of_columns(
    table: Mapping[str, Any] | Any, name: str, requests_per_second: float | None, max_output_tokens: int | None
) -> Workload:
    import numpy

    titles = list(getattr(table, "columns", table))
    _check_columns(titles, titles, name)
    prompt, output = (_lengths(table[column], column, name) for column in COLUMNS[:2])
    if len(prompt) != len(output):
        raise InvalidValueError(f"{name}: {len(prompt):,} input_tokens stand beside {len(output):,} output_tokens")
    rate, dispersion = requests_per_second, 1.0
    if "timestamp_s" in titles:
        measured, dispersion = _arrivals(table["timestamp_s"], name)
        rate = measured if rate is None else rate
    correlation = 0.0
    if prompt.std() > 0 and output.std() > 0:
        correlation = float(numpy.clip(numpy.corrcoef(prompt, output)[0, 1], -1, 1))
    return Workload(
        requests_per_second=1.0 if rate is None else rate,
        prompt_tokens=float(prompt.mean()),
        output_tokens=float(output.mean()),
        prompt_cv=float(prompt.std() / prompt.mean()),
        output_cv=float(output.std() / output.mean()),
        correlation=correlation,
        max_output_tokens=max_output_tokens,
        trace=(prompt, output),
        name=name,
        dispersion=dispersion,
    )


def _lengths(column: Any, title: str, name: str) -> Any:
    """Return a column of whole numbers above 0 as int64."""
    import numpy

    values = _floats(column, title, name)
    bad = ~((values >= 1) & (values <= MAX_TOKENS) & (values == numpy.floor(values)))
    if bad.any():
        row = int(numpy.argmax(bad))
        raise InvalidValueError(
            f"{name}: row {row + 1:,}, {title}: must be a whole number from 1 to {MAX_TOKENS:,}, "
            f"not {shown(list(column)[row])}; {int(bad.sum()):,} of {len(values):,} rows are so",
            what=title,
            asked=list(column)[row],
        )
    return values.astype(numpy.int64)


def _floats(column: Any, title: str, name: str) -> Any:
    import numpy

    if len(column) == 0:
        raise InvalidValueError(f"{name}: {title} is empty: a trace has at least one request")
    if len(column) > MAX_TRACE_ROWS:
        raise InvalidValueError(f"{name}: {len(column):,} rows; at most {MAX_TRACE_ROWS:,} are read")
    try:
        return numpy.asarray(column, dtype=numpy.float64)
    except (TypeError, ValueError):
        for row, value in enumerate(column):
            try:
                float(value)
            except (TypeError, ValueError):
                raise InvalidValueError(
                    f"{name}: row {row + 1:,}, {title}: must be a number, not {shown(value)}", what=title, asked=value
                ) from None
        raise InvalidValueError(f"{name}: {title} must hold one number a row") from None


WINDOW_S = 60.0


def _arrivals(column: Any, name: str) -> tuple[float | None, float]:
    """Return the rate of a trace's arrivals [1/s] and the dispersion of their counts in windows of a minute [-]."""
    import numpy

    times = _floats(column, "timestamp_s", name)
    if not numpy.isfinite(times).all():
        raise InvalidValueError(f"{name}: timestamp_s must hold finite numbers")
    span = float(times.max() - times.min())
    if span <= 0:
        return None, 1.0
    counts = numpy.bincount(((times - times.min()) // WINDOW_S).astype(numpy.int64))[: max(1, int(span // WINDOW_S))]
    dispersion = float(counts.var() / counts.mean()) if len(counts) > 1 and counts.mean() > 0 else 1.0
    return (len(times) - 1) / span, dispersion


def _normal_grid() -> tuple[Any, Any]:
    import numpy

    deviates = numpy.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    share = numpy.exp(-(deviates**2) / 2)
    return deviates, share / share.sum()


def _rounded(lengths: Any) -> Any:
    import numpy

    return numpy.clip(numpy.rint(lengths), 1, MAX_TOKENS).astype(numpy.int64)


def _sigma(cv: float) -> float:
    return sqrt(log(1 + cv * cv))


def _check_correlation(prompt_cv: float, output_cv: float, correlation: float) -> None:
    """Refuse a correlation that no pair of lognormal lengths can have."""
    from math import exp

    if not correlation or not prompt_cv or not output_cv:
        return
    reach = _sigma(prompt_cv) * _sigma(output_cv)
    low, high = ((exp(sign * reach) - 1) / (prompt_cv * output_cv) for sign in (-1, 1))
    if not low <= correlation <= high:
        nearest = max(low, min(high, correlation))
        raise InvalidValueError(
            f"correlation {correlation:g} is not possible: lognormal lengths with these variations reach "
            f"{low:.3f} to {high:.3f}, the nearest is {nearest:.3f}",
            what="correlation",
            asked=correlation,
            allowed=(low, high),
            nearest=nearest,
        )


def _number(name: str, value: Any, least: float, most: float, *, above: bool = False) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not number or not (least < value <= most if above else least <= value <= most):
        bound = "more than" if above else "at least"
        raise InvalidValueError(
            f"{name} must be {bound} {least:g} and at most {most:g}, not {shown(value)}", what=name, asked=value
        )


def _count(name: str, value: Any, least: int) -> None:
    if type(value) is not int or not least <= value <= MAX_TOKENS:
        raise InvalidValueError(
            f"{name} must be a whole number from {least} to {MAX_TOKENS:,}, not {shown(value)}", what=name, asked=value
        )
