"""A row of the study: one number of KV heads, or latent attention, with all that it decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ABSENT: Any = None
"""What a row lacks where its GPUs cannot share the model, or nothing is known."""


@dataclass(frozen=True, slots=True)
class HeadRow:
    """One model of the study.

    Attributes
    ----------
    kind : str
        ``mha``, ``gqa``, ``mqa``, ``mla``, or ``mixed`` where layers differ.
    label : str
        Its KV heads as a person writes them.
    this_model : bool
        Whether it is the model as it is.
    refused : str
        Why the GPUs cannot share it, or the engine cannot run it; empty where they can.
    kv_bytes_per_token, kv_bytes_per_sequence : int
        KV cache of the whole model, one copy: of one token while all layers grow, and of ``seq_len`` tokens [bytes].
    saving : float
        Share of a sequence's KV cache that is saved against multi-head attention: (H - G) / H [-].
    num_parameters : int
        Parameters, key and value projections counted anew [-].
    mlp_width : int
        Width of the MLP, or of what its parameters are kept constant with; of the first layer, where some have the next
        width that the GPUs can share [elements].
    attention_flops_per_token, matrix_flops_per_token : int
        FLOPs of one new token at ``seq_len``: its attention, which depends on H and not on G, and its weights [-].
    degrees_without_copies : tuple of int
        Tensor-parallel sizes that split the heads without keeping any twice [-].
    num_key_value_heads : int or None
        KV heads, G [-]; None for latent attention, and where layers differ.
    query_heads_per_kv_head : float or None
        H / G [-].
    kv_heads_by_layer : str
        KV heads of each layer, first to last, runs written once; empty where all layers that have any have the same.
    intensity, step_intensity : float or None
        FLOP per byte of decode attention, and of a step of ``batch_size`` sequences [-].
    ridge : float or None
        FLOP per byte at which the device's arithmetic becomes the limit [-].
    kv_bytes_per_token_per_gpu : int
        What one GPU keeps of a token, copies included [bytes].
    saving_per_gpu : float or None
        Share that one GPU saves against multi-head attention; it stops growing where heads are copied [-].
    kv_replication : int
        GPUs that keep a copy of the same KV head; of the layers with the fewest, where they differ [-].
    copied_bytes_per_gpu : int
        What one GPU keeps of a sequence beyond its share of one copy: the part of its heads that others keep too,
        spread over all that keep them [bytes].
    weights_bytes_per_gpu : int
        Weights of the fullest GPU [bytes].
    block_bytes_per_gpu : int
        One block of the engine's tokens, over the layers of one GPU [bytes].
    block_waste_bytes_per_gpu : int
        What a sequence leaves unused of its last block, half a block in the mean [bytes].
    reserved_bytes_per_gpu : int
        What reserving the model's longest context for a sequence would take, as before blocks were paged [bytes].
    fits : bool
        Whether ``batch_size`` sequences fit.
    max_batch_size, max_batch_size_low, max_batch_size_high : int
        Sequences of ``seq_len`` tokens that one replica holds, and the range [-].
    time_per_output_token_s, time_per_output_token_s_low, time_per_output_token_s_high : float or None
        Seconds a token at ``batch_size`` sequences [s].
    output_tokens_per_second, output_tokens_per_second_low, output_tokens_per_second_high : float or None
        Tokens a second of those [1/s].
    bound : str or None
        The largest part of such a step.
    full_time_per_output_token_s, full_output_tokens_per_second : float or None
        The same at the largest batch [s], [1/s].
    full_output_tokens_per_second_low, full_output_tokens_per_second_high : float or None
        The range of that [1/s].
    usd_per_million_output_tokens_low, usd_per_million_output_tokens_high : float or None
        At the largest batch: the low price at the high end of the speed, and the other way round [USD].
    checked : bool or None
        Whether a speed at ``batch_size`` of such a set-up was ever measured.
    why : str
        What of it was not, or why there is no speed.
    """

    kind: str
    label: str
    this_model: bool
    refused: str
    kv_bytes_per_token: int
    kv_bytes_per_sequence: int
    saving: float
    num_parameters: int
    mlp_width: int
    attention_flops_per_token: int | None
    matrix_flops_per_token: int
    degrees_without_copies: tuple[int, ...]
    num_key_value_heads: int | None = None
    query_heads_per_kv_head: float | None = None
    kv_heads_by_layer: str = ""
    intensity: float | None = None
    step_intensity: float | None = None
    ridge: float | None = None
    kv_bytes_per_token_per_gpu: int = ABSENT
    saving_per_gpu: float | None = None
    kv_replication: int = ABSENT
    copied_bytes_per_gpu: int = ABSENT
    weights_bytes_per_gpu: int = ABSENT
    block_bytes_per_gpu: int = ABSENT
    block_waste_bytes_per_gpu: int = ABSENT
    reserved_bytes_per_gpu: int = ABSENT
    fits: bool = ABSENT
    max_batch_size: int = ABSENT
    max_batch_size_low: int = ABSENT
    max_batch_size_high: int = ABSENT
    time_per_output_token_s: float | None = None
    time_per_output_token_s_low: float | None = None
    time_per_output_token_s_high: float | None = None
    output_tokens_per_second: float | None = None
    output_tokens_per_second_low: float | None = None
    output_tokens_per_second_high: float | None = None
    bound: str | None = None
    full_time_per_output_token_s: float | None = None
    full_output_tokens_per_second: float | None = None
    full_output_tokens_per_second_low: float | None = None
    full_output_tokens_per_second_high: float | None = None
    usd_per_million_output_tokens_low: float | None = None
    usd_per_million_output_tokens_high: float | None = None
    checked: bool | None = None
    why: str = ""

    @property
    def is_counted(self) -> bool:
        """Whether it is one number of KV heads."""
        return self.num_key_value_heads is not None
