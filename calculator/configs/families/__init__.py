"""What is particular to each model type, as data: a module a maker, in each a row a type.

A row names the traits of the type's block, where they were read, and the defaults that the reference fills in where its
class (``reference.json``) has none. A trait that is a text names the config's key that decides.
How vLLM 0.33.0 keeps a recurrent state (the key that names its format, and what it is without one) is in the
``State`` of a row. A maker's module is imported when a type is looked for that no module before it knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from calculator.configs.family import Family

MAKERS = (
    "alibaba", "meta", "google", "deepseek", "mistral", "openai", "zhipu", "nvidia", "microsoft", "ibm", "cohere",
    "allen_ai", "tii", "others.a_to_h", "others.k_to_m", "others.p_to_z", "encoders", "without_reference",
)  # fmt: skip
"""The modules, in the order in which a type is looked for."""

OWN_CLASSES: Mapping[str, str] = {
    "BailingMoeV2_5ForCausalLM": "bailing_moe_v2_5", "K2HorizonForCausalLM": "k2_horizon", "Rnj1ForCausalLM": "rnj1",
    "PanguProMoEV2ForCausalLM": "pangu_pro_moe_v2",
}  # fmt: skip
"""Classes of which a config of another, or of no type of its own, says that its layers are of them: their rows."""


def of_classes(names: object) -> str | None:
    """Return the row that a config's list of classes decides, None where its type does."""
    return next((OWN_CLASSES[name] for name in names if name in OWN_CLASSES), None) if isinstance(names, list) else None


STEMS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
"""Ends of the names of classes that generate; what stands before them is mostly the type."""


def of_class_named_as_a_type(names: object) -> str | None:
    """Return the type that the first class of a config is called after, None where there is none."""
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    stem = next((name.removesuffix(end) for end in STEMS if name.endswith(end)), "")
    known = {kind.replace("_", "").lower(): kind for kind in all_names()} if stem else {}
    return known.get(stem.lower()) or known.get(f"{stem.lower()}text")


def find(kind: str) -> tuple[str, Family] | None:
    """Return a type's own name and its row, by that name or an alias; None for a type that has none."""
    for rows in _all_rows():
        if kind in rows:
            return kind, rows[kind]
        for name, row in rows.items():
            if kind in row.aliases:
                return name, row
    return None


def names() -> tuple[str, ...]:
    """Return the names of all types."""
    return tuple(name for rows in _all_rows() for name in rows)


def all_names() -> tuple[str, ...]:
    """Return the names of all types and their aliases."""
    return tuple(kind for rows in _all_rows() for name, row in rows.items() for kind in (name, *row.aliases))


def _all_rows() -> Iterator[dict[str, Family]]:
    for maker in MAKERS:
        yield import_module(f"{__name__}.{maker}").ROWS
