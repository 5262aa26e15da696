"""Repositories of a preset's layers in a weight format: what a command names in place of the preset's own."""

from __future__ import annotations

import csv
from functools import cache

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.model_names import meaning
from calculator.catalogue.presets import data_file, load_model, model_names

TABLE = "quantised_repositories.csv"


def quantised_repository(model: ModelArchitecture, weight_dtype: str, seq_len: int = 1) -> str:
    """Return the repository of a preset in a weight format, empty where none is known.

    Parameters
    ----------
    model : ModelArchitecture
        A preset as it is [-].
    weight_dtype : str
        The format of the weights [-].
    seq_len : int
        The longest sequence, which a repository of the same layers may not be made for [tokens].
    """
    known = () if model.variations else _repositories().get((model.id, weight_dtype), ())
    return next((name for name, longest in known if longest >= seq_len), "")


@cache
def _repositories() -> dict[tuple[str, str], tuple[tuple[str, int], ...]]:
    """Return by preset and format the repositories that have it, each with its longest context [tokens]."""
    found: dict[tuple[str, str], tuple[tuple[str, int], ...]] = {}
    with data_file(TABLE).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            alias = meaning(row["repository"], model_names())
            if alias is not None and alias.weight_dtype:
                longest = alias.max_position_embeddings or load_model(alias.preset).max_position_embeddings
                key = alias.preset, alias.weight_dtype
                found[key] = (*found.get(key, ()), (row["repository"], longest))
    return found
