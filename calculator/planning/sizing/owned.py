"""The other way round: what runs on GPUs that are there already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_gpu, load_model, model_ids
from calculator.engines import DEFAULT_ENGINE, engine_rules
from calculator.engines.base import Engine
from calculator.engines.support import runs_on
from calculator.errors import CalculatorError, InvalidValueError, friendly, shown
from calculator.hardware import Accelerator
from calculator.messages import Message, say
from calculator.planning.kv_cache import whole_numbers
from calculator.planning.plan import plan
from calculator.planning.sizing.bounds import MOST_OWNED
from calculator.planning.sizing.layouts import Layout, in_words, layouts, weights_fit
from calculator.planning.sizing.logged import check, keywords_for, taken_out
from calculator.reading.html import table
from calculator.request import PLAN_SCHEMA, asked_of

if TYPE_CHECKING:
    import pandas

    from calculator.planning.answer import Plan

MOST_OF_ONE = 64
"""The most GPUs that one replica is laid out over: of more there are several replicas [-]."""


@dataclass(frozen=True)
class Runnable:
    """A model that runs on GPUs that are there.

    Attributes
    ----------
    model, name : str
        Its id and its name.
    weight_dtype, kv_cache_dtype : str
        The mildest stored format that fits, and that of the cache.
    num_parameters : int
        Its size [-].
    num_gpus, tensor_parallel_size, pipeline_parallel_size : int
        The GPUs of one replica, or of those that share experts, and how they share it [-].
    data_parallel_size, decode_context_parallel_size : int
        Replicas that share experts, and ranks that share a sequence's tokens [-].
    enable_expert_parallel, enable_attention_dp : bool
        Whether replicas share experts, and whether ranks serve sequences of their own.
    split : str
        The same in words.
    replicas : int
        How many times so many GPUs are there [-].
    max_batch_size : int
        Sequences of the least context that so many GPUs hold, at the low end of the range [-].
    max_context_len : int
        The longest sequence, by memory and by the model's own limit [tokens].
    note : str
        What to know of the format on that device; empty where there is nothing.
    plan : Plan
        Its plan.
    """

    model: str
    name: str
    weight_dtype: str
    kv_cache_dtype: str
    num_parameters: int
    num_gpus: int
    tensor_parallel_size: int
    pipeline_parallel_size: int
    data_parallel_size: int
    decode_context_parallel_size: int
    enable_expert_parallel: bool
    enable_attention_dp: bool
    split: str
    replicas: int
    max_batch_size: int
    max_context_len: int
    note: str
    plan: Plan = field(repr=False)

    def row(self) -> dict[str, Any]:
        """Return it as one row of a table."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "plan"}


@dataclass(frozen=True)
class WhatRuns:
    """What runs on GPUs that are there.

    Attributes
    ----------
    gpu : Accelerator
        The GPU.
    num_gpus, min_context : int
        How many there are [-], and the least context [tokens].
    engine : str
        Whose rules apply.
    rows : tuple of Runnable
        Largest model first.
    refused : tuple of two str
        Models that do not run, each with why.
    notes : tuple of Message
        Whether a log of such a machine is gone by.
    """

    gpu: Accelerator
    num_gpus: int
    min_context: int
    engine: str
    rows: tuple[Runnable, ...]
    refused: tuple[tuple[str, Message], ...]
    notes: tuple[Message, ...] = ()

    @property
    def finding(self) -> Message:
        """The answer in a sentence."""
        if not self.rows:
            return say(
                "what_runs.nothing", "No model of the catalogue runs on {gpus} × {gpu} with {tokens:,} tokens.",
                gpus=self.num_gpus, gpu=self.gpu.name, tokens=self.min_context,
            )  # fmt: skip
        first = self.rows[0]
        return say(
            "what_runs.largest",
            "{count} models run on {gpus} × {gpu} with {tokens:,} tokens; the largest is {model} in {weights}.",
            count=len(self.rows), gpus=self.num_gpus, gpu=self.gpu.name, tokens=self.min_context, model=first.name,
            weights=first.weight_dtype,
        )  # fmt: skip

    def frame(self) -> pandas.DataFrame:
        """Return the rows as a DataFrame."""
        import pandas

        return pandas.DataFrame([row.row() for row in self.rows]).convert_dtypes()

    def _repr_html_(self) -> str:
        rows = [
            (row.name, f"{row.weight_dtype}, {row.max_batch_size:,} at once, up to {row.max_context_len:,} tokens")
            for row in self.rows
        ]
        return table(str(self.finding), rows)


