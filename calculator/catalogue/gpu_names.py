"""The GPUs that a name can mean, as people, drivers and logs write it.

A name that a driver prints is looked up whole. Any other is taken apart into words: it means the devices whose words
are all of it, and one of them where nothing that tells it apart is left unsaid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise

from calculator.catalogue.parts.mig import MIG
from calculator.catalogue.parts.vgpu import VGPU, profile_id

PRINTED = {
    "h800-sxm": ("NVIDIA H800", "NVIDIA H800 80GB HBM3"),
    "a800-40gb": ("NVIDIA A800-SXM4-40GB", "NVIDIA A800 40GB Active", "NVIDIA A800-PCIE-40GB"),
    "h20-141gb": ("NVIDIA H20-3e",),
    "rtx-6000-turing": ("Quadro RTX 6000", "NVIDIA Quadro RTX 6000", "Quadro RTX 6000 Passive"),
    "rtx-5000-turing": ("Quadro RTX 5000", "NVIDIA Quadro RTX 5000"),
    "jetson-agx-thor": ("NVIDIA Jetson AGX Thor Developer Kit", "NVIDIA Jetson T5000"),
    "gaudi3": ("HL-325", "HL-325L", "HL-328"),
    "v100-16gb": ("Tesla V100-SXM2-16GB", "Tesla V100-PCIE-16GB", "Tesla V100-FHHL-16GB"),
    "v100-32gb": (
        "Tesla V100-SXM2-32GB", "Tesla V100-SXM3-32GB", "Tesla V100-PCIE-32GB", "Tesla V100S-PCIE-32GB",
        "Tesla V100-SXM2-32GB-LS",
    ),
    "a100-40gb": ("NVIDIA A100-SXM4-40GB", "NVIDIA A100-PCIE-40GB", "NVIDIA A100-PG509-200", "A100 40GB SXM"),
    "a100-80gb-sxm": ("NVIDIA A100-SXM-64GB",),
    "rtx-4000-ada": ("NVIDIA RTX 4000 SFF Ada Generation",),
    "rtx-pro-6000-blackwell": (
        "NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "NVIDIA RTX PRO 6000 Blackwell Server Edition",
        "NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "RTX PRO 6000 BSE",
    ),
    "rtx-5090": ("NVIDIA GeForce RTX 5090 D",),
    "rtx-4090": ("NVIDIA GeForce RTX 4090 D",),
    "h100-pcie": ("NVIDIA H100 80GB HBM2e",),
    "h100-sxm": ("NVIDIA H100 80GB HBM3", "NVIDIA H100 HBM3"),
    "h200": ("NVIDIA H200 NVL", "NVIDIA H200 SXM", "NVIDIA H200-SXM-141GB", "NVIDIA H200-NVL-141GB"),
    "gh200-96gb": ("NVIDIA GH200 480GB",),
    "b200": ("NVIDIA B200 SXM", "NVIDIA B200-SXM-180GB"),
    "b300": ("NVIDIA B300 SXM6 AC", "NVIDIA B300 SXM"),
    "gb10": ("DGX Spark", "NVIDIA GB10 (DGX Spark)", "NVIDIA GB10 Superchip"),
    "mi250x-gcd": ("AMD Instinct MI250X/MI250", "AMD Instinct MI250"),
    "mi300x": ("AMD Instinct MI300X VF", "AMD Instinct MI300X HF"),
    "mi325x": ("AMD Instinct MI325X VF",),
    "mi355x": ("AMD Instinct MI355X VF",),
    "gaudi2": ("HL-225", "HL-225H"),
    "tpu-v5e": ("TPU v5 lite", "TPU v5litepod"),
    "tpu-v5p": ("TPU v5",),
    "tpu-v6e": ("TPU v6 lite", "Trillium"),
    "inferentia2": ("inf2",),
    "trainium2": ("trn2",),
    "ascend-910b": ("910B1", "910B2", "910B3", "Ascend910B3", "Ascend910B2", "Ascend910B1"),
    "ascend-310p": ("310P3", "Ascend310P3", "Atlas 300I Duo"),
}  # fmt: skip
"""Names as nvidia-smi, rocm-smi, npu-smi and engines print them, where words do not say it."""

_MAKERS = re.compile(
    r"\((?:tm|r)\)|\b(?:nvidia|amd|ati|intel|huawei|apple|google|aws|tesla|geforce|quadro|instinct|radeon|graphics|gpu|"
    r"generation|accelerator|corporation|device|edition|card|hbm[0-9]?e?|gddr[0-9]x?|oam|unified|memory)\b"
)
_SPELLINGS = ((re.compile(r"\bsxm[0-9]\b"), "sxm"), (re.compile(r"(?<=[0-9]) (?=gb\b)"), ""))
_SMALL_WORDS = frozenset({"rtx", "gtx", "rx", "apple", "blackwell"})
_OTHERS = frozenset({"ti", "super", "xt", "xtx", "ada", "laptop", "max", "ultra"})
"""Words that make of a card another with a memory of its own: a name without them is not that card's."""
_PARTS = frozenset({"mig", "vgpu"})
_SIZE = re.compile(r"[0-9]{1,4}gb")
_WORD = re.compile(r"[a-z0-9.]+")
_BETWEEN = re.compile(r"[\s/,()-]+")
_MIG = re.compile(r"(.{0,120}?)\bmig[ -]{0,4}+([1-7]g\.[0-9]{1,3}+gb)(?:\+[a-z.]{1,20}+)?(?: device.{0,80}+)?")
_VGPU = re.compile(r"(?:nvidia )?(?:grid )?(.{0,80}?)[ -](?:([1-7])-)?([0-9]{1,3})[qcba](?:me)?")


