"""The study: one model with every number of KV heads, and latent attention beside them, on the same hardware."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model
from calculator.errors import InvalidValueError, friendly, shown
from calculator.hardware import Accelerator
from calculator.messages import joined, say
from calculator.planning import SCHEMA_VERSION
from calculator.planning.answer import Plan
from calculator.planning.heads.bench import Bench
from calculator.planning.heads.goals import Recommendation, recommendation
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.variants import (
    Kind,
    Variant,
    can_be_latent,
    counted,
    keeps_latent,
    query_heads,
    with_latent,
)
from calculator.reading.by_layer import write_by_layer
from calculator.units import plural

if TYPE_CHECKING:
    import pandas

_MOST_ROWS = 200


@dataclass(frozen=True)
class HeadStudy:
    """One model with other numbers of KV heads, row by row.

    Attributes
    ----------
    model : ModelArchitecture
        The model as it is.
    seq_len, batch_size : int
        What was asked: tokens of a sequence [tokens], and sequences at once [-].
    output_tokens : int or None
        How many of the tokens are generated; None for a step without the prefill of new prompts [tokens].
    constant_parameters : bool
        Whether MLPs were widened to keep the parameters.
    rows : tuple of HeadRow
        From the fewest KV heads to the most, latent attention last.
    plans : tuple of Plan or None
        The plan behind each row; None where it is refused.
    assumptions : tuple of str
        What had to be assumed.
    finding : str
        What the study shows, in a sentence or two.
    """

    model: ModelArchitecture
    seq_len: int
    batch_size: int
    output_tokens: int | None
    constant_parameters: bool
    rows: tuple[HeadRow, ...]
    plans: tuple[Plan | None, ...]
    assumptions: tuple[str, ...]
    finding: str

    def frame(self) -> pandas.DataFrame:
        """Return the rows as a DataFrame; the number of KV heads of latent attention is NaN."""
        import pandas

        rows = [
            {name: _cell(value) for name, value in asdict(row).items() if name != "num_key_value_heads"}
            for row in self.rows
        ]
        table = pandas.DataFrame(rows).convert_dtypes()
        heads = pandas.Series([row.num_key_value_heads for row in self.rows], dtype="float64")
        table.insert(1, "num_key_value_heads", heads)
        return table

    def as_dict(self) -> dict[str, Any]:
        """Return the study as plain values under the documented JSON keys."""
        known = next(plan for plan in self.plans if plan)
        return {
            "schema_version": SCHEMA_VERSION,
            "finding": self.finding,
            "model": self.model.id,
            "seq_len": self.seq_len,
            "batch_size": self.batch_size,
            "output_tokens": self.output_tokens,
            "constant_parameters": self.constant_parameters,
            "rows": [asdict(row) for row in self.rows],
            "assumptions": list(self.assumptions),
            "request": asdict(known.request),
        }

    def recommend(
        self,
        min_batch_size: int | None = None,
        min_output_tokens_per_second: float | None = None,
        max_tpot_s: float | None = None,
        without_copies: bool = False,
    ) -> Recommendation:
        """Return the fewest and the most KV heads that meet goals, why the others do not, and what is published there.

        Parameters
        ----------
        min_batch_size : int, optional
            Sequences that one replica must hold [-].
        min_output_tokens_per_second : float, optional
            Tokens a second that it must reach at its largest batch [1/s].
        max_tpot_s : float, optional
            Seconds a token that ``batch_size`` sequences may take [s].
        without_copies : bool
            Whether no KV head may be kept on more than one GPU of a stage [-].

        Returns
        -------
        Recommendation
            By central values; None for both where no number meets the goals.

        Raises
        ------
        InvalidValueError
            If there is no goal, or it is out of bounds.
        """
        goals = {
            "min_batch_size": min_batch_size,
            "min_output_tokens_per_second": min_output_tokens_per_second,
            "max_tpot_s": max_tpot_s,
            "without_copies": without_copies or None,
        }
        return recommendation(self.rows, query_heads(self.model), goals)


def _cell(value: Any) -> Any:
    """Return a cell as tables hold it: plain text for texts that know their keys, and for lists."""
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return str.__str__(value) if isinstance(value, str) else value


@friendly
def head_study(
    model: ModelArchitecture | str,
    gpu: Accelerator | str | None = None,
    seq_len: int | None = None,
    batch_size: int = 1,
    kv_heads: Iterable[int | Sequence[int]] | None = None,
    latent: bool = True,
    constant_parameters: bool = False,
    output_tokens: int | None = None,
    sliding_window: int | Sequence[int | None] | None = None,
    **plan_keywords: Any,
) -> HeadStudy:
    """Answer how many KV heads: memory, batch, speed and price of a model for every number that its heads divide by.

    Parameters
    ----------
    model : ModelArchitecture or str
        A model, its preset id or its Hugging Face id [-].
    gpu : Accelerator or str, optional
        A GPU or its preset id; may be left out where ``gpu_memory_bytes`` is given [-].
    seq_len : int, optional
        Prompt and generated tokens of a sequence; by default the model's longest context [tokens].
    batch_size : int
        Sequences at once, for which TPOT and tokens a second are given [-].
    kv_heads : iterable of int or of sequence of int, optional
        Numbers to compare, by default all from multi-query to multi-head attention; an entry that is a list gives each
        layer its own [-].
    latent : bool
        Whether latent attention is set beside them [-].
    constant_parameters : bool
        Whether the parameters that fewer heads free go to the MLP, to whole columns on each GPU: the model keeps its
        parameters within a column of its MLP a layer, whatever the GPUs that share it [-].
    output_tokens : int, optional
        How many of the tokens are generated, so that prefill of new prompts counts; by default none, and each sequence
        holds ``seq_len`` tokens [tokens].
    sliding_window : int or sequence of int or None, optional
        A window for all layers with heads, or a list with each layer's own, None for one that sees every earlier
        token; by default the model's own windows [tokens].
    **plan_keywords : object
        Any other keyword of ``plan`` [-].

    Returns
    -------
    HeadStudy
        A row for each number, one for the model where it is none of them, and one for latent attention.

    Raises
    ------
    CalculatorError
        If query heads do not divide by a number, if a list has not one entry a layer (the layer is named), or as
        ``plan`` where no row can be planned. A number that the GPUs cannot share is a row that says so; copies of heads
        are no error.

    Notes
    -----
    Latent attention is an assumption: DeepSeek-V2's proportions, 512 + 64 elements at a head size of 128.

    References
    ----------
    arXiv 2305.13245 (GQA), arXiv 1911.02150 (MQA), arXiv 2405.04434 (MLA), arXiv 2307.09288 appendix A.2.1 (constant
    parameters).
    """
    loaded = load_model(model)
    architecture = loaded if sliding_window is None else loaded.with_windows(sliding_window)
    for name, value in (("latent", latent), ("constant_parameters", constant_parameters)):
        if not isinstance(value, bool):
            raise InvalidValueError(
                say(
                    "study.must_true_false_not",
                    "{name} must be true or false, not {asked}",
                    name=name,
                    asked=shown(value),
                ),
                what=name,
                asked=value,
            )
    asked = {**plan_keywords, "batch_size": batch_size, **({"seq_len": seq_len} if seq_len is not None else {})}
    asked |= {"gpu": gpu} if gpu is not None else {}
    variants = list(_variants(architecture, kv_heads, latent))
    bench = Bench(architecture, asked, constant_parameters, output_tokens)
    answers = [bench.answer(variant) for variant in variants]
    plans = tuple(answer for answer, _, _ in answers)
    known = next((answer for answer in plans if answer), None)
    if known is None:
        raise next(error for _, error, _ in answers if error)
    length = known.request.seq_len
    if output_tokens is not None and not (type(output_tokens) is int and 1 <= output_tokens < length):
        raise InvalidValueError(
            say(
                "study.output_tokens_must_whole",
                "output_tokens must be a whole number from 1 to {length:,}, fewer than seq_len, not {output_tokens}",
                length=length - 1,
                output_tokens=shown(output_tokens),
            ),
            what="output_tokens",
            asked=output_tokens,
            allowed=(1, length - 1),
        )
    as_mha = bench.answer(counted(architecture, [query_heads(architecture)])[0])
    rows = _told_apart(
        bench.row(variant, answer, error, varied, length, as_mha)
        for variant, (answer, error, varied) in zip(variants, answers, strict=True)
    )
    assumed = [bench.latent_assumption(variant) for variant in variants if variant.kind is Kind.MLA]
    assumed += [_windows_assumption(architecture)] if sliding_window is not None else []
    return HeadStudy(
        model=architecture,
        seq_len=length,
        batch_size=known.request.batch_size,
        output_tokens=output_tokens,
        constant_parameters=constant_parameters,
        rows=rows,
        plans=plans,
        assumptions=tuple(text for text in assumed if text),
        finding=_finding(architecture, rows, known),
    )


def _variants(
    model: ModelArchitecture, kv_heads: Iterable[int | Sequence[int]] | None, latent: bool
) -> Iterator[Variant]:
    """Yield what is compared: the numbers asked for, the model itself where it is none of them, latent attention."""
    if kv_heads is not None and (isinstance(kv_heads, str) or not isinstance(kv_heads, Iterable)):
        raise InvalidValueError(
            say(
                "study.kv_heads_must_list",
                "kv_heads must list numbers of KV heads, not {kv_heads}",
                kv_heads=shown(kv_heads),
            ),
            what="kv_heads",
        )
    asked = None if kv_heads is None else list(islice(kv_heads, _MOST_ROWS + 1))
    if asked is not None and not 1 <= len(asked) <= _MOST_ROWS:
        many = say("study.more_than", "more than {most_rows}", most_rows=_MOST_ROWS) if asked else "no"
        raise InvalidValueError(
            say(
                "study.kv_heads_lists_numbers",
                "kv_heads lists {many} numbers: give 1 to {most_rows}",
                many=many,
                most_rows=_MOST_ROWS,
            ),
            what="kv_heads",
        )
    found = counted(model, asked)
    yield from found
    is_latent = keeps_latent(model)
    if not any(variant.model.groups == model.groups for variant in found):
        own = len({each for each in model.kv_heads_by_layer if each})
        if is_latent and latent:
            yield Variant(Kind.MLA, model.num_key_value_heads, model)
        elif not is_latent and own > 1:
            yield Variant(Kind.OWN, model.num_key_value_heads, model)
    if latent and can_be_latent(model):
        yield Variant(Kind.MLA, 1, with_latent(model))


def _told_apart(rows: Iterable[HeadRow]) -> tuple[HeadRow, ...]:
    """Return rows whose labels differ: of several lists of the same least and most, later ones are numbered."""
    found: list[HeadRow] = []
    for row in rows:
        same = sum(each.label == row.label or each.label.startswith(f"{row.label} (") for each in found)
        again = say("heads.again", "{label} ({number})", label=row.label, number=same + 1)
        found.append(replace(row, label=again) if same else row)
    return tuple(found)


def _windows_assumption(model: ModelArchitecture) -> str:
    """Say which windows were asked for in place of the model's own."""
    windows = [getattr(group.spec, "window", None) for group in model.layers for _ in range(group.count)]
    return say("heads.windows", "Windows are those that were asked for, not the model's own: {windows}.",
               windows=write_by_layer(windows))  # fmt: skip


