"""What a model reads and multiplies in a step: sums over its one list of matrices and over its caches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import FullAttention
from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.matrices import WeightMatrix
from calculator.architecture.sums import Layout, kv_bytes_on_rank
from calculator.formats.weights import weight_format

if TYPE_CHECKING:
    from calculator.architecture.model import ModelArchitecture
    from calculator.planning.answer import Plan

HEAD_BYTES = 2
"""Of a parameter of the head, which engines keep in 16 bit [bytes]."""
SELECTED_TOKENS = 2048
"""Tokens that sparse attention reads of each sequence; of the others it reads the index key alone."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a model reads and computes, of a whole replica.

    Attributes
    ----------
    dense_bytes, expert_bytes, attention_bytes : int
        Weights that every token reads, of which attention (copied under attention data parallelism), and all
        experts [bytes].
    active_parameters : int
        Parameters that one token is multiplied by; the head counts, the input embedding does not [-].
    experts, experts_per_token : int
        Experts of a layer and those a token passes through; 0 without [-].
    """

    dense_bytes: int
    attention_bytes: int
    expert_bytes: int
    active_parameters: int
    experts: int
    experts_per_token: int

    def touched(self, tokens: float) -> float:
        """Return the share of the experts that so many tokens pass through, each choosing for itself [-]."""
        return 1 - (1 - self.experts_per_token / self.experts) ** tokens if self.experts else 0.0


def work_of(model: ModelArchitecture, weight_dtype: str) -> Work:
    """Return what one pass of a model reads and multiplies, from its matrices."""
    return model.remember(_work_of, weight_dtype)


def _work_of(model: ModelArchitecture, weight_dtype: str) -> Work:
    storage, as_stored = weight_format(weight_dtype), model.is_as_stored(weight_dtype)

    def stored(matrix: WeightMatrix) -> int:
        return storage.bytes_on(matrix, as_stored, matrix.outputs, matrix.inputs) * matrix.copies

    dense = attention = experts = active = copies = 0
    for group in model.layers:
        for matrix in group.weights:
            size = group.count * stored(matrix)
            active += group.count * matrix.num_active_parameters
            if matrix.part == "experts":
                experts += size
                copies = max(copies, matrix.copies)
            else:
                dense += size
                attention += size if matrix.part not in ("shared experts", "dense MLP", "router", "norms") else 0
    for matrix in model.end:
        dense += matrix.num_parameters * HEAD_BYTES
        active += matrix.num_active_parameters
    if model.tie_word_embeddings:
        tied = model.embedding[0].num_parameters
        dense, active = dense + tied * HEAD_BYTES, active + tied
    return Work(dense, attention, experts, active, copies, model.num_experts_per_tok)


def attention_flops(model: ModelArchitecture, prompt_tokens: float) -> float:
    """Return the FLOPs of causal attention over one prompt: ``2 H (d_k + d_v)`` for each pair of tokens [-]."""
    total = 0.0
    for group in model.groups:
        spec = group.spec
        if isinstance(spec, LatentAttention):
            width, heads, reach = spec.qk_head_dim + spec.v_head_dim, model.num_attention_heads, float(MAX_TOKENS)
        elif isinstance(spec, FullAttention):
            width = spec.head_dim + spec.v_head_dim
            heads, reach = spec.query_heads or model.num_attention_heads, float(spec.grows_until)
        else:
            continue
        pairs = prompt_tokens**2 / 2
        if prompt_tokens > reach:
            pairs = reach * prompt_tokens - reach**2 / 2
        total += group.count * 2 * heads * width * pairs
    return total


def kv_bytes_read(plan: Plan, count: float, tokens: float) -> float:
    """Return what a pass through all layers reads of the cache on a rank; a state is read and written [bytes]."""
    request, model = plan.request, plan.model
    layout = Layout(request.storage, request.split, request.encoder_seq_len or 0)
    whole = max(1, round(tokens))
    each = kv_bytes_on_rank(model.groups, whole, layout)
    if any(isinstance(group.spec, LatentAttention) and group.spec.index_head_dim for group in model.groups):
        # sparse attention reads the latents that it selects, and every index key
        chosen = min(whole, SELECTED_TOKENS)
        keys = sum(
            group.count * (group.spec.index_head_dim + 4 * -(-group.spec.index_head_dim // 128))
            for group in model.groups
            if isinstance(group.spec, LatentAttention) and group.spec.index_head_dim and not group.spec.shares_index
        )
        each = kv_bytes_on_rank(model.groups, chosen, layout) + keys * (whole - chosen)
    state = sum(group.count * group.spec.state_bytes(request.split.state_ranks) for group in model.groups)
    on_rank = count / request.split.replicas
    return on_rank * (each + 2 * state)
