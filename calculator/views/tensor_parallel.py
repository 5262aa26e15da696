"""What tensor parallelism does to the memory of one GPU, up to where KV heads are copied."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from calculator.errors import CalculatorError
from calculator.messages import Message, phrase, say
from calculator.planning.answer import Plan
from calculator.planning.heads.variants import keeps_latent
from calculator.planning.plan import vary
from calculator.planning.resolve import legal_degrees, why_degree_not
from calculator.views.base import ABSENT, Row, View, possible
from calculator.views.growth import kv_bytes_per_gpu

NAME, TITLE = "tensor-parallel", phrase("Tensor parallelism")
MAX_DEGREE = 64


@dataclass(frozen=True, eq=False)
class TensorParallelRow(Row):
    """The plan at one tensor-parallel degree.

    Attributes
    ----------
    tensor_parallel_size : int
        The degree [-].
    this_plan : bool
        Whether it is the plan's own.
    kv_bytes_per_gpu, weights_bytes_per_gpu : int
        KV cache of the batch asked and weights, of one GPU [bytes].
    overhead_bytes_per_gpu, kv_pool_bytes_per_gpu : int
        Overheads in the budget, and what is left for the KV cache, of one GPU [bytes].
    kv_heads_per_gpu, kv_replication : int
        KV heads of a layer on one GPU, and GPUs that keep the same one [-].
    max_batch_size : int
        Sequences that one replica holds [-].
    max_batch_size_per_gpu : float
        The same for each of its GPUs [-].
    refused : str
        Why the degree is not possible; empty where it is.
    """

    tensor_parallel_size: int
    this_plan: bool
    kv_bytes_per_gpu: int = ABSENT
    weights_bytes_per_gpu: int = ABSENT
    overhead_bytes_per_gpu: int = ABSENT
    kv_pool_bytes_per_gpu: int = ABSENT
    kv_heads_per_gpu: int = ABSENT
    kv_replication: int = ABSENT
    max_batch_size: int = ABSENT
    max_batch_size_per_gpu: float = ABSENT
    refused: str = ""

    @property
    def called(self) -> str:
        """What the row is called where it is said to be impossible."""
        return say("tensor_parallel.row", "TP {tensor_parallel_size}", tensor_parallel_size=self.tensor_parallel_size)


def tensor_parallel_view(plan: Plan) -> View[TensorParallelRow]:
    """Vary the tensor-parallel degree.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        A row for the plan's own degree, for each legal one up to 64, and for each within a node that is not legal,
        with why.
    """
    legal = [degree for degree in legal_degrees(plan.model, asdict(plan.request)) if degree <= MAX_DEGREE]
    within_node = range(1, min(16, max(plan.accelerator.gpus_per_node, 8)) + 1)
    rows = [_row(plan, degree) for degree in sorted({*legal, *within_node, plan.request.tensor_parallel_size})]
    return View(NAME, TITLE, _finding(plan, rows), plan, rows)


def _row(plan: Plan, degree: int) -> TensorParallelRow:
    own = degree == plan.request.tensor_parallel_size
    try:
        other = vary(plan, tensor_parallel_size=degree)
    except CalculatorError as error:
        reason = why_degree_not(plan.model, {**asdict(plan.request), "tensor_parallel_size": degree})
        return TensorParallelRow(degree, own, refused=reason or str(error))
    return TensorParallelRow(
        tensor_parallel_size=degree,
        this_plan=own,
        kv_bytes_per_gpu=kv_bytes_per_gpu(other),
        weights_bytes_per_gpu=other.per_gpu.weights_bytes,
        overhead_bytes_per_gpu=other.per_gpu.before_kv_bytes - other.per_gpu.weights_bytes,
        kv_pool_bytes_per_gpu=other.per_gpu.kv_pool_bytes,
        kv_heads_per_gpu=other.kv_heads_per_gpu,
        kv_replication=other.kv_replication,
        max_batch_size=other.max_batch_size,
        max_batch_size_per_gpu=round(other.max_batch_size / other.gpus_per_replica, 2),
    )


def _finding(plan: Plan, rows: list[TensorParallelRow]) -> str:
    if not plan.rules.splits_layers:
        return say(
            "tensor_parallel.none",
            "{engine} has no tensor parallelism: each GPU holds whole layers, as a pipeline stage.",
            engine=plan.rules.title,
        )
    answered = possible(rows)
    best = max(answered, key=lambda row: (row.max_batch_size_per_gpu, -row.tensor_parallel_size))
    most = say(
        "tensor_parallel.best",
        ". TP {degree} holds the most sequences for its GPUs: {replica:,} a replica, {gpu:,.10g} a GPU",
        degree=best.tensor_parallel_size,
        replica=best.max_batch_size,
        gpu=best.max_batch_size_per_gpu,
    )
    what = _what_is_shared(plan, answered)
    return say("tensor_parallel.finding", "{what}{most}.", what=what, most=most if best.max_batch_size else "")


def _what_is_shared(plan: Plan, answered: list[TensorParallelRow]) -> Message:
    """Say what becomes of a sequence's memory with more GPUs."""
    heads, shared = plan.model.num_key_value_heads, plan.request.decode_context_parallel_size
    if plan.request.enable_attention_dp:
        return say(
            "tensor_parallel.attention_dp",
            "Every GPU keeps whole the KV cache of the sequences that it serves, one TP-th of the batch",
        )
    if heads == 0:
        return say("tensor_parallel.state", "The state of a sequence is split over the GPUs")
    if shared > 1:
        return say("tensor_parallel.context", "{shared} GPUs share the tokens of a sequence", shared=shared)
    if keeps_latent(plan.model):
        return say(
            "tensor_parallel.latent",
            "The latent vector is the same for all heads, so every GPU keeps a whole copy: it does not fall with TP",
        )
    if heads == 1:
        return say(
            "tensor_parallel.one_head",
            "There is one KV head, so every GPU keeps a whole copy: KV memory per GPU does not fall with TP",
        )
    copied = next((row for row in answered if row.kv_replication > 1), None)
    copies = copied and say(
        "tensor_parallel.copies",
        "; at TP {degree} each head is kept {copies} times",
        degree=copied.tensor_parallel_size,
        copies=copied.kv_replication,
    )
    return say(
        "tensor_parallel.falls",
        "KV memory per GPU falls until TP {heads}, the number of KV heads{copies}",
        heads=heads,
        copies=copies or "",
    )
