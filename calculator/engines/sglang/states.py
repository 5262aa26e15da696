"""Recurrent states with SGLang: what one takes, and their slots beside the pool of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calculator.engines.pools import Claim, Geometry, Pool
from calculator.engines.sglang.changes import NO_LIMIT_SEQUENCES
from calculator.engines.sglang.groups import StatePools
from calculator.errors import UnsupportedError
from calculator.formats.names import STATE_BYTES as STATE_BYTES_OF
from calculator.messages import say

if TYPE_CHECKING:
    from calculator.architecture.caches import State
    from calculator.engines.sglang.rules import Sglang
    from calculator.request import Cutting

STATE_SLOTS_PER_REQUEST = 3
"""Slots that a request may hold where prefixes are cached; one where they are not."""
CONV_BYTES, STATE_BYTES = 2, 4
"""Bytes of an element of a state's convolution, and of the state where the model names no format."""


def with_states(rules: Sglang, whole: Pool | None, state: list[Any], request: Cutting) -> Geometry:
    """Return a pool of tokens and one of states."""
    if not rules.state_ratio:
        raise UnsupportedError(
            say(
                "rules.how_sglang_keeps_states",
                "how SGLang {version} keeps states is not known here; take 0.5.5 or newer",
                version=rules.version,
            ),
            what="engine_version",
            asked=rules.asked_version,
        )
    cached = request.enable_prefix_caching is not False
    slot = sum(one.layers * state_bytes(one.cache, request.mamba_ssm_cache_dtype) for one in state)
    states = Pool(slot, (Claim(0, fixed=STATE_SLOTS_PER_REQUEST if cached else 1),))
    if whole is None:
        return Geometry((states,), request.block_size)
    slots = 0
    if not cached and rules.slots_follow_requests:
        asked = request.max_num_seqs if request.max_num_seqs < NO_LIMIT_SEQUENCES else 0
        slots = (asked or rules.most_slots) // request.split.replicas
    drafted = _draft_tokens(request)
    return StatePools(
        (whole, states),
        request.block_size,
        rules.state_ratio,
        drafted,
        request.max_num_seqs if drafted else 0,
        STATE_SLOTS_PER_REQUEST if cached else 1,
        rules.padding_slots,
        slots,
    )


def state_bytes(state: State, asked: str) -> int:
    """Return what a state takes in the format that is asked for, ``auto`` for the model's own [bytes]."""
    element = STATE_BYTES_OF.get(asked) or (state.state_element_bytes if state.state_named else STATE_BYTES)
    return state.conv_elements * CONV_BYTES + state.state_elements * element


def _draft_tokens(request: Cutting) -> int:
    """Return the tokens of a draft with the one that is checked beside them; 0 without drafts [tokens]."""
    speculation = request.speculative_config
    return 1 + (speculation.num_tokens or 0) if speculation else 0
