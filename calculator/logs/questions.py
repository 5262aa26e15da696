"""What a log does not say and a comparison needs: asked for one at a time, with the answers that the log allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from calculator.catalogue.presets import gpu_ids, load_gpu
from calculator.messages import Message, say, template
from calculator.units import GIB

Key = TypeVar("Key")
MOST_IN_USE = 0.1
"""No more of a device than this is in use before an engine starts, where nothing else runs on it [-]."""


@dataclass(frozen=True)
class Question:
    """One thing that a log does not say.

    Attributes
    ----------
    keyword : str
        The keyword of ``reconcile`` that answers it.
    text : str
        The question.
    choices : tuple of str
        Answers that the log allows, the likeliest first; empty where any may be.
    pairs : tuple of (str, str)
        Model and GPU that answer two questions at once; empty where it asks for one thing.
    """

    keyword: str
    text: Message
    choices: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the question as plain values."""
        found: dict[str, object] = {"keyword": self.keyword, "text": str(self.text), "choices": list(self.choices)}
        return {**found, "pairs": [list(pair) for pair in self.pairs]} if self.pairs else found


def ask_for_gpu(
    named: str,
    free_gib: float,
    off_on: Callable[[str], float | None] | None = None,
    runs: Callable[[str], bool] | None = None,
) -> Question:
    """Return the question for the device: those whose memory is a little more than what was free, or that would do.

    Parameters
    ----------
    named : str
        The device's name in the log, empty for none [-].
    free_gib : float
        Memory that was free before loading, 0 where it is not printed [GiB].
    off_on : callable, optional
        How far off the capacity is on a device, as a share of it, None where it has none [-].
    runs : callable, optional
        Whether the engine is known to run on a device [-].

    Returns
    -------
    Question
        It.
    """
    sizes = {key: load_gpu(key).memory_bytes / GIB for key in gpu_ids() if runs is None or runs(key)}
    near = {key: size for key, size in sizes.items() if free_gib <= size <= free_gib / (1 - MOST_IN_USE)}
    if free_gib:
        choices = tuple(sorted(near, key=lambda key: near[key]))
    else:
        off = {key: found for key in sizes if off_on and (found := off_on(key)) is not None}
        choices = tuple(sorted(nearest(off), key=lambda key: off[key]))
    if named:
        text = template("which GPU is {named}? It is none of the presets; its memory would do")
        return Question("gpu", say("logs.missing.gpu_named", text, named=repr(named[:80])), choices)
    return Question("gpu", say("logs.missing.gpu", "on which GPU did it run? The log does not say"), choices)


MAY_BE, FARTHEST = 0.06, 0.15
"""A device may be meant where the capacity is off by such a share of it; where none is so near, by so much more [-]."""


def nearest(off: Mapping[Key, float]) -> list[Key]:
    """Return those that are near; where none is, those that may be meant for want of any nearer.

    Parameters
    ----------
    off : mapping
        How far off the capacity is on each, as a share of the device; 0 within its range [-].

    Returns
    -------
    list
        Keys of it.
    """
    near = [key for key, share in off.items() if share <= MAY_BE]
    return near or [key for key, share in off.items() if share <= FARTHEST]


def ask_for_model(named: str, choices: tuple[str, ...]) -> Question:
    """Return the question for the model.

    Parameters
    ----------
    named : str
        The model's name in the log, empty for none [-].
    choices : tuple of str
        Presets that it may be [-].

    Returns
    -------
    Question
        It.
    """
    if named:
        text = template("which model is {named}? It is none of the presets")
        return Question("model", say("logs.missing.model_named", text, named=repr(named[:80])), choices)
    return Question("model", say("logs.missing.model", "which model was it? The log does not say"), choices)
