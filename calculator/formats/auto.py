"""What ``auto`` means of a checkpoint: its own 16 bit format, 16 bit where it names none or 32 bit."""

from __future__ import annotations

from calculator.formats.names import PLAIN, SIXTEEN_BIT, TORCH
from calculator.messages import Message, phrase, say


def is_auto(dtype: object) -> bool:
    """Whether the checkpoint's own format is asked for; an array compares to many answers."""
    return isinstance(dtype, str) and dtype == "auto"


def computed_in(torch_dtype: str | None) -> str:
    """Return the 16 bit format that engines load a checkpoint in, by the format that it names."""
    named = TORCH.get(torch_dtype or "", PLAIN)
    return named if named in SIXTEEN_BIT else PLAIN


def assumed_of(torch_dtype: str | None) -> Message | None:
    """Say what is assumed where a checkpoint does not name a 16 bit format; None where it does."""
    if TORCH.get(torch_dtype or "") in SIXTEEN_BIT:
        return None
    named = (
        say("model.names", "names {torch_dtype}", torch_dtype=torch_dtype) if torch_dtype else phrase("names no format")
    )
    return say(
        "model.auto_means_bit_bf",
        "auto means 16 bit (bf16) here: the checkpoint {named}, and engines then load 16 bit",
        named=named,
    )
