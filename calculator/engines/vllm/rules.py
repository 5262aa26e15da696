"""vLLM: a fraction of the device's total memory, cut into equal blocks that groups of layers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calculator.architecture.caches import (
    Chunk,
    CompressedRows,
    LatentVectors,
    RowsInPassing,
    State,
    Window,
)
from calculator.architecture.model import LayerGroup, ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import has
from calculator.engines import engine_rules
from calculator.engines.base import USAGE_CONTEXTS
from calculator.engines.beside.experts import expert_ranks
from calculator.engines.overheads import captured_graphs
from calculator.engines.pools import Geometry
from calculator.engines.vllm.adapters import lora_buffers
from calculator.engines.vllm.block_size import kernel_block_size
from calculator.engines.vllm.changes import ALL_TYPES
from calculator.engines.vllm.checks import check_adapters, check_class, check_context, check_groups
from calculator.engines.vllm.groups import hybrid_block_size, vllm_geometry
from calculator.engines.vllm.kernels import device_class, layers_of, why_none
from calculator.engines.vllm.overheads import (
    activation,
    non_torch,
    output_counts,
    with_encoder,
)
from calculator.engines.vllm.packed import packed_geometry
from calculator.engines.vllm.starting import longest_named, not_free, too_few_states
from calculator.engines.vllm.states import Keeping, as_kept, checkpoint_block_alignment, keeping, kept, state_pages
from calculator.engines.vllm.values import LONGEST_UNCHUNKED, Values
from calculator.errors import InvalidValueError, UnsupportedError
from calculator.formats.kv import storage_format
from calculator.messages import Message, say
from calculator.request import Cutting

if TYPE_CHECKING:
    from calculator.engines.beside.refusals import Refusal
    from calculator.engines.overheads import Overhead
    from calculator.formats.kv import StorageFormat
    from calculator.hardware import Accelerator
    from calculator.planning.stage import Stage
    from calculator.request import Request
    from calculator.request.speculation import Speculation

LONGEST_MEASURED = 131_072
"""Tokens of context up to which what grows with it was seen."""


@dataclass(frozen=True)
class Vllm(Values):
    """The rules of vLLM: what follows from its values."""

    def check(self, model: ModelArchitecture, values: Mapping[str, Any]) -> None:
        """Raise ``CalculatorError`` where the engine does not have what is asked."""
        super().check(model, values)
        context = values["usage_context"]
        if context not in (None, *USAGE_CONTEXTS):
            raise InvalidValueError(
                say(
                    "rules.usage_context_none_vllm",
                    "usage_context {context!r} is none of vLLM's: {names}",
                    context=context,
                    names=" or ".join(USAGE_CONTEXTS),
                ),
                what="usage_context",
                asked=context,
                allowed=USAGE_CONTEXTS,
            )
        check_class(model, values, self.called, self.types_without_class)
        check_adapters(model, values)
        check_groups(model, values, self.called, self.gptq_groups)
        if not self.packs_rows and {CompressedRows, RowsInPassing} & {*self.kinds(model)}:
            raise UnsupportedError(
                say(
                    "rules.vllm_does_not_serve",
                    "vLLM {version} does not serve {name}: it keeps no rows for several tokens before 0.20",
                    version=self.version,
                    name=model.name,
                ),
                what="engine_version",
                asked=self.asked_version,
            )
        if values["decode_context_parallel_size"] > 1:
            heads = max(group.spec.kv_heads for group in self.as_kept(model, model.groups))
            check_context(values, heads, has_windows=bool({Window, Chunk} & {*self.kinds(model)}))

    def why_no_kernel(
        self, model: ModelArchitecture, accelerator: Accelerator, kv_cache_dtype: str, values: Mapping[str, Any]
    ) -> Message | None:
        """Say why no kernel of attention serves a model's layers on a device with a cache in a format."""
        device = device_class(accelerator)
        if not self.kernels.get(device):
            return None
        asked = device, kv_cache_dtype, bool(values["language_model_only"])
        own = engine_rules(Vllm.name, self.version)
        if isinstance(own, Vllm) and own.kernels is self.kernels:
            reasons = model.remember(_without_kernel, self.version, *asked)
        else:  # some values are of another version, as where two are compared
            reasons = _no_kernel_for(self, model, *asked)
        return reasons[0] if reasons else None

    def batch_defaults(
        self,
        accelerator: Accelerator,
        seq_len: int,
        speculation: Speculation | None = None,
        usage_context: str | None = None,
    ) -> tuple[int, int]:
        """Return the default of ``max_num_batched_tokens`` and ``max_num_seqs``."""
        tokens, sequences = super().batch_defaults(accelerator, seq_len, None, usage_context)
        if self.unchunked and seq_len <= LONGEST_UNCHUNKED:
            tokens = max(tokens, seq_len)
        return tokens, sequences

    def default_block_size(
        self,
        model: ModelArchitecture,
        storage: StorageFormat,
        split: Split,
        asked: int | None,
        values: Mapping[str, Any],
    ) -> int:
        """Return the tokens of a block: 16, more where a kernel or a state's page needs it [tokens]."""
        how, caching = keeping(values), values["enable_prefix_caching"]
        if self.is_mixed:
            return _block_size_by(self, model, storage, split, asked, how, caching)
        return model.remember(_block_size, self.version, storage.name, split, asked, how, caching)

    def default_fraction(self, model: ModelArchitecture, accelerator: Accelerator, values: Mapping[str, Any]) -> float:
        """Return the default utilisation of total memory [-]."""
        return self.gpu_memory_utilization

    def overheads(
        self, model: ModelArchitecture, accelerator: Accelerator, request: Request, stage: int
    ) -> tuple[Overhead, ...]:
        """Return activations, non-torch memory and CUDA graphs of one GPU of a stage."""
        tp, last = request.tensor_parallel_size, stage == request.pipeline_parallel_size - 1
        second = self.on_second_runner(model)
        copies = self.second_runner_copies_tenths if second else self.sampler_copies_tenths
        inside = self._graphs_inside(second)
        graphs = captured_graphs(accelerator, request.max_num_seqs, request.enforce_eager, in_slack=not inside)
        asked = model, copies, self.experts_stay, tp, request.max_num_seqs
        peak = activation(*asked, request.max_num_batched_tokens, last, self.activation_spread)
        if model.towers and not request.language_model_only:
            peak = with_encoder(peak)
        if self.unexplained_bytes_per_token:
            more = self.unexplained_bytes_per_token * min(request.seq_len, LONGEST_MEASURED)
            peak = peak._replace(high=peak.high + more)
        lines = peak, non_torch(accelerator, tp, self.non_torch), graphs
        if not (second and last and self.second_runner_counts_outputs):
            return lines
        return (*lines, output_counts(model.vocab_size, request.max_num_seqs))

    @property
    def follows_length(self) -> bool:
        """Whether the tokens of a forward pass follow the length of a sequence by default."""
        return self.unchunked

    def window_more(self, model: ModelArchitecture) -> int:
        """Return the tokens that the own class of a model's type keeps beyond a window [tokens]."""
        return self.windows_longer.get(model.model_type, 0)

    def on_second_runner(self, model: ModelArchitecture) -> bool:
        """Whether the second model runner serves a model by default."""
        if self.second_runner_types is ALL_TYPES or model.model_type in self.second_runner_types:
            return True
        return self.second_runner_serves_dense and not (model.moe_intermediate_size or State in self.kinds(model))

    def graphs_inside(self, model: ModelArchitecture) -> bool:
        """Whether CUDA graphs are taken from the budget."""
        return self._graphs_inside(self.on_second_runner(model))

    def _graphs_inside(self, on_second_runner: bool) -> bool:
        return self.graphs_in_budget and (self.second_runner_profiles_graphs or not on_second_runner)

    def requested_bytes(self, total_bytes: int, fraction: float, weights_bytes: int, overhead_bytes: int) -> int:
        """Return ``ceil(total × utilisation)`` [bytes].

        Notes
        -----
        In floating point, as the engine computes it, so that the last byte agrees.

        References
        ----------
        vLLM 0.33.0, ``v1/worker/utils.py`` ``request_memory``.
        """
        product = total_bytes * fraction
        return int(product) + (product > int(product))

    def geometry(self, model: ModelArchitecture, layers: tuple[LayerGroup, ...], request: Cutting) -> Geometry:
        """Return the groups of layers that share one pool of equal blocks."""
        how = keeping(request)
        caches = kept(self.caches(model, request.storage, request.split), how)
        if has(caches, CompressedRows, RowsInPassing):
            here = self.caches_of_stage(model, layers, request.storage, request.split)
            return packed_geometry(caches, here, request.block_size, self.in_flight(request), self.held_back)
        if not self.keeps_latents and has(caches, LatentVectors):
            raise UnsupportedError(
                say(
                    "rules.vllm_before_keeps_latent",
                    "vLLM before 0.7 keeps latent attention as expanded heads, whose layout is not known here",
                ),
                what="engine_version",
                asked=self.asked_version,
            )
        return vllm_geometry(
            caches,
            caches
            if layers is model.groups
            else kept(self.caches_of_stage(model, layers, request.storage, request.split), how),
            request,
            in_flight=self.in_flight(request),
            padding_factor=self.padding_factor,
            full_length=request.disable_hybrid_kv_cache_manager
            or not self.groups_layers
            or (not self.chunks_as_such and has(caches, Chunk)),
            state_pages=state_pages(self, model, caches, request.enable_prefix_caching, how.drafted),
            row_multiple=self.latent_row_multiple,
            held_back=self.held_back,
            charges_whole_passes=self.charges_whole_passes,
        )

    def reported_longest(self, model: ModelArchitecture, request: Request, stages: tuple[Stage, ...]) -> int | None:
        """Return what the start-up check prints as "the estimated maximum model length", None where it prints none.

        Notes
        -----
        The check compares bytes and does not always count as the scheduler does: before 0.29 it does not take the
        block off that the pool keeps, so that a request of the printed length is admitted and never finishes.

        References
        ----------
        vLLM 0.8.5 to 0.33.0, ``v1/core/kv_cache_utils.py`` and ``kv_cache_planning.py``
        ``_check_enough_kv_cache_memory``; ``v1/core/block_pool.py`` ``null_block``.
        """
        return longest_named(self, model, request, stages)

    def adapters(self, model: ModelArchitecture, request: Request, stage: int) -> tuple[Overhead, ...]:
        """Return the line of LoRA buffers; in the first and the last stage of some types beside the vocabulary too."""
        return lora_buffers(model, request, expert_ranks(self, request), stage)

    def state_bytes(self, state: State, request: Request) -> int:
        """Return a state in the formats that are asked for, without columns for drafts [bytes]."""
        return as_kept(state, keeping(request)._replace(drafted=0)).state_bytes

    def refusals(
        self, model: ModelArchitecture, request: Request, stages: tuple[Stage, ...], asked: Mapping[str, Any]
    ) -> tuple[Refusal, ...]:
        """Say why vLLM does not start with what is asked, whatever the length of a sequence."""
        refused: list[Refusal] = []
        if self.needs_budget_free and request.other_memory_bytes:
            refused += not_free(request, stages[0].memory.requested_bytes)
        if self.graphs_need_states and not request.enforce_eager and State in self.kinds(model):
            refused += too_few_states(request, stages, by_default="max_num_seqs" not in asked)
        return tuple(refused)

    def longest_start(self, model: ModelArchitecture, request: Request, stages: tuple[Stage, ...]) -> int | None:
        """Return the length beyond which the check of 0.14 to 0.16 refuses what memory holds, in stages [tokens].

        It sets the layers of all pipeline stages against the pool of one.
        """
        staged = self.start_check == "model" and request.pipeline_parallel_size > 1
        return self.reported_longest(model, request, stages) if staged else None

    def in_flight(self, request: Cutting) -> int:
        """Return the tokens of all batches that are in flight at once [tokens]."""
        batches = 1
        if self.batches_in_flight:
            ahead = self.async_scheduling if request.async_scheduling is None else request.async_scheduling
            batches = request.pipeline_parallel_size + ahead
        return batches * request.max_num_batched_tokens

    def reported_tokens(self, geometry: Geometry, pool_bytes: int, request: Request) -> int:
        """Return the token count of the log: concurrency × longest sequence; blocks a group × block size before 0.21.

        References
        ----------
        vLLM 0.20.0 and 0.21.0, ``v1/core/kv_cache_utils.py``.
        """
        blocks = geometry.num_blocks(pool_bytes, request.seq_len)
        taken = geometry.pools[0].charged_blocks(request.seq_len)
        if self.tokens_from_concurrency and taken:
            return int(blocks / taken * request.seq_len)
        groups = sum(claim.weight for claim in geometry.pools[0].claims) or 1
        return blocks // groups * geometry.block_size * request.decode_context_parallel_size

    def budget_words(self, model: ModelArchitecture, request: Request) -> str:
        """Say what the fraction is of."""
        fraction = request.gpu_memory_utilization
        if self.graphs_inside(model):
            return say("vllm.budget_graphs_in", "{fraction:g} of all memory, CUDA graphs inside", fraction=fraction)
        return say("vllm.budget_graphs_out", "{fraction:g} of all memory, CUDA graphs outside", fraction=fraction)


