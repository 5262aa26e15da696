"""What is asked of a plan: ONE table of options, from which every face has its keywords.

The fields of ``Request`` are the table. Each says its type, and in an ``Option`` its bounds, unit, default and help,
and which faces show it. Keywords and docstring of ``plan``, flags of the command line, parameters of links, keys of
plan files, keywords of a log and what an engine is shown are derived from it: a new keyword is a field here, and the
place that uses it.
"""

from collections import namedtuple
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, get_args

from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.split import Split
from calculator.errors import InvalidValueError, unknown_name
from calculator.formats.kv import StorageFormat, storage_format
from calculator.hardware import MAX_BYTES
from calculator.reading.fields import Count, Field, Flag, Number, Text, count, flag, number, optional, text
from calculator.reading.schema import Schema
from calculator.units import in_text

MAX_RANKS = 65_536
MAX_CHECKPOINT_BYTES = 2**50
ENGINES_DEFAULT, ESTIMATE = "the engine's default", "the estimate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How the page and its links show an option.

    Attributes
    ----------
    least, most : int, float or None
        Bounds of its widget, where they are narrower than those of ``plan``; GiB for bytes.
    clears : bool
        Whether a number can be left empty.
    """

    least: float | None = None
    most: float | None = None
    clears: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One keyword of ``plan``.

    Attributes
    ----------
    field : Field
        What it may be.
    help : str
        What it is, in a phrase.
    unit : str
        Its unit.
    default : object
        What holds where it is left out; None where the engine, the model or the estimate says.
    absent : str
        Who says so then.
    is_engines : bool
        Whether it sets up the engine; else it describes the load, the device or the estimate.
    everywhere : bool
        Whether it means the same to every engine.
    cuts : bool
        Whether an engine's cutting of KV memory depends on it.
    logged : bool
        Whether a start-up log states it under this name.
    page : Page or None
        How the page shows it; None where it does not.
    """

    field: Field
    help: str
    unit: str = "-"
    default: Any = None
    absent: str = ENGINES_DEFAULT
    is_engines: bool = True
    everywhere: bool = False
    cuts: bool = False
    logged: bool = False
    page: Page | None = Page()

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", replace(self.field, unit=self.unit))

    @property
    def of_plan(self) -> Field:
        """What the keyword of ``plan`` may be: a default may be left out, and what has none may be None."""
        left_out = optional(self.field) if self.default is None else replace(self.field, required=False)
        return replace(left_out, default=self.default, help=self.help)

    @property
    def is_bytes(self) -> bool:
        """Whether it is a size: text with a unit on the command line, GiB on the page."""
        return self.unit == "bytes"

    @property
    def type_name(self) -> str:
        """The name of its type, as a docstring has it."""
        names = {Count: "int", Number: "float", Text: "str", Flag: "bool"}
        return names[type(self.field)] + (", optional" if self.default is None else "")


def _overhead(what: str) -> Option:
    return Option(
        field=count(MAX_BYTES, minimum=0),
        help=f"your own {what} of one GPU, in place of the estimate",
        unit="bytes",
        absent=ESTIMATE,
        is_engines=False,
        page=Page(least=0.0, most=1_000_000.0),
    )


