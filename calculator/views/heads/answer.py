"""One number of KV heads in words: what it holds and saves, both ends, and what is published there."""

from __future__ import annotations

from calculator.messages import joined, say
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.study import HeadStudy
from calculator.units import plural
from calculator.views.heads.chosen import ends, known_plan, plan_of
from calculator.views.heads.quality import evidence_of, is_shown, trained
from calculator.views.load.wording import rounded
from calculator.views.words import hardware


def variant(row: HeadRow) -> str:
    """Name what attention a row has: ``8 KV heads``, ``latent attention`` or ``KV heads 4 to 16 by layer``."""
    if row.kind == "mla":
        return say("heads_answer.latent", "latent attention")
    if row.num_key_value_heads is None:
        return say("heads_answer.by_layer", "KV heads {label}", label=row.label)
    return plural(row.num_key_value_heads, "KV head")


def kind(row: HeadRow) -> str:
    """Name the kind with its ratio: ``GQA 8:1``, ``MHA 1:1``, ``MQA 64:1``, ``MLA`` or ``by layer``."""
    if row.query_heads_per_kv_head is None:
        return say("heads_answer.kind", "{kind}", kind="MLA" if row.kind == "mla" else "by layer")
    return say(
        "heads_answer.ratio", "{kind} {ratio:g}:1", kind=row.kind.upper(), ratio=row.query_heads_per_kv_head
    )  # fmt: skip


def headline(study: HeadStudy, row: HeadRow) -> str:
    """Answer in one line: the model, its KV heads, how many users it holds, and how much less it keeps."""
    what = say("heads_answer.what", "{model} with {variant}", model=study.model.name, variant=variant(row))
    if row.refused:
        return say("heads_answer.refused", "{what} is not possible here", what=what)
    if not row.max_batch_size:
        return say("heads_answer.holds_none", "{what} holds no user here", what=what)
    users = plural(row.max_batch_size, "user")
    if row.kind == "mha":
        return say("heads_answer.mha", "{what}: {users}, the most KV there can be", what=what, users=users)
    if row.saving <= 0:
        return say("heads_answer.no_less", "{what}: {users}, no less KV than MHA", what=what, users=users)
    return say(
        "heads_answer.less",
        "{what}: {users}, {times} × less KV than MHA",
        what=what, users=users, times=rounded(1 / (1 - row.saving)) if row.saving < 1 else "∞",
    )  # fmt: skip


def verdict(study: HeadStudy, row: HeadRow) -> str:
    """Say on what hardware, whether what was asked fits, what both ends would hold, and what is published."""
    if row.refused:
        return say("heads_answer.why", "{why}.", why=row.refused)
    return joined(" ", [part for part in (_held(study, row), _ends(study, row), _copies(row), published(study, row))
                        if part])  # fmt: skip


def _held(study: HeadStudy, row: HeadRow) -> str:
    plan = plan_of(study, row) or known_plan(study)
    around = (
        say("heads_answer.range", " ({low:,} to {high:,})", low=row.max_batch_size_low, high=row.max_batch_size_high)
        if row.max_batch_size_low != row.max_batch_size_high
        else ""
    )
    asked = say(
        "heads_answer.fit" if row.fits else "heads_answer.fit_not",
        "the {asked} asked fit" if row.fits else "the {asked} asked do not fit",
        asked=f"{study.batch_size:,}",
    )
    return say(
        "heads_answer.on",
        "On {gpus}, TP {degree}, one replica holds {held} of {tokens:,} tokens{around}; {asked}.",
        gpus=hardware(plan), degree=plan.request.tensor_parallel_size, held=plural(row.max_batch_size, "user"),
        tokens=study.seq_len, around=around, asked=asked,
    )  # fmt: skip


def _ends(study: HeadStudy, row: HeadRow) -> str:
    others = [end for end in ends(study) if end and end is not row and not end.refused]
    said = [
        say(
            "heads_answer.also" if index else "heads_answer.end",
            "with {kind} {users:,}" if index else "With {kind} it would hold {users:,}",
            kind=end.kind.upper(), users=end.max_batch_size,
        )
        for index, end in enumerate(others)
    ]  # fmt: skip
    return say("heads_answer.ends", "{ends}.", ends=joined(", ", said)) if said else ""


def _copies(row: HeadRow) -> str:
    if row.kv_replication <= 1:
        return ""
    if row.kind == "mla":
        return say("heads_answer.latent_copies", "Each of {copies} GPUs keeps the whole vector.",
                   copies=row.kv_replication)  # fmt: skip
    if row.kv_heads_by_layer:
        return say("heads_answer.some_copies", "KV heads of some layers are kept on {copies} GPUs.",
                   copies=row.kv_replication)  # fmt: skip
    return say("heads_answer.copies", "Each KV head is kept on {copies} GPUs.", copies=row.kv_replication)


def published(study: HeadStudy, row: HeadRow) -> str:
    """Say in a sentence what is published about quality at the ratio of a row, conflicts included."""
    if row.kind == "mha":
        return say("heads_answer.baseline", "Quality: what all published pairs are compared with.")
    pairs = trained(study, row)
    if not pairs:
        found = evidence_of(study, row)
        if found is None:
            return say("heads_answer.layers_differ", "Quality: nothing is published of layers that differ.")
        if any(map(is_shown, found.rows)):
            return say("heads_answer.converted", "Quality: only conversions of trained models are published there.")
        return say("heads_answer.no_data", "Quality: nothing is published at this ratio.")
    points, works = [pair.change for pair in pairs], {pair.study for pair in pairs}
    if len(points) == 1:
        return say("heads_answer.one_pair", "Quality: {change:+g} points against MHA in the one published pair.",
                   change=points[0])  # fmt: skip
    disagree = say("heads_answer.disagree", "; they disagree") if min(points) < 0 < max(points) else ""
    return say(
        "heads_answer.points",
        "Quality: {least:+g} to {most:+g} points against MHA in {pairs} of {works}, trained or uptrained so{disagree}.",
        least=min(points), most=max(points), pairs=plural(len(points), "published pair"),
        works=plural(len(works), "work"), disagree=disagree,
    )  # fmt: skip


def room(study: HeadStudy, row: HeadRow) -> str:
    """Say in a few words whether what was asked fits, and with how much room."""
    if row.refused:
        return say("heads_answer.badge_refused", "not possible")
    if not row.fits:
        return say("heads_answer.badge_not", "does not fit")
    return say("heads_answer.badge", "fits, {times} × room", times=rounded(row.max_batch_size / study.batch_size, 2))
