"""``plan()``: budget → KV pool → blocks → sequences and context, or why it does not fit.

Per GPU::

    KV pool = what the engine may use − weights − overheads
    batch   = what the engine's pools hold of one sequence's blocks    (the tightest pipeline stage decides)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.sums import Layout, kv_bytes_of_sequence
from calculator.catalogue.presets import load_model
from calculator.engines import DEFAULT_ENGINE
from calculator.engines.base import Engine
from calculator.engines.overheads import CAUSES
from calculator.errors import friendly
from calculator.hardware import Accelerator
from calculator.planning.answer import Plan, Stage
from calculator.planning.memory import _batch_range, largest_batch, longest_context, memory_of_stages
from calculator.planning.notes import notes_on
from calculator.planning.resolve import resolve
from calculator.reading.frozen import FrozenDict
from calculator.request import Request


@friendly
def plan(
    model: ModelArchitecture | str,
    gpu: Accelerator | str | None = None,
    *,
    seq_len: int | None = None,
    batch_size: int = 1,
    tensor_parallel_size: int = 1,
    pipeline_parallel_size: int = 1,
    data_parallel_size: int = 1,
    weight_dtype: str = "auto",
    kv_cache_dtype: str = "auto",
    gpu_memory_utilization: float | None = None,
    encoder_seq_len: int | None = None,
    enable_expert_parallel: bool = False,
    engine: str = DEFAULT_ENGINE,
    engine_version: str | None = None,
    async_scheduling: bool | None = None,
    enable_prefix_caching: bool | None = None,
    disable_hybrid_kv_cache_manager: bool = False,
    swa_full: bool = False,
    enable_attention_dp: bool = False,
    decode_context_parallel_size: int = 1,
    enforce_eager: bool = False,
    language_model_only: bool = False,
    block_size: int | None = None,
    max_num_seqs: int | None = None,
    max_num_batched_tokens: int | None = None,
    gpu_memory_bytes: int | None = None,
    kv_cache_memory_bytes: int | None = None,
    activation_bytes: int | None = None,
    non_torch_bytes: int | None = None,
    cuda_graph_bytes: int | None = None,
) -> Plan:
    """Answer how many sequences fit, how long they can be, and where the memory goes.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    gpu : Accelerator or str, optional
        A GPU or its preset id; may be left out where ``gpu_memory_bytes`` is given [-].
    seq_len : int, optional
        Prompt and generated tokens of one sequence; by default the model's longest context [tokens].
    batch_size : int
        Concurrent sequences of one replica that must fit [-].
    tensor_parallel_size : int
        GPUs that share every layer [-].
    pipeline_parallel_size : int
        Stages that share the layers [-].
    data_parallel_size : int
        Replicas [-].
    weight_dtype : str
        Weight format; ``auto`` for the checkpoint's own [-].
    kv_cache_dtype : str
        Storage format of the cache; ``auto`` for the checkpoint's own [-].
    gpu_memory_utilization : float, optional
        The engine's fraction, in (0, 1], of what that engine means by it; by default the engine's own [-].
    encoder_seq_len : int, optional
        Tokens of the encoder; required for an encoder-decoder, refused otherwise [tokens].
    enable_expert_parallel : bool
        Whether ranks hold whole experts in place of slices of all; replicas then share them too [-].
    engine : str
        Whose rules apply: vllm, sglang, tensorrt-llm or llama.cpp [-].
    engine_version : str, optional
        Of which version, such as ``0.19``; by default the newest known, and the nearest for one that is not [-].
    async_scheduling : bool, optional
        Whether vLLM schedules a batch ahead, which windows are charged for; by default as the version does [-].
    enable_prefix_caching : bool, optional
        Whether vLLM keeps pages of states for it; by default as the version does [-].
    disable_hybrid_kv_cache_manager : bool
        Whether windows are allocated at full length: vLLM's flag, SGLang's ``--disable-hybrid-swa-memory`` [-].
    swa_full : bool
        Whether windows are allocated at full length: llama.cpp's flag [-].
    enable_attention_dp : bool
        Whether every GPU of a replica serves sequences of its own, attention weights copied [-].
    decode_context_parallel_size : int
        GPUs of a replica that share a sequence's tokens where they would keep copies of its heads [-].
    enforce_eager : bool
        Whether no CUDA graphs are captured [-].
    language_model_only : bool
        Whether the encoders of images and audio are not loaded: vLLM's flag [-].
    block_size : int, optional
        Tokens of one block; by default the engine's [tokens].
    max_num_seqs : int, optional
        Sequences of one forward pass, by default the engine's for the device; bounds activations [-].
    max_num_batched_tokens : int, optional
        Tokens of one forward pass, by default the engine's for the device; bounds activations [tokens].
    gpu_memory_bytes : int, optional
        What the device reports to a program, in place of the catalogue's [bytes].
    kv_cache_memory_bytes : int, optional
        The KV pool of one GPU given outright, whatever the weights take [bytes].
    activation_bytes, non_torch_bytes, cuda_graph_bytes : int, optional
        Your own value for an overhead of one GPU, in place of the estimate [bytes].

    Returns
    -------
    Plan
        The answer; where memory does not suffice it says so and is no error.

    Raises
    ------
    CalculatorError
        If a name is unknown, a number out of bounds, or the model cannot be split so.

    Notes
    -----
    ``pool = budget − weights − activations − non-torch − graphs`` on each GPU, with the engine's budget and those
    of the overheads that it takes from it; ``max_batch_size`` is what the engine's blocks hold. The range comes
    from the overheads alone, their deviations added in squares; weights and KV are exact.

    References
    ----------
    ``calculator.engines``, a module each, with the sources of its rules.
    """
    asked = FrozenDict({name: value for name, value in locals().items() if value is not None})
    architecture = load_model(model)
    accelerator, rules, request = resolve(architecture, asked)
    stages = memory_of_stages(architecture, accelerator, rules, request)
    replicas = request.attention_replicas
    layout = Layout(request.storage, request.split, encoder_tokens=request.encoder_seq_len or 0)
    batch = largest_batch(stages, request.seq_len) * replicas
    low, high = (bound * replicas for bound in _batch_range(stages, request.seq_len))
    decides = min(
        stages, key=lambda stage: (min(0, stage.memory.unused_bytes), stage.num_blocks, -stage.memory.weights_bytes)
    )
    answer = Plan(
        model=architecture,
        accelerator=accelerator,
        rules=rules,
        request=request,
        asked=asked,
        stages=stages,
        stage=decides,
        fits=batch >= request.batch_size,
        max_batch_size=batch,
        max_batch_size_low=low,
        max_batch_size_high=high,
        range_cause=_range_cause(decides),
        max_context_len=_longest(architecture, accelerator, rules, request, asked, stages),
        num_blocks=min(stage.num_blocks for stage in stages),
        kv_bytes_per_sequence=kv_bytes_of_sequence(architecture.groups, request.seq_len, layout),
        notes=(),
    )
    return replace(answer, notes=tuple(notes_on(answer)))


def _longest(
    model: ModelArchitecture,
    accelerator: Accelerator,
    rules: Engine,
    request: Request,
    asked: Mapping[str, Any],
    stages: tuple[Stage, ...],
) -> int:
    """Return the longest sequence of which the replica holds the batch that was asked for [tokens]."""
    batch = request.split.sequences_on_rank(request.batch_size)
    longest: int = longest_context(stages, batch)
    if not rules.follows_length or "max_num_batched_tokens" in asked:
        return longest

    def fits(length: int) -> bool:
        tokens = rules.batch_defaults(accelerator, length)[0]
        varied = memory_of_stages(
            model, accelerator, rules, replace(request, seq_len=length, max_num_batched_tokens=tokens)
        )
        return bool(largest_batch(varied, length) >= batch)

    low, high = 0, MAX_TOKENS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _range_cause(stage: Stage) -> str:
    """Name the overhead whose range moves the pool most; empty where nothing does."""
    low, high = stage.usable_range
    if low == high:
        return ""
    return CAUSES[max(stage.overheads, key=lambda line: line.spread).name]


def vary(answer: Plan, **changes: Any) -> Plan:
    """Return the plan of the same request with some inputs changed.

    Parameters
    ----------
    answer : Plan
        The plan to start from [-].
    **changes : object
        Any keyword of ``plan``; None for its default [-].

    Returns
    -------
    Plan
        The new answer.

    Raises
    ------
    CalculatorError
        As ``plan``.
    """
    return plan(**{**answer.asked, **changes})