@dataclass(frozen=True, kw_only=True)
class Request:
    """Every input of a plan, defaults filled in, under the names of ``plan``.

    ``seq_len`` and ``max_num_batched_tokens`` are tokens, names in ``_bytes`` but ``checkpoint_bytes`` are bytes of one
    GPU, ``gpu_memory_utilization`` is a fraction, the rest counts; ``batch_size`` is of one replica.
    """

    model: str
    gpu: str
    tensor_parallel_size: Annotated[
        int,
        Option(
            field=count(MAX_RANKS),
            help="GPUs that share every layer",
            default=1,
            everywhere=True,
            logged=True,
            page=Page(clears=False),
        ),
    ]
    seq_len: Annotated[
        int,
        Option(
            field=count(MAX_TOKENS),
            help="prompt and generated tokens of one sequence; by default the model's longest context",
            unit="tokens",
            everywhere=True,
        ),
    ]
    batch_size: Annotated[
        int,
        Option(
            field=count(MAX_TOKENS),
            help="concurrent sequences of one replica that must fit",
            default=1,
            is_engines=False,
            everywhere=True,
        ),
    ]
    weight_dtype: Annotated[
        str,
        Option(field=text(40), help="weight format; auto for the checkpoint's own", default="auto", everywhere=True),
    ]
    kv_cache_dtype: Annotated[
        str,
        Option(
            field=text(40),
            help="storage format of the cache; auto for the checkpoint's own",
            default="auto",
            everywhere=True,
            cuts=True,
        ),
    ]
    pipeline_parallel_size: Annotated[
        int,
        Option(
            field=count(MAX_RANKS),
            help="stages that share the layers",
            default=1,
            everywhere=True,
            cuts=True,
            logged=True,
            page=Page(most=1024),
        ),
    ]
    data_parallel_size: Annotated[
        int, Option(field=count(MAX_RANKS), help="replicas", default=1, everywhere=True, logged=True)
    ]
    encoder_seq_len: Annotated[
        int | None,
        Option(
            field=count(MAX_TOKENS),
            help="tokens of the encoder; required for an encoder-decoder, refused otherwise",
            unit="tokens",
            absent="512",
            is_engines=False,
            everywhere=True,
            cuts=True,
        ),
    ]
    engine: Annotated[
        str,
        Option(
            field=text(40),
            help="whose rules apply: vllm, sglang, tensorrt-llm or llama.cpp",
            default="vllm",
            is_engines=False,
        ),
    ]
    engine_version: Annotated[
        str,
        Option(
            field=text(60),
            help="of which version, such as 0.19; by default the newest known, and the nearest for one that is not",
            absent="the newest known",
            is_engines=False,
        ),
    ]
    gpu_memory_utilization: Annotated[
        float,
        Option(
            field=number(1),
            help="the engine's fraction, in (0, 1], of what that engine means by it; by default the engine's own",
            logged=True,
            page=Page(least=0.01, most=1.0),
        ),
    ]
    decode_context_parallel_size: Annotated[
        int,
        Option(
            field=count(MAX_RANKS),
            help="GPUs of a replica that share a sequence's tokens where they would keep copies of its heads",
            default=1,
            cuts=True,
            logged=True,
        ),
    ]
    enable_expert_parallel: Annotated[
        bool,
        Option(
            field=flag(),
            help="whether ranks hold whole experts in place of slices of all; replicas then share them too",
            default=False,
            everywhere=True,
            logged=True,
        ),
    ]
    enable_attention_dp: Annotated[
        bool,
        Option(
            field=flag(),
            help="whether every GPU of a replica serves sequences of its own, attention weights copied",
            default=False,
            logged=True,
        ),
    ]
    disable_hybrid_kv_cache_manager: Annotated[
        bool,
        Option(
            field=flag(),
            help="whether windows are allocated at full length (vLLM, and SGLang under a flag of its own)",
            default=False,
            cuts=True,
            logged=True,
        ),
    ]
    swa_full: Annotated[
        bool,
        Option(field=flag(), help="whether windows are allocated at full length (llama.cpp)", default=False, cuts=True),
    ]
    enforce_eager: Annotated[
        bool,
        Option(field=flag(), help="whether no CUDA graphs are captured", default=False, everywhere=True, logged=True),
    ]
    language_model_only: Annotated[
        bool,
        Option(
            field=flag(),
            help="whether the encoders of images and audio are not loaded (vLLM)",
            default=False,
            logged=True,
        ),
    ]
    async_scheduling: Annotated[
        bool | None,
        Option(
            field=flag(),
            help="whether vLLM schedules a batch ahead, which windows are charged for; by default as the version does",
            cuts=True,
            logged=True,
            page=None,
        ),
    ]
    enable_prefix_caching: Annotated[
        bool | None,
        Option(
            field=flag(),
            help="whether vLLM keeps pages of states for it; by default as the version does",
            cuts=True,
            logged=True,
            page=None,
        ),
    ]
    block_size: Annotated[
        int,
        Option(
            field=count(1_048_576),
            help="tokens of one block; by default the engine's",
            unit="tokens",
            cuts=True,
            logged=True,
        ),
    ]
    max_num_seqs: Annotated[
        int,
        Option(
            field=count(1_048_576),
            help="sequences of one forward pass, by default the engine's for the device; bounds activations",
            logged=True,
        ),
    ]
    max_num_batched_tokens: Annotated[
        int,
        Option(
            field=count(16_777_216),
            help="tokens of one forward pass, by default the engine's for the device; bounds activations",
            unit="tokens",
            cuts=True,
            logged=True,
        ),
    ]
    gpu_memory_bytes: Annotated[
        int,
        Option(
            field=count(MAX_BYTES),
            help="what the device reports to a program, in place of the catalogue's",
            unit="bytes",
            absent="what the catalogue says",
            is_engines=False,
            everywhere=True,
            page=Page(least=0.1, most=1_000_000.0),
        ),
    ]
    kv_cache_memory_bytes: Annotated[
        int | None,
        Option(
            field=count(MAX_BYTES),
            help="the KV pool of one GPU given outright, whatever the weights take",
            unit="bytes",
            absent="what is left",
            everywhere=True,
            logged=True,
            page=Page(least=0.001, most=1_000_000.0),
        ),
    ]
    checkpoint_bytes: Annotated[
        int | None,
        Option(
            field=count(MAX_CHECKPOINT_BYTES),
            help="the stored bytes of the whole model, as its files have them; a GPU holds its share of them",
            unit="bytes",
            absent="what its files or its format say",
            is_engines=False,
            everywhere=True,
            page=Page(least=0.001, most=1_000_000.0),
        ),
    ]
    activation_bytes: Annotated[int | None, _overhead("activation peak")]
    non_torch_bytes: Annotated[int | None, _overhead("memory outside the allocator")]
    cuda_graph_bytes: Annotated[int | None, _overhead("pool of CUDA graphs")]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Request":
        """Return a request of a value for every field; a frozen dataclass sets its many fields one by one."""
        made = object.__new__(cls)
        made.__dict__.update(values)
        return made

    @property
    def storage(self) -> StorageFormat:
        """The storage format of the cache."""
        return storage_format(self.kv_cache_dtype)

    @property
    def split(self) -> Split:
        """How the ranks of a replica share heads, tokens and sequences."""
        return Split(self.tensor_parallel_size, self.decode_context_parallel_size, self.enable_attention_dp)

    @property
    def cutting(self) -> "Cutting":
        """All of it that bears on how the engine cuts its KV memory."""
        made: Cutting = Cutting._make(_CUTTING(self))
        return made

    @property
    def given_overheads(self) -> dict[str, int]:
        """The user's own values in place of estimates, by their keywords [bytes]."""
        return {name: value for name in ESTIMATES if (value := getattr(self, name)) is not None}

    @property
    def attention_replicas(self) -> int:
        """Ranks of a replica that each serve sequences of their own [-]."""
        return self.split.replicas

    @property
    def expert_parallel_size(self) -> int:
        """Ranks that share the experts as wholes: TP × DP with expert parallelism, else 1 [-]."""
        return self.tensor_parallel_size * self.data_parallel_size if self.enable_expert_parallel else 1


