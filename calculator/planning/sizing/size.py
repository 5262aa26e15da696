"""The search: GPUs × counts that can be bought × splits × formats × engines, for a load under goals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_gpu, load_model
from calculator.engines import DEFAULT_ENGINE, engine_rules
from calculator.engines.support import runs_on
from calculator.errors import InvalidValueError, friendly, shown
from calculator.formats.kv import storage_format
from calculator.formats.weights import weight_format
from calculator.hardware import Accelerator
from calculator.messages import Message, phrase, say
from calculator.planning.kv_cache import whole_numbers
from calculator.planning.said.notes import beyond_the_model
from calculator.planning.sizing.bounds import MOST_GPUS
from calculator.planning.sizing.found import Found, Refused
from calculator.planning.sizing.layouts import layouts
from calculator.planning.sizing.loads import Load, length_of, load_of, users_of
from calculator.planning.sizing.logged import check, keywords_for, taken_out
from calculator.planning.sizing.operating import Goals
from calculator.planning.sizing.prices import Given, checked_prices, gpus_of, price_of
from calculator.planning.sizing.search import Kind, Search, by_price
from calculator.planning.sizing.service import Service
from calculator.planning.traffic.concurrency import checked_risk
from calculator.planning.traffic.workload import Workload
from calculator.request import PLAN_SCHEMA, asked_of

SEARCHED = ("gpu", "engine", "weight_dtype", "kv_cache_dtype")
Progress = Callable[[int, int], Any]


@friendly
def size(
    model: ModelArchitecture | str,
    workload: Workload | None = None,
    *,
    users: int | None = None,
    seq_len: int | None = None,
    output_tokens: float | None = None,
    gpus: Sequence[Accelerator | str] | None = None,
    engines: Sequence[str] = (DEFAULT_ENGINE,),
    weight_dtypes: Sequence[str] = ("auto",),
    kv_cache_dtypes: Sequence[str] = ("auto",),
    max_ttft_s: float | None = None,
    max_tpot_s: float | None = None,
    max_gpus: int = 64,
    prices: Given | None = None,
    risk: float = 0.01,
    progress: Progress | None = None,
    max_seconds: float | None = None,
    **plan_keywords: Any,
) -> Found:
    """Find the hardware that serves a load: which GPUs, how many, how they share the model, and at what price.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    workload : Workload, optional
        The traffic, over all replicas [-].
    users : int, optional
        In its place, sequences of ``seq_len`` tokens at once [-].
    seq_len : int, optional
        The longest sequence; of a workload by default the least power of two that holds all but one in a thousand
        requests whole, no longer than the model's own [tokens].
    output_tokens : float, optional
        Tokens of ``seq_len`` that are the answer of one of the users; without it a step has no share of new
        prompts [tokens].
    gpus : sequence, optional
        GPUs or their preset ids, by default the whole catalogue [-].
    engines, weight_dtypes, kv_cache_dtypes : sequence of str
        Engines and formats to try; ``auto`` is the checkpoint's own [-].
    max_ttft_s, max_tpot_s : float, optional
        Goals of the mean time to the first token, and from one token to the next [s].
    max_gpus : int
        GPUs at most [-].
    prices : mapping, optional
        Prices of one's own by the ids of GPUs, each a number or the lowest and the highest; by default the
        catalogue's dated examples [USD per GPU and hour].
    risk : float
        The share of time in which the pool may be exceeded, and of requests that may find every slot taken [-].
    progress : function, optional
        Called with the layouts that were tried and all there are; where it returns False, the search ends there [-].
    max_seconds : float, optional
        When the search ends, whatever is left; by default when all is tried [s].
    **plan_keywords : object
        Any other keyword of ``plan``; a degree of parallelism that is given is kept, and ``calibration`` goes for the
        engine and device that it is of [-].

    Returns
    -------
    Found
        Options cheapest first, near misses, and what was left out and why.

    Raises
    ------
    CalculatorError
        If a name is unknown, a number out of bounds, or neither or both of ``workload`` and ``users`` are given.

    Notes
    -----
    A replica takes 1, 2, 4 … GPUs of a machine, or whole machines; replicas are bought one by one, as many as the load
    needs. Of a kind of GPU, formats and engine, those layouts are options that no other of the kind beats in both GPUs
    and time per output token. Weights of a rank that exceed a device rule a layout out before it is planned, and
    machines are added to a replica only as long as no smaller one holds the load by itself.
    """
    architecture = load_model(model)
    goals, risk = Goals(max_ttft_s, max_tpot_s), checked_risk(risk)
    seq_len, output_tokens = whole_numbers("seq_len", seq_len), whole_numbers("output_tokens", output_tokens)
    longest, load = _load(architecture, workload, users, seq_len, output_tokens, risk)
    if users is not None and output_tokens is None and max_ttft_s is not None:
        raise InvalidValueError(
            say(
                "size.output_tokens_missing_without",
                "output_tokens is missing: without the length of answers no prompts arrive, and no first "
                "token has a time",
            ),
            what="output_tokens",
            allowed=(1, longest - 1),
        )
    calibration, plan_keywords = taken_out(plan_keywords)
    _check_bounds(max_gpus, max_seconds, plan_keywords)
    kinds, refused, notes = _kinds(architecture, gpus, engines, weight_dtypes, kv_cache_dtypes, prices, plan_keywords)
    notes += check(calibration, ((kind.rules.name, kind.gpu) for kind in kinds))
    keywords = {**plan_keywords, "seq_len": longest}
    tries = [
        (kind, list(layouts(architecture, kind.rules, kind.gpu, min(max_gpus, MOST_GPUS), plan_keywords)))
        for kind in kinds
    ]
    to_try, tried = sum(len(each) for _, each in tries), 0
    until = None if max_seconds is None else time.monotonic() + max_seconds
    options: list[Service] = []
    nearly: list[Service] = []
    cut = False
    for kind, each in tries:
        logged = keywords_for(calibration, kind.rules.name, kind.gpu)
        search = Search(architecture, kind, load, goals, max_gpus, {**keywords, **logged})
        for layout in each:
            if until is not None and tried > 0 and time.monotonic() > until:
                cut = True
                break
            search.attempt(layout)
            tried += 1
        options += search.options
        nearly += search.nearly
        if cut:
            break
        if not search.options:
            refused.append(search.why_not())
        if progress is not None and progress(tried, to_try) is False and tried < to_try:
            break
    return Found(
        model=architecture,
        load=load,
        goals=goals,
        seq_len=longest,
        options=tuple(sorted(options, key=by_price)),
        nearly=tuple(sorted(nearly, key=by_price)),
        refused=tuple(refused),
        tried=tried,
        to_try=to_try,
        notes=(*beyond_the_model(architecture, longest), *notes),
    )


def _load(
    model: ModelArchitecture,
    workload: Workload | None,
    users: int | None,
    seq_len: int | None,
    output_tokens: float | None,
    risk: float,
) -> tuple[int, Load]:
    if (workload is None) == (users is None):
        raise InvalidValueError(
            say(
                "size.give_one_workload_users",
                "give one of workload and users: traffic at its rate, or sequences at once",
            ),
            what="users",
        )
    if workload is None:
        length = model.max_position_embeddings if seq_len is None else seq_len
        return length, users_of(users, length, output_tokens)
    if output_tokens is not None:
        raise InvalidValueError(
            say("size.output_tokens_goes_users", "output_tokens goes with users: a workload has its own"),
            what="output_tokens",
        )
    if seq_len is not None:
        users_of(1, seq_len)
    length = length_of(workload, model.max_position_embeddings) if seq_len is None else seq_len
    return length, load_of(length, workload, risk)


def _check_bounds(max_gpus: Any, max_seconds: Any, plan_keywords: dict[str, Any]) -> None:
    if type(max_gpus) is not int or not 1 <= max_gpus <= MOST_GPUS:
        raise InvalidValueError(
            say(
                "size.max_gpus_must_whole",
                "max_gpus must be a whole number from 1 to {most_gpus:,}, not {max_gpus}",
                most_gpus=MOST_GPUS,
                max_gpus=shown(max_gpus),
            ),
            what="max_gpus",
            asked=max_gpus,
            allowed=(1, MOST_GPUS),
        )
    number = isinstance(max_seconds, int | float) and not isinstance(max_seconds, bool)
    if max_seconds is not None and not (number and max_seconds > 0):
        raise InvalidValueError(
            say(
                "size.max_seconds_must_number",
                "max_seconds must be a number above 0, not {max_seconds}",
                max_seconds=shown(max_seconds),
            ),
            what="max_seconds",
            asked=max_seconds,
        )
    for name in SEARCHED:
        if name in plan_keywords:
            raise InvalidValueError(
                say("size.searched_over_give_s", "{name} is searched over: give {name}s", name=name),
                what=name,
                asked=plan_keywords[name],
            )
    PLAN_SCHEMA.validate(asked_of(plan_keywords))


def _kinds(
    model: ModelArchitecture,
    gpus: Sequence[Accelerator | str] | None,
    engines: Sequence[str],
    weight_dtypes: Sequence[str],
    kv_cache_dtypes: Sequence[str],
    prices: Given | None,
    plan_keywords: dict[str, Any],
) -> tuple[list[Kind], list[Refused], list[Message]]:
    """Return the kinds of hardware whose engine runs the formats, cheapest first, those it does not run on, notes."""
    devices = gpus_of(gpus)
    own = checked_prices(prices, devices)
    given = {name: value for name, value in own.items() if any(gpu.id == name for gpu in devices)}
    unused = [load_gpu(name).name for name in own if name not in given]
    notes = [] if not unused else [say(
        "size.unused_prices", "the {prices} of {gpus} {are} not used: only the GPUs that are named are searched",
        prices=phrase("price") if len(unused) == 1 else phrase("prices"), gpus=", ".join(unused),
        are=phrase("is") if len(unused) == 1 else phrase("are"),
    )]  # fmt: skip
    kinds: list[Kind] = []
    refused: list[Refused] = []
    for rules in (engine_rules(name, plan_keywords.get("engine_version")) for name in _names("engines", engines)):
        for weight in dict.fromkeys(
            weight_format(model.resolve_weight_dtype(name)).name for name in _names("weight_dtypes", weight_dtypes)
        ):
            for kv in dict.fromkeys(
                storage_format(model.resolve_kv_dtype(name)).name for name in _names("kv_cache_dtypes", kv_cache_dtypes)
            ):
                for gpu in devices:
                    kind = Kind(gpu, rules, weight, kv, price_of(gpu, given))
                    support = runs_on(rules, gpu, weight, kv)
                    if support.ok:
                        kinds.append(kind)
                    else:
                        refused.append(kind.refused(say("size.not_supported", "{why}", why=support.why)))
    kinds.sort(key=lambda kind: kind.price.usd_per_hour[0] if kind.price else float("inf"))
    return kinds, refused, notes


def _names(what: str, asked: Sequence[str]) -> Iterator[str]:
    names = [asked] if isinstance(asked, str) else list(asked)
    if not names:
        raise InvalidValueError(
            say("size.empty_name_at_least", "{what} is empty: name at least one", what=what), what=what, asked=asked
        )
    yield from names
