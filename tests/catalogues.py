"""Catalogues of languages: what the code says is extracted, catalogues are brought up to it and compiled.

A catalogue is ``calculator/languages/CODE.po``, edited by hand; ``CODE.mo`` beside it is compiled from it.
"""

from __future__ import annotations

import ast
import io
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from calculator.catalogue.claims import claim_entries
from calculator.catalogue.presets import all_gpu_ids, load_gpu
from calculator.catalogue.published import published_pairs, published_remarks
from calculator.languages.known import COMPILED, FOLDER, SOURCE
from calculator.request import OPTIONS

ROOT = Path(__file__).parent.parent
TEXT_AT = {"say": 1, "tell": 0, "phrase": 0, "template": 0, "joined": 0, "plural": 1, "unknown_name": 0, "listed": 1}
"""Which argument is the text, by the name of the call."""
WORDS = re.compile(r"(?<![-\w.])[a-z]{3,}(?![-\w])")
"""What a text has that is no proper name: a word in small letters."""


def sources() -> list[Path]:
    """Return the files that say something on a page; the terminal speaks English."""
    room = [*(ROOT / "calculator").rglob("*.py"), *(ROOT / "dashboard").rglob("*.py")]
    return [ROOT / "app.py", *sorted(file for file in room if "cli" not in file.parts)]


def said_in(file: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the text and the form for many of each text that a file says."""
    for call in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        at = TEXT_AT.get(name)
        if at is None or len(call.args) <= at:
            continue
        for text in _constants(call.args[at]):
            many = ""
            if name == "plural":
                given = call.args[2] if len(call.args) > 2 else None
                noun = given.value if isinstance(given, ast.Constant) else text + "s"
                text, many = f"{{number:,}} {text}", f"{{number:,}} {noun}"
            if text.strip():
                yield call.lineno, text, many


def _constants(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an argument is one of."""
    if isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def extracted() -> Catalog:
    """Return what the code says, as a catalogue without translations; where it is said is a file, not a line."""
    found = Catalog(project="kv-cache-planner", fuzzy=False)
    for file in sources():
        for _, text, many in said_in(file):
            found.add((text, many) if many else text, locations=[(file.relative_to(ROOT).as_posix(), 0)])
    for option in OPTIONS.values():
        found.add(option.help, locations=[("calculator/request/table.py", 0)])
    for text in _published():
        found.add(text, locations=[("calculator/catalogue/data/published_quality.csv", 0)])
    for remark in itertools.chain(*published_remarks()):
        for text in filter(None, (remark.says, remark.why)):
            found.add(text, locations=[("calculator/catalogue/data/published_remarks.yaml", 0)])
    for date in sorted({load_gpu(gpu).price_date for gpu in all_gpu_ids()}):
        if WORDS.search(date):
            found.add(date, locations=[("calculator/catalogue/data/gpu_presets.yaml", 0)])
    for claim in claim_entries():
        for text in (claim.says, claim.holds):
            found.add(text, locations=[("calculator/catalogue/data/circulating_claims.yaml", 0)])
    return found


def _published() -> Iterator[str]:
    """Yield the names of published models, variants and tests that are words; others are proper names."""
    for pair in published_pairs():
        for text in (pair.model, pair.variant, pair.benchmark):
            if WORDS.search(text):
                yield text


def read(code: str) -> Catalog:
    """Return the catalogue of a language as it stands in its file."""
    with (FOLDER / f"{code}{SOURCE}").open("rb") as file:
        return read_po(file, locale=code)


def compiled(catalogue: Catalog) -> bytes:
    """Return a catalogue as it is read at run time."""
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def update(code: str) -> None:
    """Bring a catalogue up to what the code says, and compile it; what is no longer said leaves it."""
    path = FOLDER / f"{code}{SOURCE}"
    catalogue = read(code) if path.exists() else Catalog(locale=code, fuzzy=False)
    dated = catalogue.creation_date
    catalogue.update(extracted(), no_fuzzy_matching=True)
    catalogue.creation_date = dated  # a catalogue that says the same is the same
    catalogue.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalogue, width=110, include_lineno=False, sort_by_file=True, omit_header=False)
    (FOLDER / f"{code}{COMPILED}").write_bytes(compiled(catalogue))
    missing = sum(not message.string or not any(message.string) for message in catalogue if message.id)
    print(f"{code}: {len(catalogue)} texts, {missing} without a translation")


if __name__ == "__main__":
    for language in sys.argv[1:] or sorted(file.stem for file in FOLDER.glob(f"*{SOURCE}")):
        update(language)
