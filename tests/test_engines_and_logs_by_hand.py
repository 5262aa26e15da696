"""Small rules of engines and of their logs, each by hand: ends of ranges, tables word by word, what is left out."""

from types import SimpleNamespace

import pytest

import calculator
from calculator.architecture.caches import CompressedRows
from calculator.architecture.sums import Cached
from calculator.engines import engine_log, engine_rules
from calculator.engines.beside.left_out import LEFT_OUT, left_out
from calculator.engines.sglang.rules import Sglang
from calculator.engines.tensorrt_llm.log import ALGORITHMS
from calculator.engines.vllm.packed import packed_geometry
from calculator.logs import both
from calculator.logs.proof import accuracy, foretold, judged
from calculator.logs.reading import StartupLog, read_log
from calculator.logs.setup import _formats

GIB = 2**30

# Tables of names


# TensorRT-LLM, quantization/mode.py QuantAlgo, and what each stores: FP8_PB_WO and FP8_BLOCK_SCALES have a scale for
# blocks, W4A16 is 4 bit integers beside 16 bit activations, by AWQ or GPTQ
QUANT_ALGO = {
    "FP8": "fp8", "NVFP4": "nvfp4", "FP8_PB_WO": "fp8-block", "FP8_BLOCK_SCALES": "fp8-block",
    "W4A16_AWQ": "awq-int4", "W4A16_GPTQ": "gptq-int4",
}  # fmt: skip


@pytest.mark.parametrize("name", QUANT_ALGO)
def test_weight_formats_that_tensorrt_llm_prints(name):
    assert set(ALGORITHMS) == set(QUANT_ALGO)
    log = read_log(
        f"[TRT-LLM] [I] Setting quant_algo={name} form HF quant config.\n[MemUsageChange] Allocated 2.00 GiB for max "
        "tokens in paged KV cache (1024).\n"
    )
    assert log.engine == "tensorrt-llm"
    asked = _formats(log, engine_log(log.engine), calculator.load_model("llama-3.1-8b"), [])
    assert asked["weight_dtype"] == QUANT_ALGO[name]


# Pools


def test_a_stage_without_a_cache_has_blocks_of_one_byte():
    # the groups are the model's, and nothing of them is here: every byte is a block
    every = (Cached(CompressedRows(584, 4), 2),)
    assert packed_geometry(every, (), 256, 64, 0).pools[0].block_bytes == 1
    # 64 rows of 584 bytes, aligned to 576, of two layers
    assert packed_geometry(every, every, 256, 64, 0).pools[0].block_bytes == 2 * 37_440


@pytest.mark.parametrize(
    ("model", "gpu", "tp", "apart", "seq_len", "share"),
    # SGLang 0.4.9 model_runner.py: aiter takes 0.85 of the fraction on AMD above 8,192 tokens of context; 0.5.23
    # attention_hook.py: with latent attention where a rank has 16 or 128 heads (DeepSeek V3 has 128), not where it is
    # sparse
    [
        ("llama-3.1-8b", "mi300x", 1, False, 8_192, 1.0), ("llama-3.1-8b", "mi300x", 1, False, 8_193, 0.85),
        ("llama-3.1-8b", "h100-sxm", 1, False, 8_193, 1.0), ("deepseek-v3", "mi300x", 1, False, 8_193, 0.85),
        ("deepseek-v3", "mi300x", 8, False, 8_193, 0.85), ("deepseek-v3", "mi300x", 4, False, 8_193, 1.0),
        ("deepseek-v3", "mi300x", 4, True, 8_193, 0.85), ("deepseek-v3.2", "mi300x", 8, False, 8_193, 1.0),
    ],
)  # fmt: skip
def test_what_aiter_takes_of_a_fraction(model, gpu, tp, apart, seq_len, share):
    rules = engine_rules("sglang", "0.5.23")
    assert isinstance(rules, Sglang)
    request = SimpleNamespace(
        gpu_memory_utilization=0.8, seq_len=seq_len, tensor_parallel_size=tp, enable_attention_dp=apart
    )
    used = rules.fraction_used(calculator.load_model(model), calculator.load_gpu(gpu), request)
    assert used == pytest.approx(0.8 * share)