def _plain(name: str) -> str:
    """Return a name in lower case with single spaces, without makers and what every device has."""
    text = _MAKERS.sub(" ", name.lower().replace("_", " "))
    text = _BETWEEN.sub(" ", text).strip()
    for found, put in _SPELLINGS:
        text = found.sub(put, text)
    return text


def _compact(name: str) -> str:
    return re.sub(r"[^a-z0-9.+]", "", _plain(name))


@cache
def _printed() -> dict[str, str]:
    return {_compact_whole(name): key for key, names in PRINTED.items() for name in names}


def _compact_whole(name: str) -> str:
    """Return a name without spaces and makers, memory kept: what a driver prints is known whole."""
    bare = re.sub(r"\((?:tm|r)\)|\b(?:nvidia|amd|intel|tesla|geforce|instinct|radeon|graphics)\b", "", name.lower())
    return re.sub(r"[^a-z0-9.+]", "", bare)


@cache
def _words_of(key: str) -> frozenset[str]:
    return frozenset(_WORD.findall(key.replace("-", " ")))


def candidates(name: str, ids: Iterable[str], label_of: Callable[[str], int | None]) -> tuple[str, ...]:
    """Return the ids of the devices that a name can mean: none, one where it is plain, or the choices.

    Parameters
    ----------
    name : str
        What a person, a driver or a log calls it [-].
    ids : iterable of str
        The ids that there are, whole devices before parts [-].
    label_of : function
        Returns the vendor's label of a device's memory by its id [GB].
    """
    known = tuple(ids)
    lower = " ".join(name.lower().split())
    if lower in known:
        return (lower,)
    printed = _printed().get(_compact_whole(lower))
    if printed in known:
        return (printed,)
    part = _mig(lower, known, label_of) or _vgpu(lower, known)
    if part is not None:
        return part
    same = tuple(key for key in known if _compact(key) == _compact(lower))
    return same[:1] or _by_words(lower, known, label_of)


def _by_words(name: str, known: tuple[str, ...], label_of: Callable[[str], int | None]) -> tuple[str, ...]:
    """Return the whole devices that have every word: those of which only memory is left unsaid, else all."""
    said = frozenset(_WORD.findall(_plain(name)))
    sizes = frozenset(filter(_SIZE.fullmatch, said))
    telling = said - _SMALL_WORDS - sizes
    if not telling:
        return ()
    found = {}
    for key in known:
        words = _words_of(key)
        joined = {pair for pair, _ in _joined(key) if pair in telling}
        if words & _PARTS or not telling <= words | joined:
            continue
        unsaid = words - said - _SMALL_WORDS - {word for pair, both in _joined(key) if pair in joined for word in both}
        if all(size in words or f"{label_of(key)}gb" == size for size in sizes):
            found[key] = unsaid
    plain = [key for key, unsaid in found.items() if not unsaid]
    nearly = [key for key, unsaid in found.items() if all(map(_SIZE.fullmatch, unsaid))]
    if not plain and not nearly and len(found) == 1 and _OTHERS & next(iter(found.values())):
        return ()
    # of one size that is left unsaid another may be sold under the same name, as the A100 of 80 GB is
    return tuple(plain or (nearly if len(nearly) > 1 else found))


@cache
def _joined(key: str) -> tuple[tuple[str, tuple[str, str]], ...]:
    """Return what two words that stand side by side make, as in ``rtx4090`` and ``4070ti``."""
    words = _WORD.findall(key.replace("-", " "))
    return tuple((first + second, (first, second)) for first, second in pairwise(words))


def _mig(name: str, known: tuple[str, ...], label_of: Callable[[str], int | None]) -> tuple[str, ...] | None:
    found = _MIG.fullmatch(name)
    if not found:
        return None
    whole = found[1].strip(" -,")
    devices = candidates(whole, known, label_of) if whole else tuple(MIG)
    profiles = (f"{device}-mig-{found[2]}" for device in devices if device in MIG)
    return tuple(profile for profile in profiles if profile in known)


def _vgpu(name: str, known: tuple[str, ...]) -> tuple[str, ...] | None:
    found = _VGPU.fullmatch(name)
    if not found:
        return None
    board = _plain(found[1])
    slices = int(found[2]) if found[2] else None
    named = (device for device, row in VGPU.items() if f" {_plain(row.board)}".endswith(f" {board}"))
    profiles = (profile_id(device, int(found[3]), slices) for device in named)
    return tuple(profile for profile in profiles if profile in known) or None
