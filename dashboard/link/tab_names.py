"""The views by the names that links know them by: those below an answer, and those that live elsewhere."""

from __future__ import annotations

from calculator.messages import phrase
from calculator.views import VIEWS

SHOWN = {
    phrase("Length"): ("sequence-length",),
    phrase("KV heads"): ("kv-heads",),
    phrase("Tensor parallel"): ("tensor-parallel", "parallelism"),
    phrase("Load"): ("load",),
}
"""What each of the four views is called, and the names in links that open it, its own first."""
BESIDE_FORMULA = ("memory", "kv-in-use")
"""What stands beside the formula."""
ON_PAGES = {"engines": "compare", "reconcile": "log", "about": "method"}
"""What has a page of its own, and its address."""
IDS = tuple(
    dict.fromkeys([*(question.part_of or name for name, question in VIEWS.items()), *BESIDE_FORMULA, *ON_PAGES])
)
"""Every name that a link may say."""
