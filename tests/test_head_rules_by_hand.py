"""Studies of KV heads by hand: goals on rows that are made up, rows of a model, conversions at their ends."""

from dataclasses import replace

import pytest

import calculator
from calculator.catalogue.published import published_pairs, published_remarks
from calculator.planning.heads import model_figures, plan_figures
from calculator.planning.heads.goals import recommendation
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.uptraining import conversion_targets
from calculator.planning.heads.variants import Kind, counted, kind_of

GIB = 2**30


# Goals on rows that are made up


def row(heads, **values):
    """A row of so many of eight heads: everything that goals look at, good unless it is said."""
    made = HeadRow(
        kind="gqa", label=str(heads), this_model=False, refused="", kv_bytes_per_token=1, kv_bytes_per_sequence=1,
        saving=0.0, num_parameters=1, mlp_width=1, attention_flops_per_token=1, matrix_flops_per_token=1,
        degrees_without_copies=(1,), num_key_value_heads=heads, kv_replication=1, fits=True,
        max_batch_size=100 // heads, full_output_tokens_per_second=1000.0 / heads, time_per_output_token_s=0.01 * heads,
    )  # fmt: skip
    return replace(made, **values)


MLA = replace(row(1), kind="mla", label="MLA", num_key_value_heads=None)
LIST = replace(row(1), kind="mixed", label="2 to 4 by layer", num_key_value_heads=None)
ROWS = [row(1), row(2), row(4), row(8)]


@pytest.mark.parametrize(
    ("goal", "meets"),
    # 100, 50, 25, 12 sequences; 1000, 500, 250, 125 tokens/s; 10, 20, 40, 80 ms
    [
        ({"min_batch_size": 12}, "1 2 4 8"), ({"min_batch_size": 13}, "1 2 4"), ({"min_batch_size": 25}, "1 2 4"),
        ({"min_batch_size": 26}, "1 2"), ({"min_output_tokens_per_second": 500}, "1 2"),
        ({"min_output_tokens_per_second": 500.1}, "1"), ({"max_tpot_s": 0.04}, "1 2 4"),
        ({"max_tpot_s": 0.0399}, "1 2"), ({"without_copies": True}, "1 2 4 8"), ({"max_tpot_s": 1.0}, "1 2 4 8"),
        ({"min_batch_size": 25, "max_tpot_s": 0.02}, "1 2"),
    ],
)  # fmt: skip
def test_what_meets_a_goal(goal, meets):
    found = recommendation(ROWS, 8, goal)
    assert [one.label for one in found.meets] == meets.split()
    assert (found.smallest, found.largest) == (1, int(meets.split()[-1]))
    assert set(found.reasons) == {one.label for one in ROWS} - set(meets.split())
    assert found.latent_meets is None


@pytest.mark.parametrize(
    ("values", "goal", "key", "said"),
    [
        ({"max_batch_size": 7}, {"min_batch_size": 8}, "goals.batch", "holds 7 sequences, fewer than 8"),
        ({"full_output_tokens_per_second": None, "max_batch_size": 0, "why": "x"}, {"min_output_tokens_per_second": 1},
         "goals.no_room", "holds no sequence"),
        ({"full_output_tokens_per_second": None, "max_batch_size": 3, "why": "x"}, {"min_output_tokens_per_second": 1},
         "goals.no_speed", "has no known speed: x"),
        ({"full_output_tokens_per_second": None, "max_batch_size": 3}, {"min_output_tokens_per_second": 1},
         "goals.no_room", "holds no sequence"),
        ({"full_output_tokens_per_second": 9.0}, {"min_output_tokens_per_second": 10}, "goals.rate",
         "reaches 9 tokens/s, fewer than 10"),
        ({"time_per_output_token_s": None, "why": "y"}, {"max_tpot_s": 1.0}, "goals.no_speed",
         "has no known speed: y"),
        ({"time_per_output_token_s": 0.02}, {"max_tpot_s": 0.01}, "goals.tpot",
         "takes 20.0 ms a token, more than 10.0"),
        ({"fits": False}, {"max_tpot_s": 1.0}, "goals.fits", "does not hold the batch that was asked"),
        ({"kv_replication": 2}, {"without_copies": True}, "goals.copies", "keeps the same on 2 GPUs"),
    ],
)  # fmt: skip
def test_why_a_row_misses_a_goal(values, goal, key, said):
    found = recommendation([row(1), row(2, **values)], 8, goal).reasons
    assert [(why.key, str(why)) for why in found.values()] == [(key, said)]
    assert list(found) == ["2"]


