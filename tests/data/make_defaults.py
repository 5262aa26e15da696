"""Make ``calculator/configs/reference.json``: what the config classes of transformers have for keys left out.

Set up transformers alone, torch is not needed, in a folder outside the repository, and run from the checkout::

    python3.11 -m venv reference && reference/bin/pip install transformers==5.23.0
    reference/bin/python tests/data/make_defaults.py

What is written
---------------
types
    Model type → key, by the name that this project uses → the default of the field of its class. ``null`` where the
    class has none, or fills it from other keys after it was built. Only keys that the reader asks for.
wrappers
    Model type with a text part in a key of its own → that key, the type of its text part where it names none, and the
    keys that the wrapper fills otherwise than the text part's own class; ``text_ties`` where a tied head of the text
    part holds though the wrapper says untied.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
FILE = ROOT / "calculator" / "configs" / "reference.json"
PARTS = ("text_config", "llm_config", "language_config", "thinker_config", "decoder", "decoder_config")
NEVER = {"architectures", "model_type", "torch_dtype", "quantization_config", "dtype"}


def classes() -> dict:
    """Return the config class of every model type that can be imported."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

    found = {}
    for kind in CONFIG_MAPPING_NAMES:
        try:
            found[kind] = CONFIG_MAPPING[kind]
        except Exception as error:
            print(f"{kind}: {type(error).__name__}", file=sys.stderr)
    return found


def fields_of(config_class) -> dict:
    """Return the defaults of the fields of a class, by this project's names; of a text part's, not of its wrapper's."""
    from calculator.configs.keys import SYNONYMS

    by_name = {}
    attribute_map = getattr(config_class, "attribute_map", {}) or {}
    known = {field.name: field.default for field in dataclasses.fields(config_class)}
    for name, value in known.items():
        if isinstance(value, bool | int) or value is None or (isinstance(value, str) and len(value) < 40):
            for ours in {name, *(alias for alias, target in attribute_map.items() if target == name)}:
                canonical = next((first for first, others in SYNONYMS.items() if ours in others), ours)
                by_name.setdefault(canonical, value)
    return by_name


def asked(config_classes: dict) -> set[str]:
    """Return the keys that the reader asks for, over the default configs of all types."""
    import calculator
    from calculator.configs.keys import Keys

    names: set[str] = set()
    value = Keys.value

    def noted(self, name):
        names.add(name)
        return value(self, name)

    Keys.value = noted
    for kind, config_class in config_classes.items():
        try:
            calculator.model_from_hf_config({**json.loads(json.dumps(config_class().to_dict())), "model_type": kind})
        except Exception:
            continue
    Keys.value = value
    return names - NEVER


def wrapper(kind: str, config_class) -> dict | None:
    """Return where a wrapper keeps its text part and how it fills it, None for a type that is no wrapper."""
    part = next((name for name in PARTS if name in (config_class.sub_configs or {})), None)
    if part is None:
        return None
    try:
        default = getattr(config_class(), part)
    except Exception:
        return {"part": part}
    text = getattr(default, "model_type", None)
    found = {"part": part, "type": text}
    try:
        filled = getattr(config_class(**{part: {"model_type": text}}), part)
        plain = type(filled)()
    except Exception:
        return found
    try:
        kept = config_class(tie_word_embeddings=False, **{part: {"model_type": text, "tie_word_embeddings": True}})
        found = {**found, "text_ties": True} if kept.tie_word_embeddings else found
    except Exception as error:
        print(f"{kind}: {type(error).__name__}", file=sys.stderr)
    own = {}
    fields = fields_of(type(filled))
    for name in fields:
        one, other = _of(filled, name), _of(plain, name)
        if one != other and isinstance(one, bool | int):
            own[name] = one
    return {**found, **({"keys": own} if own else {})}


def _of(config, name: str):
    try:
        return getattr(config, name, None)
    except Exception:  # a size that differs by layer is no default
        return None


def main() -> int:
    """Write the file."""
    import transformers

    found = classes()
    names = asked(found)
    types = {}
    for kind, config_class in sorted(found.items()):
        kept = {name: value for name, value in sorted(fields_of(config_class).items()) if name in names}
        if kept:
            types[kind] = kept
    wrappers = {kind: one for kind, cls in sorted(found.items()) if (one := wrapper(kind, cls))}
    rows = ",\n".join(f"{json.dumps(kind)}: {json.dumps(row)}" for kind, row in types.items())
    outer = ",\n".join(f"{json.dumps(kind)}: {json.dumps(row)}" for kind, row in wrappers.items())
    FILE.write_text(
        f'{{"source": "transformers {transformers.__version__} models/*/configuration_*.py",\n'
        f'"types": {{\n{rows}\n}},\n"wrappers": {{\n{outer}\n}}}}\n',
        encoding="utf-8",
    )
    print(f"{len(types)} types, {len(wrappers)} wrappers, {FILE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
