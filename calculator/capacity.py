"""``plan()``: budget → KV pool → blocks → sequences and context, or why it does not fit.

Per GPU::

    KV pool = ceil(memory × utilisation) − weights − activations − non-torch − CUDA graphs
    blocks  = pool // bytes of a block        (the pipeline stage with the fewest decides)
    batch   = blocks // ceil(seq_len / block_size)
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

from calculator import engines, overheads
from calculator.accelerator import Accelerator
from calculator.answer import Memory, Plan, Stage
from calculator.attention import Count, smaller
from calculator.errors import friendly
from calculator.kv_cache import Layout, kv_bytes_on_rank, longest_sequence, sequence_bytes
from calculator.model import LayerGroup, ModelArchitecture, merge
from calculator.notes import notes_on
from calculator.presets import load_model
from calculator.request import Request, resolve
from calculator.storage import storage_format
from calculator.weights import weight_bytes_per_rank


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
    engine: str = "vllm",
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
        Fraction of the device's memory that the engine may use, in (0, 1]; by default 0.9 [-].
    encoder_seq_len : int, optional
        Tokens of the encoder; required for an encoder-decoder, refused otherwise [tokens].
    enable_expert_parallel : bool
        Whether ranks hold whole experts in place of slices of all; replicas then share them too [-].
    engine : str
        Whose rules apply [-].
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
    ``pool = ceil(memory × utilisation) − weights − activations − non-torch − graphs`` on each GPU;
    ``max_batch_size = (pool // block bytes) // ceil(seq_len / block_size)``.

    References
    ----------
    vLLM 0.33.0, ``v1/worker/gpu_worker.py`` and ``v1/core/kv_cache_utils.py``.
    """
    asked = {name: value for name, value in locals().items() if value is not None}
    architecture = load_model(model)
    accelerator, request = resolve(architecture, asked)
    stages = memory_of_stages(architecture, accelerator, request)
    max_batch_size = largest_batch(stages, request.seq_len)
    storage, ranks = storage_format(request.kv_cache_dtype), request.tensor_parallel_size
    layout = Layout(storage, ranks, encoder_tokens=request.encoder_seq_len or 0)
    answer = Plan(
        model=architecture,
        accelerator=accelerator,
        request=request,
        asked=asked,
        stages=stages,
        fits=max_batch_size >= request.batch_size,
        max_batch_size=max_batch_size,
        max_context_len=longest_context(stages, request.batch_size),
        num_blocks=min(stage.num_blocks for stage in stages),
        kv_bytes_per_sequence=kv_bytes_on_rank(architecture.groups, request.seq_len, layout) * ranks,
        notes=(),
    )
    return replace(answer, notes=tuple(notes_on(answer)))


def largest_batch(stages: tuple[Stage, ...], seq_len: Count) -> Count:
    """Return the sequences of some length that a replica holds; none where memory is exceeded [-]."""
    batches = (stage.usable_bytes // _kept(stage, seq_len) for stage in stages)
    fewest: Count = reduce(smaller, batches)
    return fewest


def longest_context(stages: tuple[Stage, ...], batch_size: Count) -> Count:
    """Return the longest sequence of which a replica holds so many [tokens]."""
    lengths = (longest_sequence(stage.layers, stage.usable_bytes // batch_size, stage.layout) for stage in stages)
    shortest: Count = reduce(smaller, lengths)
    return shortest


def _kept(stage: Stage, seq_len: Count) -> Count:
    """Bytes of one sequence on a stage; a stage that keeps nothing counts as one byte and so sets no limit."""
    kept = sequence_bytes(stage.layers, seq_len, stage.layout)
    whole: Count = kept + (kept == 0)
    return whole


def memory_of_stages(model: ModelArchitecture, accelerator: Accelerator, request: Request) -> tuple[Stage, ...]:
    """Return the memory of one GPU of each pipeline stage; it depends on neither length nor batch."""
    tp, pp = request.tensor_parallel_size, request.pipeline_parallel_size
    rules = engines.engine_rules(request.engine)
    layout = Layout(storage_format(request.kv_cache_dtype), tp, request.block_size, request.encoder_seq_len or 0)
    total = accelerator.memory_bytes
    requested = engines.requested_bytes(total, request.gpu_memory_utilization)
    weights = weight_bytes_per_rank(model, request.weight_dtype, tp, pp, request.expert_parallel_size)
    non_torch = _own("Outside the allocator", request.non_torch_bytes) or overheads.non_torch(accelerator, tp)
    graphs = _own("CUDA graphs", request.cuda_graph_bytes) or overheads.cuda_graphs(
        accelerator, rules, request.max_num_seqs
    )
    stages = []
    for index, groups in enumerate(model.stages(pp)):
        activation = _own("Activations", request.activation_bytes) or overheads.activation(
            model, rules, tp, request.max_num_seqs, request.max_num_batched_tokens, last_stage=index == pp - 1
        )
        taken = weights[index] + activation.bytes + non_torch.bytes + graphs.bytes
        pool = max(0, requested - taken) if request.kv_cache_memory_bytes is None else request.kv_cache_memory_bytes
        merged = model.groups if pp == 1 else merge(groups)
        memory = Memory(total, requested, weights[index], activation.bytes, non_torch.bytes, graphs.bytes, pool)
        lines = (activation, non_torch, graphs)
        stages.append(Stage(merged, layout, memory, lines, block_bytes(merged, layout)))
    return tuple(stages)


def block_bytes(layers: tuple[LayerGroup, ...], layout: Layout) -> int:
    """Return the bytes of one block of all layers of a stage; of one sequence's state where nothing grows [bytes]."""
    alone = replace(layout, encoder_tokens=0) if layout.encoder_tokens else layout
    grows = kv_bytes_on_rank(layers, layout.block_size, alone)
    return grows or sequence_bytes(layers, layout.block_size, layout) or 1


def _own(name: str, value: int | None) -> overheads.Overhead | None:
    return None if value is None else overheads.Overhead(name, value, overheads.OWN_VALUE)


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
