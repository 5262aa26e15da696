"""A model as the calculator sees it: groups of layers, and the matrices of its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any, TypeVar, TypeVarTuple

from calculator.architecture import split as parallelism
from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.groups import LayerGroup as LayerGroup
from calculator.architecture.groups import cut, merge, with_spec
from calculator.architecture.layers import FullAttention, LayerSpec
from calculator.architecture.limits import MOST_RANKS
from calculator.architecture.matrices import WeightMatrix
from calculator.architecture.per_layer import heads_by_layer, heads_of_all, listed, windows_by_layer
from calculator.formats.auto import assumed_of, computed_in, is_auto
from calculator.formats.kv import storage_format
from calculator.reading.frozen import FrozenDict, frozen
from calculator.reading.html import table

MOST_REMEMBERED = 1024
"""Answers that a model remembers before it starts anew."""

Asked = TypeVarTuple("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class ModelArchitecture:
    """What of a model decides its memory.

    Attributes
    ----------
    id, name : str
        The preset id, and the name as its makers write it.
    layers : tuple of LayerGroup
        The layers, first to last, in runs of one kind.
    embedding, end : tuple of WeightMatrix
        What the first stage holds before its layers, and the last one after: norm and head. A tied
        head is not listed. An encoder's weights are with the embedding.
    model_type : str
        The type of its config, by the name used here; empty for an architecture typed by hand.
    towers : dict of str to tuple of WeightMatrix
        Encoders of images and audio, which ``num_parameters`` does not count: their matrices, none where they are
        not understood.
    num_attention_heads : int
        Query heads, H [-].
    hidden_size, intermediate_size, vocab_size : int
        Widths [elements]; ``intermediate_size`` is of the dense MLP, 0 without one.
    mlp_projections : int
        Matrices of an MLP that its inputs or products fill: 3 with a gate, 2 without [-].
    num_experts_per_tok, moe_intermediate_size : int
        Experts that a token passes through [-] and their width [elements]; 0 without experts.
    max_position_embeddings : int
        The longest context that the model is made for [tokens].
    torch_dtype : str or None
        The checkpoint's own 16 or 32 bit format, None where it names none.
    tie_word_embeddings : bool
        Whether the head is the embedding.
    huggingface_id, family, source, checked : str
        Provenance; empty for an architecture typed by hand.
    unverified : str
        What of it could not be confirmed; empty where all is.
    copies_kv_heads : bool
        Whether the engine's own class of this type allows more ranks than KV heads.
    needs_encoder : bool
        Whether it keeps a cache of an encoder's tokens.
    kv_cache_dtype, weight_dtype : str or None
        The formats that the checkpoint asks for, None where it says nothing; of weights in several formats the name
        of the one that most are in.
    weights_from : str
        What says how the checkpoint stores each matrix: ``config``, ``headers`` or ``index``; empty where nothing does.
    stored_as : str
        How it stores them, in words; empty where one format says it all.
    quant_method : str
        What wrote the checkpoint's quantisation, by the name in its own files; empty for none.
    checkpoint_bytes : int
        The stored bytes of all that an engine loads of it, where its files say so; else 0 [bytes].
    assumed, ignored_keys : tuple of str
        What a config left out and the reference's default is taken for; keys without effect.
    fields : dict or None
        What an architecture typed by hand or a config was built from; read-only.
    repository : str
        The name that it was asked by, where that is another than the preset's: of the same layers, and of the longest
        context and weight format that are given here.
    variations : dict
        What was changed of the model that ``id`` and ``fields`` give, by the names of ``varied``; read-only.
    """

    id: str
    name: str
    layers: tuple[LayerGroup, ...]
    embedding: tuple[WeightMatrix, ...]
    end: tuple[WeightMatrix, ...]
    num_attention_heads: int
    hidden_size: int
    intermediate_size: int
    vocab_size: int
    mlp_projections: int
    num_experts_per_tok: int
    moe_intermediate_size: int
    max_position_embeddings: int
    torch_dtype: str | None
    tie_word_embeddings: bool
    huggingface_id: str = ""
    family: str = ""
    source: str = ""
    checked: str = ""
    unverified: str = ""
    copies_kv_heads: bool = True
    needs_encoder: bool = False
    kv_cache_dtype: str | None = None
    weight_dtype: str | None = None
    weights_from: str = ""
    stored_as: str = ""
    quant_method: str = ""
    checkpoint_bytes: int = 0
    model_type: str = ""
    towers: Mapping[str, tuple[WeightMatrix, ...]] = field(default_factory=FrozenDict)
    assumed: tuple[str, ...] = ()
    ignored_keys: tuple[str, ...] = ()
    fields: Mapping[str, Any] | None = field(default=None, compare=False)
    variations: Mapping[str, Any] = field(default_factory=FrozenDict, compare=False)
    repository: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for name in ("towers", "fields", "variations"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def is_the_same(self, other: ModelArchitecture) -> bool:
        """Whether every answer about another model is one about this: equal, and built from the same."""
        return self is other or (self == other and self.fields == other.fields)

    @cached_property
    def num_layers(self) -> int:
        """Layers, L [-]."""
        return sum(group.count for group in self.layers)

    @cached_property
    def parts(self) -> Mapping[str, int]:
        """Parameters of the text decoder by part, tied tensors once [-]."""
        return FrozenDict(self._sum_by_part("num_parameters"))

    def _sum_by_part(self, measure: str) -> dict[str, int]:
        parts: dict[str, int] = {}
        blocks = [(1, self.embedding), *((group.count, group.weights) for group in self.layers), (1, self.end)]
        for count, weights in blocks:
            for matrix in weights:
                parts[matrix.part] = parts.get(matrix.part, 0) + count * getattr(matrix, measure)
        return parts

    @cached_property
    def num_parameters(self) -> int:
        """Parameters of the text decoder, tied tensors once [-]."""
        return sum(self.parts.values())

    @cached_property
    def num_active_parameters(self) -> int:
        """Parameters that one token passes through: all but the experts it is not routed to [-]."""
        return sum(self._sum_by_part("num_active_parameters").values())

    @cached_property
    def num_key_value_heads(self) -> int:
        """KV heads of a layer, G [-]; the largest where layers differ, 0 where none keeps any."""
        return max(group.spec.kv_heads for group in self.layers)

    @property
    def kv_heads_by_layer(self) -> list[int]:
        """KV heads of each layer, first to last; 0 where it keeps none of its own [-]."""
        return [group.spec.kv_heads for group in self.layers for _ in range(group.count)]

    @cached_property
    def groups(self) -> tuple[LayerGroup, ...]:
        """The layers by kind, whatever their order: what each keeps, and how many there are."""
        return merge(self.layers)

    def remember(self, derive: Callable[[ModelArchitecture, *Asked], Answer], *asked: *Asked) -> Answer:
        """Return ``derive(self, *asked)``, derived once: what is not among ``asked`` cannot bear on it."""
        key, known = (derive, *asked), self._remembered
        found: Answer | None = known.get(key)
        if found is None:
            found = derive(self, *asked)
            if len(known) >= MOST_REMEMBERED:
                known.clear()
            known[key] = found
        return found

    @cached_property
    def _remembered(self) -> dict[Any, Any]:
        return {}

    @property
    def is_uniform(self) -> bool:
        """Whether every layer is the same plain full attention, so that the textbook formula is the sum."""
        return len(self.groups) == 1 and type(self.groups[0].spec) is FullAttention

    def kv_bytes_per_token(self, kv_cache_dtype: str = "auto") -> int:
        """Return what one more token adds over the whole model while every layer still grows.

        Parameters
        ----------
        kv_cache_dtype : str
            Storage format of the cache, or ``auto`` for the checkpoint's own [-].

        Returns
        -------
        int
            ``2 × G × d_k × L × bytes`` for uniform full attention [bytes].

        Raises
        ------
        UnknownNameError
            If there is no such format.
        InvalidValueError
            If the format's blocks do not divide the head size.
        """
        storage = storage_format(self.resolve_kv_dtype(kv_cache_dtype))
        return sum(group.count * group.spec.bytes_per_token(storage, 1) for group in self.groups)

    def state_bytes_per_sequence(self, tensor_parallel_size: int = 1) -> int:
        """Return the recurrent state of one sequence on one rank, one page a state layer; 0 without.

        Parameters
        ----------
        tensor_parallel_size : int
            Ranks that share a layer [-].

        Returns
        -------
        int
            Bytes that do not grow with the sequence [bytes].

        Raises
        ------
        ParallelismError
            If the layers cannot be split so.
        """
        self.check_tensor_parallel(tensor_parallel_size)
        return sum(group.count * group.spec.state_bytes(tensor_parallel_size) for group in self.groups)

    def resolve_kv_dtype(self, dtype: str) -> str:
        """Return the KV format that ``auto`` stands for: the one that the checkpoint asks for, else its own."""
        return self.kv_cache_dtype if is_auto(dtype) and self.kv_cache_dtype else self.resolve_dtype(dtype)

    def resolve_weight_dtype(self, dtype: str) -> str:
        """Return the weight format that ``auto`` stands for: the checkpoint's quantisation, else its own."""
        return self.weight_dtype if is_auto(dtype) and self.weight_dtype else self.resolve_dtype(dtype)

    def is_as_stored(self, dtype: str) -> bool:
        """Whether a weight format is the checkpoint's own, so that each matrix is as the checkpoint stores it."""
        return bool(self.weights_from) and dtype in ("auto", self.resolve_weight_dtype("auto"))

    def resolve_dtype(self, dtype: str) -> str:
        """Return the format that ``auto`` stands for: the checkpoint's own, 16 bit where it names none or 32 bit."""
        if not is_auto(dtype):
            return dtype
        return computed_in(self.torch_dtype)

    @property
    def dtype_assumption(self) -> str | None:
        """What ``auto`` assumed, where the checkpoint does not state a 16 bit format."""
        return assumed_of(self.torch_dtype)

    def why_not(self, tensor_parallel_size: int) -> str | None:
        """Say why the layers cannot be split over so many ranks, or None where they can."""
        for group in self.groups:
            reason = group.spec.why_not(self.num_attention_heads, tensor_parallel_size)
            if reason:
                return reason
        return None

    def check_tensor_parallel(self, tensor_parallel_size: int) -> None:
        """Raise ``ParallelismError`` with the legal degrees if any layer cannot be split so."""
        parallelism.check_degree(tensor_parallel_size)
        reason = self.why_not(tensor_parallel_size)
        if reason:
            raise parallelism.not_possible(tensor_parallel_size, reason, self.tensor_parallel_degrees)

    @cached_property
    def tensor_parallel_degrees(self) -> tuple[int, ...]:
        """Every tensor-parallel degree that all layers can be split into, ascending [-]."""
        most = self.num_attention_heads or MOST_RANKS
        return tuple(degree for degree in range(1, most + 1) if self.why_not(degree) is None)

    def stages(self, pipeline_parallel_size: int) -> tuple[tuple[LayerGroup, ...], ...]:
        """Return the layer groups of each pipeline stage, first to last; stages of the same layers are one object."""
        return (self.layers,) if pipeline_parallel_size == 1 else self.remember(_stages, pipeline_parallel_size)

    def with_kv_heads(self, num_key_value_heads: int | Sequence[int]) -> ModelArchitecture:
        """Return the same model with another number of KV heads in every layer, windows kept, weights counted anew.

        Latent attention becomes heads of its own query and value size. A list gives each layer its own number, 0
        where a layer keeps no heads.

        Raises
        ------
        InvalidValueError
            If query heads do not divide into so many groups, or a list has not one entry a layer.
        UnsupportedError
            If layers have KV heads of different number or size, and one number is given.
        """
        if (counts := listed(num_key_value_heads)) is not None:
            layers = heads_by_layer(self.layers, counts, self.num_attention_heads)
            kept = [group.spec for group in layers for _ in range(group.count)]
            same = kept == [group.spec for group in self.layers for _ in range(group.count)]
            return self if same else self._as_varied(replace(self, layers=layers), num_key_value_heads=counts)
        layers = heads_of_all(self.layers, num_key_value_heads, self.num_attention_heads)
        varied = self if layers == self.layers else replace(self, layers=layers)
        return self._as_varied(varied, num_key_value_heads=num_key_value_heads)

    def without_windows(self) -> ModelArchitecture:
        """Return the same model with full attention in place of windows and chunks."""
        return self._as_varied(self.with_specs(lambda spec: spec.without_window()), windows=False, sliding_window=None)

    def with_windows(self, sliding_window: int | Sequence[int | None]) -> ModelArchitecture:
        """Return the same model with a window of so many tokens in every layer that has heads.

        A list gives each layer its own, None where it sees every earlier token. Raises as ``windows_by_layer``.
        """
        if (listing := listed(sliding_window)) is None:
            listing = [sliding_window if count else None for count in self.kv_heads_by_layer]
        layers = windows_by_layer(self.layers, listing)
        varied = self if layers == self.layers else replace(self, layers=layers)
        return self._as_varied(varied, windows=True, sliding_window=listing)

    def varied(
        self,
        num_key_value_heads: int | Sequence[int] | None = None,
        windows: bool = True,
        sliding_window: Sequence[int | None] | None = None,
    ) -> ModelArchitecture:
        """Return the same model with what a plan file may vary; raises as ``with_kv_heads`` and ``with_windows``."""
        model = self if num_key_value_heads is None else self.with_kv_heads(num_key_value_heads)
        model = model if windows else model.without_windows()
        return model if sliding_window is None else model.with_windows(sliding_window)

    def _as_varied(self, varied: ModelArchitecture, **variations: Any) -> ModelArchitecture:
        """Return a model with what was varied of this one, None and True for what is not; this one where nothing is."""
        if varied is self:
            return self
        said = {**self.variations, **variations}
        return replace(
            varied, variations={name: what for name, what in said.items() if what is not None and what is not True}
        )

    def with_specs(self, change: Callable[[LayerSpec], LayerSpec]) -> ModelArchitecture:
        """Return the same model with other specs; matrices that follow the KV heads are counted anew.

        What changed is known as ``layers`` alone: no plan file can say it.
        """
        layers = [with_spec(group, change(group.spec)) for group in self.layers]
        if tuple(layers) == self.layers:
            return self
        return replace(self, layers=tuple(layers), variations={**self.variations, "layers": "changed"})

    def layer_rows(self) -> list[dict[str, Any]]:
        """Return a row for each kind of layer: how it grows, how many there are, and its sizes."""
        return [
            {
                "kind": group.spec.kind,
                "count": group.count,
                "grows_until": group.spec.grows_until if group.spec.grows_until < NO_LIMIT else None,
                **asdict(group.spec),
            }
            for group in self.groups
        ]

    def _repr_html_(self) -> str:
        kinds = ", ".join(f"{group.count:,} × {group.spec.kind}" for group in self.groups)
        return table(
            self.name,
            [
                ("Layers", kinds),
                ("Query heads, KV heads", f"{self.num_attention_heads:,}, {self.num_key_value_heads:,}"),
                ("Parameters", f"{self.num_parameters:,}"),
                ("KV cache, auto format", f"{self.kv_bytes_per_token():,} bytes per token"),
                ("Longest context", f"{self.max_position_embeddings:,} tokens"),
            ],
        )


def _stages(model: ModelArchitecture, pipeline_parallel_size: int) -> tuple[tuple[LayerGroup, ...], ...]:
    return cut(model.layers, parallelism.layers_per_stage(model.num_layers, pipeline_parallel_size))
