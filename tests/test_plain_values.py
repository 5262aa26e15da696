"""Answers as plain values: what stands under each key is what the answer has by that name, or what the key says."""

import json

import pytest

import calculator
from calculator.planning.comparing.terms import ANSWERS, LEFT, ONE_GPU, SEQUENCE

W = calculator.Workload(1.0, 1_000, 250)
LOG = (
    "Initializing a V1 LLM engine (v0.33.0) with config: model='meta-llama/Llama-3.1-8B', max_seq_len=4096\n"
    "GPU KV cache size: 100,000 tokens\n"
)
SPLIT = {
    "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "decode_context_parallel_size",
    "enable_expert_parallel", "enable_attention_dp",
}  # fmt: skip


@pytest.fixture(scope="module")
def plan():
    return calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=4_096)


def check(answer, held, others):
    """Every key is the name of an attribute whose value it holds, or is told."""
    told = {"schema_version": held["schema_version"], **others}
    plain = {key: value for key, value in held.items() if key not in told}
    assert {key: held[key] for key in told} == told
    assert plain == {key: getattr(answer, key) for key in plain}
    json.dumps(held, allow_nan=False)


def test_a_plan(plan):
    parts = {name: getattr(plan, name).as_dict() for name in ("per_gpu", "per_replica", "all_gpus")}
    held = plan.as_dict()
    assert {row["bytes"] for row in held["overheads"]} <= {line.bytes for line in plan.per_gpu.lines.values()}
    request = {key: value for key, value in held["request"].items() if hasattr(plan.request, key)}
    assert {"tensor_parallel_size", "seq_len", "kv_cache_dtype", "max_num_seqs"} < set(request)
    check(plan, held, {
        **parts, "block_size": 16, "price_date": plan.accelerator.price_date, "notes": list(plan.notes),
        "request": held["request"], "overheads": held["overheads"],
    })  # fmt: skip


def test_a_service(plan):
    answer = calculator.service(plan, W, max_ttft_s=5.0, max_tpot_s=0.5)
    request, price = answer.plan.request, answer.price
    ranged = ("usd_per_hour", "usd_per_million_output_tokens", "usd_per_million_output_tokens_full", "usd_per_request",
              "usd_per_user_hour")  # fmt: skip
    pairs = {}
    for name in ranged:
        pairs[f"{name}_low"], pairs[f"{name}_high"] = getattr(answer, name) or (None, None)
    check(answer, answer.as_dict(), {
        "gpu": "h100-sxm", "engine": "vllm", "weight_dtype": "bf16", "kv_cache_dtype": "bf16", "seq_len": 4_096,
        "max_ttft_s": 5.0, "max_tpot_s": 0.5, "users": None, "engine_version": request.engine_version,
        "price_date": price.date, "price_quotes": price.quotes, "price_is_own": False,
        "checked": answer.speed.checked, "why": answer.speed.why,
        "terms": {term.name: term.seconds for term in answer.speed.terms},
        **{name: getattr(request, name) for name in SPLIT}, **pairs,
    })  # fmt: skip


def test_a_service_that_holds_nothing_says_so():
    none = calculator.plan("llama-3.1-8b", gpu="t4", seq_len=4_096)
    answer = calculator.service(none, W)
    assert (answer.batch_size, answer.as_dict()["command"]) == (0, None)
    assert answer.finding == "T4 (TP 1) has no room for one request."


def test_a_search():
    answer = calculator.size("llama-3.1-8b", users=10, seq_len=4_096, gpus=["h100-sxm", "t4"], max_gpus=1)
    front = [option in answer.pareto for option in answer.options]
    assert answer.options
    assert answer.refused
    held = answer.as_dict()
    assert [row.pop("pareto") for row in held["options"]] == front
    check(answer, held, {
        "model": "llama-3.1-8b", "notes": [str(note) for note in answer.notes],
        "options": [option.row() for option in answer.options], "nearly": [option.row() for option in answer.nearly],
        "refused": [
            {
                "gpu": row.gpu, "engine": row.engine, "weight_dtype": row.weight_dtype, "reason": row.why.key,
                "kv_cache_dtype": row.kv_cache_dtype, "why": str(row.why),
                "nearest": row.nearest.row() if row.nearest else None,
            }
            for row in answer.refused
        ],
    })  # fmt: skip


def test_concurrency_and_speed(plan):
    # what JSON has no tuples for stands as lists
    shared = {"fits": True, "notes": list(plan.notes)}
    answer = calculator.concurrency(plan, W)
    held = answer.as_dict()
    check(answer, held, {
        **shared, "workload": W.as_dict(), "request": held["request"],
        "preemptions_per_request": list(answer.preemptions_per_request),
    })  # fmt: skip
    answer = calculator.speed(plan, batch_size=4)
    held, step = answer.as_dict(), answer.time_per_output_token_s
    terms = [{"name": one.name, "seconds": one.seconds, "share": one.seconds / step} for one in answer.terms]
    check(answer, held, {**shared, "terms": terms, "request": held["request"]})
    assert (held["request"]["engine"], held["request"]["seq_len"]) == ("vllm", 4_096)


def test_a_log_beside_its_plan():
    answer = calculator.reconcile("garbled = KV cache memory\n" + LOG, gpu="h100-sxm")
    log, held = answer.log, answer.as_dict()
    check(answer, held, {
        "engine": "vllm", "problems": list(log.problems), "unlisted": log.unlisted, "causes": list(answer.causes),
        "assumed": list(answer.assumed), "missing": [one.as_dict() for one in answer.missing],
        "calibration": answer.calibration.as_dict() if answer.calibration else None,
        "request": answer.plan.as_dict()["request"],
        "not_understood": [{"line": line, "text": text} for line, text in log.not_understood],
        "terms": held["terms"],
    })  # fmt: skip
    for row, term in zip(held["terms"], answer.terms, strict=True):
        assert row == {key: getattr(term, key) for key in row}
        assert {"key", "name", "unit", "predicted", "reported", "low", "high", "difference"} <= set(row)


def test_an_upgrade_and_a_study(plan):
    old = calculator.vary(plan, engine_version="0.22")
    answer = calculator.upgrade(old, "0.33")
    held = answer.as_dict()
    assert [row["after"] for row in held["rows"]] == [row.after for row in answer.rows]
    assert len(held["restoring"]) == len(answer.restoring)
    check(answer, held, {name: held[name] for name in ("rows", "restoring", "before", "after")})
    study = calculator.head_study("llama-3.1-8b", gpu="h100-sxm", seq_len=4_096, batch_size=4)
    held = study.as_dict()
    assert held["model"] in ("llama-3.1-8b", study.model.name)
    assert [row["num_key_value_heads"] for row in held["rows"]] == [row.num_key_value_heads for row in study.rows]
    check(study, held, {name: held[name] for name in ("model", "rows", "assumptions", "request")})


@pytest.mark.parametrize("preset", ["llama-3.1-8b", "qwen3-next-80b-a3b"])
def test_terms_of_a_comparison_are_what_a_plan_has_by_their_names(preset):
    answer = calculator.plan(preset, gpu="h200", tensor_parallel_size=2, data_parallel_size=3, seq_len=4_096)
    for term in (*ANSWERS, *SEQUENCE, *ONE_GPU, *LEFT):
        holder = next(one for one in (answer, answer.per_gpu) if hasattr(one, term.key))
        assert term.of(answer) == getattr(holder, term.key), term.key
    assert {"num_gpus", "max_batch_size", "total_max_batch_size"} <= {term.key for term in ANSWERS}
