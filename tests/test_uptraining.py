"""What a conversion costs, and what is published of quality: as printed, with conflicts and gaps."""

import csv
import math
from pathlib import Path

import pytest

import calculator
from calculator.catalogue.published import published_pairs, published_remarks

DATA = Path(calculator.__file__).parent / "catalogue" / "data"


def test_cost_of_uptraining_worked_by_hand():
    # Llama 2 7B, 2 trillion tokens, 5 %: 10^11 tokens. With 8 KV heads 2 x 24 x 128 x 4,096 x 32 parameters fewer than
    # 6,738,415,616: 5,933,109,248. 6 FLOPs each; an A100 computes 312 TFLOPS in 16 bit, 40 % of it: 7,923.5 hours at
    # 0.8 to 3.0 USD.
    found = calculator.uptraining("llama-2-7b", to_kv_heads=8, training_tokens=2 * 10**12, gpu="a100-80gb-sxm")
    parameters = 6_738_415_616 - 2 * 24 * 128 * 4096 * 32
    assert (found.tokens, found.flops) == (10**11, 6 * parameters * 10**11)
    assert found.gpu_hours == pytest.approx(6 * parameters * 10**11 / (312e12 * 0.4) / 3600)
    assert found.usd == pytest.approx((0.8 * found.gpu_hours, 3.0 * found.gpu_hours))
    assert found.served_tokens_to_pay is None
    assert found.converted == calculator.load_model("llama-2-7b").with_kv_heads(8)
    full = calculator.uptraining(
        "llama-2-7b", share=1, training_tokens=2 * 10**12, gpu="a100-80gb-sxm", utilisation=0.8
    )
    assert (full.tokens, full.gpu_hours) == (2 * 10**12, pytest.approx(20 * found.gpu_hours / 2))


def test_experts_count_as_far_as_a_token_passes_through_them():
    found = calculator.uptraining("mixtral-8x7b", to_kv_heads=4, training_tokens=10**12)
    # 12,879,925,248 active parameters; 4 KV heads fewer of 128 elements, a width of 4,096, 32 layers
    assert found.flops == 6 * (12_879_925_248 - 2 * 4 * 128 * 4096 * 32) * 5 * 10**10
    assert (found.gpu_hours, found.usd) == (None, None)


def test_when_it_is_paid_back():
    asked = {"gpu": "a100-80gb-sxm", "seq_len": 4096}
    found = calculator.uptraining("llama-2-7b", training_tokens=2 * 10**12, **asked)
    hours = []
    for model in (found.model, found.converted):
        plan = calculator.plan(model, **asked)
        rate = calculator.speed(plan, plan.max_batch_size, 4096, None).output_tokens_per_second
        hours.append(1 / rate / 3600)
    # after so many tokens both ways have taken the same GPU-hours
    tokens = found.served_tokens_to_pay
    assert tokens * hours[0] == pytest.approx(found.gpu_hours + tokens * hours[1])


def test_what_is_not_known_is_not_said_to_be_never():
    # 70 billion parameters in 16 bit hold no sequence on one device of 80 GB: nothing is known of the service
    known = {"to_kv_heads": 4, "training_tokens": 10**12, "gpu": "a100-80gb-sxm"}
    assert calculator.uptraining("llama-3-70b", **known, seq_len=8192).served_tokens_to_pay is None
    assert calculator.uptraining("llama-3-70b", **known).served_tokens_to_pay is None
    # on 8 ranks a GPU keeps 1 head of 2 x 128 elements a layer, or a whole latent vector of 512 + 64: nothing is saved
    latent = {"to_latent": True, "training_tokens": 10**12, "gpu": "a100-80gb-sxm"}
    slower = calculator.uptraining("llama-3-70b", **latent, seq_len=8192, tensor_parallel_size=8)
    assert slower.served_tokens_to_pay == math.inf
    assert "nothing pays it back" in slower.finding


def test_the_utilisation_that_hours_rest_on_is_said():
    found = calculator.uptraining("llama-2-7b", training_tokens=10**12, gpu="a100-80gb-sxm", utilisation=0.2)
    assert found.utilisation == 0.2
    assert "at 20 % of its 16 bit peak" in found.finding


def test_conversion_to_latent_attention():
    found = calculator.uptraining("llama-2-7b", training_tokens=10**12, to_latent=True)
    assert found.converted.kv_bytes_per_token("fp16") == 32 * 576 * 2
    assert {row.kind for row in found.evidence} == {"mla"}
    assert {row.category for row in found.evidence} == {"converted"}
    assert any("6 billion tokens" in remark.says for remark in found.published_costs)
    assert "latent attention" in found.finding


