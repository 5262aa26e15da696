"""The pages: a question each, with an address of its own."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module


def page(name: str) -> Callable[[], None]:
    """Return what shows the page of a module, which is imported when it is first turned to."""

    def show() -> None:
        import_module(f"{__name__}.{name}").show()

    return show
