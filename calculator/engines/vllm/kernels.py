"""Which kernel of attention vLLM takes by default for a model, a format of the cache and a device, and what it raises.

The first kernel of a device's list that knows all that a layer is gets it; some raise only when they are built.

References
----------
vLLM 0.28.0 to 0.33.0, the same in what stands here: ``platforms/cuda.py`` (``_get_backend_priorities``,
``get_attn_backend_cls``), ``v1/attention/backend.py``
(``validate_configuration``), ``v1/attention/backends`` and its ``mla``: what each supports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import ChunkedAttention, CrossAttention, FullAttention, SlidingWindow
from calculator.architecture.recurrent import AttentionAndState
from calculator.formats.names import SIXTEEN_BIT
from calculator.messages import Message, joined, phrase, say

if TYPE_CHECKING:
    from calculator.architecture.groups import LayerGroup
    from calculator.architecture.model import ModelArchitecture
    from calculator.hardware import Accelerator

SINKS, IMAGES = phrase("attention sinks"), phrase("images seen whole")
ENCODER, DISTANCE = phrase("an encoder's tokens"), phrase("ALiBi")
LATENT, SPARSE = phrase("latent attention"), phrase("sparse latent attention")
TYPES: Mapping[str, frozenset[str]] = {
    SINKS: frozenset({"gpt_oss", "granite_swa", "granitemoe_swa"}),
    # transformers_utils/model_arch_config_convertor.py, MM_PREFIX_LM_MODELS: gemma3 and paligemma with their encoders
    IMAGES: frozenset({"gemma3_text", "gemma", "gemma2"}),
    # falcon.py has it too, and keeps 16 bit whatever is asked
    DISTANCE: frozenset({"bloom"}),
}
"""Model types whose own class has it."""
SPARSE_TYPES = frozenset({"deepseek_v32", "glm_moe_dsa"})
"""Model types with an index whose latents are read by the kernels that are known here; others have their own."""
PLAIN_LAYERS = (FullAttention, SlidingWindow, ChunkedAttention, CrossAttention, AttentionAndState)
"""Layers that the kernels known here serve; an index, or convolutions, bring their own."""
DESKTOP = "blackwell of compute capability 12"
_SM12X = ("rtx-", "gb10")
PLAIN = (*SIXTEEN_BIT, "fp32")
E4M3, E5M2, FOUR, PER_HEAD = "fp8_e4m3", "fp8_e5m2", "nvfp4", "_per_token_head"
_FLOATS = (E4M3, E5M2, f"fp8{PER_HEAD}")


class Kernel(NamedTuple):
    """What one kernel of attention knows.

    Attributes
    ----------
    name : str
        Its name in the engine.
    formats : tuple of str
        Formats of a cache.
    knows : tuple of str
        What it knows beside plain heads, where a layer asks for it.
    sizes : tuple of int
        Sizes of a head; empty for any.
    raises : mapping of str to tuple of str
        What it does not know when it is built, and in which formats; the empty text for whatever layer.
    """

    name: str
    formats: tuple[str, ...]
    knows: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    raises: Mapping[str, tuple[str, ...]] = {}


_FLASH = Kernel("FlashAttention", PLAIN, (ENCODER, SINKS))
_INFER = Kernel("FlashInfer", (*PLAIN, E4M3, E5M2), (), (64, 128, 256, 512))
_TRITON = Kernel(
    "Triton", (*PLAIN, *_FLOATS, f"int8{PER_HEAD}", f"int4{PER_HEAD}"), (SINKS, IMAGES, ENCODER)
)  # fmt: skip
_OLD_TRITON = _TRITON._replace(raises={"": _FLOATS})
"""fp8e4nv is of compute capability 8.9."""
_WITH_FP8 = _FLASH._replace(formats=(*PLAIN, E4M3), raises={DISTANCE: (E4M3,)})
"""FlashAttention 3 and 4 have an fp8 cache, 2 has none, and ALiBi is of 2 alone."""
_INFER_NVFP4 = Kernel("FlashInfer", (FOUR,), (), (128, 256, 512))
_WHOLE_INFER = _INFER._replace(formats=(*_INFER.formats, FOUR), knows=(SINKS,))
_LATENT = Kernel("Triton MLA", (*PLAIN, E4M3), (LATENT,))
_OLD_LATENT = _LATENT._replace(raises={"": (E4M3,)})
_SPARSE = Kernel("FlashMLA sparse", (*PLAIN, E4M3, "fp8_ds_mla"), (SPARSE,))

KERNELS: Mapping[str, tuple[Kernel, ...]] = {
    "turing": (_OLD_TRITON, _OLD_LATENT),
    "ampere": (_FLASH._replace(knows=(ENCODER,)), _INFER, _INFER_NVFP4, _OLD_TRITON, _OLD_LATENT),
    "ada": (_FLASH._replace(knows=(ENCODER,)), _INFER, _INFER_NVFP4, _TRITON, _LATENT),
    "hopper": (_WITH_FP8, _INFER, _INFER_NVFP4, _TRITON, _LATENT, _SPARSE),
    "blackwell": (_WHOLE_INFER, _WITH_FP8, _TRITON, _LATENT, _SPARSE),
    DESKTOP: (_FLASH._replace(knows=(ENCODER,)), _INFER, _INFER_NVFP4, _TRITON, _LATENT, _SPARSE),
}
"""The kernels of each generation of NVIDIA's devices, the first choice first."""