def test_what_cannot_be_planned_meets_nothing_whatever_its_numbers():
    found = recommendation([row(1, refused="no"), row(2), replace(MLA, refused="never")], 8, {"min_batch_size": 1})
    assert (found.smallest, found.largest, found.reasons) == (2, 2, {"1": "no", "MLA": "never"})
    assert found.latent_meets is None


def test_latent_attention_and_lists_are_said_apart():
    goal = {"min_batch_size": 60}
    found = recommendation([*ROWS, MLA, LIST], 8, goal)
    assert (found.smallest, found.largest, found.latent_meets) == (1, 1, True)
    keys = [part.key for part in found.finding.values.values()][:4]
    assert keys == ["goals.range", "goals.beyond", "goals.latent", "goals.by_layer"]
    assert found.finding.startswith(
        "1 KV head meets the goals. With 2 it holds 50 sequences, fewer than 60. Latent attention does. "
        "So does a list of 2 to 4 by layer. "
    )
    small = replace(MLA, max_batch_size=10)
    alone = recommendation([*ROWS[1:], small, LIST], 8, goal)
    assert alone.latent_meets is False
    assert alone.finding == (
        "No number of KV heads meets the goals (2: holds 50 sequences, fewer than 60). "
        "A list of 2 to 4 by layer does."
    )  # fmt: skip
    only = recommendation([*ROWS[1:], MLA], 8, goal)
    assert (only.smallest, only.largest, only.latent_meets) == (None, None, True)
    assert only.finding.endswith("Latent attention does. " + only.evidence.finding)
    assert {pair.kind for pair in only.evidence.rows} == {"mla"}


def test_runs_and_what_stands_beside_them():
    # 1, 2 and 8 of 1, 2, 4, 8: a run, and one alone; beside the ends stands what cannot meet, refused ones passed over
    some = [row(1, refused="r"), row(2, max_batch_size=4), row(4), row(8), row(16, refused="s"), row(32), row(64)]
    found = recommendation(some, 64, {"min_batch_size": 6})
    assert found.finding.startswith("4 to 8 KV heads meet the goals. With 32 it holds 3 sequences, fewer than 6. "
                                    "With 2 it holds 4 sequences, fewer than 6. With 8: ")  # fmt: skip
    some[1] = row(2)
    some[2] = row(4, max_batch_size=1)
    assert recommendation(some, 64, {"min_batch_size": 6}).finding.startswith("2, 8 KV heads meet the goals. With 32")


@pytest.mark.parametrize(
    ("goals", "said"),
    [
        ({"min_batch_size": 200}, "No number of KV heads meets the goals (1: holds 100 sequences, fewer than 200)."),
        ({"min_output_tokens_per_second": 2000}, "(1: reaches 1,000 tokens/s, fewer than 2,000)."),
        ({"max_tpot_s": 0.001}, "(1: takes 10.0 ms a token, more than 1.0)."),
        ({"min_batch_size": 200, "max_tpot_s": 0.02},
         "No number of KV heads meets the goals together. None would hold 200 sequences (1: holds 100 sequences, fewer "
         "than 200). 1 to 2 would take 20.0 ms a token or less."),
        ({"min_batch_size": 100, "min_output_tokens_per_second": 2000},
         "together. 1 would hold 100 sequences. None would reach 2,000 tokens/s (1: reaches 1,000 tokens/s, fewer"),
    ],
)  # fmt: skip
def test_the_nearest_to_a_goal_that_nothing_meets(goals, said):
    found = recommendation(ROWS[::-1], 8, goals) if len(goals) == 1 else recommendation(ROWS, 8, goals)
    assert said in found.finding
    assert (found.smallest, found.largest, found.meets) == (None, None, ())
    assert found.evidence.finding.key == "evidence.unmet"