def test_the_papers_own_figures_stand_beside_it():
    found = calculator.uptraining("llama-2-7b", training_tokens=10**12)
    t5 = next(row for row in found.evidence if row.benchmark == "average of 7 tasks")
    assert (t5.baseline, t5.value, t5.query_heads_per_kv_head) == (47.2, 47.1, 8)
    assert any("600 TPUv3 chip-days" in remark.says for remark in found.published_costs)


@pytest.mark.parametrize(
    ("model", "asked", "sentence"),
    [
        ("llama-2-7b", {"share": 0}, "share must be more than 0, not 0"),
        ("llama-2-7b", {"share": 1.01}, "share must be at most 1"),
        ("llama-2-7b", {"utilisation": 0}, "utilisation must be more than 0"),
        ("llama-2-7b", {"utilisation": 1.01}, "utilisation must be at most 1"),
        ("llama-2-7b", {"training_tokens": None}, "training_tokens is missing"),
        ("llama-2-7b", {"training_tokens": 0}, "training_tokens must be at least 1"),
        ("llama-2-7b", {"to_kv_heads": 5}, "to_kv_heads 5 is not possible: pooling joins equal numbers of the 32"),
        ("llama-2-7b", {"to_kv_heads": 5}, "the nearest is 4"),
        ("llama-2-7b", {"to_kv_heads": 32}, "to_kv_heads 32 is not possible: pooling joins equal numbers of the 32"),
        ("llama-3-8b", {"to_kv_heads": 16}, "of the 8 KV heads of LLaMA 3 8B; the nearest is 4"),
        ("falcon-7b", {"to_kv_heads": 1}, "it has a single one already"),
        ("deepseek-v3", {"to_kv_heads": 8}, "keeps latent vectors already"),
        ("llama-2-7b", {"to_latent": 1}, "to_latent must be true or false"),
        ("llama-2-7b", {"seq_len": 4096}, "gpu is missing"),
        ("llama-2-7b", {"gpu": "h200", "tensor_parallel_size": 2}, "seq_len is missing"),
    ],
)
def test_a_conversion_that_cannot_be_is_refused(model, asked, sentence):
    with pytest.raises(calculator.CalculatorError) as caught:
        calculator.uptraining(model, **{"training_tokens": 10**12, **asked})
    assert sentence in str(caught.value)


# Evidence


@pytest.mark.parametrize(
    ("kind", "benchmark", "source", "baseline", "value"),
    [  # read again from the papers' tables
        ("gqa", "average of 7 tasks", "arXiv 2305.13245, table 1", 47.2, 47.1),
        ("mqa", "average of 7 tasks", "arXiv 2305.13245, table 1", 47.2, 46.6),
        ("gqa", "time of a sample", "arXiv 2305.13245, table 1", 1.51, 0.28),
        ("mqa", "time of a sample", "arXiv 2305.13245, table 1", 1.51, 0.24),
        ("gqa", "MMLU", "arXiv 2307.09288, table 18", 28.0, 26.9),
        ("mqa", "MMLU", "arXiv 2307.09288, table 18", 28.0, 26.5),
        ("gqa", "MMLU", "arXiv 2405.04434, table 8", 45.2, 41.2),
        ("mqa", "MMLU", "arXiv 2405.04434, table 8", 45.2, 37.9),
        ("mqa", "decoder, greedy", "arXiv 1911.02150, table 2", 46, 3.8),
    ],
)
def test_published_values_are_as_printed(kind, benchmark, source, baseline, value):
    (found,) = (
        row for row in calculator.quality_evidence(kind=kind).rows if (row.benchmark, row.source) == (benchmark, source)
    )
    assert (found.baseline, found.value) == (baseline, value)
    assert found.change == pytest.approx(value - baseline)


def test_means_of_the_llama_2_ablation():
    # Its eleven benchmarks: 44.15 with MHA, 43.76 with MQA, 44.28 with grouped heads.
    for kind, mean in (("mqa", 43.76), ("gqa", 44.28)):
        rows = [row for row in calculator.quality_evidence(kind=kind).rows if row.study == "llama-2-ablation"]
        assert len(rows) == 11
        assert round(sum(row.value for row in rows) / 11, 2) == mean
        assert round(sum(row.baseline for row in rows) / 11, 2) == 44.15


