"""Rnj-1: layers that attend to their own chunk and the one before, which an engine keeps as a window."""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.blocks.builder import Layer, LayerPlan
from calculator.configs.blocks.layers import Assembler
from calculator.configs.schedules.schedule import CHUNK, WINDOW


class ChunksAsWindows(Assembler):
    """What a chunked layer keeps is the last ``sliding_window`` tokens, of which a chunk is half."""

    def build(self, plan: LayerPlan) -> list[Layer]:
        """Return the layer; a chunked one as a window."""
        return super().build(replace(plan, kind=WINDOW) if plan.kind == CHUNK else plan)