def test_the_nearest_of_copies_and_of_what_does_not_fit():
    copied = [row(1, kv_replication=8), row(2, kv_replication=4)]
    assert "(2: keeps the same on 4 GPUs)" in recommendation(copied, 8, {"without_copies": True}).finding
    # of what does not fit a time is no measure: the first that can be planned is named
    loose = [row(1, refused="r"), row(2, fits=False), row(4, fits=False)]
    assert "(2: does not hold the batch" in recommendation(loose, 8, {"max_tpot_s": 1.0}).finding
    assert "(1: r)" in recommendation([row(1, refused="r")], 8, {"max_tpot_s": 1.0}).finding


def test_keys_of_a_recommendation():
    assert set(recommendation(ROWS, 8, {"min_batch_size": 1}).as_dict()) == {
        "finding", "smallest", "largest", "latent_meets", "meets", "reasons", "evidence", "smallest_evidence",
    }  # fmt: skip


# Rows of a model


def test_rows_of_a_model_by_hand():
    # Llama 3.1 8B: 32 layers, 32 query heads of 128, contexts of 131,072; TP 4; 16 bit; blocks of 16
    study = calculator.head_study(
        "llama-3.1-8b", gpu="h100-sxm", seq_len=4_096, batch_size=4, tensor_parallel_size=4, latent=False
    )
    assert [one.num_key_value_heads for one in study.rows] == [1, 2, 4, 8, 16, 32]
    for one in study.rows:
        heads = one.num_key_value_heads
        token, on_gpu = 32 * heads * 2 * 128 * 2, 32 * max(1, heads // 4) * 2 * 128 * 2
        assert one.kind == ("mqa" if heads == 1 else "mha" if heads == 32 else "gqa")
        assert (one.label, one.refused, one.this_model) == (str(heads), "", heads == 8)
        assert (one.kv_bytes_per_token, one.kv_bytes_per_sequence) == (token, 4_096 * token)
        assert one.saving == (32 - heads) / 32
        assert one.saving_per_gpu == 1 - max(1, heads // 4) / 8
        assert one.query_heads_per_kv_head == 32 / heads
        assert one.kv_heads_by_layer == ""
        assert one.kv_bytes_per_token_per_gpu == on_gpu
        assert one.kv_replication == max(1, 4 // heads)
        # beyond its share of one copy
        assert one.copied_bytes_per_gpu == 4_096 * (on_gpu - token // 4)
        assert (one.block_bytes_per_gpu, one.block_waste_bytes_per_gpu) == (16 * on_gpu, 15 * on_gpu // 2)
        assert one.reserved_bytes_per_gpu == 131_072 * on_gpu
        assert one.degrees_without_copies == tuple(size for size in (1, 2, 4, 8, 16, 32) if size <= heads)
        # 2 H (d_k + d_v) for each token that is kept, whatever G
        assert one.attention_flops_per_token == 32 * 2 * 32 * 256 * 4_096
        assert one.intensity == pytest.approx(32 / heads)
        assert one.mlp_width == 14_336
        assert one.num_parameters == 8_030_261_248 + 32 * 2 * 4_096 * 128 * (heads - 8)
        # twice the parameters that a token passes through: all but the input embedding
        assert one.matrix_flops_per_token == 2 * (one.num_parameters - 128_256 * 4_096)


def test_a_list_of_heads_is_a_row_of_its_own():
    mixed = [8] * 16 + [4] * 15 + [2]
    (one,) = calculator.head_study(
        "llama-3.1-8b", gpu="h100-sxm", seq_len=4_096, batch_size=4, latent=False, kv_heads=[mixed],
        tensor_parallel_size=4,
    ).rows  # fmt: skip
    assert (one.kind, one.label, one.num_key_value_heads) == ("mixed", "2 to 8 by layer", None)
    assert one.kv_bytes_per_token == sum(mixed) * 2 * 128 * 2
    assert (one.query_heads_per_kv_head, one.kv_replication, one.degrees_without_copies) == (None, 2, (1, 2))
    assert one.kv_bytes_per_token_per_gpu == sum(max(1, heads // 4) for heads in mixed) * 2 * 128 * 2


def test_kinds_of_attention():
    assert [kind_of(count, 8) for count in (1, 2, 4, 8)] == [Kind.MQA, Kind.GQA, Kind.GQA, Kind.MHA]
    assert kind_of(1, 1) is Kind.MHA
    assert [kind.is_counted for kind in (Kind.MQA, Kind.GQA, Kind.MHA, Kind.MLA, Kind.OWN)] == [True] * 3 + [False] * 2
    model = calculator.load_model("llama-3-8b")
    made = counted(model, [8, 8, [8] * 32, [4] * 31 + [8], 1])
    assert [(one.kind, one.num_key_value_heads) for one in made] == [(Kind.GQA, 8), (Kind.OWN, 8), (Kind.MQA, 1)]


# Conversions at their ends


@pytest.mark.parametrize(
    ("model", "asked", "allowed", "nearest"),
    # divisors below the model's own number; of two that are as near the smaller
    [
        ("llama-3-8b", 8, (1, 2, 4), 4), ("llama-3-8b", 3, (1, 2, 4), 2), ("llama-3-8b", 5, (1, 2, 4), 4),
        ("llama-3-8b", 16, (1, 2, 4), 4), ("qwen2.5-0.5b", 2, (1,), 1), ("falcon-7b", 1, (), None),
        ("llama-2-7b", 24, (1, 2, 4, 8, 16), 16), ("llama-2-7b", 32, (1, 2, 4, 8, 16), 16),
    ],
)  # fmt: skip
def test_heads_that_cannot_be_pooled(model, asked, allowed, nearest):
    with pytest.raises(calculator.InvalidValueError, match=f"to_kv_heads {asked} is not possible") as no:
        calculator.uptraining(model, asked, training_tokens=10)
    assert (no.value.what, no.value.asked, no.value.allowed, no.value.nearest) == (
        "to_kv_heads", asked, allowed, nearest,
    )  # fmt: skip
    assert conversion_targets(calculator.load_model(model)) == allowed


def test_the_least_that_is_trained_is_one_token():
    def tokens(share, of):
        return calculator.uptraining("llama-2-7b", 8, share, of).tokens

    assert [tokens(1e-3, 10), tokens(0.05, 30), tokens(0.05, 50), tokens(1, 7)] == [1, 2, 2, 7]
    with pytest.raises(calculator.InvalidValueError, match="seq_len is missing: keywords of plan"):
        calculator.uptraining("llama-2-7b", training_tokens=10, gpu="h100-sxm", tensor_parallel_size=2)
    with pytest.raises(calculator.InvalidValueError, match="gpu is missing: seq_len describes"):
        calculator.uptraining("llama-2-7b", training_tokens=10, seq_len=4_096)
    assert conversion_targets(calculator.load_model("deepseek-v3")) == ()


# Figures that claims are set against


@pytest.mark.parametrize(
    ("name", "asked", "figure"),
    # Llama 2 7B: 32 layers, 32 heads of 128, hidden 4,096, 4,096 tokens; Llama 3 8B: 8 KV heads, 8,192 tokens
    [
        ("cache_bytes", ("llama-2-7b", 4_096), 4_096 * 524_288), ("cache_bytes", ("llama-2-7b", 10, 3), 30 * 524_288),
        ("cache_bytes", ("llama-2-7b", 10, 1, "fp8"), 5 * 524_288),
        ("cache_bytes", ("llama-2-7b", 10, 1, "fp16", 8), 10 * 131_072),
        ("cache_bytes", ("llama-2-7b", 10, 1, "fp16", None, 8), 10 * 131_072),
        ("token_bytes", ("llama-3-8b",), 131_072), ("token_bytes", ("llama-3-8b", "fp16", "all"), 524_288),
        ("token_bytes", ("llama-3-8b", "fp16", "latent"), 32 * 576 * 2),
        ("layer_token_bytes", ("llama-3-8b",), 4_096), ("layer_token_bytes", ("llama-3-8b", 1), 512),
        ("kept_share", ("llama-3-8b",), 1 / 4), ("kept_share", ("llama-3-8b", 1, "fp8"), 1 / 64),
        ("saved_share", ("llama-3-8b",), 3 / 4), ("kept_of_heads", (64, 8), 1 / 8), ("heads_of", ("llama-3-8b",), 32),
        ("kv_heads_of", ("llama-3-8b",), 8), ("ratio_of", ("llama-3-8b",), 4), ("layers_of", ("llama-3-8b",), 32),
        ("choices_of", ("llama-3-8b",), 6), ("longest_of", ("llama-3-8b",), 8_192),
        ("key_width", ("llama-3-8b",), 1_024), ("key_width", ("llama-3-8b", 2), 256),
        ("window_layers_of", ("gpt-oss-20b",), 12), ("window_layers_of", ("llama-3-8b",), 0),
        ("parameters", ("llama-2-7b",), 6_738_415_616),
        ("parameters", ("llama-2-7b", 8), 6_738_415_616 - 32 * 2 * 24 * 128 * 4_096),
        ("score_bytes", ("llama-2-7b", 1_000), 32 * 1_000**2 * 2),
        ("prefill_bytes", ("llama-2-7b", 1_000), 4 * 4_096 * 1_000 * 2),
        ("attention_flops", ("llama-2-7b", 1_000), 32 * 2 * 32 * 256 * 1_000),
        ("matrix_flops", ("llama-2-7b",), 2 * (6_738_415_616 - 32_000 * 4_096)),
        ("attention_intensity", ("llama-3-8b",), 4.0), ("attention_intensity", ("llama-3-8b", 1), 32.0),
        ("query_bytes", ("llama-3-8b",), 8_192), ("query_token_bytes", ("llama-3-8b",), 32 * 8_192),
        ("layered_token_bytes", ("llama-3-8b", 8, 2), (16 * 8 + 16 * 2) * 512),
    ],
)  # fmt: skip
def test_figures_of_a_model(name, asked, figure):
    assert getattr(model_figures, name)(*asked) == figure


def test_figures_of_a_plan():
    weights = 8_030_261_248 * 2
    assert plan_figures.weights_bytes("llama-3-8b") == weights
    assert plan_figures.memory_of("h100-sxm") == calculator.load_gpu("h100-sxm").memory_bytes
    # weights over 131,072 bytes a token, rounded up
    assert plan_figures.tokens_of_weights("llama-3-8b") == -(-weights // 131_072)
    # 3,350 GB/s to NVIDIA's data sheet of the H100 SXM
    assert plan_figures.weights_s("llama-3-8b", "h100-sxm", 2) == pytest.approx(weights / 3.35e12 / 2)
    assert plan_figures.weights_s("llama-3-8b", "h100-sxm") == pytest.approx(weights / 3.35e12)
    read = weights - 2 * 128_256 * 4_096
    assert plan_figures.weights_read_s("llama-3-8b", "h100-sxm") == pytest.approx(read / 3.35e12)
    assert plan_figures.rate_of_step(64, 20) == 3_200
    asked = {"seq_len": 4_096, "tensor_parallel_size": 4}
    assert plan_figures.cache_on_gpu("llama-3-8b", "h100-sxm", 2, **asked) == 4_096 * 32 * 512
    assert plan_figures.copies("llama-3-8b", "h100-sxm", 2, **asked) == 2
    assert plan_figures.block_bytes("llama-3-8b", "h100-sxm", **asked) == 16 * 32 * 2 * 512
    seen = 4 * calculator.load_gpu("h100-sxm").memory_bytes
    assert plan_figures.naive_batch("llama-3-8b", "h100-sxm", **asked) == seen // (4_096 * 131_072)


# What is published


@pytest.mark.parametrize(
    "asked",
    [{}, {"kv_heads": 8}, {"kv_heads": 1}, {"kind": "mla"}, {"kind": "format"}, {"kind": "gqa", "kv_heads": 8},
     {"query_heads_per_kv_head": 8}, {"query_heads_per_kv_head": 8, "kv_heads": 4}, {"kv_heads": 3}],
)  # fmt: skip
def test_pairs_that_are_published(asked):
    kind, heads, ratio = (asked.get(name) for name in ("kind", "kv_heads", "query_heads_per_kv_head"))
    rows = []
    for pair in published_pairs():
        of_heads = pair.kind != "format"
        if kind not in (None, pair.kind):
            continue
        if heads is not None and not (of_heads and pair.num_key_value_heads == heads):
            continue
        if ratio is not None and not (of_heads and pair.query_heads_per_kv_head == ratio):
            continue
        rows.append(pair)
    found = calculator.quality_evidence(**asked)
    assert list(found.rows) == rows
    assert found.finding.key == ("evidence.pairs" if rows else "evidence.none")
    points = [one.change for one in rows if one.unit == "points" and one.category in ("trained", "uptrained")]
    if rows:
        works = len({one.study for one in rows})
        assert found.finding.startswith(f"{len(rows)} published pair{'s' * (len(rows) > 1)} of {works} work")
        assert (f"from {min(points):+g} to {max(points):+g} points" in found.finding) if points else True
    kinds = {kind} if kind else {one.kind for one in rows} or {"mqa" if heads == 1 else "gqa"}
    conflicts, missing, _ = published_remarks()
    assert list(found.conflicts) == [one for one in conflicts if kinds & set(one.kinds)]
    assert list(found.missing) == [one for one in missing if kinds & set(one.kinds)]


def test_multi_head_attention_is_what_others_are_compared_with():
    assert calculator.quality_evidence(kind="mha").finding.key == "evidence.baseline"
    for given, what in (({"kind": "x"}, "unknown kind of attention"), ({"kv_heads": 0}, "kv_heads must be a whole"),
                        ({"kv_heads": True}, "kv_heads must be"), ({"query_heads_per_kv_head": 0.5}, "at least 1"),
                        ({"query_heads_per_kv_head": True}, "at least 1")):  # fmt: skip
        with pytest.raises(calculator.CalculatorError, match=what):
            calculator.quality_evidence(**given)


# Attention of a prompt, and who shares which head


def test_memory_of_a_prompt_by_hand():
    # Llama 3 8B: Q and output of 4,096, K and V of 1,024 elements; 32 heads of scores; two bytes each
    for asked, rows, scores in (({}, 1_000, 0), ({"flash_attention": False}, 1_000, 1_000),
                                ({"batch_size": 3, "flash_attention": False}, 3_000, 1_000),
                                ({"query_tokens": 10, "flash_attention": False}, 10, 1_000)):  # fmt: skip
        found = calculator.attention_memory("llama-3-8b", 1_000, **asked)
        assert found == 2 * rows * (2 * 4_096 + 2 * 1_024 + 32 * scores)
    with pytest.raises(calculator.InvalidValueError, match="query_tokens 11 is more than the 10 tokens") as no:
        calculator.attention_memory("llama-3-8b", 10, query_tokens=11)
    assert (no.value.allowed, no.value.nearest) == (10, 10)
    assert calculator.attention_memory("llama-3-8b", 10, query_tokens=10) > 0
    with pytest.raises(calculator.InvalidValueError, match="flash_attention must be true or false"):
        calculator.attention_memory("llama-3-8b", 10, flash_attention=1)


@pytest.mark.parametrize(
    ("heads", "ranks", "shared"),
    # eight query heads: which of them read each KV head, and which GPUs keep it
    [
        (8, 1, [((head,), (0,)) for head in range(8)]), (2, 1, [((0, 1, 2, 3), (0,)), ((4, 5, 6, 7), (0,))]),
        (2, 2, [((0, 1, 2, 3), (0,)), ((4, 5, 6, 7), (1,))]), (2, 4, [((0, 1, 2, 3), (0, 1)), ((4, 5, 6, 7), (2, 3))]),
        (4, 2, [((0, 1), (0,)), ((2, 3), (0,)), ((4, 5), (1,)), ((6, 7), (1,))]),
        (1, 2, [(tuple(range(8)), (0, 1))]),
    ],
)  # fmt: skip
def test_who_shares_which_head(heads, ranks, shared):
    sizes = {
        "num_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 64, "hidden_size": 512,
        "intermediate_size": 1_024, "vocab_size": 1_000, "max_position_embeddings": 4_096, "tie_word_embeddings": True,
    }  # fmt: skip
    found = calculator.head_sharing(calculator.custom_model(**sizes), heads, ranks)
    assert [(one.query_heads, one.gpus) for one in found] == shared
    assert [one.kv_head for one in found] == list(range(heads))


def test_a_latent_vector_is_shared_by_all():
    (one,) = calculator.head_sharing("deepseek-v2-lite", tensor_parallel_size=2)
    assert (one.query_heads, one.gpus) == (tuple(range(16)), (0, 1))


# What a study refuses, and says


@pytest.mark.parametrize(
    ("asked", "what", "said"),
    [
        ({"kv_heads": []}, "kv_heads", "kv_heads lists no numbers: give 1 to"),
        ({"kv_heads": 4}, "kv_heads", "must list"),
        ({"kv_heads": "8"}, "kv_heads", "must list"), ({"latent": 1}, "latent", "latent must be true or false"),
        ({"kv_heads": [8] * 1_000}, "kv_heads", "kv_heads lists more than"),
        ({"constant_parameters": None}, "constant_parameters", "must be true or false"),
        ({"output_tokens": 0}, "output_tokens", "from 1 to 4,095, fewer than seq_len"),
        ({"output_tokens": 4_096}, "output_tokens", "from 1 to 4,095"),
        ({"output_tokens": 1.5}, "output_tokens", "from 1 to 4,095"),
    ],
)  # fmt: skip
def test_what_a_study_refuses(asked, what, said):
    with pytest.raises(calculator.InvalidValueError, match=said) as no:
        calculator.head_study("llama-3-8b", gpu="h100-sxm", seq_len=4_096, batch_size=1, **asked)
    assert no.value.what == what


def test_what_a_study_says():
    def study(model, **asked):
        return calculator.head_study(model, gpu="h100-sxm", seq_len=2_048, batch_size=1, latent=False, **asked)

    grouped = study("llama-3-8b", tensor_parallel_size=2)
    assert [part.key for part in grouped.finding.values.values()] == ["heads.own", "heads.ends", "heads.copies"]
    # 32 layers x 8 heads x 256 x 2 bytes; a quarter of 32 heads
    assert grouped.finding.startswith("LLaMA 3 8B keeps 131,072 bytes a token (GQA), 75 % less than multi-head")
    assert "Below 2 KV heads they are copied to 2 GPUs" in grouped.finding
    many = study("llama-2-7b", output_tokens=2_047)
    assert [part.key for part in many.finding.values.values()] == ["heads.own_mha", "heads.ends"]
    assert (many.output_tokens, many.seq_len, many.batch_size) == (2_047, 2_048, 1)
    alone = study("llama-3-8b", kv_heads=[8])
    assert [part.key for part in alone.finding.values.values()] == ["heads.own"]
    other = study("llama-3-8b", kv_heads=[4])
    assert [(row.label, row.this_model) for row in other.rows] == [("4", False)]
    twice = study("llama-3-8b", kv_heads=[[8] * 31 + [4], [8] * 30 + [4] * 2, [8] * 29 + [4] * 3])
    assert [row.label for row in twice.rows] == ["4 to 8 by layer", "4 to 8 by layer (2)", "4 to 8 by layer (3)"]
    windows = study("llama-3-8b", kv_heads=[8], sliding_window=[1_024] * 16 + [None] * 16)
    assert [one.key for one in windows.assumptions] == ["heads.windows"]
