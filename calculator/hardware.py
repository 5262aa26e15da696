"""What a device really offers: memory as programs see it, bandwidth, links, price."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from calculator.messages import joined, phrase, say, template
from calculator.reading.fields import Field, count, flag, listed, number, optional, text
from calculator.reading.schema import Schema
from calculator.units import MIB, format_gib, gib_to_bytes

PCIE_5_X16_GB_PER_S = 128
UNIFIED_NAMES = ("gb10",)
"""Parts of names of devices whose memory all programs, and the files that they read, share."""
CUSTOM = "custom"
"""The id of what is no preset."""
MAX_BYTES = 2**53

ACCELERATOR_FIELDS: dict[str, Field] = {
    "id": text(80, required=False),
    "name": text(80, required=False),
    "vendor": text(40, required=False, minimum=0),
    "generation": text(20, required=False, minimum=0),
    "memory_bytes": count(MAX_BYTES, required=False),
    "memory_source": text(200, required=False, minimum=0),
    "memory_verified": flag(required=False),
    "label_gb": optional(count(100_000)),
    "reported_mib": optional(count(100_000_000)),
    "program_gib": optional(listed(text(20), 2)),
    **{
        name: optional(number(10**6))
        for name in ("bandwidth_gb_per_s", "bf16_tflops", "fp8_tflops", "fp4_tflops", "link_gb_per_s")
    },
    "gpus_per_node": count(1024, required=False),
    "price_usd_per_hour": optional(listed(number(10**5), 2)),
    "price_date": text(80, required=False, minimum=0),
    "price_quotes": optional(count(1_000)),
    "sources": text(2_000, required=False, minimum=0),
    "unverified": listed(text(80), required=False),
}
"""What a plan file may say of a GPU of one's own, or of one that differs from a preset."""
_SCHEMA = Schema("Accelerator", ACCELERATOR_FIELDS)


@dataclass(frozen=True)
class Accelerator:
    """One device as a program sees it.

    Attributes
    ----------
    id, name, vendor : str
        Preset id, name and maker.
    memory_bytes : int
        What a program sees, and what a plan multiplies by the utilisation [bytes].
    memory_source : str
        Which figure ``memory_bytes`` is.
    memory_verified : bool
        Whether that figure was read off a device.
    label_gb : int or None
        The vendor's label, for display only [GB, as the vendor means it].
    reported_mib : int or None
        What nvidia-smi or its like prints [MiB].
    program_gib : tuple of two str, or None
        Lowest and highest total that programs reported [GiB].
    bandwidth_gb_per_s, link_gb_per_s : int or float, or None
        Memory bandwidth, and all links in both directions [GB/s].
    bf16_tflops, fp8_tflops, fp4_tflops : int or float, or None
        Dense peak [TFLOPS].
    gpus_per_node : int
        Devices of a usual machine [-].
    price_usd_per_hour : tuple of two float, or None
        Lowest and highest price seen [USD per device and hour].
    price_quotes : int or None
        How many sources quote it [-].
    generation : str
        The chips' generation, by the maker's name of it; empty where it is not told apart.
    price_date, sources : str
        When and where that was seen; examples, not quotes.
    unverified : tuple of str
        What of it was not confirmed.
    """

    id: str
    name: str
    vendor: str
    memory_bytes: int
    memory_source: str
    memory_verified: bool
    label_gb: int | None = None
    reported_mib: int | None = None
    program_gib: tuple[str, str] | None = None
    bandwidth_gb_per_s: float | None = None
    bf16_tflops: float | None = None
    fp8_tflops: float | None = None
    fp4_tflops: float | None = None
    link_gb_per_s: float | None = None
    gpus_per_node: int = 8
    price_usd_per_hour: tuple[float, float] | None = None
    price_date: str = ""
    generation: str = ""
    sources: str = ""
    unverified: tuple[str, ...] = ()
    price_quotes: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no plan file could say; a count of any integer type becomes a plain one."""
        stated = {name: getattr(self, name) for name in ACCELERATOR_FIELDS}
        checked = _SCHEMA.validate(
            {name: list(value) if isinstance(value, tuple) else value for name, value in stated.items()}
        )
        object.__setattr__(self, "memory_bytes", checked["memory_bytes"])
        object.__setattr__(self, "gpus_per_node", checked["gpus_per_node"])

    @property
    def has_fast_link(self) -> bool:
        """Whether devices are linked faster than PCIe 5.0 x16 can; assumed where nothing is known."""
        return self.link_gb_per_s is None or self.link_gb_per_s > PCIE_5_X16_GB_PER_S

    @cached_property
    def is_unified(self) -> bool:
        """Whether it shares its memory with all programs."""
        return is_unified(f"{self.id} {self.name}")

    @property
    def memory_note(self) -> str:
        """The three figures of memory in a sentence: label, reported, seen by a program."""
        seen, source = format_gib(self.memory_bytes), phrase(self.memory_source)
        parts = [say("hardware.seen", "{size} seen by a program ({source})", size=seen, source=source)]
        if self.reported_mib:
            parts.append(say("hardware.reported", "{mib:,} MiB in nvidia-smi and its like", mib=self.reported_mib))
        if self.label_gb:
            parts.append(say("hardware.label", "sold as {label} GB", label=self.label_gb))
        return joined("; ", [joined(", ", parts), *([] if self.memory_verified else [phrase("not verified")])])


def is_unified(name: str) -> bool:
    """Whether a device of a name shares its memory with all programs."""
    return any(part in name.lower() for part in UNIFIED_NAMES)


def custom_accelerator(memory_bytes: int, name: str = "Own GPU") -> Accelerator:
    """Describe a device by its memory alone, as ``torch.cuda.mem_get_info`` reports it [bytes]."""
    return Accelerator(CUSTOM, name, "", memory_bytes, template("given by hand"), memory_verified=True)


def program_memory(
    program_gib: tuple[str, str] | None, reported_mib: int | None, estimated: bool
) -> tuple[int, str, bool]:
    """Return memory for a plan [bytes], which figure it is, and whether it was verified.

    The middle of what programs reported; where none did, what the driver reports, not verified.
    """
    if program_gib:
        low, high = (gib_to_bytes(value) for value in program_gib)
        kind = template("the middle of what programs reported") if low != high else template("as programs reported")
        return (low + high) // 2, (template("estimated") if estimated else kind), not estimated
    assert reported_mib is not None, "the preset schema asks for one of the two"
    return reported_mib * MIB, template("the driver's figure, for want of a program's"), False
