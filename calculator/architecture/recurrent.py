"""Recurrent state: a fixed number of bytes a sequence, whatever its length."""

from __future__ import annotations

from dataclasses import dataclass, field

from calculator.architecture.caches import Cache, LastColumns, Recurrence, State
from calculator.architecture.layers import FullAttention, LayerSpec, SlidingWindow
from calculator.formats.kv import StorageFormat
from calculator.messages import say


@dataclass(frozen=True, slots=True)
class RecurrentState(LayerSpec):
    """A state of fixed size a sequence: Mamba 1 and 2, gated delta net, linear attention.

    Attributes
    ----------
    variant : Recurrence
        What makes the state.
    conv_width : int
        Channels of the convolution, split over ranks [-].
    conv_columns : int
        Columns of it that are kept: its kernel less one [-].
    state_elements : int
        Elements of the recurrent state, split over ranks [elements].
    state_element_bytes : int
        Bytes of an element of the recurrent state [bytes].
    divisible : int
        Heads or channels that ranks must divide into [-].
    conv_element_bytes : int
        Bytes of an element of the convolution's columns [bytes].
    groups, group_width : int
        Groups of channels of the convolution beside ``conv_width`` and the width of one; a single group
        is copied to every rank, more are split [-].
    state_named : bool
        Whether the model names the format of its state; engines differ where it does not.
    """

    variant: Recurrence
    conv_width: int
    conv_columns: int
    state_elements: int
    state_element_bytes: int
    divisible: int
    conv_element_bytes: int = 2
    groups: int = 0
    group_width: int = 0
    state_named: bool = False

    @property
    def kind(self) -> str:
        """The kind in words."""
        return self.variant.words

    def state_bytes(self, tensor_parallel_size: int) -> int:
        """Return the convolution's columns and the recurrent state on one rank [bytes].

        References
        ----------
        vLLM 0.33.0, ``model_executor/layers/mamba/mamba_utils.py``.
        """
        return self.cache(tensor_parallel_size).state_bytes

    def cache(self, tensor_parallel_size: int) -> State:
        """Return the state as a cache of its own on one rank."""
        groups = max(1, self.groups // tensor_parallel_size) if self.groups else 0
        width = self.conv_width // tensor_parallel_size + groups * self.group_width
        return State(
            recurrence=self.variant,
            conv_elements=width * self.conv_columns,
            conv_element_bytes=self.conv_element_bytes,
            state_elements=self.state_elements // tensor_parallel_size,
            state_element_bytes=self.state_element_bytes,
            state_named=self.state_named,
            conv_width=width,
        )

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:  # noqa: ARG002
        """Return the state."""
        return (self.cache(tensor_parallel_size),)

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:  # noqa: ARG002
        """Say why the heads of the state cannot be split over so many ranks, or None where they can."""
        if self.divisible % tensor_parallel_size:
            return say(
                "split.state_heads",
                "{heads} heads of the {state} do not divide by {ranks}",
                heads=self.divisible,
                state=self.kind,
                ranks=tensor_parallel_size,
            )
        if self.groups > 1 and self.groups % tensor_parallel_size:
            return say(
                "split.state_groups",
                "{groups} groups of the {state} do not divide by {ranks}",
                groups=self.groups,
                state=self.kind,
                ranks=tensor_parallel_size,
            )
        return None


@dataclass(frozen=True, slots=True)
class AttentionAndState(FullAttention):
    """A layer that has attention and a recurrent block side by side: a cache and a state.

    Attributes
    ----------
    state : RecurrentState
        What the recurrent block keeps.
    """

    state: RecurrentState = field(kw_only=True)

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.full_and_state", "full attention and {state}", state=self.state.kind)

    def state_bytes(self, tensor_parallel_size: int) -> int:
        """Return the recurrent state on one rank [bytes]."""
        return self.state.state_bytes(tensor_parallel_size)

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:
        """Return the cache and the state."""
        return *FullAttention.caches(self, storage, tensor_parallel_size), self.state.cache(tensor_parallel_size)

    def why_not(self, num_attention_heads: int, tensor_parallel_size: int) -> str | None:
        """Say why the heads of either cannot be split over so many ranks, or None where they can."""
        reason = FullAttention.why_not(self, num_attention_heads, tensor_parallel_size)
        return reason or self.state.why_not(num_attention_heads, tensor_parallel_size)


@dataclass(frozen=True, slots=True)
class ConvolvedAttention(FullAttention):
    """Attention whose keys, values and outputs, and the MLP's, go through short convolutions of a kernel each.

    Attributes
    ----------
    streams_width : int
        Channels of the convolutions behind attention and behind the MLP, together [-].
    kernel : int
        Columns that a convolution reads, its own included [tokens].
    """

    streams_width: int = 0
    kernel: int = 1

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.convolved", "full attention with short convolutions")

    def state_bytes(self, tensor_parallel_size: int) -> int:
        """Return the columns before the next one, 16 bit each, on one rank [bytes]."""
        return _columns_bytes(self, self.streams_width, self.kernel) // tensor_parallel_size

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:
        """Return the cache of every token, and the last columns."""
        columns = _last_columns(self, self.streams_width, self.kernel, tensor_parallel_size)
        return *FullAttention.caches(self, storage, tensor_parallel_size), columns


@dataclass(frozen=True, slots=True)
class ConvolvedWindow(SlidingWindow):
    """The same with attention over a window.

    Attributes
    ----------
    streams_width : int
        Channels of the convolutions behind attention and behind the MLP, together [-].
    kernel : int
        Columns that a convolution reads, its own included [tokens].
    """

    streams_width: int = 0
    kernel: int = 1

    @property
    def kind(self) -> str:
        """The kind in words."""
        return say("layers.convolved_window", "sliding window with short convolutions")

    def state_bytes(self, tensor_parallel_size: int) -> int:
        """Return the columns before the next one, 16 bit each, on one rank [bytes]."""
        return _columns_bytes(self, self.streams_width, self.kernel) // tensor_parallel_size

    def caches(self, storage: StorageFormat, tensor_parallel_size: int) -> tuple[Cache, ...]:
        """Return the cache of the last tokens, and the last columns."""
        columns = _last_columns(self, self.streams_width, self.kernel, tensor_parallel_size)
        return *SlidingWindow.caches(self, storage, tensor_parallel_size), columns

    def without_window(self) -> LayerSpec:
        """Return full attention of the same heads and convolutions."""
        heads = (self.num_key_value_heads, self.head_dim, self.v_head_dim, self.query_heads)
        return ConvolvedAttention(*heads, streams_width=self.streams_width, kernel=self.kernel)


def _columns_bytes(spec: FullAttention, streams_width: int, kernel: int) -> int:
    rows = spec.num_key_value_heads * (spec.head_dim + spec.v_head_dim)
    return 2 * (kernel - 1) * (rows + streams_width)


def _last_columns(spec: FullAttention, streams_width: int, kernel: int, tensor_parallel_size: int) -> LastColumns:
    heads = max(1, spec.num_key_value_heads // tensor_parallel_size)
    each = spec.head_dim + spec.v_head_dim + streams_width // spec.num_key_value_heads
    return LastColumns(heads, each, kernel)
