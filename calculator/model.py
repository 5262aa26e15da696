"""A model as the calculator sees it: groups of layers, and the matrices of its weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Any

from calculator import parallelism
from calculator.attention import FullAttention, LayerSpec
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.html import table
from calculator.storage import storage_format

MAX_LAYERS = 10_000
MAX_HEADS = 65_536
MAX_WIDTH = 16_777_216
MAX_TOKENS = 1_000_000_000


class Sharding(Enum):
    """What tensor parallelism does with a matrix."""

    COLUMNS = "its outputs are split"
    ROWS = "its inputs are split"
    KV_HEADS = "its outputs follow the KV heads, copies included"
    COPIED = "every rank holds it whole"


class Place(Enum):
    """Which pipeline stage holds a matrix."""

    FIRST = "first stage"
    LAYERS = "with its layer"
    LAST = "last stage"


@dataclass(frozen=True, slots=True)
class WeightMatrix:
    """A kind of matrix (or vector, ``inputs`` = 1) and how often the model holds it.

    Attributes
    ----------
    part : str
        The part of the model that it belongs to, in words.
    outputs, inputs : int
        Its shape [elements].
    copies : int
        How many the whole model holds [-].
    active_copies : int
        How many a single token passes through [-]; fewer than ``copies`` for experts.
    sharding : Sharding
        What tensor parallelism does with it.
    place : Place
        Which pipeline stage holds it.
    quantised : bool
        Whether a weight format applies to it; embeddings, head, router, norms and biases stay 16 bit.
    """

    part: str
    outputs: int
    inputs: int
    copies: int
    active_copies: int
    sharding: Sharding
    place: Place = Place.LAYERS
    quantised: bool = True

    @property
    def num_parameters(self) -> int:
        """Parameters of all copies [-]."""
        return self.outputs * self.inputs * self.copies

    @property
    def num_active_parameters(self) -> int:
        """Parameters that one token passes through [-]."""
        return self.outputs * self.inputs * self.active_copies


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """Consecutive layers of one kind."""

    spec: LayerSpec
    count: int


@dataclass(frozen=True)
class ModelArchitecture:
    """What of a model decides its memory.

    Attributes
    ----------
    id, name : str
        The preset id, and the name as its makers write it.
    layers : tuple of LayerGroup
        The layers, first to last, in runs of one kind.
    weights : tuple of WeightMatrix
        Every matrix of the text decoder; tied matrices once.
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
    fields : dict or None
        The fields that an architecture typed by hand was built from.
    """

    id: str
    name: str
    layers: tuple[LayerGroup, ...]
    weights: tuple[WeightMatrix, ...]
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
    fields: dict[str, Any] | None = field(default=None, compare=False)

    @cached_property
    def num_layers(self) -> int:
        """Layers, L [-]."""
        return sum(group.count for group in self.layers)

    @cached_property
    def num_parameters(self) -> int:
        """Parameters of the text decoder, tied tensors once [-]."""
        return sum(matrix.num_parameters for matrix in self.weights)

    @cached_property
    def num_active_parameters(self) -> int:
        """Parameters that one token passes through: all but the experts it is not routed to [-]."""
        return sum(matrix.num_active_parameters for matrix in self.weights)

    @cached_property
    def num_key_value_heads(self) -> int:
        """KV heads of a layer, G [-]; the largest where layers differ."""
        return max(group.spec.num_key_value_heads for group in self.layers)

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
        storage = storage_format(self.resolve_dtype(kv_cache_dtype))
        return sum(group.count * group.spec.bytes_per_token(storage, 1) for group in self.layers)

    def state_bytes_per_sequence(self, tensor_parallel_size: int = 1) -> int:
        """Return the recurrent state of one sequence on one rank: 0, as no layer kind here keeps any.

        Parameters
        ----------
        tensor_parallel_size : int
            Ranks that share a layer [-].

        Returns
        -------
        int
            Bytes that do not grow with the sequence [bytes].
        """
        self.check_tensor_parallel(tensor_parallel_size)
        return 0

    def resolve_dtype(self, dtype: str) -> str:
        """Return the format that ``auto`` stands for: the checkpoint's own, 16 bit where it names none or 32 bit."""
        if dtype != "auto":
            return dtype
        return {"float16": "fp16", "bfloat16": "bf16"}.get(self.torch_dtype or "", "bf16")

    @property
    def dtype_assumption(self) -> str | None:
        """What ``auto`` assumed, where the checkpoint does not state a 16 bit format."""
        if self.torch_dtype in ("float16", "bfloat16"):
            return None
        named = f"names {self.torch_dtype}" if self.torch_dtype else "names no format"
        return f"auto means 16 bit (bf16) here: the checkpoint {named}, and engines then load 16 bit"

    def check_tensor_parallel(self, tensor_parallel_size: int) -> None:
        """Raise ``ParallelismError`` with the legal degrees if any layer cannot be split so."""
        for group in self.layers:
            parallelism.check_tensor_parallel(
                self.num_attention_heads, group.spec.num_key_value_heads, tensor_parallel_size
            )

    @cached_property
    def tensor_parallel_degrees(self) -> tuple[int, ...]:
        """Every tensor-parallel degree that all layers can be split into, ascending [-]."""
        legal = [
            set(parallelism.legal_degrees(self.num_attention_heads, group.spec.num_key_value_heads))
            for group in self.layers
        ]
        return tuple(sorted(set.intersection(*legal)))

    def stages(self, pipeline_parallel_size: int) -> tuple[tuple[LayerGroup, ...], ...]:
        """Return the layer groups of each pipeline stage, first to last."""
        remaining = [(group.spec, group.count) for group in reversed(self.layers)]
        stages = []
        for wanted in parallelism.layers_per_stage(self.num_layers, pipeline_parallel_size):
            stage = []
            while wanted:
                spec, available = remaining.pop()
                taken = min(wanted, available)
                stage.append(LayerGroup(spec, taken))
                wanted -= taken
                if available > taken:
                    remaining.append((spec, available - taken))
            stages.append(tuple(stage))
        return tuple(stages)

    def with_kv_heads(self, num_key_value_heads: int) -> ModelArchitecture:
        """Return the same model with another number of KV heads, its weights counted anew.

        Raises
        ------
        InvalidValueError
            If query heads do not divide into so many groups.
        UnsupportedError
            If the layers are not uniform full attention.
        """
        groups, heads = self.layers, self.num_attention_heads
        if len(groups) != 1 or not isinstance(groups[0].spec, FullAttention):
            raise UnsupportedError("KV heads can be varied for uniform full attention only")
        if not isinstance(num_key_value_heads, int) or num_key_value_heads < 1:
            raise InvalidValueError(
                f"num_key_value_heads must be a whole number of at least 1, not {shown(num_key_value_heads)}"
            )
        if heads % num_key_value_heads:
            raise indivisible(heads, num_key_value_heads)
        before = groups[0].spec.num_key_value_heads
        return replace(
            self,
            layers=(LayerGroup(replace(groups[0].spec, num_key_value_heads=num_key_value_heads), groups[0].count),),
            weights=tuple(
                replace(matrix, outputs=matrix.outputs // before * num_key_value_heads)
                if matrix.sharding is Sharding.KV_HEADS
                else matrix
                for matrix in self.weights
            ),
        )

    def _repr_html_(self) -> str:
        spec = self.layers[0].spec
        return table(
            self.name,
            [
                ("Layers", f"{self.num_layers:,} × {spec.kind}"),
                ("Query heads, KV heads", f"{self.num_attention_heads:,}, {self.num_key_value_heads:,}"),
                ("Parameters", f"{self.num_parameters:,}"),
                ("KV cache, auto format", f"{self.kv_bytes_per_token():,} bytes per token"),
                ("Longest context", f"{self.max_position_embeddings:,} tokens"),
            ],
        )


def indivisible(heads: int, kv_heads: int) -> InvalidValueError:
    """Build the error for KV heads that query heads do not divide into, with the nearest that they do."""
    near = min((g for g in range(1, min(heads, MAX_HEADS) + 1) if heads % g == 0), key=lambda g: (abs(g - kv_heads), g))
    return InvalidValueError(
        f"num_key_value_heads {kv_heads} is not possible: {heads} query heads do not divide by it; "
        f"allowed are the divisors of {heads}, the nearest is {near}"
    )
