"""Model types of Mistral AI."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.blocks.extras import Extra
from calculator.configs.families.deepseek import DEEPSEEK_V3
from calculator.configs.family import Family, transformers
from calculator.configs.schedules.rules import WINDOWS
from calculator.configs.traits import Experts

MISTRAL = Family(schedule=WINDOWS)

ROWS: dict[str, Family] = {
    "mistral": replace(MISTRAL, source=transformers("mistral")),
    "ministral": replace(MISTRAL, source=transformers("ministral")),
    "ministral3": Family(source=transformers("ministral3"), schedule=WINDOWS),
    "voxtral_realtime_text": replace(
        MISTRAL, source=transformers("voxtral_realtime"),
        extras=(Extra("norms", "32", "hidden"), Extra("norms", "hidden", "32")),
    ),
    "mixtral": Family(source=transformers("mixtral"), schedule=WINDOWS, experts=Experts(width="intermediate_size")),
    "mistral4": replace(
        DEEPSEEK_V3, source=transformers("mistral4"),
        ),
}  # fmt: skip