def _without_kernel(
    model: ModelArchitecture, engine_version: str, device: str, kv_cache_dtype: str, language_model_only: bool
) -> tuple[Message, ...]:
    """Return why layers have no kernel of attention on a class of devices, of each that has none."""
    rules = engine_rules(Vllm.name, engine_version)
    assert isinstance(rules, Vllm)
    return _no_kernel_for(rules, model, device, kv_cache_dtype, language_model_only)


def _no_kernel_for(
    rules: Vllm, model: ModelArchitecture, device: str, kv_cache_dtype: str, language_model_only: bool
) -> tuple[Message, ...]:
    kept_in = rules.stored_in(model, storage_format(kv_cache_dtype)).name
    images = rules.sees_images_whole and not language_model_only
    layers = layers_of(model, rules.as_kept(model, model.groups), images)
    return tuple([why for layer in layers if (why := why_none(rules.kernels[device], layer, kept_in))])


def _block_size(
    model: ModelArchitecture,
    engine_version: str,
    kv_cache_dtype: str,
    split: Split,
    asked: int | None,
    how: Keeping,
    caching: bool | None,
) -> int:
    rules = engine_rules(Vllm.name, engine_version)
    assert isinstance(rules, Vllm)
    return _block_size_by(rules, model, storage_format(kv_cache_dtype), split, asked, how, caching)


def _block_size_by(
    rules: Vllm,
    model: ModelArchitecture,
    storage: StorageFormat,
    split: Split,
    asked: int | None,
    how: Keeping,
    caching: bool | None,
) -> int:
    caches = kept(rules.caches(model, storage, split), how)
    size = kernel_block_size(model.name, caches, asked)
    if not has(caches, State):
        return size
    pages = state_pages(rules, model, caches, caching, how.drafted)
    return hybrid_block_size(caches, size, checkpoint_block_alignment(rules, model, pages, how.drafted))