class Layer(NamedTuple):
    """What decides which kernel serves a layer: the size of a head and what there is besides."""

    size: int
    asks: tuple[str, ...]


def layers_of(model: ModelArchitecture, kept: tuple[LayerGroup, ...], images: bool) -> tuple[Layer, ...]:
    """Return what the layers of a model are, each kind once; those that kernels of their own serve are left out."""
    asks = [
        what for what, types in TYPES.items()
        if model.model_type in types and (what != IMAGES or (model.towers and images))
    ]  # fmt: skip
    found: dict[Layer, None] = {}
    for group in kept:
        spec = group.spec
        if isinstance(spec, LatentAttention):
            if not spec.index_head_dim or model.model_type in SPARSE_TYPES:
                found[Layer(0, (SPARSE if spec.index_head_dim else LATENT,))] = None
        elif type(spec) in PLAIN_LAYERS and isinstance(spec, FullAttention) and spec.head_dim == spec.v_head_dim:
            if not spec.kv_heads:
                continue
            found[Layer(spec.head_dim, tuple(asks))] = None
            if model.needs_encoder:
                found[Layer(spec.head_dim, (*asks, ENCODER))] = None
    return tuple(found)


def device_class(accelerator: Accelerator) -> str:
    """Return what of a device decides which kernels there are: its generation, or a part of it."""
    is_desktop = accelerator.generation == "blackwell" and accelerator.id.startswith(_SM12X)
    return DESKTOP if is_desktop else accelerator.generation


def why_none(kernels: tuple[Kernel, ...], layer: Layer, name: str) -> Message | None:
    """Say why no kernel serves a layer whose cache is in a format, None where one does."""
    kernel = next((kernel for kernel in kernels if _takes(kernel, layer, name)), None)
    if kernel is None:
        return say("vllm.no_kernel", "no kernel of it serves {what}", what=_in_words(layer))
    if any(name in kernel.raises.get(each, ()) for each in ("", *layer.asks)):
        return say(
            "vllm.kernel_raises",
            "for {what} it takes {kernel}, which raises",
            what=_in_words(layer),
            kernel=kernel.name,
        )
    return None


def _in_words(layer: Layer) -> Message:
    heads = say("vllm.heads_of", "heads of {size}", size=layer.size)
    return joined(", ", (heads, *layer.asks) if layer.size else layer.asks)


def _takes(kernel: Kernel, layer: Layer, name: str) -> bool:
    if name not in kernel.formats or (kernel.sizes and layer.size not in kernel.sizes):
        return False
    # a kernel of latent vectors serves nothing else
    needed = {each for each in layer.asks if each != DISTANCE}
    return needed <= {*kernel.knows} and {LATENT, SPARSE}.intersection(kernel.knows) <= needed
