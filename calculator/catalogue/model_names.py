"""The preset that a model's name means: rows of repositories of the same layers, times a closed list of formats.

Nothing else is ever left out of a name: a longer name may be another model. Qwen3-235B-A22B-Instruct-2507 is made for
262,144 tokens and its preset for 40,960; DeepSeek-R1-Distill-Llama-70B is no DeepSeek-R1.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from calculator.errors import FileFormatError, shown
from calculator.formats.names import format_of_gguf
from calculator.messages import phrase

COLUMNS = ["repository", "preset", "max_position_embeddings", "source"]


@dataclass(frozen=True, slots=True)
class Alias:
    """What a name means.

    Attributes
    ----------
    preset : str
        The id of the preset whose layers it has.
    max_position_embeddings : int or None
        Its longest context, where that is another than the preset's [tokens].
    weight_dtype : str or None
        The weight format that its name says, None where it says none; one that is not understood in words.
    """

    preset: str
    max_position_embeddings: int | None = None
    weight_dtype: str | None = None


class MakersOwn(NamedTuple):
    """A suffix that one maker uses for a format of its own."""

    maker: str
    suffix: str
    weight_dtype: str
    is_default: bool = True
    """Whether a name without a publisher means the maker's."""


_INT4 = "gptq-int4"
SUFFIXES: dict[str, str | None] = {
    "fp8": "fp8", "fp8-dynamic": "fp8", "fp8-static": "fp8", "fp8-tensorwise": "fp8", "fp8-kv": "fp8",
    "fp8-block": "fp8-block", "w8a8-fp8": "fp8", "f8": "fp8",
    "w8a8": "int8", "quantized.w8a8": "int8", "int8": "int8", "w8a8-int8": "int8", "int8-w8a8": "int8",
    "awq": "awq-int4", "awq-int4": "awq-int4", "awq-4bit": "awq-int4", "int4-awq": "awq-int4", "4bit-awq": "awq-int4",
    "awq-g128-int4": "awq-int4", "awq-w4a16": "awq-int4", "w4a16-awq": "awq-int4", "awq-marlin": "awq-int4",
    "gptq": _INT4, "gptq-int4": _INT4, "gptq-4bit": _INT4, "int4-gptq": _INT4, "gptq-4bit-128g": _INT4,
    "w4a16": _INT4, "quantized.w4a16": _INT4, "w4a16-g128": _INT4, "int4": _INT4, "int4-w4a16": _INT4,
    "gptq-w4a16": _INT4, "gptq-w4a16-g128": _INT4, "autoround-int4": _INT4, "int4-autoround": _INT4,
    "autoround-4bit": _INT4, "w4a16-autoround": _INT4, "autoround-w4a16": _INT4, "autoround-awq": "awq-int4",
    "autoround": phrase("a format that the name does not say"),
    "gptq-int8": "gptq-int8", "gptq-8bit": "gptq-int8", "int8-gptq": "gptq-int8",
    "w8a16": phrase("8 bit integers with 16 bit activations"),
    "quantized.w8a16": phrase("8 bit integers with 16 bit activations"),
    "awq-8bit": phrase("8 bit integers of AWQ"), "gptq-int3": phrase("3 bit integers of GPTQ"),
    "bnb-4bit": "nf4", "unsloth-bnb-4bit": "nf4", "bnb-nf4": "nf4", "nf4": "nf4",
    "nvfp4": "nvfp4", "nvfp4a16": "nvfp4", "nvfp4-v2": "nvfp4", "fp4": "nvfp4", "mxfp4": "mxfp4",
    "bf16": "bf16", "fp16": "fp16", "f16": "fp16",
    "gguf": phrase("GGUF of a type that the name does not say"),
    "quantized": phrase("a format that the name does not say"),
    "qat": None, "qat-unquantized": None, "qat-q4-0-unquantized": None, "hf": None,
}  # fmt: skip
"""What a publisher adds to the name of a repository for a format, and the format; None where it changes none."""
OF_MAKERS = (
    MakersOwn("qwen", "fp8", "fp8-block"),
    MakersOwn("meta-llama", "fp8", "fp8 and 16 bit by a list that its config.json has", is_default=False),
)
"""What a maker's own suffix means, where it is not what others mean by it."""
UNSAID = phrase("that the name does not say")
MIRRORS = frozenset({
    "unsloth", "nousresearch", "lmstudio-community", "bartowski", "redhatai", "neuralmagic", "nm-testing", "nvidia",
    "thebloke", "ggml-org", "qwen", "modelscope", "llm-research", "ai-modelscope", "mlx-community", "hugging-quants",
    "huggyllama", "casperhansen", "solidrust", "cyankiwi", "cpatonn", "quanttrio", "amd", "intel",
})  # fmt: skip
"""Publishers that publish other makers' models under their own names, layers unchanged."""
_GGUF_TYPE = re.compile(r"-(?:ud-)?((?:i?q[1-8]|tq[12]|mxfp4|bf16|f16|f32)(?:-[01knsmlx]{1,3}){0,2}(?:-[a-z]{1,3})?)$")
_GGUF_PART = re.compile(r"(?:-[0-9]{5}-of-[0-9]{5})?\.gguf$")
_PLACES = re.compile(
    r"^(?:https?://)?(?:(?:www\.)?(?:hf\.co|huggingface\.co|ollama\.com)/|registry\.ollama\.ai/)?(?:library/|ollama/)?"
)
"""Where a repository or a tag is kept, before its name."""
_HUB_CACHE = re.compile(r"(?:^|/)models--([^/]{1,96}?)--([^/]{1,96}+)(?:/snapshots(?:/.{0,400}+)?)?$")


