"""How vLLM keeps recurrent states: their formats, columns for drafts, and pages of a request.

References
----------
vLLM 0.33.0, ``model_executor/layers/mamba/mamba_utils.py`` (formats, ``num_spec``), ``v1/kv_cache_interface.py``
``MambaSpec.max_memory_usage_bytes``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import lcm
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from calculator.architecture.caches import Chunk, EveryToken, LatentVectors, Recurrence, State, Window
from calculator.architecture.sums import Cached, has
from calculator.errors import UnsupportedError
from calculator.formats.names import STATE_BYTES
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.engines.vllm.rules import Vllm

TOKENS = (EveryToken, LatentVectors, Window, Chunk)
WITH_DRAFTED_COLUMNS = (Recurrence.MAMBA2, Recurrence.GATED_DELTA_NET, Recurrence.KIMI_DELTA, Recurrence.SHORT_CONV)
"""States whose convolution keeps a column more for each token that is drafted."""
KEYS = ("mamba_cache_dtype", "mamba_ssm_cache_dtype", "speculative_config")
_VALUES, _ATTRIBUTES = itemgetter(*KEYS), attrgetter(*KEYS)


class Keeping(NamedTuple):
    """What of a request bears on a state: tokens drafted, the formats of its convolution and of itself."""

    drafted: int
    conv_format: str
    state_format: str


def keeping(asked: dict[str, Any] | Any) -> Keeping:
    """Return it of a request, or of the values of one."""
    read = _VALUES if isinstance(asked, dict) else _ATTRIBUTES
    conv_format, state_format, speculation = read(asked)
    return Keeping((speculation.num_tokens or 0) if speculation else 0, conv_format, state_format)


def kept(caches: tuple[Cached, ...], how: Keeping) -> tuple[Cached, ...]:
    """Return caches, states among them as they are kept."""
    if how == (0, "auto", "auto"):
        return caches
    return tuple(
        cached._replace(cache=as_kept(cached.cache, how)) if isinstance(cached.cache, State) else cached
        for cached in caches
    )


def as_kept(state: State, how: Keeping) -> State:
    """Return a state in the formats that are asked for, with columns for what is drafted."""
    kind = state.recurrence
    conv = STATE_BYTES.get(how.conv_format, state.conv_element_bytes)
    own = state.state_element_bytes
    if kind is Recurrence.LIGHTNING:  # linear_attention_state_dtype: one format, that of the convolutions of others
        own = STATE_BYTES.get(how.conv_format, own)
    elif how.state_format != "auto":
        if kind is Recurrence.KIMI_DELTA and how.state_format == "float16":
            raise UnsupportedError(
                say(
                    "states.mamba_ssm_cache_dtype",
                    "mamba_ssm_cache_dtype float16: vLLM keeps the state of Kimi delta attention in float32 "
                    "or bfloat16",
                ),
                what="mamba_ssm_cache_dtype",
                asked=how.state_format,
                allowed=("auto", "float32", "bfloat16"),
                nearest="bfloat16",
            )
        own = STATE_BYTES[how.state_format]
    elif not state.state_named and kind is not Recurrence.KIMI_DELTA:
        own = STATE_BYTES.get(how.conv_format, own)
    columns = how.drafted if kind in WITH_DRAFTED_COLUMNS else 0
    return state.with_columns(columns).in_formats(conv, own)


def state_pages(
    rules: Vllm, model: ModelArchitecture, caches: tuple[Cached, ...], prefix_caching: bool | None, drafted: int
) -> dict[Recurrence, int]:
    """Return the pages that a request holds of each state, among the caches of a model or of its stage.

    Parameters
    ----------
    rules : Vllm
        The rules of the version [-].
    model : ModelArchitecture
        The model [-].
    caches : tuple of Cached
        What is kept [-].
    prefix_caching : bool or None
        Whether prefixes are cached, None for the version's default [-].
    drafted : int
        Tokens that are drafted at a time, a page each [-].
    """
    kinds = {cached.cache.recurrence for cached in caches if isinstance(cached.cache, State)}
    if not kinds:
        return {}
    asked = rules.caches_states if prefix_caching is None else prefix_caching
    alone = not has(caches, *TOKENS) and (not model.model_type or model.model_type in rules.attention_free)
    if not asked or alone:
        return dict.fromkeys(kinds, 1 + drafted)
    if kinds & rules.mode_follows_model:
        raise UnsupportedError(
            say(
                "states.enable_prefix_caching_how",
                "enable_prefix_caching: how many pages of states vLLM {version} keeps depends on the "
                "model and is not known here; leave it, or take 0.28 or newer",
                version=rules.version,
            ),
            what="enable_prefix_caching",
            asked=prefix_caching,
        )
    pages = rules.pages_of_cached_state + drafted
    return {kind: pages + (kind in _checkpoints(rules, model)) for kind in kinds}


def _checkpoints(rules: Vllm, model: ModelArchitecture) -> Mapping[Recurrence, int]:
    """Return the states whose prefill keeps a checkpoint, and what its place is aligned to [tokens]."""
    return {} if model.model_type in rules.no_checkpoints else rules.checkpoint_alignment


def checkpoint_block_alignment(
    rules: Vllm, model: ModelArchitecture, pages: Mapping[Recurrence, int], drafted: int
) -> int:
    """Return the tokens that blocks are aligned to for checkpoints of states [tokens].

    Parameters
    ----------
    rules : Vllm
        The rules of the version [-].
    model : ModelArchitecture
        The model [-].
    pages : mapping of Recurrence to int
        Pages that a request holds of each state [-].
    drafted : int
        How many of them are of drafts [-].
    """
    aligned = _checkpoints(rules, model)
    if min(pages.values()) - drafted < 2 or not all(kind in aligned for kind in pages):
        return 1
    return lcm(*(aligned[kind] for kind in pages))