def options_of(table: type) -> dict[str, Option]:
    """Return the options that the fields of a table state, in their order."""
    stated = {field.name: get_args(field.type)[1:] for field in fields(table)}
    return {name: found[0] for name, found in stated.items() if found}


OPTIONS = options_of(Request)
"""The table: every keyword of ``plan`` beside ``model`` and ``gpu``."""
PLAN_FIELDS: dict[str, Field] = {name: option.of_plan for name, option in OPTIONS.items()}
PLAN_DEFAULTS: dict[str, Any] = {name: option.default for name, option in OPTIONS.items()}
FLAGS = tuple(name for name, option in OPTIONS.items() if isinstance(option.field, Flag))
PLAN_SCHEMA = Schema("Options", PLAN_FIELDS)

ESTIMATES = tuple(name for name, option in OPTIONS.items() if option.absent == ESTIMATE)
"""Keywords that stand in place of estimated lines of memory."""

_CUTS = (*(name for name, option in OPTIONS.items() if option.cuts), "split")
_CUTTING = attrgetter(*_CUTS)

if TYPE_CHECKING:

    class Cutting(Request):
        """As below; the checker is shown the types of ``Request``, the engine less than its fields."""

        _fields: tuple[str, ...]

        @classmethod
        def _make(cls, values: Any) -> "Cutting": ...

        def _replace(self, **values: Any) -> "Cutting": ...

else:

    class Cutting(namedtuple("Cutting", _CUTS)):
        """All of a request that bears on how an engine cuts its KV memory, under the names of ``Request``.

        An engine is shown nothing else, and what is remembered of a model is found by all of it.
        """

        __slots__ = ()

        @property
        def storage(self) -> StorageFormat:
            """The storage format of the cache."""
            return storage_format(self.kv_cache_dtype)


def asked_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return keywords as given, with the defaults that are values, in the order of the table.

    Raises
    ------
    UnknownNameError
        If a keyword does not exist; the near matches are named.
    InvalidValueError
        If a size in text cannot be read.
    """
    for name in options:
        if name not in OPTIONS:
            raise unknown_name("keyword of plan", name, ("model", "gpu", *OPTIONS))
    given = {**PLAN_DEFAULTS, **options}
    return {name: _number(name, value) for name, value in given.items() if value is not None}


def _number(name: str, value: Any) -> Any:
    """Return a size that is given in text as a number, and anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return in_text(value, OPTIONS[name].unit)
    except InvalidValueError as error:
        raise InvalidValueError(f"{name} cannot be read: {error}", what=name, asked=value) from None
