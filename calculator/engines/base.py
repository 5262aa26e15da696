"""What every engine answers, and how its rules follow its version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

from calculator.architecture.caches import Cache, Chunk, EncoderTokens, LastColumns, RowsInPassing, State, Window
from calculator.architecture.draft import Draft, with_draft
from calculator.architecture.groups import merge
from calculator.architecture.model import LayerGroup, ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import Cached, OwnWay, caches_of, caches_of_model, kinds_of_model, layers_kept
from calculator.engines.beside import adapters
from calculator.engines.beside.drafts import drafter
from calculator.engines.beside.experts import expert_ranks
from calculator.engines.beside.host import by_layer
from calculator.engines.beside.left_out import left_out
from calculator.engines.beside.neighbours import neighbours
from calculator.engines.lacking import (
    OPTIONS,
    check_checkpoint,
    check_drafts,
    check_keywords,
    check_kinds,
    check_stages,
)
from calculator.engines.overheads import with_given
from calculator.engines.pools import Geometry
from calculator.engines.versions import Admission as Admission
from calculator.engines.versions import Change as Change
from calculator.engines.versions import DeviceDefaults as DeviceDefaults
from calculator.engines.versions import Version, in_words, nearest
from calculator.formats.kv import StorageFormat, storage_format
from calculator.formats.names import PLAIN
from calculator.request import PLAN_DEFAULTS, Cutting
from calculator.units import GIB, MIB

if TYPE_CHECKING:
    from calculator.engines.beside.refusals import Refusal
    from calculator.engines.overheads import Overhead
    from calculator.engines.speeds import Speeds
    from calculator.hardware import Accelerator
    from calculator.messages import Message
    from calculator.planning.stage import Stage
    from calculator.request import Request
    from calculator.request.speculation import Speculation


NOTHING_SET_ASIDE = Admission()


@dataclass(frozen=True)
class Engine:
    """One engine's rules at one version; a subclass an engine.

    Attributes
    ----------
    asked_version : str
        The version that was asked for, empty for the newest known.
    version : str
        The version whose rules these are.
    note : str
        Says so where the two are not the same.
    source : str
        Where the rules are read from.
    device_defaults : tuple of DeviceDefaults
        First match wins.
    admission : Admission
        What it sets aside for a request.
    budget_of_device : bool
        Whether its budget is a share of the whole device, whatever other processes hold of it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    oldest: ClassVar[Version]
    newest: ClassVar[Version]
    not_read: ClassVar[tuple[tuple[Version, Version], ...]] = ()
    """Gaps in what was read from ``oldest`` to ``newest``: the last version before each and the first one after."""
    read: ClassVar[tuple[Version, ...]] = ()
    """The only versions that were read, ascending, where between them the nearer one is taken; empty for all."""
    changes: ClassVar[tuple[Change, ...]]
    kv_cache_dtypes: ClassVar[tuple[str, ...]]
    weight_dtypes: ClassVar[tuple[str, ...]]
    """Quantised weight formats that any model can be served in, the mildest first."""
    flags: ClassVar[Mapping[str, str]]
    """Keywords of ``plan`` and the engine's own name of each; what is missing it does not have."""
    only_here: ClassVar[tuple[str, ...]] = ()
    """Keywords that this engine has of those that not every engine has."""
    expert_multiples: ClassVar[Mapping[str, tuple[int, int]]] = {}
    """Weight formats whose experts' hidden size and width are padded by the kernel, and to multiples of what."""
    expert_multiples_on: ClassVar[Mapping[tuple[str, str], tuple[int, int]]] = {}
    """The same of a format on a generation of devices, where the engine takes another kernel there."""
    claims: ClassVar[Mapping[type[Cache], Any]]
    """What a request claims of each kind of cache; a kind that is not among them is refused."""
    expands_latents: ClassVar[frozenset[str]] = frozenset()
    """Model types whose own class in the engine keeps latent attention as heads, keys and values of one size."""
    no_pipeline: ClassVar[frozenset[str]] = frozenset()
    """Model types whose own class in the engine cannot be cut into pipeline stages."""
    window_types: ClassVar[frozenset[str] | None] = None
    """Model types whose windows the engine allocates as such, all others at full length; None for all."""
    ignores_kv_cache_dtype: ClassVar[frozenset[str]] = frozenset()
    """Model types whose own class in the engine keeps 16 bit, whatever format is asked for."""
    splits_layers: ClassVar[bool] = True
    """Whether GPUs can share a layer (tensor parallelism); else each holds whole layers (pipeline stages)."""
    in_blocks: ClassVar[bool] = True
    """Whether sequences take blocks of a pool that all share, not cells of their own."""
    in_flight_bytes: ClassVar[int] = 2
    """Of a value that a kernel computes, as a score or an element of Q [bytes]."""
    loads_encoders: ClassVar[bool] = True
    """Whether encoders of images and audio are loaded with the model."""
    derives_fraction: ClassVar[bool] = False
    """Whether the default of its fraction follows from the device."""
    embeds_on_host: ClassVar[bool] = False
    """Whether the table of input embeddings stays in the host's memory; a tied head is then a copy on the last GPU."""
    draft_methods: ClassVar[tuple[str, ...]] = ()
    """Ways to draft tokens that it has, of those whose memory is known."""
    shares_experts_across_replicas: ClassVar[bool] = False
    """Whether experts that ranks hold as wholes are shared by the ranks of all replicas, not of each."""
    keeps_shared: ClassVar[bool] = False
    """Whether a drafter keeps an embedding and a head of its own that are the model's."""
    starts_short: ClassVar[bool] = True
    """Whether it starts where memory holds no sequence of the longest length."""
    context_in_slack: ClassVar[bool] = False
    """Whether a device's own context is neither in the budget nor an overhead, but in what is left free."""

    asked_version: str = field(default="", compare=False)
    version: str = ""
    note: str = field(default="", compare=False)
    source: str = ""
    device_defaults: tuple[DeviceDefaults, ...] = field(default=())
    admission: Admission = NOTHING_SET_ASIDE
    budget_of_device: bool = False
    is_mixed: bool = False
    """Whether a value is another version's, so that the version does not name what holds."""
    refused_methods: Mapping[str, str] = field(default_factory=dict)
    """What wrote a checkpoint's quantisation that the engine does not load, and why not."""

    def multiples_of_experts(self, weight_dtype: str, accelerator: Accelerator) -> tuple[int, int]:
        """Return the multiples that experts' hidden size and width are padded to on a device [elements]."""
        usual = self.expert_multiples.get(weight_dtype, (1, 1))
        return self.expert_multiples_on.get((weight_dtype, accelerator.generation), usual)

    @classmethod
    def at(cls, asked: str | None) -> Engine:
        """Return the rules that hold at a version; at the nearest known one where it is not known."""
        used, note = cls.newest, ""
        if asked is not None:
            used, note = nearest(cls.title, asked, cls.oldest, cls.newest, cls.not_read, cls.read)
        values: dict[str, Any] = {}
        sources = []
        for change in cls.changes:
            if change.since <= used:
                values |= change.values
                sources.append(change.source)
        known = {spec.name for spec in fields(cls)}
        assert set(values) <= known, set(values) - known
        return cls(asked_version=asked or "", version=in_words(used), note=note, source="; ".join(sources), **values)

    defaults_change_after: ClassVar[int] = 0
    """The length after which defaults that follow it start anew [tokens]."""

    @property
    def follows_length(self) -> bool:
        """Whether defaults depend on the length of a sequence."""
        return False

    @cached_property
    def called(self) -> str:
        """The engine and its version, in words."""
        return f"{self.title} {self.version}"

    @cached_property
    def speed(self) -> Speeds:
        """What a step costs besides bytes and FLOPs."""
        from calculator.engines import engine_speed

        return engine_speed(self.name)

    def keeps_windows(self, model: ModelArchitecture) -> bool:
        """Whether the windows of a model are allocated as such; those of one typed by hand are."""
        return self.window_types is None or not model.model_type or model.model_type in self.window_types

    def as_kept(self, model: ModelArchitecture, layers: tuple[LayerGroup, ...]) -> tuple[LayerGroup, ...]:
        """Return some layers of a model as the engine's class of its type keeps them."""
        return layers_kept(model, layers, self._own_way(model))

    def stored_in(self, model: ModelArchitecture, storage: StorageFormat) -> StorageFormat:
        """Return the format that the engine's class of a model's type keeps its cache in, whatever is asked for."""
        keeps_16_bit = model.model_type in self.ignores_kv_cache_dtype and storage.bits_per_value < 16
        return storage_format(PLAIN) if keeps_16_bit else storage

    def window_more(self, model: ModelArchitecture) -> int:
        """Return the tokens that the engine's class of a model's type keeps beyond a window [tokens]."""
        return 0

    def _own_way(self, model: ModelArchitecture) -> OwnWay:
        way = self._own_ways.get(model.model_type)
        if way is None:
            way = self._own_ways[model.model_type] = OwnWay(self.expands(model), self.window_more(model))
        return way

    @cached_property
    def _own_ways(self) -> dict[str, OwnWay]:
        """What was found for a model type; it depends on nothing else."""
        return {}

    def expands(self, model: ModelArchitecture) -> bool:
        """Whether the engine's class of a model's type keeps heads in place of its latent vectors."""
        return model.model_type in self.expands_latents

    @cached_property
    def lacks(self) -> tuple[tuple[str, str], ...]:
        """Keywords that the engine does not have of those that not every engine has, and what they are."""
        return tuple((name, what) for name, what in OPTIONS.items() if name not in self.only_here)

    @cached_property
    def read_lacks(self) -> tuple[Callable[[Mapping[str, Any]], Any], Any]:
        """What reads the values of those keywords, and what it reads where none is given."""
        read = itemgetter(*(name for name, _ in self.lacks))
        return read, read(PLAN_DEFAULTS)

    def kinds(self, model: ModelArchitecture) -> tuple[type[Cache], ...]:
        """Return the kinds of cache of a whole model as the engine keeps them, whatever their format and split."""
        return kinds_of_model(model, self._own_way(model))

    def caches(
        self, model: ModelArchitecture, storage: StorageFormat | None = None, split: Split | None = None
    ) -> tuple[Cached, ...]:
        """Return the caches of a whole model on one rank as the engine keeps them, by default in 16 bit on one GPU."""
        kept_in = self.stored_in(model, storage) if storage else storage_format(PLAIN)
        return caches_of_model(model, kept_in, split or Split(), self._own_way(model))

    def caches_of_stage(
        self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], storage: StorageFormat, split: Split
    ) -> tuple[Cached, ...]:
        """Return the caches of some layers of a model on one rank as the engine keeps them."""
        return caches_of(self.as_kept(model, layers), self.stored_in(model, storage), split)

    def bearing(self, model: ModelArchitecture, cutting: Cutting) -> Cutting:
        """Return of a request what bears on how the KV memory of a model is cut, 0 in place of what does not.

        The tokens of a forward pass bear on windows, chunks and an encoder's tokens alone, in every engine; the
        sequences at once do not.
        """
        by_pass = not _BY_PASS.isdisjoint(self.kinds(model))
        tokens = cutting.max_num_batched_tokens if by_pass else 0
        return cutting.within(tokens, 0)

    def defaults_for(self, accelerator: Accelerator) -> DeviceDefaults:
        """Return what the engine assumes on a device when the user does not say."""
        name, memory = accelerator.name.lower(), accelerator.memory_bytes
        rows = (row for row in self.device_defaults if memory >= row.at_least_mib * MIB)
        return next(row for row in rows if not (row.not_named and any(part in name for part in row.not_named)))

    def check(self, model: ModelArchitecture, values: Mapping[str, Any]) -> None:
        """Raise ``CalculatorError`` where the engine does not have what is asked."""
        check_keywords(self, values)
        check_kinds(self, model)
        check_checkpoint(self, model, values["weight_dtype"])
        check_drafts(self, values["speculative_config"])
        check_stages(self, model, values["pipeline_parallel_size"])

    def why_no_kernel(
        self, model: ModelArchitecture, accelerator: Accelerator, kv_cache_dtype: str, values: Mapping[str, Any]
    ) -> Message | None:
        """Say why no kernel of attention serves a model's layers on a device with a cache in a format, None if known.

        Parameters
        ----------
        model, accelerator : ModelArchitecture, Accelerator
            The model, and the device [-].
        kv_cache_dtype : str
            The format of the cache, by its own name [-].
        values : mapping
            What is asked [-].
        """
        return None

    def batch_defaults(
        self,
        accelerator: Accelerator,
        seq_len: int,
        speculation: Speculation | None = None,
        usage_context: str | None = None,
    ) -> tuple[int, int]:
        """Return the default of ``max_num_batched_tokens`` and ``max_num_seqs``."""
        row = self.defaults_for(accelerator)
        tokens = row.offline_tokens if usage_context == OFFLINE else 0
        return tokens or row.max_num_batched_tokens, row.max_num_seqs

    def default_block_size(
        self,
        model: ModelArchitecture,
        storage: StorageFormat,
        split: Split,
        asked: int | None,
        values: Mapping[str, Any],
    ) -> int:
        """Return the tokens of a block; raise ``CalculatorError`` for one that the engine does not have [tokens]."""
        return asked or 1

    def default_fraction(self, model: ModelArchitecture, accelerator: Accelerator, values: Mapping[str, Any]) -> float:
        """Return the fraction of memory that the engine takes when the user does not say [-]."""
        raise NotImplementedError

    def fraction_used(self, model: ModelArchitecture, accelerator: Accelerator, request: Request) -> float:
        """Return the fraction that the engine takes, where it changes even one that is given [-]."""
        return request.gpu_memory_utilization

    def overheads(
        self, model: ModelArchitecture, accelerator: Accelerator, request: Request, stage: int
    ) -> tuple[Overhead, ...]:
        """Return what is taken besides weights and KV cache on one GPU of a stage."""
        raise NotImplementedError

    def lines(
        self,
        model: ModelArchitecture,
        accelerator: Accelerator,
        request: Request,
        stage: int,
        draft: Draft | None = None,
    ) -> tuple[Overhead, ...]:
        """Return all that is taken besides weights and KV cache on one GPU of a stage, what the user states included.

        A value of one's own stands in place of an estimate.
        """
        estimates = with_given(self.overheads(model, accelerator, request, stage), request.given_overheads)
        is_last = stage == request.pipeline_parallel_size - 1
        experts = expert_ranks(self, request)
        drafted = drafter(draft, request, experts, self.keeps_shared) if draft and is_last else ()
        adapted = self.adapters(model, request, stage) if adapters.is_asked(request) else ()
        beside = *drafted, *adapted, *neighbours(request, self.budget_of_device)
        return *estimates, *beside, *left_out(model, request, experts, stage)

    def adapters(self, model: ModelArchitecture, request: Request, stage: int) -> tuple[Overhead, ...]:
        """Return the line of LoRA buffers on one GPU of a stage."""
        return ()

    def hosted_bytes(self, model: ModelArchitecture, request: Request, stage: int, weights_bytes: int) -> int:
        """Return how much of the weights of one GPU of a stage the host holds instead [bytes]."""
        if not request.cpu_offload_gb:
            return 0
        layers = sum(size for _, size in by_layer(model, request, expert_ranks(self, request), stage))
        return min(int(request.cpu_offload_gb * GIB), layers, weights_bytes)

    def state_bytes(self, state: State, request: Request) -> int:
        """Return what the engine keeps of a state for one sequence, before it is padded [bytes]."""
        return state.state_bytes

    def refusals(
        self, model: ModelArchitecture, request: Request, stages: tuple[Stage, ...], asked: Mapping[str, Any]
    ) -> tuple[Refusal, ...]:
        """Say why the engine does not start with what is asked, whatever the length of a sequence."""
        return ()

    def longest_start(self, model: ModelArchitecture, request: Request, stages: tuple[Stage, ...]) -> int | None:
        """Return the length beyond which it does not start though memory may hold it, None for none [tokens]."""
        return None

    def requested_bytes(self, total_bytes: int, fraction: float, weights_bytes: int, overhead_bytes: int) -> int:
        """Return what the engine may use of a device; the KV pool is the rest after weights and overheads [bytes]."""
        raise NotImplementedError

    def geometry(self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], request: Cutting) -> Geometry:
        """Return how the KV memory of one GPU of a stage is cut."""
        raise NotImplementedError

    def geometry_with_draft(
        self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], request: Cutting, draft: Draft, here: Draft
    ) -> Geometry:
        """Return the same where a drafter keeps caches too, with what of it stands on the stage."""
        both = with_draft(model, draft)
        held = both.groups if layers is model.groups else merge((*layers, *here.layers))
        return self.geometry(both, held, request)

    def reported_tokens(self, geometry: Geometry, pool_bytes: int, request: Request) -> int:
        """Return the tokens that the engine's log shows [tokens]."""
        return geometry.num_blocks(pool_bytes, request.seq_len) * geometry.block_size

    def reported_longest(self, model: ModelArchitecture, request: Request, stages: tuple[Stage, ...]) -> int | None:
        """Return the longest sequence that the engine itself names at start-up, None where it names none [tokens]."""
        return None

    def budget_words(self, model: ModelArchitecture, request: Request) -> str:
        """Say what the fraction is of."""
        raise NotImplementedError


OFFLINE = "offline"
USAGE_CONTEXTS = ("server", OFFLINE)
_BY_PASS = {Window, Chunk, EncoderTokens, LastColumns, RowsInPassing}
