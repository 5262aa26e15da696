"""How tokens are drafted: vLLM's own keys, of which only those that bear on memory are read."""

from collections.abc import Mapping
from typing import Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.errors import UnsupportedError, unknown_name
from calculator.messages import say
from calculator.reading.fields import Field, Nested, count, flag, number, text
from calculator.reading.frozen import FrozenDict

METHODS = ("mtp", "eagle", "eagle3", "draft_model", "ngram", "ngram_gpu", "suffix")
"""Ways to draft whose memory is known."""
NOT_KNOWN = ("dflash", "dspark", "medusa", "mlp_speculator", "extract_hidden_states", "custom_class")
"""Others that vLLM has."""
MAX_DRAFTED = 1_024
_READ: Mapping[str, Field] = {
    "method": text(40, required=False),
    "model": text(400, required=False),
    "num_speculative_tokens": count(MAX_DRAFTED, required=False),
    "draft_tensor_parallel_size": count(65_536, required=False),
    "quantization": text(40, required=False),
    "kv_cache_dtype": text(40, required=False),
    "max_model_len": count(MAX_TOKENS, required=False),
}
_HARMLESS: Mapping[str, Field] = {
    **dict.fromkeys(("revision", "code_revision", "attention_backend", "moe_backend"), text(400, required=False)),
    **dict.fromkeys(("draft_sample_method", "rejection_sample_method"), text(40, required=False)),
    **dict.fromkeys(("prompt_lookup_min", "prompt_lookup_max"), count(MAX_TOKENS, required=False)),
    **dict.fromkeys(
        ("suffix_decoding_max_tree_depth", "suffix_decoding_max_cached_requests"), count(10**9, 0, required=False)
    ),
    "posterior_threshold": number(1, required=False),
    **dict.fromkeys(
        (
            "enforce_eager", "disable_padded_drafter_batch", "disable_eagle_block_drop", "use_local_argmax_reduction",
            "disable_lookahead_block_hashes", "parallel_drafting",
        ),
        flag(required=False),
    ),
}  # fmt: skip
SPECULATION = Nested(name="SpeculativeConfig", fields={**_READ, **_HARMLESS})


class Speculation(FrozenDict):
    """A checked ``speculative_config``: vLLM's own keys, read-only; it can be a key itself."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted((name, str(value)) for name, value in self.items())))

    def __reduce__(self) -> tuple[Any, ...]:
        return Speculation, (dict(self),)

    @property
    def method(self) -> str:
        """How tokens are drafted; by the name of the drafter where it is not said, as vLLM tells it."""
        if "method" in self:
            method = str(self["method"])
            return "mtp" if method.endswith("_mtp") else method
        name = str(self.get("model", "")).lower()
        if name in ("ngram", "[ngram]"):
            return "ngram"
        return next((method for part, method in _BY_NAME if part in name), "draft_model")

    @property
    def num_tokens(self) -> int | None:
        """Tokens that are drafted at a time, None where it is not said [-]."""
        found: int | None = self.get("num_speculative_tokens")
        return found


def checked(config: Mapping[str, Any]) -> Speculation:
    """Return a ``speculative_config`` whose way to draft is known.

    Raises
    ------
    UnsupportedError, UnknownNameError
        If it is not, or vLLM has no such way.
    """
    made = Speculation(config)
    if made.method in NOT_KNOWN:
        raise UnsupportedError(
            say(
                "speculation.speculative_config_what_takes",
                "speculative_config: what {method} takes is not known here; known are {names}",
                method=made.method,
                names=", ".join(METHODS),
            ),
            what="speculative_config",
            asked=made.method,
            allowed=METHODS,
        )
    if made.method not in METHODS:
        raise unknown_name("method", made.method, METHODS, "speculative_config")
    return made


_BY_NAME = (("eagle3", "eagle3"), ("eagle-", "eagle"))
