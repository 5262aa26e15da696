"""What tests of charts share: models, plans, and how a figure is read."""

import re

import pytest

import calculator
from calculator import charts, views

GIB = 2**30

# From the published configs: query heads, KV heads.
MODELS = {
    "llama-3-70b": (64, 8),
    "llama-2-7b": (32, 32),
    "falcon-7b": (71, 1),
    "mixtral-8x7b": (32, 8),
    "qwen2.5-14b": (40, 8),
    "palm-540b": (48, 1),
    "qwen3-0.6b": (16, 8),
}
DEGREES = {"llama-3-70b": 4, "llama-2-7b": 1, "falcon-7b": 1, "mixtral-8x7b": 4, "qwen2.5-14b": 4, "palm-540b": 16}
each_model = pytest.mark.parametrize("name", MODELS)
GROWTH = ("sequence-length", "kv-heads", "tensor-parallel")


def plan_of(name, **changes):
    asked = {"gpu": "a100-80gb-sxm", "tensor_parallel_size": DEGREES.get(name, 1), "seq_len": 2048, "batch_size": 4}
    return calculator.plan(name, **{**asked, **changes})


def opening(**changes):
    return plan_of("llama-3-70b", **{"seq_len": 8192, "batch_size": 16, **changes})


def long_context(**changes):
    """A plan whose crossing lies inside the model's context of 131,072 tokens."""
    return plan_of("llama-3.1-70b", **{"tensor_parallel_size": 4, "seq_len": 8192, "batch_size": 16, **changes})


def texts(figure):
    return [annotation.text for annotation in figure.layout.annotations]


def lines_at(figure, axis):
    """Where straight lines run across a chart: y of horizontal ones, x of vertical ones."""
    return [
        getattr(shape, f"{axis}0")
        for shape in figure.layout.shapes
        if getattr(shape, f"{axis}0") == getattr(shape, f"{axis}1")
    ]


def trace(figure, name):
    (found,) = [trace for trace in figure.data if trace.name == name]
    return found


def colours_of(value):
    """Every colour written anywhere in a figure."""
    found = set()
    if isinstance(value, dict):
        for inner in value.values():
            found |= colours_of(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            found |= colours_of(inner)
    elif isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{3,8}|rgba?\(.*\)", value):
        found.add(value)
    return found


def all_figures(plan):
    """Every chart that grows with a plan's numbers, and the memory bar."""
    figures = {name: charts.draw(make(plan)) for name, make in views.VIEWS.items() if name in GROWTH}
    return {**figures, "memory-bar": charts.memory_bar(plan)}
