"""Storage formats of the KV cache: how many bytes a row takes, scales included.

A row is what one token stores for one head's key, or for one head's value. A format is a
function from the elements of a row to bytes, so scales are counted where the engine keeps
them and no fractional "bytes per element" exists anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

from calculator.errors import InvalidValueError, UnsupportedError, shown, unknown_name
from calculator.formats.names import KV_ALIASES
from calculator.messages import say


@dataclass(frozen=True, slots=True)
class StorageFormat:
    """How a row of elements is laid out in memory.

    Attributes
    ----------
    name : str
        The name used everywhere.
    block_elements : int
        A row is a whole number of blocks of so many elements [elements].
    block_bytes : int
        Bytes of one block, its own scales included [bytes].
    row_scale_bytes : int
        Scales kept once a row [bytes].
    description : str
        What is stored, in words.
    source : str
        Where the layout is read from.
    """

    name: str
    block_elements: int
    block_bytes: int
    row_scale_bytes: int
    description: str
    source: str

    @property
    def is_fp8(self) -> bool:
        """Whether it is an 8 bit floating point format with one scale a layer."""
        return self.name in ("fp8_e4m3", "fp8_e5m2")

    @property
    def packs_latents(self) -> bool:
        """Whether it is a layout of whole latent vectors, which only latent attention can be stored in."""
        return self.name == "fp8_ds_mla"

    @property
    def bits_per_value(self) -> float:
        """Bits of one value without the scales kept once a row, for display only."""
        return 8 * self.block_bytes / self.block_elements

    def row_bytes(self, elements: int) -> int:
        """Return the bytes of one row.

        Parameters
        ----------
        elements : int
            Elements of the row, such as the head size [elements].

        Returns
        -------
        int
            ``elements / block_elements × block_bytes + row_scale_bytes`` [bytes].

        Raises
        ------
        UnsupportedError
            If the row is not a whole number of blocks: no engine stores such a row.
        """
        if self.packs_latents:
            raise UnsupportedError(
                say(
                    "kv.stores_latent_vectors_mla",
                    "{name} stores latent vectors (MLA) only; fp8 stores heads in 8 bit",
                    name=self.name,
                ),
                what="kv_cache_dtype",
                asked=self.name,
                nearest="fp8",
            )
        blocks, rest = divmod(elements, self.block_elements)
        if rest:
            raise UnsupportedError(
                say(
                    "kv.stores_rows_blocks_elements",
                    "{name} stores rows in blocks of {block_elements} elements, which do not divide a head "
                    "size of {elements}: it needs a multiple of {block_elements}; fp16, bf16 and fp8 take any",
                    name=self.name,
                    block_elements=self.block_elements,
                    elements=elements,
                ),
                what="kv_cache_dtype",
                asked=self.name,
            )
        return blocks * self.block_bytes + self.row_scale_bytes


_SOURCE = "vLLM 0.33.0: "
_PER_HEAD = _SOURCE + "v1/attention/backends/triton_attn.py customize_spec"
_GGML = "llama.cpp 0c1e570: static_assert lines of ggml/src/ggml-common.h"

FORMATS = {
    row.name: row
    for row in (
        StorageFormat("fp32", 1, 4, 0, "32 bit floating point", "IEEE 754"),
        StorageFormat("fp16", 1, 2, 0, "16 bit floating point", "IEEE 754"),
        StorageFormat("bf16", 1, 2, 0, "16 bit brain floating point", "vLLM and llama.cpp"),
        StorageFormat("fp8_e4m3", 1, 1, 0, "8 bit floating point, one scale a layer",
                      _SOURCE + "v1/kv_cache_interface.py FP8_PER_TENSOR"),
        StorageFormat("fp8_e5m2", 1, 1, 0, "8 bit floating point, wide range, one scale a layer",
                      _SOURCE + "v1/kv_cache_interface.py FP8_PER_TENSOR"),
        StorageFormat("int8_per_token_head", 1, 1, 4, "8 bit integers, a 4 byte scale a row", _PER_HEAD),
        StorageFormat("fp8_per_token_head", 1, 1, 4, "8 bit floating point, a 4 byte scale a row", _PER_HEAD),
        StorageFormat("int4_per_token_head", 2, 1, 4, "4 bit integers, a 4 byte scale a row", _PER_HEAD),
        StorageFormat("nvfp4", 16, 9, 0, "4 bit floating point, a 1 byte scale per 16",
                      _SOURCE + "utils/torch_utils.py nvfp4_kv_cache_full_dim"),
        StorageFormat("q8_0", 32, 34, 0, "8 bit blocks of 32, a 2 byte scale each", _GGML),
        StorageFormat("q5_1", 32, 24, 0, "5 bit blocks of 32, scale and minimum", _GGML),
        StorageFormat("q5_0", 32, 22, 0, "5 bit blocks of 32, a 2 byte scale each", _GGML),
        StorageFormat("q4_1", 32, 20, 0, "4 bit blocks of 32, scale and minimum", _GGML),
        StorageFormat("q4_0", 32, 18, 0, "4 bit blocks of 32, a 2 byte scale each", _GGML),
        StorageFormat("iq4_nl", 32, 18, 0, "4 bit blocks of 32, a 2 byte scale each, non-linear", _GGML),
        StorageFormat("fp8_ds_mla", 1, 1, 0, "8 bit latent with a 4 byte scale per 128, its rotary part in 16 bit",
                      _SOURCE + "v1/attention/backends/mla/flashmla_sparse.py"),
    )
}  # fmt: skip

_BOUNDARY = "leaves the first and last two layers in 16 bit, in pages of another size"
_OTHER = "has a layout of its own"
NOT_UNDERSTOOD = {
    **dict.fromkeys(("turboquant_k8v4", "turboquant_4bit_nc", "turboquant_k3v4_nc", "turboquant_3bit_nc"), _BOUNDARY),
    **dict.fromkeys(("octave_k3v4", "octave_k3v3", "octave_k3v3_compact", "ultraquant_4bit"), _OTHER),
    **dict.fromkeys(("nvfp4_4over6", "nvfp4_ds_mla"), _OTHER),
}
"""Formats of vLLM 0.33.0, ``config/cache.py``, that are not computed here, and why."""


def storage_format(name: str) -> StorageFormat:
    """Look up a storage format by its name or alias.

    Parameters
    ----------
    name : str
        A KV-cache format such as ``fp16`` or ``q8_0`` [-].

    Returns
    -------
    StorageFormat
        The layout of a row.

    Raises
    ------
    UnknownNameError
        If there is no such format; the near matches are named.
    UnsupportedError
        If a checkpoint asks for a format that is not understood.
    """
    found = FORMATS.get(KV_ALIASES.get(name, name)) if isinstance(name, str) else None
    if found:
        return found
    if isinstance(name, str) and " " in name:
        raise UnsupportedError(
            say(
                "kv.checkpoint_asks_kv_cache",
                "the checkpoint asks for a KV cache in {name}, which is not understood; name a kv_cache_dtype",
                name=name[:80],
            ),
            what="kv_cache_dtype",
            asked=name,
        )
    if isinstance(name, str) and name in NOT_UNDERSTOOD:
        raise UnsupportedError(
            say(
                "kv.not_known_of_format",
                "{name} {not_understood}: what vLLM allocates for that is not known here; "
                "int4_per_token_head and nvfp4 are other formats of about 4 bits",
                name=name,
                not_understood=NOT_UNDERSTOOD[name],
            ),
            what="kv_cache_dtype",
            asked=name,
            nearest="int4_per_token_head",
        )
    if isinstance(name, str) and name == "auto":
        raise InvalidValueError(
            say("kv.auto_resolved_model_name", "auto is resolved with a model; name a format here"),
            what="kv_cache_dtype",
            asked=name,
        )
    raise (
        unknown_name("KV-cache format", name, [*FORMATS, *KV_ALIASES, "auto"], "kv_cache_dtype")
        if isinstance(name, str)
        else InvalidValueError(
            say("kv.kv_cache_format_name", "a KV-cache format is a name such as fp16, not {name}", name=shown(name)),
            what="kv_cache_dtype",
            asked=name,
        )
    )
