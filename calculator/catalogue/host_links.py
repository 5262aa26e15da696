"""What moves between a host's memory and a device, as measured: one row a link, with its source and date."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostLink:
    """A link between host memory and one device, in one direction.

    Attributes
    ----------
    name : str
        What it is.
    gb_per_s : float
        Copies of pinned host memory to the device by its copy engine, alone on the link [GB/s].
    gb_per_s_low, gb_per_s_high : float
        The least seen where several devices or both directions copy at once, and the most seen at all [GB/s].
    source : str
        Where the figures were read, with dates.
    """

    name: str
    gb_per_s: float
    gb_per_s_low: float
    gb_per_s_high: float
    source: str


LINKS = {
    "pcie3": HostLink(
        "PCIe 3.0 x16", 12.0, 5.3, 13.0,
        "12 into a V100: ZaidQureshi/bam issue 54 (2025-02-14); the ends are the shares of PCIe 4.0, not measured",
    ),
    "pcie4": HostLink(
        "PCIe 4.0 x16", 25.1, 11.0, 26.4,
        "25.13 into an A100 SXM: NVIDIA/nvbandwidth issue 42 (2025-07-05); 23.9 to 26.4 into eight RTX 4090 one by "
        "one: issue 15 (2024-01-06); 11 into an A100 while it also copies out: issue 53 (2025-11-21)",
    ),
    "pcie5": HostLink(
        "PCIe 5.0 x16", 56.9, 12.3, 57.1,
        "56.7 to 57.1 into an H100: NVIDIA/nvbandwidth issue 6 (2023-07-11); 12.3 into each of four GPUs with the "
        "files' cache of the host behind (Llama 70B, 128,000 tokens in 0.85 s): llm-d/llm-d-kv-cache pull request 607 "
        "(2026-05-26)",
    ),
    "nvlink-c2c": HostLink(
        "NVLink C2C", 342.0, 171.0, 346.0,
        "342 into a GH200: vllm-project/vllm pull request 6496 (2024-07-18); 346: NVIDIA/nvbandwidth issue 23 "
        "(2024-08-23); half of it in both directions at once: issue 41 (2025-05-19)",
    ),
}  # fmt: skip
"""Links by name."""
BY_GENERATION = {
    "pascal": "pcie3", "volta": "pcie3", "turing": "pcie3", "ampere": "pcie4", "ada": "pcie4", "cdna2": "pcie4",
    "hopper": "pcie5", "blackwell": "pcie5", "cdna3": "pcie5", "cdna4": "pcie5",
}  # fmt: skip
"""The link of a generation of devices; AMD's were not measured on their own."""
BY_DEVICE = {"gh200": "nvlink-c2c", "gb200": "", "gb300": "", "jetson-": "", "mi300a": ""}
"""Devices that differ from their generation, by how their ids begin; empty where nothing was measured."""


def host_link(device: str, generation: str) -> HostLink | None:
    """Return the link of a device by its id and generation, None where none is known."""
    name = next((link for begin, link in BY_DEVICE.items() if device.startswith(begin)), None)
    return LINKS.get(BY_GENERATION.get(generation, "") if name is None else name)
