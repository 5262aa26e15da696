"""How much the number of KV heads saves: multi-query, grouped, multi-head and latent attention, and no windows."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from calculator.architecture.layers import SlidingWindow
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import Split
from calculator.architecture.sums import Layout, copied_bytes_on_rank, kv_bytes_of_sequence
from calculator.errors import CalculatorError, UnsupportedError
from calculator.messages import phrase, say
from calculator.planning.answer import Plan
from calculator.planning.heads.variants import Kind as Kind
from calculator.planning.heads.variants import Variant, can_be_latent, counted, keeps_latent, with_latent
from calculator.planning.plan import plan as make_plan
from calculator.planning.resolve import why_degree_not
from calculator.units import plural
from calculator.views.base import ABSENT, Row, View, possible
from calculator.views.growth import kv_bytes_per_gpu

NAME, TITLE = "kv-heads", phrase("KV heads")


@dataclass(frozen=True, eq=False)
class KvHeadRow(Row):
    """A model with some number of KV heads, latent attention or without windows.

    Attributes
    ----------
    num_key_value_heads : int
        KV heads, G [-].
    kind : Kind
        What attention that is.
    this_model : bool
        Whether it is the model as it is.
    saving_percent : float
        KV cache of a sequence that is saved against multi-head attention [%].
    refused : str
        Why the plan's GPUs cannot share it; empty where they can.
    kv_bytes_per_gpu, weights_bytes_per_gpu : int
        KV cache of the batch asked and weights, of one GPU [bytes].
    copied_bytes_per_gpu : int
        What of that KV cache is beyond the GPU's share of one copy [bytes].
    max_batch_size : int
        Sequences that one replica holds [-].
    """

    num_key_value_heads: int
    kind: Kind
    this_model: bool
    saving_percent: float
    refused: str = ""
    kv_bytes_per_gpu: int = ABSENT
    weights_bytes_per_gpu: int = ABSENT
    copied_bytes_per_gpu: int = ABSENT
    max_batch_size: int = ABSENT

    @property
    def called(self) -> str:
        """What the row is called where it is said to be impossible."""
        return say("kv_heads.row", "KV heads {num_key_value_heads}", num_key_value_heads=self.num_key_value_heads)


def kv_head_view(plan: Plan) -> View[KvHeadRow]:
    """Vary the KV heads from multi-query (1) to multi-head attention (all query heads), latent attention beside.

    Parameters
    ----------
    plan : Plan
        The answer to start from [-].

    Returns
    -------
    View
        A row for each divisor of the query heads, windows kept and key and value projections counted anew;
        a row for the model as it is where it is none of them; one with latent attention in its place;
        and one without windows. No rows where layers have KV heads of different number or size, or none.
    """
    try:
        variants = _variants(plan.model)
        as_mha = _sequence(plan, next(variant.model for variant in variants if variant.kind is Kind.MHA))
    except CalculatorError as error:
        return View(NAME, TITLE, say("kv_heads.not_asked", "{why}.", why=str(error)), plan, [])
    rows = [_row(plan, variant, as_mha) for variant in variants]
    return View(NAME, TITLE, _finding(plan, rows), plan, rows)


def _row(plan: Plan, variant: Variant, as_mha: int) -> KvHeadRow:
    refused = why_degree_not(variant.model, asdict(plan.request)) or ""
    saving, measures = 0.0, {}
    try:
        saving = round(100 * (1 - _sequence(plan, variant.model) / as_mha), 2)
        if not refused:
            other = make_plan(**{**plan.asked, "model": variant.model})
            measures = {
                "kv_bytes_per_gpu": kv_bytes_per_gpu(other),
                "weights_bytes_per_gpu": other.per_gpu.weights_bytes,
                "copied_bytes_per_gpu": _copied(other),
                "max_batch_size": other.max_batch_size,
            }
    except CalculatorError as error:
        refused = str(error)
    own = variant.model.groups == plan.model.groups
    return KvHeadRow(variant.num_key_value_heads, variant.kind, own, saving, refused, **measures)


def _copied(plan: Plan) -> int:
    """Return what one GPU keeps of the batch beyond its share of one copy [bytes]."""
    request = plan.request
    layout = Layout(request.storage, request.split, request.encoder_seq_len or 0)
    own = copied_bytes_on_rank(plan.stage.layers, request.seq_len, layout)
    return own * request.split.sequences_on_rank(request.batch_size)


def _variants(model: ModelArchitecture) -> list[Variant]:
    """Return a model with every number of KV heads, as it is, with latent attention and without windows."""
    if len({count for count in model.kv_heads_by_layer if count}) > 1:
        raise UnsupportedError(
            say("kv_heads.kv_heads_can_varied", "KV heads can be varied where all layers have the same number of them")
        )
    variants = counted(model)
    if not any(variant.model.groups == model.groups for variant in variants):
        own = Kind.MLA if keeps_latent(model) else Kind.OWN
        variants.append(Variant(own, model.num_key_value_heads, model))
    if can_be_latent(model):
        variants.append(Variant(Kind.MLA, 1, with_latent(model)))
    if any(isinstance(group.spec, SlidingWindow) for group in model.groups):
        variants.append(Variant(Kind.NO_WINDOW, model.num_key_value_heads, model.without_windows()))
    return variants


def _sequence(plan: Plan, model: ModelArchitecture) -> int:
    """Bytes of one sequence over a whole model [bytes]."""
    layout = Layout(plan.request.storage, Split(), plan.request.encoder_seq_len or 0)
    return kv_bytes_of_sequence(model.groups, plan.request.seq_len, layout)


def _finding(plan: Plan, rows: list[KvHeadRow]) -> str:
    model, heads = plan.model, plan.model.num_attention_heads
    own = next(row for row in rows if row.this_model)
    mha = next(row for row in rows if row.kind is Kind.MHA or row.num_key_value_heads == heads)
    kept = plural(own.num_key_value_heads, "KV head")
    if own is mha:
        less = say(
            "kv_heads.mqa_saves", "; a single one (MQA) would save {percent:g} %", percent=rows[0].saving_percent
        )
        return say(
            "kv_heads.most",
            "{model} keeps {kept}, one for each query head (MHA), the most there can be{less}.",
            model=model.name, kept=kept, less=less if heads > 1 else "",
        )  # fmt: skip
    what = say("kv_heads.kept", "keeps {kept} for {heads} query heads ({kind})", kept=kept, heads=heads, kind=own.kind)
    if own.kind is Kind.MLA:
        what = say("kv_heads.latent", "keeps one latent vector for {heads} query heads (MLA)", heads=heads)
    batches = say(
        "kv_heads.batches",
        " One replica holds {own} of {tokens:,} tokens, with MHA it would hold {mha:,}.",
        own=plural(own.max_batch_size, "sequence"), tokens=plan.request.seq_len, mha=mha.max_batch_size,
    ) if not mha.refused and not own.refused else ""  # fmt: skip
    open_window = next((row for row in possible(rows) if row.kind is Kind.NO_WINDOW), None)
    without = open_window and say(
        "kv_heads.without_windows", " Without its windows it would hold {most:,}.", most=open_window.max_batch_size
    )
    return say(
        "kv_heads.saves",
        "{model} {what}: {percent:g} % less KV cache than {heads} (MHA) would take.{batches}{without}",
        model=model.name, what=what, percent=own.saving_percent, heads=heads, batches=batches, without=without or "",
    )  # fmt: skip