@friendly
def what_runs(
    gpu: Accelerator | str,
    num_gpus: int = 1,
    engine: str = DEFAULT_ENGINE,
    min_context: int = 8192,
    models: Sequence[ModelArchitecture | str] | None = None,
    weight_dtypes: Sequence[str] | None = None,
    **plan_keywords: Any,
) -> WhatRuns:
    """Find which models run on GPUs that are there, in which stored format, to which context, for how many.

    Parameters
    ----------
    gpu : Accelerator or str
        A GPU or its preset id [-].
    num_gpus : int
        How many of them there are [-].
    engine : str
        Whose rules apply [-].
    min_context : int
        The least context that must fit [tokens].
    models : sequence, optional
        Models or their ids, by default all presets [-].
    weight_dtypes : sequence of str, optional
        Weight formats, the mildest first; by default the checkpoint's own and then those of the engine [-].
    **plan_keywords : object
        Any other keyword of ``plan``; a ``calibration`` must be of that engine and device [-].

    Returns
    -------
    WhatRuns
        One row a model that fits, in the mildest format that does: of the layouts over the GPUs the one that holds
        most sequences at the low end of the range, on the fewest GPUs.

    Raises
    ------
    CalculatorError
        If a name is unknown or a number out of bounds.
    """
    min_context = whole_numbers("min_context", min_context)
    for name, value, most in (("num_gpus", num_gpus, MOST_OWNED), ("min_context", min_context, MAX_TOKENS)):
        if type(value) is not int or not 1 <= value <= most:
            raise InvalidValueError(
                say(
                    "owned.must_whole_number_from",
                    "{name} must be a whole number from 1 to {most:,}, not {asked}",
                    name=name,
                    most=most,
                    asked=shown(value),
                ),
                what=name,
                asked=value,
                allowed=(1, most),
            )
    calibration, plan_keywords = taken_out(plan_keywords)
    PLAN_SCHEMA.validate(asked_of(plan_keywords))
    device, rules = load_gpu(gpu), engine_rules(engine, plan_keywords.get("engine_version"))
    notes = check(calibration, [(rules.name, device)])
    plan_keywords |= keywords_for(calibration, rules.name, device)
    owned = Owned(device, num_gpus, rules, min_context, tuple(weight_dtypes or ()), plan_keywords)
    rows: list[Runnable] = []
    refused: list[tuple[str, Message]] = []
    for model in map(load_model, model_ids() if models is None else models):
        found = owned.best(model)
        if isinstance(found, Runnable):
            rows.append(found)
        else:
            refused.append((model.id, found))
    rows.sort(key=lambda row: (-row.num_parameters, row.model))
    return WhatRuns(device, num_gpus, min_context, rules.name, tuple(rows), tuple(refused), notes)


@dataclass(frozen=True)
class Owned:
    """GPUs that are there, and what is asked of them."""

    gpu: Accelerator
    num_gpus: int
    rules: Engine
    min_context: int
    weight_dtypes: tuple[str, ...]
    plan_keywords: dict[str, Any]

    def best(self, model: ModelArchitecture) -> Runnable | Message:
        """Return how a model runs best, or why it does not."""
        if model.max_position_embeddings < self.min_context:
            longest = model.max_position_embeddings
            return say("what_runs.too_short", "its own context ends at {longest:,} tokens", longest=longest)
        why: Message | None = None
        for name in self._formats(model):
            try:
                weight, kv = model.resolve_weight_dtype(name), model.resolve_kv_dtype(self._kv())
                support = runs_on(self.rules, self.gpu, weight, kv)
                if not support.ok:
                    why = why or say("what_runs.not_supported", "{why}", why=support.why)
                    continue
                plans = [made for layout in self._layouts(model) if (made := self._plan(model, name, layout))]
            except CalculatorError as error:
                why = why or say("what_runs.refused", "{why}", why=str(error))
                continue
            if plans:
                return self._row(max(plans, key=_preferred), support.why if support.ok else "")
            why = say(
                "what_runs.no_room", "it does not fit with {tokens:,} tokens, even in {weights}",
                tokens=self.min_context, weights=weight,
            )  # fmt: skip
        return why or say("what_runs.no_format", "no format of it runs there")

    def _kv(self) -> str:
        return str(self.plan_keywords.get("kv_cache_dtype", "auto"))

    def _formats(self, model: ModelArchitecture) -> Iterator[str]:
        """Yield the checkpoint's own format, and those of the engine that are narrower, the mildest first."""
        if self.weight_dtypes:
            yield from self.weight_dtypes
            return
        yield "auto"
        if not model.weight_dtype:  # a checkpoint that is quantised already is not quantised again
            yield from self.rules.weight_dtypes

    def _layouts(self, model: ModelArchitecture) -> Iterator[Layout]:
        yield from layouts(model, self.rules, self.gpu, min(self.num_gpus, MOST_OF_ONE), self.plan_keywords)

    def _plan(self, model: ModelArchitecture, weight_dtype: str, layout: Layout) -> Plan | None:
        """Return the plan of a layout that holds a sequence at the low end of the range; None for any other."""
        stored = model.resolve_weight_dtype(weight_dtype)
        memory = self.plan_keywords.get("gpu_memory_bytes") or self.gpu.memory_bytes
        if not weights_fit(model, layout, stored, memory, self.plan_keywords.get("checkpoint_bytes")):
            return None
        try:
            asked = {"seq_len": self.min_context, "weight_dtype": weight_dtype, **self.plan_keywords}
            made = plan(model, self.gpu, engine=self.rules.name, **{**asked, **layout.keywords})
        except CalculatorError:
            return None
        return made if made.fits and made.max_batch_size_low > 0 else None

    def _row(self, made: Plan, note: str) -> Runnable:
        request, model = made.request, made.model
        return Runnable(
            model=model.id,
            name=model.name,
            weight_dtype=request.weight_dtype,
            kv_cache_dtype=request.kv_cache_dtype,
            num_parameters=model.num_parameters,
            num_gpus=made.num_gpus,
            tensor_parallel_size=request.tensor_parallel_size,
            pipeline_parallel_size=request.pipeline_parallel_size,
            data_parallel_size=request.data_parallel_size,
            decode_context_parallel_size=request.decode_context_parallel_size,
            enable_expert_parallel=request.enable_expert_parallel,
            enable_attention_dp=request.enable_attention_dp,
            split=in_words(made.asked),
            replicas=self.num_gpus // made.num_gpus,
            max_batch_size=_held(made),
            max_context_len=min(made.max_context_len, model.max_position_embeddings),
            note=note,
            plan=made,
        )


def _held(made: Plan) -> int:
    """Return what a plan holds at the low end of the range, over all replicas that share experts [-]."""
    return made.max_batch_size_low * made.request.data_parallel_size


def _preferred(made: Plan) -> tuple[int, int, int]:
    """Return what makes a layout better: more sequences, then fewer GPUs, then fewer stages."""
    return _held(made), -made.num_gpus, -made.request.pipeline_parallel_size
