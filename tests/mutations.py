"""Real configs, spoiled: keys removed, renamed, of the wrong kind, out of bounds, nested, contradictory."""

import copy
import random
from typing import Any

WRONG = (
    None,
    True,
    False,
    0,
    -1,
    1,
    3,
    7,
    10**30,
    -(10**30),
    2**63,
    1.5,
    0.0,
    float("inf"),
    float("nan"),
    "",
    "128",
    "auto",
    "<b>x</b>",
    "[x](https://example.com)",
    "\n::error::x",
    [],
    [1],
    [[]],
    ["full_attention"],
    ["nonsense"] * 3,
    {},
    {"a": 1},
    {"a": {"b": {"c": []}}},
)
UNRELATED = ("a_note", "trained_by", "colour", "release", "my_comment")


def mutate(config: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return a copy of a config with one to four spoilt places."""
    spoilt = copy.deepcopy(config)
    for _ in range(rng.randint(1, 4)):
        place = rng.choice(_mappings(spoilt))
        if not place:
            continue
        key = rng.choice(list(place))
        kind = rng.randrange(7)
        if kind == 0:
            del place[key]
        elif kind == 1:
            place[rng.choice((key.upper(), key + "s", "num_" + key, key.replace("num", "n")))] = place.pop(key)
        elif kind == 2 and isinstance(place[key], int) and not isinstance(place[key], bool):
            place[key] += rng.choice((-1, 1, 7, place[key]))
        elif kind == 3 and isinstance(place[key], list):
            place[key] = place[key][: rng.randrange(len(place[key]) + 1)] + rng.choice(([], ["full_attention"], [1]))
        elif kind == 4:
            place[key] = {key: {key: place[key]}}
        elif kind == 5:
            other = rng.choice(list(place))
            place[key], place[other] = place[other], place[key]
        else:
            place[key] = copy.deepcopy(rng.choice(WRONG))
    return spoilt


def _mappings(config: Any) -> list[dict[str, Any]]:
    """Return every mapping in a config, the outermost first."""
    found = [config] if isinstance(config, dict) else []
    children = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    for child in children:
        if isinstance(child, dict | list):
            found += _mappings(child)
    return found
