"""Which model types of an installed transformers and vLLM are read, which are refused, and why.

Neither library is a requirement of this package: their tables are read as text, a type's own defaults from its config
class. ``make coverage`` writes ``docs/coverage.md``, so that a new release shows what is missing.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from calculator.configs import families
from calculator.configs.families.refused import REASONS
from calculator.configs.families.without_reference import CLASSES
from calculator.configs.reader import model_from_hf_config
from calculator.errors import CalculatorError, InvalidValueError

CAUSAL = "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"
GENERATION = "_TEXT_GENERATION_MODELS"
READ, ALIAS, REFUSED, UNSEEN = "read", "read as another type", "refused", "no config class found"


_NO_CONFIGS: dict[str, Mapping[str, Any]] = {}
_NO_CLASSES: dict[str, str] = {}


class Covered(NamedTuple):
    """What becomes of one name of a library: the type that it stands for, and why where it is refused."""

    name: str
    kind: str
    state: str
    why: str = ""


def literal(path: Path, name: str) -> Mapping[str, Any]:
    """Return a table of a module by its source, without importing it.

    Raises
    ------
    InvalidValueError
        If the module has no such table, or one that is more than names and texts.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = node.value  # type: ignore[attr-defined]
            inner = value.args[0] if isinstance(value, ast.Call) and value.args else value
            try:
                return dict(ast.literal_eval(inner))
            except ValueError as error:
                raise InvalidValueError(f"{path.name}: {name} is no plain table: {error}") from None
    raise InvalidValueError(f"{path.name} has no {name}")


def folder_of(package: str) -> Path | None:
    """Return where a library is installed, None where it is not."""
    found = find_spec(package)
    return Path(found.origin).parent if found is not None and found.origin else None


LEFT_OUT = frozenset((
    "keys.missing", "keys.missing_what_reference_has", "layers.intermediate_size_missing", "mixers.q_lora_rank_missing",
    "reader.max_position_embeddings_missing", "schedule.layer_types_layers_block",
))  # fmt: skip
"""What is said where a config leaves a key out that decides."""


def of_kind(name: str, kind: str, config: Mapping[str, Any]) -> Covered:
    """Return what becomes of a type, by a config of it."""
    try:
        model = model_from_hf_config({**config, "model_type": kind})
    except InvalidValueError as error:
        if getattr(error.args[0], "key", "") in LEFT_OUT and families.find(kind):
            return Covered(name, kind, READ, f"its default leaves out what decides: {error.what}")
        return Covered(name, kind, REFUSED, str(error))
    except CalculatorError as error:
        return Covered(name, kind, REFUSED, re.sub(r"; if it is plain.*|: known are .*", "", str(error)))
    return Covered(name, kind, READ if model.model_type == kind else ALIAS, model.model_type)


def of_transformers(folder: Path) -> tuple[list[Covered], dict[str, Mapping[str, Any]], dict[str, str]]:
    """Return its causal language models, the default config of every type, and the type of every class."""
    table = literal(folder / "models" / "auto" / "modeling_auto.py", CAUSAL)
    configs, classes = dict(_NO_CONFIGS), dict(_NO_CLASSES)
    mapping = import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING
    for kind in mapping:
        try:
            configs[kind] = json.loads(json.dumps(mapping[kind]().to_dict(), default=str))
        except Exception:  # a class that cannot be made without arguments has no default config
            configs[kind] = {}
    for kind, names in table.items():
        classes.update(dict.fromkeys([names] if isinstance(names, str) else names, kind))
    return [of_kind(kind, kind, configs.get(kind) or {}) for kind in table], configs, classes


def of_vllm(folder: Path, configs: Mapping[str, Mapping[str, Any]], classes: Mapping[str, str]) -> Iterator[Covered]:
    """Yield its classes for text generation; what transformers has no config of goes by the name alone."""
    named, ours = ({_plain(kind): kind for kind in kinds} for kinds in (configs, (*families.all_names(), *REASONS)))
    told = {**CLASSES, **families.OWN_CLASSES}
    for name in literal(folder / "model_executor" / "models" / "registry.py", GENERATION):
        stem = _plain(re.sub(r"(ForCausalLM|LMHeadModel|ForConditionalGeneration|Model)$", "", name))
        own = told.get(name, "")
        kind = classes.get(name) or own or named.get(stem) or named.get(f"{stem}text") or ours.get(stem, "")
        if configs.get(kind):
            yield of_kind(name, kind, configs[kind])
        elif found := families.find(kind):
            yield Covered(name, found[0], READ)
        elif kind in REASONS:
            yield Covered(name, kind, REFUSED, f"it has {REASONS[kind]}")
        else:
            yield Covered(name, kind, UNSEEN)


def _plain(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def tables() -> Iterator[tuple[str, list[Covered]]]:
    """Yield a title and its rows for each library that is installed."""
    folder, configs, classes = folder_of("transformers"), _NO_CONFIGS, _NO_CLASSES
    if folder is not None:
        rows, configs, classes = of_transformers(folder)
        yield f"transformers {_version('transformers')}: causal language models", rows
    vllm = folder_of("vllm")
    if vllm is not None:
        yield f"vLLM {_version('vllm')}: text generation", list(of_vllm(vllm, configs, classes))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of no known version"


def written(found: list[tuple[str, list[Covered]]]) -> str:
    """Return the page."""
    lines = [
        "# Coverage",
        "",
        "Which model types of the reference and of vLLM are read, by the default config of each type's own class.",
        "Written by `make coverage` where those libraries are installed; they are no requirements.",
    ]
    for title, rows in found:
        counts = Counter(row.state for row in rows)
        share = (counts[READ] + counts[ALIAS]) / max(1, len(rows))
        said = ", ".join(f"{counts[state]} {state}" for state in (READ, ALIAS, REFUSED, UNSEEN) if counts[state])
        lines += ["", f"## {title}", "", f"{len(rows)} names: {said}; {share:.0%} are read.", ""]
        lines += ["| name | type | | |", "| --- | --- | --- | --- |"]
        for row in rows:
            why = row.why if row.state in (REFUSED, ALIAS) else ""
            lines.append(f"| {row.name} | {row.kind} | {row.state} | {why.replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Print the counts, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", type=Path, help="write the page here")
    asked = parser.parse_args(arguments)
    found = list(tables())
    if not found:
        print("Neither transformers nor vLLM is installed here: nothing to compare with.", file=sys.stderr)
        return 1
    page = written(found)
    print("\n".join(line for line in page.splitlines() if line.startswith("## ") or line.endswith("are read.")))
    if asked.write:
        asked.write.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
