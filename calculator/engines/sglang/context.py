"""Whether ranks of SGLang can share the tokens of a sequence (decode context parallelism)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from calculator.errors import ParallelismError, UnsupportedError
from calculator.messages import say
from calculator.units import plural

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture


def check_context(model: ModelArchitecture, values: Mapping[str, Any], has_windows: bool) -> None:
    """Raise ``CalculatorError`` where several ranks cannot share a sequence's tokens so.

    References
    ----------
    SGLang 0.5.23, ``distributed/parallel_state.py`` (groups of neighbours within TP, whatever sequences attention
    data parallelism gives them), ``configs/model_config.py`` ``get_num_kv_heads`` (KV heads over TP // DCP; with
    one attention rank it divides by zero), ``model_executor/pool_configurator.py`` (windows: heads over TP).
    """
    tp, dcp = values["tensor_parallel_size"], values["decode_context_parallel_size"]
    asked, what = f"decode_context_parallel_size {dcp} is not possible", "decode_context_parallel_size"
    if values["enable_attention_dp"]:
        raise ParallelismError(
            say(
                "rules.enable_attention_dp_each",
                "{asked} with enable_attention_dp: each GPU then serves sequences of its own, and none "
                "is left to share their tokens with; use 1, or leave enable_attention_dp out",
                asked=asked,
            ),
            what=what,
            asked=dcp,
            allowed=(1,),
            nearest=1,
        )
    if has_windows:
        raise UnsupportedError(
            say(
                "rules.decode_context_parallel_size",
                "decode_context_parallel_size {dcp}: how SGLang shares the context of sliding windows is "
                "not known here; use 1",
                dcp=dcp,
            ),
            what=what,
            asked=dcp,
            allowed=(1,),
            nearest=1,
        )
    legal = [size for size in range(1, tp + 1) if tp % size == 0 and model.why_not(tp // size) is None]
    if dcp not in legal:
        nearest = min(legal, key=lambda size: (abs(size - dcp), size))
        heads = model.num_key_value_heads
        raise ParallelismError(
            say(
                "rules.must_divide_tensor_parallel",
                "{asked}: it must divide tensor_parallel_size {tp}, and {count} must be split or copied "
                "evenly over TP / DCP; legal are {names}, the nearest is {nearest}",
                asked=asked,
                tp=tp,
                count=plural(heads, "KV head"),
                names=", ".join(map(str, legal)),
                nearest=nearest,
            ),
            what=what,
            asked=dcp,
            allowed=tuple(legal),
            nearest=nearest,
        )
