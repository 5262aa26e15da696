"""What vLLM does not allow: ways to share a context, ranks and vocabularies of adapters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from calculator.architecture.limits import MAX_WIDTH
from calculator.engines.vllm.adapters import LORA_RANKS, MOST_LORA_VOCABULARY, WITH_VOCABULARY
from calculator.errors import InvalidValueError, ParallelismError, UnsupportedError
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture


def check_context(values: Mapping[str, Any], heads: int, *, has_windows: bool) -> None:
    """Raise ``CalculatorError`` where several ranks cannot share the context of a sequence so.

    Parameters
    ----------
    values : mapping
        What is asked [-].
    heads : int
        KV heads of a layer [-].
    has_windows : bool
        Whether any layer keeps a window or a chunk [-].
    """
    tp, dcp = values["tensor_parallel_size"], values["decode_context_parallel_size"]
    if has_windows:
        raise UnsupportedError(
            say(
                "checks.decode_context_parallel_size",
                "decode_context_parallel_size {dcp}: vLLM does not split the context of sliding windows; use 1",
                dcp=dcp,
            ),
            what="decode_context_parallel_size",
            asked=dcp,
            allowed=(1,),
            nearest=1,
        )
    most = max(1, tp // max(1, heads))
    legal = [size for size in range(1, most + 1) if most % size == 0]
    if dcp not in legal:
        nearest = min(legal, key=lambda size: abs(size - dcp))
        raise ParallelismError(
            say(
                "checks.decode_context_parallel_size",
                "decode_context_parallel_size {dcp} is not possible: with TP {tp}, ranks that keep a "
                "copy of the same KV heads can share the context; legal are {names}, the nearest is "
                "{nearest}",
                dcp=dcp,
                tp=tp,
                names=", ".join(map(str, legal)),
                nearest=nearest,
            ),
            what="decode_context_parallel_size",
            asked=dcp,
            allowed=tuple(legal),
            nearest=nearest,
        )


def check_class(model: ModelArchitecture, values: Mapping[str, Any], title: str, without: Mapping[str, str]) -> None:
    """Raise ``CalculatorError`` for a model type that there is no class of, and for ranks beyond those of its class.

    Parameters
    ----------
    model : ModelArchitecture
        The model [-].
    values : mapping
        What is asked [-].
    title : str
        The engine and its version, in words [-].
    without : mapping
        Model types that it does not serve, and why not [-].

    References
    ----------
    vLLM 0.33.0, ``model_executor/models/gpt_oss.py``, ``param2moe.py`` and ``openpangu.py``, ``models/inkling``: KV
    heads over ranks, none copied.
    """
    why = without.get(model.model_type)
    if why:
        raise UnsupportedError(
            say(
                "checks.does_not_serve_model",
                "{title} does not serve {name} (model_type {model_type}): {why}",
                title=title,
                name=model.name,
                model_type=model.model_type,
                why=why,
            ),
            what="engine",
            asked="vllm",
        )
    if model.copies_kv_heads:
        return
    tp, kept = values["tensor_parallel_size"], [group.spec.kv_heads for group in model.groups if group.spec.kv_heads]
    heads = min(kept, default=model.num_key_value_heads)
    if tp > heads:
        raise ParallelismError(
            say(
                "checks.tensor_parallel_size_not",
                "tensor_parallel_size {tp} is not possible: {title}'s own class of {model_type} does not "
                "copy KV heads, and there are {heads}; the largest is {heads}",
                tp=tp,
                title=title,
                model_type=model.model_type,
                heads=heads,
            ),
            what="tensor_parallel_size",
            asked=tp,
            allowed=tuple(size for size in model.tensor_parallel_degrees if size <= heads),
            nearest=heads,
        )


def check_adapters(model: ModelArchitecture, values: Mapping[str, Any]) -> None:
    """Raise ``CalculatorError`` for a rank that vLLM does not have, or a vocabulary that its adapters cannot have."""
    rank = values["max_lora_rank"]
    if rank is not None and rank not in LORA_RANKS:
        nearest = min(LORA_RANKS, key=lambda known: (abs(known - rank), known))
        raise InvalidValueError(
            say(
                "checks.max_lora_rank_not",
                "max_lora_rank {rank} is not one of vLLM's: {names}; the nearest is {nearest}",
                rank=rank,
                names=", ".join(map(str, LORA_RANKS)),
                nearest=nearest,
            ),
            what="max_lora_rank",
            asked=rank,
            allowed=LORA_RANKS,
            nearest=nearest,
        )
    is_asked = rank is not None or values["max_loras"] is not None
    if is_asked and model.model_type in WITH_VOCABULARY and model.vocab_size > MOST_LORA_VOCABULARY:
        raise UnsupportedError(
            say(
                "checks.max_loras_vllm_has",
                "max_loras: vLLM has no adapters of a vocabulary above {most_lora_vocabulary:,} tokens, "
                "{name} has {vocab_size:,}",
                most_lora_vocabulary=MOST_LORA_VOCABULARY,
                name=model.name,
                vocab_size=model.vocab_size,
            ),
            what="max_loras",
            asked=values["max_loras"],
        )


def check_groups(model: ModelArchitecture, values: Mapping[str, Any], title: str, legal: tuple[int, ...]) -> None:
    """Raise ``UnsupportedError`` for a checkpoint of GPTQ in groups that no kernel multiplies; none legal is any.

    References
    ----------
    vLLM 0.33.0, ``auto_gptq.py`` ``AutoGPTQLinearMethod``, which raises for what Marlin does not support.
    """
    if not legal or model.quant_method != "gptq" or not model.is_as_stored(values["weight_dtype"]):
        return
    sizes = {
        matrix.stored.group_size for group in model.layers for matrix in group.weights
        if matrix.stored and matrix.part != "experts"
    }  # fmt: skip
    # a row of its own is longer than any that is asked for
    other = sorted(size for size in sizes if 0 < size < MAX_WIDTH and size not in legal)
    if other:
        raise UnsupportedError(
            say(
                "checks.gptq_groups",
                "{title} does not load {name}, whose weights are in groups of {size}: Marlin has {legal} alone, -1 for "
                "a whole row; plan another checkpoint of it",
                title=title,
                name=model.name,
                size=other[0],
                legal=", ".join(map(str, legal)),
            ),
            what="weight_dtype",
            asked=values["weight_dtype"],
        )
