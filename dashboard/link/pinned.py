"""What a link says of pinned plans: each packed, as the link that opens it."""

from __future__ import annotations

from urllib.parse import parse_qsl

import calculator
from calculator.messages import say
from dashboard.link.packing import unpack_text
from dashboard.link.parameters import Parameter

MOST_PINNED, MOST_FIELDS = 4, 200


def link_of(pin: str) -> dict[str, str]:
    """Return the link that opens a pinned plan."""
    try:
        return dict(parse_qsl(unpack_text(pin), strict_parsing=True, max_num_fields=MOST_FIELDS))
    except ValueError:
        raise calculator.InvalidValueError(
            say("pinned.not_plan_this_page", "is not a plan that this page pinned")
        ) from None


def _pins(text: str) -> list[str]:
    pins = list(dict.fromkeys(text.split(",")))
    if len(pins) > MOST_PINNED:
        raise calculator.InvalidValueError(
            say(
                "pinned.holds_plans_at_most",
                "holds {pins} plans, at most {most_pinned} are pinned",
                pins=len(pins),
                most_pinned=MOST_PINNED,
            )
        )
    for pin in pins:
        link_of(pin)
    return pins


PINNED = {"pinned": Parameter(_pins, [], absent="none")}
