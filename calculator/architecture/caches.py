"""What of a sequence a layer keeps on one rank, as an engine's allocator sees it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from calculator.architecture.counts import NO_LIMIT


class Keeps(Enum):
    """What of a sequence a cache keeps, which decides how an engine allocates it."""

    ALL = "every token"
    LATENT = "every token, as one vector that cannot be padded"
    WINDOW = "the last tokens"
    CHUNK = "the tokens of the current chunk"
    STATE = "a state that does not grow"
    ENCODER = "the encoder's tokens"


@dataclass(frozen=True, slots=True)
class Cache:
    """One cache of a layer on one rank, as an engine's allocator sees it.

    Attributes
    ----------
    keeps : Keeps
        What of a sequence it keeps.
    bytes_per_token : int
        What one more token adds while it grows, 0 for a state [bytes].
    window : int
        Tokens after which older ones can be dropped [tokens].
    sparse : bool
        Whether a sparse-attention kernel reads it.
    variant : str
        Which kind of state, in words; empty for attention.
    conv_elements, state_elements : int
        Elements of a state's convolution and of the state itself [elements].
    conv_element_bytes, state_element_bytes : int
        Bytes of an element of either, as the model asks for [bytes].
    state_named : bool
        Whether the model names the format of its state.
    """

    keeps: Keeps
    bytes_per_token: int = 0
    window: int = NO_LIMIT
    sparse: bool = False
    variant: str = ""
    conv_elements: int = 0
    conv_element_bytes: int = 0
    state_elements: int = 0
    state_element_bytes: int = 0
    state_named: bool = False

    @property
    def state_bytes(self) -> int:
        """The state of one sequence, in the formats that the model asks for [bytes]."""
        return self.conv_elements * self.conv_element_bytes + self.state_elements * self.state_element_bytes
