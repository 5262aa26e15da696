"""``plan()``: budget → KV pool → blocks → sequences and context, or why it does not fit.

Per GPU::

    KV pool = what the engine may use − weights − overheads
    batch   = what the engine's pools hold of one sequence's blocks    (the tightest pipeline stage decides)
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import is_a_preset, load_gpu, load_model
from calculator.engines.base import Engine
from calculator.engines.beside.refusals import Refusal, too_long
from calculator.errors import friendly
from calculator.hardware import Accelerator
from calculator.planning.answer import Plan
from calculator.planning.drafts import served
from calculator.planning.memory import largest_batch, longest_context, memory_of_stages
from calculator.planning.resolve import resolve
from calculator.planning.stage import Stage, distinct, tightest
from calculator.reading.frozen import FrozenDict
from calculator.request import OPTIONS, PLAN_SCHEMA, ZERO_IS_NONE, Option, Request, asked_of, is_left_out
from calculator.request.calibration import Calibration, calibration_of


@friendly
def plan(model: ModelArchitecture | str, gpu: Accelerator | str | None = None, **options: Any) -> Plan:
    """Answer how many sequences fit, how long they can be, and where the memory goes.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    gpu : Accelerator or str, optional
        A GPU or its preset id; may be left out where ``gpu_memory_bytes`` is given [-].
    **options : object
        As the table of options has them [-].

    Returns
    -------
    Plan
        The answer; where memory does not suffice it says so and is no error.

    Raises
    ------
    CalculatorError
        If a name is unknown, a number out of bounds, or the model cannot be split so.

    Notes
    -----
    ``pool = budget − weights − activations − non-torch − graphs`` on each GPU, with the engine's budget and those
    of the overheads that it takes from it; ``max_batch_size`` is what the engine's blocks hold. The range comes
    from the overheads alone, their deviations added in squares; weights and KV are exact. ``calibration``, as
    ``reconcile`` returns it or the path of its file, says what one machine holds: its memory, where none is given, and
    what it held more or less than is usual, which carries over.

    References
    ----------
    ``calculator.engines``, a module each, with the sources of its rules.
    """
    return _answer(model, gpu, options)


def under_rules(answer: Plan, rules: Engine) -> Plan:
    """Return the plan of the same request under other rules of its engine, such as one value of a newer version.

    Parameters
    ----------
    answer : Plan
        The plan to start from [-].
    rules : Engine
        The rules, marked as mixed where no version has all of them [-].

    Returns
    -------
    Plan
        The new answer.

    Raises
    ------
    CalculatorError
        As ``plan``.
    """
    asked = dict(answer.asked)
    return _answer(asked.pop("model"), asked.pop("gpu", None), asked, rules, answer.model)


def _answer(
    model: ModelArchitecture | str,
    gpu: Accelerator | str | None,
    options: dict[str, Any],
    own: Engine | None = None,
    read: ModelArchitecture | None = None,
) -> Plan:
    """Return the plan of what is asked, under rules of one's own, of a model that was read before."""
    options, calibration = dict(options), None
    if (given := options.pop("calibration", None)) is not None:
        calibration = calibration_of(given)
    for name in ZERO_IS_NONE.intersection(options):
        options[name] = None if is_left_out(name, options[name]) else options[name]
    named = {"model": model, "gpu": gpu, "calibration": calibration}
    values = asked_of(options)
    asked = FrozenDict({**{name: value for name, value in named.items() if value is not None}, **values})
    architecture = read or load_model(model)
    if own is None and calibration is None and is_a_preset(architecture):
        device = gpu.id if isinstance(gpu, Accelerator) and is_a_preset(gpu) else gpu
        batch_size = values.pop("batch_size", OPTIONS["batch_size"].default)
        kinds = tuple(map(type, (device, *values.values())))
        if _COMPARED.issuperset(kinds):
            held = _held_by_preset(_Itself(architecture), device, tuple(values.items()), kinds)
            return _plan(architecture, asked, held, PLAN_SCHEMA.validate({"batch_size": batch_size})["batch_size"])
    return _plan(architecture, asked, _held(architecture, gpu, options, asked, calibration, own))


class _Held(NamedTuple):
    """What there is whatever ``batch_size`` is asked for: an engine allocates its pools before it knows its load."""

    accelerator: Accelerator
    rules: Engine
    request: Request
    stages: tuple[Stage, ...]
    counted: Stage
    lacking: Stage
    max_batch_size: int
    refusals: tuple[Refusal, ...]
    calibration: Calibration | None


