"""How many KV heads, drawn: memory, users, speed and published quality of a study, and who shares which head.

Above each chart of a study stand the presets, at their place on the same axis.
"""

from calculator.charts.heads.bars import batch_chart, memory_chart, speed_chart
from calculator.charts.heads.converting import converting_chart
from calculator.charts.heads.quality import quality_chart
from calculator.charts.heads.ratios import ratios_chart
from calculator.charts.heads.sharing import sharing_chart

__all__ = [
    "batch_chart",
    "converting_chart",
    "memory_chart",
    "quality_chart",
    "ratios_chart",
    "sharing_chart",
    "speed_chart",
]
