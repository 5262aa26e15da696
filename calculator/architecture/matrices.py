"""The matrices of a model's weights: their shape, how often they occur, and what tensor parallelism does with them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calculator.formats.weights import WeightFormat


class Sharding(Enum):
    """What tensor parallelism does with a matrix."""

    COLUMNS = "its outputs are split"
    ROWS = "its inputs are split"
    KV_HEADS = "its outputs follow the KV heads, copies included"
    COPIED = "every rank holds it whole"


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
        How many the layer (or the embedding, or the end of the model) holds [-].
    active_copies : int
        How many a single token passes through [-]; fewer than ``copies`` for experts.
    sharding : Sharding
        What tensor parallelism does with it.
    quantised : bool
        Whether a weight format applies to it; embeddings, head, router, norms and biases stay 16 bit.
    module : str
        What checkpoints call it below its layer, such as ``self_attn.q_proj``; empty where no name is known.
    stored : WeightFormat or None
        How the checkpoint stores it, None for 16 bit or where a checkpoint says nothing.
    value_bytes : int
        Bytes of a value that no format changes, as of one that engines keep in 32 bits; 0 where the format decides.
    is_parameter : bool
        Whether the reference counts it; a buffer takes bytes all the same.
    """

    part: str
    outputs: int
    inputs: int
    copies: int
    active_copies: int
    sharding: Sharding
    quantised: bool = True
    module: str = ""
    stored: WeightFormat | None = None
    value_bytes: int = 0
    is_parameter: bool = True

    @property
    def elements(self) -> int:
        """Values of all copies, counted as parameters or not [-]."""
        return self.outputs * self.inputs * self.copies

    @property
    def num_parameters(self) -> int:
        """Parameters of all copies [-]."""
        return self.elements if self.is_parameter else 0

    @property
    def num_active_parameters(self) -> int:
        """Parameters that one token passes through [-]."""
        return self.outputs * self.inputs * self.active_copies if self.is_parameter else 0