def test_drafts_leave_48_requests_of_sglang_at_once():
    # 0.5.23, arg_groups/speculative_hook.py: max_running_requests is 48 where none is given
    rules, gpu = engine_rules("sglang", "0.5.23"), calculator.load_gpu("h100-sxm")
    assert rules.batch_defaults(gpu, 8_192, object()) == (8_192, 48)
    assert rules.batch_defaults(gpu, 8_192)[0] == 8_192
    assert rules.batch_defaults(gpu, 8_192)[1] > 48


# What a checkpoint may leave in 16 bit


def size_left(name, weight, **more):
    plan = calculator.plan(name, "h200", weight_dtype=weight, **more)
    lines = list(left_out(plan.model, plan.request, 1, 0))
    assert all((line.line, line.bytes, line.low, line.in_slack) == (LEFT_OUT, 0, 0, False) for line in lines)
    return [line.high for line in lines]


def test_attention_beside_experts_may_be_left_in_16_bit():
    # Mixtral 8x7B: q and o of 4,096 x 4,096, k and v of 4,096 x 1,024, in 32 layers. 4 bit, and for 128 values a scale
    # of 16 bit and a zero of 4
    values = 32 * (2 * 4_096 * 4_096 + 2 * 4_096 * 1_024)
    in_4_bit = values // 2 + values // 128 * 5 // 2
    assert size_left("mixtral-8x7b", "awq-int4") == [2 * values - in_4_bit]


@pytest.mark.parametrize(
    ("name", "weight", "more"),
    [
        ("llama-3.1-8b", "awq-int4", {}),  # dense
        ("mixtral-8x7b", "fp8", {}), ("mixtral-8x7b", "int8", {}),  # 8 bit
        ("mixtral-8x7b", "awq-int4", {"checkpoint_bytes": 24 * GIB}),  # its size is known
        ("gpt-oss-20b", "mxfp4", {}),  # the checkpoint's own
    ],
)  # fmt: skip
def test_nothing_is_left_open_of_these(name, weight, more):
    assert size_left(name, weight, **more) == []


# Which model and which GPU


@pytest.mark.parametrize(
    ("models", "gpus", "pairs"),
    # no more than 12 models are asked of, and no more than 40 pairs
    [(0, 2, None), (1, 2, 2), (12, 3, 36), (12, 4, 40), (13, 1, None), (1, 0, None)],
)
def test_how_many_pairs_are_asked_of(monkeypatch, models, gpus, pairs):
    monkeypatch.setattr(both, "likely", lambda _flags, _figures: [f"m{number}" for number in range(models)])
    monkeypatch.setattr(both, "sized", lambda _flags, _figures: [])
    monkeypatch.setattr(both, "load_model", lambda name: name)
    monkeypatch.setattr(both, "_on", lambda _log, _model: [(f"g{number}", 0.001 * number) for number in range(gpus)])
    monkeypatch.setattr(both, "nearest", lambda off: list(off))
    found = both.ask_for_both(StartupLog("vllm", {}, {}, 1, (), 0))
    assert (None if found is None else len(found.pairs)) == pairs
    if pairs:
        # the nearest first, and each model once
        assert [gpu for _, gpu in found.pairs] == sorted(gpu for _, gpu in found.pairs)
        assert len(found.choices) == len(set(found.choices)) == models


# Lines that are not understood


def test_400_lines_that_are_not_understood_are_listed():
    names = [f"{first}{second}" for first in "abcdefghijklmnopqrstu" for second in "abcdefghijklmnopqrst"]
    lines = [f"{name} memory" for name in names[:403]]
    log = read_log("\n".join(["GPU KV cache size: 157,584 tokens", *lines]))
    assert (len(log.not_understood), log.unlisted, log.understood) == (400, 3, 1)
    # all 400 speak of memory; three more are not listed
    assert (len(log.bears_on_memory), log.others) == (400, 3)
    assert log.not_understood[0] == (2, "aa memory")
    # of a long line 400 characters are shown
    (line,) = read_log("GPU KV cache size: 157,584 tokens\n" + "x y " * 200).not_understood
    assert len(line[1]) == 400


# The proof


