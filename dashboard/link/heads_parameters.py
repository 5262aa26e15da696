"""What a link says of the number of KV heads: which one, goals, a number to check, and what a conversion trains on."""

from __future__ import annotations

import calculator
from calculator.architecture.limits import MAX_HEADS
from calculator.errors import shown, unknown_name
from calculator.messages import phrase, say
from calculator.planning.heads.goals import GOALS
from calculator.reading.by_layer import is_by_layer, parse_by_layer
from calculator.reading.fields import Count, Field, Flag
from calculator.views.heads.chosen import LATENT, LISTED, OWN
from dashboard.link.parameters import Parameter, bounded, flag, number, whole
from dashboard.text import tell

MOST_TRAINED = 10**15
"""Tokens of training that a field takes; the most that has been published is a hundredth of it."""
SEEN_OF = ("kv_cache", "weights", "total", "parameters", "active", "saving", "saved_bytes", "speed", "step_time")
MOST_SEEN = 60
PANELS = ("why", "prefill", "uptraining")


def _kv_heads(text: str) -> str:
    if text in (LATENT, OWN, LISTED):
        return text
    if is_by_layer(text):
        return _heads_by_layer(text)
    try:
        return str(bounded(whole(text), 1, MAX_HEADS))
    except calculator.CalculatorError:
        raise calculator.InvalidValueError(
            say(
                "heads_parameters.must_whole_number_from",
                "must be a whole number from 1 to {max_heads:,}, {latent}, {own}, {listed} or a list by "
                "layer such as 4x40,16x40, not {text}",
                max_heads=MAX_HEADS,
                latent=LATENT,
                own=OWN,
                listed=LISTED,
                text=shown(text),
            )
        ) from None


def _heads_by_layer(text: str) -> str:
    parse_by_layer(text, tell("KV heads"))
    return text


def _windows_by_layer(text: str) -> str:
    parse_by_layer(text, "windows", may_be_none=True)
    return text


def _seen_of(text: str) -> str:
    if text not in SEEN_OF:
        raise unknown_name("kind of number", text, SEEN_OF)
    return text


def _target(text: str) -> str:
    return text if text == LATENT else str(bounded(whole(text), 1, MAX_HEADS))


def _panel(text: str) -> str:
    if text not in PANELS:
        raise unknown_name("panel", text, PANELS)
    return text


def _words(text: str) -> str:
    if len(text) > MOST_SEEN or not text.isprintable():
        raise calculator.InvalidValueError(
            say(
                "heads_parameters.must_at_most_characters",
                "must be at most {most_seen} characters that can be seen",
                most_seen=MOST_SEEN,
            )
        )
    return text


def _goal(field: Field) -> Parameter:
    if isinstance(field, Flag):
        return Parameter(flag, None)
    is_count = isinstance(field, Count)
    read, least = (whole, 1) if is_count else (number, 1e-6)
    most = int(getattr(field, "most", 0)) if is_count else float(getattr(field, "most", 0))
    return Parameter(lambda text: bounded(read(text), least, most), None, least, most, phrase("none"), clears=True)


HEADS = {
    "kv_heads": Parameter(_kv_heads, None, absent=phrase("the model's own")),
    "heads_by_layer": Parameter(_heads_by_layer, None, absent=phrase("no list")),
    "windows_by_layer": Parameter(_windows_by_layer, None, absent=phrase("the model's own")),
    "constant_parameters": Parameter(flag, None),
    **{name: _goal(field) for name, field in GOALS.items()},
    "seen": Parameter(_words, None),
    "seen_of": Parameter(_seen_of, None, absent=phrase("what its unit says")),
    "claim": Parameter(_words, None),
    "training_tokens": Parameter(
        lambda text: bounded(whole(text), 1, MOST_TRAINED), None, 1, MOST_TRAINED, "needed", clears=True
    ),
    "share": Parameter(lambda text: bounded(number(text), 1e-6, 1.0), None, 1e-6, 1.0, "0.05", clears=True),
    "to_kv_heads": Parameter(
        _target, None, absent=phrase("the number that is chosen above, or the nearest below the model's")
    ),
    "panel": Parameter(_panel, None, absent=PANELS[0]),
}
LONG_LISTS = ("kv_heads", "heads_by_layer", "windows_by_layer")
"""What may take more characters in a link than a number or a name."""