def test_latent_attention_is_above_multi_head_attention_in_seven_of_eight_cells():
    rows = [row for row in calculator.quality_evidence(kind="mla").rows if row.study == "deepseek-v2-latent"]
    assert [row.benchmark for row in rows if row.change < 0] == ["C-Eval"]
    assert len(rows) == 8
    # 15.6K of 110.6K elements and 34.6K of 860.2K: 27 x 576 and 27 x 2 x 16 x 128; 4 % and 14 % left
    small, large = ({row.kv_saving for row in rows if part in row.model} for part in ("small", "large"))
    assert small == {round(1 - 27 * 576 / (27 * 2 * 16 * 128), 4)}
    assert large == {round(1 - 34.6 / 860.2, 4)}


def test_conflicts_are_shown_as_conflicts():
    found = calculator.quality_evidence(kv_heads=8)
    (conflict,) = [each for each in found.conflicts if each.key == "gqa_8_quality"]
    assert "0.1 points" in conflict.says
    assert "tokens" in conflict.why
    changes = {row.study: row.change for row in found.rows if row.benchmark in ("MMLU", "average of 7 tasks")}
    assert changes == {"gqa-paper": -0.1, "llama-2-ablation": -1.1, "deepseek-v2-heads": -4.0}


@pytest.mark.parametrize("asked", [{"kv_heads": 16}, {"kv_heads": 2}, {"query_heads_per_kv_head": 3.0}])
def test_nothing_is_interpolated(asked):
    found = calculator.quality_evidence(**asked)
    assert found.rows == ()
    assert "Nothing is published" in found.finding
    assert any("figure 6 prints no values" in each.says for each in found.missing)
    assert len(found.frame()) == 0
    assert "change" in found.frame().columns


def test_every_pair_has_a_source_and_a_place_among_kinds():
    with (DATA / "published_quality.csv").open(encoding="utf-8", newline="") as file:
        raw = list(csv.DictReader(file))
    pairs = published_pairs()
    assert len(raw) == len(pairs) == len(calculator.quality_evidence().frame())
    for row, pair in zip(raw, pairs, strict=True):
        assert row["source"]
        assert (pair.second_hand, pair.value) == (row["second_hand"] == "yes", float(row["value"]))
        # a public citation: a paper, a table of one, an issue or a pull request
        assert any(each in pair.source for each in ("arXiv", "pull request", "issue", "discussion", "blog", "CARE"))
    keys = {(pair.study, pair.variant, pair.model, pair.benchmark) for pair in pairs}
    assert len(keys) == len(pairs)
    used = {pair.kind for pair in pairs}
    for remark in (remark for section in published_remarks() for remark in section):
        assert set(remark.kinds) <= used


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"kind": "gqaa"}, "unknown kind of attention 'gqaa': did you mean gqa"),
        ({"kv_heads": 0}, "kv_heads must be a whole number from 1"),
        ({"kv_heads": True}, "kv_heads must be a whole number from 1"),
        ({"query_heads_per_kv_head": 0.5}, "query_heads_per_kv_head must be a number of at least 1"),
    ],
)
def test_evidence_refuses_what_cannot_be_asked(asked, sentence):
    with pytest.raises(calculator.CalculatorError) as caught:
        calculator.quality_evidence(**asked)
    assert sentence in str(caught.value)


def test_multi_head_attention_is_what_others_are_compared_with():
    found = calculator.quality_evidence(kind="mha")
    assert found.rows == ()
    assert found.finding == "Multi-head attention is what the published pairs are compared with."


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        (lambda text: text.replace("study,", "work,", 1), ":1: the columns must be study, category"),
        (lambda text: text.replace("47.2", "about 47", 1), ":2: baseline cannot be 'about 47'"),
        (lambda text: text.replace(",gqa,", ",gqq,", 1), ":2: kind cannot be 'gqq'"),
        (lambda text: text.replace("gqa-paper", "", 1), ":2: study cannot be ''"),
        (lambda text: text.replace(",gqa,", ",", 1), ":2: has 17 cells, and there are 18 columns"),
    ],
)
def test_a_spoilt_table_is_refused_with_its_line(monkeypatch, tmp_path, spoilt, sentence):
    from calculator.catalogue import published

    path = tmp_path / "published_quality.csv"
    path.write_text(spoilt((DATA / "published_quality.csv").read_text(encoding="utf-8")), encoding="utf-8")
    monkeypatch.setattr(published, "data_file", lambda _: path)
    published.published_pairs.cache_clear()
    try:
        with pytest.raises(calculator.FileFormatError) as caught:
            published.published_pairs()
    finally:
        published.published_pairs.cache_clear()
    assert sentence in str(caught.value)