def compared(error, range_gib=(1.0, 3.0), calibration=None, held=True):
    request = SimpleNamespace(engine_version="0.33", tensor_parallel_size=1)
    plan = SimpleNamespace(model=None, request=request)
    return SimpleNamespace(
        capacity_error=error, range_gib=range_gib, calibration=calibration, in_range=held, plan=plan
    )  # fmt: skip


def test_each_start_of_a_machine_is_predicted_from_each_other(monkeypatch):
    rows = [SimpleNamespace(id=name, row={"id": name}) for name in "abcd"]
    # b tells nothing of the machine, and the capacity of c is not compared
    calibrations = {"a": object(), "b": None, "c": object(), "d": object()}

    def of(row, calibration=None):
        error = None if row["id"] == "c" else 0.1 if calibration is None else 0.02
        return compared(error, (-1.0, 3.0) if calibration is None else (1.5, 2.0), calibrations[row["id"]],
                        calibration is not None)  # fmt: skip

    monkeypatch.setattr(accuracy, "compared_of", of)
    monkeypatch.setattr(foretold, "is_of_model", lambda calibration, _model, _request: calibration is calibrations["a"])
    monkeypatch.setattr(foretold, "is_of_setup", lambda calibration, _request: calibration is not calibrations["c"])
    found = list(foretold._of_machine("m", rows))
    assert [(one.of, one.by, one.shares) for one in found] == [
        ("a", "c", foretold.OTHER), ("a", "d", foretold.OF_VERSION), ("b", "a", foretold.OF_SETUP),
        ("b", "c", foretold.OTHER), ("b", "d", foretold.OF_VERSION), ("d", "a", foretold.OF_SETUP),
        ("d", "c", foretold.OTHER),
    ]  # fmt: skip
    # nothing is less than no memory: 3 GiB wide, and 0.5
    for one in found:
        assert (one.machine, one.plain, one.calibrated, one.plain_held, one.held) == ("m", 0.1, 0.02, False, True)
        assert (one.plain_gib, one.width_gib) == (3.0, 0.5)
    monkeypatch.setattr(foretold, "is_of_setup", lambda _calibration, _request: False)
    assert [one.shares for one in foretold._of_machine("m", [rows[1], rows[0]])] == [foretold.OF_MODEL]
    assert len(list(foretold._of_machine("m", [rows[0], rows[3]]))) == 2
    assert list(foretold._of_machine("m", rows[:1])) == []


def test_what_is_judged_of_a_log(monkeypatch):
    def row(name, plan=True, stated=True, capacity=True, calibrates=False, **said):
        return SimpleNamespace(
            id=name, engine="vllm", row={"model": "m", **said}, calibrates=calibrates, tokens_exact=True,
            plan=SimpleNamespace(request=SimpleNamespace(tensor_parallel_size=4)) if plan else None, is_stated=stated,
            capacity=SimpleNamespace(reported_gib=2.0, predicted_gib=2.5, low_gib=-1.0, high_gib=4.0) if capacity
            else None,
            capacity_error=0.25, in_range=True,
        )  # fmt: skip

    rows = (
        row("a", gpu="l4", memory_gib=23.0, version="0.9"), row("b", memory_gib=23.5, calibrates=True), row("c"),
        row("d", plan=False), row("e", stated=False), row("f", capacity=False),
    )  # fmt: skip
    monkeypatch.setattr(accuracy, "comparisons", lambda: rows)
    found = list(judged._logs())
    # what no plan is made of is not judged; a device is told by its id, else by its memory
    assert [(one.id, one.device, one.engine_version, one.held_out) for one in found] == [
        ("a", "l4", "0.9", True), ("b", "23.5 GiB", "", False), ("c", "", "", True), ("e", "", "", True),
        ("f", "", "", True),
    ]  # fmt: skip
    assert {(one.engine, one.model, one.tensor_parallel_size, one.tokens_exact) for one in found} == {
        ("vllm", "m", 4, True)
    }
    whole = (2.0, 2.5, 0.0, 4.0, 0.25, True)
    assert [
        (one.reported_gib, one.predicted_gib, one.low_gib, one.high_gib, one.error, one.in_range) for one in found
    ] == [whole, whole, whole, (None,) * 6, (None,) * 6]
