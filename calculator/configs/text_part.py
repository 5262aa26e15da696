"""Where a config describes its text decoder: the whole of it, or a part inside of what wraps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from calculator.configs.reference import EXPERTS, LAYERS, SIZES, defaults_of, wrapper_of

TEXT_PARTS = ("text_config", "llm_config", "language_config", "thinker_config")
TOWERS = ("vision_config", "audio_config", "vision_tower_config", "speech_config")
OTHER_PARTS = ("quantization_config", "compression_config", "generation_config", "decoder_config")
SHARED = ("quantization_config", "compression_config")
"""Keys of the outer part that hold for the text decoder too."""
OF_A_PART = "_text"
"""How types end that stand in a wrapper: their configs leave sizes out also where they are taken out of it."""


class TextPart(NamedTuple):
    """The text decoder of a config.

    Attributes
    ----------
    config : dict
        Its keys.
    kind : object
        Its model type, as it says or as its wrapper has it.
    holder : mapping
        What it stands in, and encoders beside it; the config itself where it is the whole.
    wrapper : object
        The model type of the holder, None where the part is the whole.
    """

    config: dict[str, Any]
    kind: Any
    holder: Mapping[str, Any]
    wrapper: Any

    def defaults(self, name: str, of_row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the reference has for keys left out: of the row, of the type's class, of its wrapper's.

        A type that has no class of layers of its own has that of the type that the row is of. Where the class has
        nothing, the row says what the reference fills in.
        """
        whole = self.wrapper is None
        own = _assumed(self.kind, whole)
        if LAYERS not in defaults_of(self.kind):
            own = {**_assumed(name, True), **own}
        found = {**of_row, **{key: value for key, value in own.items() if value is not None or key not in of_row}}
        wrapper = wrapper_of(self.wrapper)
        return {**found, **(wrapper.get("keys", {}) if wrapper.get("type") == self.kind else {})}


def _assumed(kind: Any, whole: bool) -> dict[str, Any]:
    """Return the defaults of a type's class that count in a whole config, or in a part of one."""
    left_out = (*(() if str(kind).endswith(OF_A_PART) else SIZES), LAYERS) if whole else ()
    return {key: value for key, value in defaults_of(kind).items() if key not in left_out}


def text_part(config: Mapping[str, Any]) -> TextPart:
    """Return the part that describes the text decoder, with what only the outer part says."""
    kind, wrapper = config.get("model_type"), None
    holder: Mapping[str, Any] = config
    text = dict(config)
    while (part := _part_of(text)) is not None:
        outer, wrapper, holder = text, kind, text
        shared = {key: outer[key] for key in SHARED if key in outer}
        text = {**shared, **part}
        if (tied := _tied(outer, part, wrapper)) is not None:
            text["tie_word_embeddings"] = tied
        kind = text.get("model_type") or wrapper_of(wrapper).get("type") or kind
    return TextPart(text, kind, holder, wrapper)


def towers_of(holder: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the parts of a config that describe encoders beside the text decoder."""
    others = (*TEXT_PARTS, *OTHER_PARTS)
    return tuple(
        name
        for name, part in holder.items()
        if part and (name in TOWERS or (name.endswith("_config") and name not in others and _names_a_type(part)))
    )


def _names_a_type(part: object) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("model_type"), str)


def _part_of(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the text part of a config; None for one without, and for one that says nothing."""
    return next((part for name in TEXT_PARTS if isinstance(part := config.get(name), Mapping) and part), None)


def _tied(outer: Mapping[str, Any], text: Mapping[str, Any], wrapper: object) -> Any:
    """Return whether the head is the embedding; where a wrapper and its text part disagree, two are counted.

    Engines look whether a checkpoint holds a head, and untie one that it holds. Some wrappers take a tied text part's
    word.
    """
    said = [value for value in (outer.get("tie_word_embeddings"), text.get("tie_word_embeddings")) if value is not None]
    if not said:
        return defaults_of(wrapper).get("tie_word_embeddings")
    if set(map(type, said)) != {bool} or (said[-1] and wrapper_of(wrapper).get("text_ties")):
        return said[-1]
    return all(said)


def must_be_said(defaults: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the keys that have a default which is never assumed: how many experts there are."""
    return (EXPERTS,) if defaults.get(EXPERTS) else ()
