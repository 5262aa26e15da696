"""What SGLang reserves where ``--mem-fraction-static`` is not given: a rule a generation of releases.

Each answers what share of the driver's memory is left for weights and KV cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from calculator.architecture.model import ModelArchitecture
from calculator.configs.towers.rows import named_size
from calculator.units import MIB

VIT_LARGE = {"num_hidden_layers": 24, "hidden_size": 1024}
"""Sizes of ViT-L/14, which stand in for those that an encoder's config does not name."""
LARGE_MIB = 60 * 1024
LEAST_OF_LARGE_MIB = 10 * 1024
UNKNOWN_PREFILL_MIB = 1536


@dataclass(frozen=True, slots=True)
class Start:
    """What a default fraction follows from.

    Attributes
    ----------
    memory_mib : int
        The smallest total that the driver reports [MiB].
    tensor_parallel_size, pipeline_parallel_size : int
        Ranks that share a layer, and stages [-].
    chunk : int
        Tokens of a chunk of a prompt [tokens].
    largest_batch : int
        Largest batch captured as a graph, 0 for none [-].
    attention_dp : bool
        Whether every rank serves sequences of its own.
    latent : bool
        Whether attention is latent.
    prefill_graphs : bool
        Whether graphs of prompts are captured, where a release does so by default.
    """

    memory_mib: int
    tensor_parallel_size: int
    pipeline_parallel_size: int
    chunk: int
    largest_batch: int
    attention_dp: bool
    latent: bool
    prefill_graphs: bool

    @property
    def ranks(self) -> int:
        """All ranks of a replica [-]."""
        return self.tensor_parallel_size * self.pipeline_parallel_size


class FractionRule(Protocol):
    """How a default fraction is derived."""

    def fraction(self, start: Start) -> float:
        """Return the fraction, before what an encoder of images takes off it [-]."""


@dataclass(frozen=True, slots=True)
class ByRanks:
    """A fraction by the degree of tensor parallelism alone.

    Attributes
    ----------
    rows : tuple of (int, float)
        From how many ranks on, and the fraction; first match wins.
    """

    rows: tuple[tuple[int, float], ...]

    def fraction(self, start: Start) -> float:
        """Return the fraction of the first row that has no more ranks [-]."""
        return next(share for ranks, share in self.rows if start.tensor_parallel_size >= ranks)


@dataclass(frozen=True, slots=True)
class ByMemory:
    """A reserve by the device's size.

    Attributes
    ----------
    rows : tuple of (int, float, float)
        Below how many MiB, GiB reserved, and GiB for each rank; first match wins.
    attention_dp_mib : int
        What attention data parallelism adds [MiB].
    """

    rows: tuple[tuple[int, float, float], ...]
    attention_dp_mib: int

    def fraction(self, start: Start) -> float:
        """Return ``round((memory - reserved) / memory, 3)`` [-]."""
        base, each = next((base, each) for below, base, each in self.rows if start.memory_mib < below)
        reserved = (base + each * start.ranks) * 1024 + self.attention_dp_mib * start.attention_dp
        return float(round((start.memory_mib - reserved) / start.memory_mib, 3))


@dataclass(frozen=True, slots=True)
class ByWork:
    """A reserve for a chunk of a prompt, for ranks and for graphs; at least 10 GiB on large devices.

    Attributes
    ----------
    prefill_graphs : bool
        Whether graphs of prompts are captured by default.
    """

    prefill_graphs: bool

    def fraction(self, start: Start) -> float:
        """Return ``round((memory - reserved) / memory, 3)`` [-].

        Notes
        -----
        ``reserved = 512 + 1.5 × chunk + 1024 × TP × PP / 8 + graphs`` MiB; graphs are 2 for each sequence of the
        largest captured batch, 3 (4.5 above 300) more a rank with attention data parallelism, and for prompts 8 a
        captured size, 1,536 with latent attention.
        """
        largest, tp = start.largest_batch, start.tensor_parallel_size
        reserved = 512 + 1.5 * max(start.chunk, 2048) + 1024 * start.ranks / 8 + 2 * largest
        if self.prefill_graphs and start.prefill_graphs:
            reserved += UNKNOWN_PREFILL_MIB if start.latent else 8 * prefill_graph_sizes(start.chunk)
        if start.attention_dp:
            reserved += 3 * largest * tp + (1.5 * largest * tp if largest > 300 else 0)
        if start.memory_mib > LARGE_MIB:
            reserved = max(reserved, LEAST_OF_LARGE_MIB)
        return float(round((start.memory_mib - reserved) / start.memory_mib, 3))


def prefill_graph_sizes(largest: int) -> int:
    """Return how many prompt sizes are captured as graphs: steps of 4, 16, 32, 64, 256 and 512 tokens [-].

    References
    ----------
    SGLang 0.5.23, ``arg_groups/cuda_graph_hook.py``; 58 sizes up to 8,192 tokens.
    """
    steps = ((4, 33, 4), (48, 257, 16), (288, 513, 32), (576, 1025, 64), (1280, 4097, 256), (4608, largest + 1, 512))
    return sum(1 for step in steps for size in range(*step) if size <= largest)


def encoder_factor(model: ModelArchitecture, fixed: float | None) -> float:
    """Return what the engine takes off its fraction for an encoder of images [-].

    Parameters
    ----------
    model : ModelArchitecture
        The model [-].
    fixed : float or None
        The factor of releases that do not look at the encoder's size; None where it follows from it [-].

    Returns
    -------
    float
        The factor [-].

    Notes
    -----
    ``0.95 × (1 - 0.1 × (layers × width² / (24 × 1024²) - 1))``, the second factor 0.8 to 1.05.

    References
    ----------
    SGLang 0.5.23, ``arg_groups/memory_hook.py`` ``adjust_mem_fraction_for_vlm``: it reads ``num_hidden_layers``
    and ``hidden_size`` and takes 24 and 1,024 where a config has other names.
    """
    if "vision_config" not in model.towers:
        return 1.0
    if fixed is not None:
        return fixed
    config = (model.fields or {}).get("vision_config")
    config = config if isinstance(config, Mapping) else {}
    layers, width = (named_size(config, key, size) for key, size in VIT_LARGE.items())
    complexity = layers * width**2 / (24 * 1024**2)
    factor: float = 0.95 * max(0.8, min(1.05, 1.0 - 0.1 * (complexity - 1.0)))
    return factor


def reported_mib(memory_bytes: int, driver_mib: int | None) -> int:
    """Return what the driver reports of a device, else what programs see [MiB]."""
    return max(1, driver_mib or memory_bytes // MIB)