def _finding(model: ModelArchitecture, rows: tuple[HeadRow, ...], known: Plan) -> str:
    own = next((row for row in rows if row.this_model), None)
    planned = [row for row in rows if not row.refused]
    ends = [row for row in planned if row.is_counted]
    parts = []
    if own and own.saving:
        parts.append(say(
            "heads.own",
            "{model} keeps {bytes:,} bytes a token ({kind}), {percent:.4g} % less than multi-head attention would.",
            model=model.name, bytes=own.kv_bytes_per_token, percent=100 * own.saving,
            kind=say("heads.mixed", "KV heads by layer") if own.kind == "mixed" else own.kind.upper(),
        ))  # fmt: skip
    elif own:
        parts.append(say(
            "heads.own_mha",
            "{model} keeps {bytes:,} bytes a token, a KV head for each query head (MHA): the most there can be.",
            model=model.name, bytes=own.kv_bytes_per_token,
        ))  # fmt: skip
    if len(ends) > 1:
        few, many = ends[0], ends[-1]
        parts.append(say(
            "heads.ends",
            "With {few} one replica of {gpus} holds {most} of {tokens:,} tokens, with {many} {least:,}.",
            few=plural(few.num_key_value_heads or 0, "KV head"), gpus=plural(known.gpus_per_replica, "GPU"),
            most=plural(few.max_batch_size, "sequence"), tokens=known.request.seq_len,
            many=plural(many.num_key_value_heads or 0, "KV head"), least=many.max_batch_size,
        ))  # fmt: skip
    ranks = known.request.split.kv_head_ranks
    if any(row.kv_replication > 1 for row in ends):
        parts.append(say(
            "heads.copies",
            "Below {ranks} KV heads they are copied to {ranks} GPUs, and one GPU saves no more.",
            ranks=ranks,
        ))  # fmt: skip
    return joined(" ", parts)