class _Itself:
    """A model that is found again as the object that it is: to compare two whole ones would take longer than a plan."""

    __slots__ = ("model",)

    def __init__(self, model: ModelArchitecture) -> None:
        self.model = model

    def __hash__(self) -> int:
        return id(self.model)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.model is self.model


_COMPARED = {str, int, float, bool, NoneType}
"""Types of values by which what is held is found again; 1 and True are told apart, as one of them may be refused."""
MOST_HELD = 512


@lru_cache(maxsize=MOST_HELD)
def _held_by_preset(
    preset: _Itself,
    gpu: str | None,
    asked: tuple[tuple[str, Any], ...],
    kinds: tuple[type, ...],  # noqa: ARG001
) -> _Held:
    options = dict(asked)
    return _held(preset.model, gpu, options, options, None, None)


def _held(
    model: ModelArchitecture,
    gpu: Accelerator | str | None,
    options: Mapping[str, Any],
    asked: Mapping[str, Any],
    calibration: Calibration | None,
    own: Engine | None,
) -> _Held:
    accelerator, rules, request = resolve(model, gpu, options, calibration, own)
    stages = memory_of_stages(model, accelerator, rules, request, calibration)
    refused = rules.refusals(model, request, stages, asked)
    longest = rules.longest_start(served(model, request.speculative_config), request, stages)
    if longest is not None and longest < request.seq_len:
        alone = int(longest_context(stages, 1))
        refused = (*refused, too_long(rules.title, rules.version, request.seq_len, longest, alone))
    batch = largest_batch(stages, request.seq_len, request) * request.attention_replicas
    counted, lacking = tightest(stages, request.seq_len), max(distinct(stages), key=_LACKS)
    return _Held(accelerator, rules, request, stages, counted, lacking, batch, refused, calibration)


def _plan(model: ModelArchitecture, asked: FrozenDict, held: _Held, batch_size: int | None = None) -> Plan:
    request, batch = held.request, held.max_batch_size
    if batch_size is not None and batch_size != request.batch_size:
        request = Request.of({**vars(request), "batch_size": batch_size})
    return Plan(
        model=model,
        accelerator=held.accelerator,
        rules=held.rules,
        request=request,
        asked=asked,
        stages=held.stages,
        stage=held.lacking if held.lacking.exceeds else held.counted,
        fits=batch >= request.batch_size and all(refusal.by_default for refusal in held.refusals),
        max_batch_size=batch,
        num_blocks=held.counted.num_blocks,
        refusals=held.refusals,
        calibration=held.calibration,
    )


_LACKS = attrgetter("missing_bytes")


def _keyword(name: str, option: Option) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=option.type_name)


def _documented(name: str, option: Option) -> str:
    words = f"{option.help[0].upper()}{option.help[1:]} [{option.unit}]."
    return f"{name} : {option.type_name}\n" + textwrap.fill(words, 110, initial_indent="    ", subsequent_indent="    ")


_OPTIONS = "**options : object\n    As the table of options has them [-]."


def _show_options(function: Callable[..., Plan]) -> None:
    """Give ``plan`` the signature and the documentation of the table of options."""
    signature = inspect.signature(function)
    first = [parameter for name, parameter in signature.parameters.items() if name != "options"]
    keywords = [_keyword(name, option) for name, option in OPTIONS.items()]
    shown = "\n".join(_documented(name, option) for name, option in OPTIONS.items())
    function.__signature__ = signature.replace(parameters=[*first, *keywords])  # type: ignore[attr-defined]
    function.__doc__ = (inspect.getdoc(function) or "").replace(_OPTIONS, shown)


_show_options(plan)


@friendly
def vary(answer: Plan, **changes: Any) -> Plan:
    """Return the plan of the same request with some inputs changed, and of the same model as it was read.

    Parameters
    ----------
    answer : Plan
        The plan to start from [-].
    **changes : object
        Any keyword of ``plan``; None for its default; a calibration is dropped where it is of another engine or
        device than is changed to [-].

    Returns
    -------
    Plan
        The new answer.

    Raises
    ------
    CalculatorError
        As ``plan``.
    """
    asked = {**answer.asked, **changes}
    if answer.calibration and "calibration" not in changes and not _OF_A_LOG.isdisjoint(changes):
        gpu = asked.get("gpu")
        device = load_gpu(gpu) if gpu and not asked.get("gpu_memory_bytes") else None
        asked["calibration"] = answer.calibration if answer.calibration.is_of(asked["engine"], device) else None
    read = None if "model" in changes else answer.model
    return _answer(asked.pop("model"), asked.pop("gpu", None), asked, read=read)


_OF_A_LOG = {"engine", "gpu"}