def read_names(path: Path) -> dict[str, Alias]:
    """Return every row by its repository in lower case.

    Raises
    ------
    FileFormatError
        If the table is not what it should be, with its line.
    """
    found: dict[str, Alias] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        if next(reader, []) != COLUMNS:
            raise FileFormatError(f"{path}:1: the columns must be {', '.join(COLUMNS)}")
        for row in reader:
            if len(row) != len(COLUMNS) or not row[0] or not row[1] or not row[3] or row[0].lower() in found:
                raise FileFormatError(f"{path}:{reader.line_num}: cannot be {shown(','.join(row))}")
            found[row[0].lower()] = Alias(row[1], int(row[2]) if row[2] else None)
    return found


def meaning(name: str, rows: Mapping[str, Alias]) -> Alias | None:
    """Return what a name means, None for nothing known.

    Parameters
    ----------
    name : str
        A repository, with its publisher or without, in any case; the folder of a cache of the Hub; or a file [-].
    rows : mapping of str to Alias
        What is known, by repository in lower case; ids of presets have no publisher [-].
    """
    cached = _HUB_CACHE.search(name.rstrip("/"))
    plain = _PLACES.sub("", "-".join((f"{cached[1]}/{cached[2]}" if cached else name).rstrip("/ ").lower().split()))
    untagged, colon, tag = plain.partition(":")
    if colon and tag and "\\" not in tag:
        plain = f"{untagged}-{tag}"
    elif plain in rows:
        return rows[plain]
    owner, _, bare = plain.rpartition("/")
    backwards = list(rows.items())[::-1]
    makers = {each.rpartition("/")[2]: each.partition("/")[0] for each, _ in backwards if "/" in each}
    known = {each: (makers.get(each, ""), alias) for name, alias in backwards if (each := name.rpartition("/")[2])}
    if colon:
        # what ollama runs by such a tag is a file in a type of GGUF
        return _in_a_format(owner, bare, known, ["gguf"])
    if bare in known and (not owner or owner in MIRRORS):
        return known[bare][1]
    spelt = None if owner else next((each for each in known if _joined(each) == _joined(bare)), None)
    return known[spelt][1] if spelt else _in_a_format(owner, bare, known, [])


def _joined(name: str) -> str:
    """Return a name without what people put between its words."""
    return name.replace("-", "").replace("_", "")


def _in_a_format(owner: str, bare: str, known: Mapping[str, tuple[str, Alias]], ends: list[str]) -> Alias | None:
    """Return what a name less its formats means, of any publisher; the longest name that is known decides.

    ``ends`` are the formats that are said otherwise than by its end.
    """
    rest = _GGUF_PART.sub("", bare)
    is_file, is_tag = rest != bare, bool(ends) and not owner
    rest, by_dashes = rest.replace("_", "-"), {name.replace("_", "-"): found for name, found in known.items()}
    if is_tag:
        by_dashes = {_joined(name): found for name, found in by_dashes.items()} | by_dashes
    while True:
        spelt = rest if rest in by_dashes or not is_tag else _joined(rest)
        if (ends or is_file) and spelt in by_dashes:
            publisher, alias = by_dashes[spelt]
            maker = owner or publisher
            rows = [row for row in OF_MAKERS if row.maker == (maker if row.is_default else owner)]
            own = {row.suffix: row.weight_dtype for row in rows}
            forms = [form for end in ends if (form := own.get(end) or _format_of(end))]
            # a file or a repository of many files can say its type before or behind that
            said = next((form for form in forms if UNSAID not in form), forms[0] if forms else alias.weight_dtype)
            return Alias(alias.preset, alias.max_position_embeddings, said)
        end = _end_of(rest)
        if end is None:
            return None
        ends.append(end)
        rest = rest[: -len(end) - 1]


def _end_of(name: str) -> str | None:
    """Return the format at the end of a name, as it is written there; None where there is none."""
    ends = [end for end in SUFFIXES if name.endswith(f"-{end}")]
    if ends:
        return max(ends, key=len)
    typed = _GGUF_TYPE.search(name)
    return name[typed.start() + 1 :] if typed else None


def _format_of(end: str) -> str | None:
    """Return the weight format that the end of a name says."""
    if end in SUFFIXES:
        return SUFFIXES[end]
    kind = end.removeprefix("ud-").replace("-", "_")
    return format_of_gguf(kind) or f"GGUF type {kind.upper()}"
