"""What one start of a machine says of its next: which difference carries over, to what, and how surely."""

from importlib import import_module
from pathlib import Path

import pytest
from logs import VLLM_V1

import calculator
from calculator.engines import overheads
from calculator.engines.overheads import LEAST_SPREAD
from calculator.errors import InvalidValueError
from calculator.logs.proof.foretold import ALL, OF_SETUP, by_what_is_shared, pairs
from calculator.logs.reconciliation import reconcile
from calculator.request.calibration import Calibration, LoggedLine, calibration_of
from calculator.units import GIB

ASKED = {"gpu": "h100-sxm", "engine_version": "0.19", "seq_len": 8_192}
USUAL = calculator.plan("llama-3.1-8b", **ASKED)
OUTSIDE, ACTIVATION = USUAL.per_gpu.lines["non_torch"], USUAL.per_gpu.lines["activation"]
MORE = GIB  # held outside by this box beyond what is usual
BOX = Calibration(
    engine="vllm",
    engine_version="0.19",
    non_torch_bytes=OUTSIDE.bytes + MORE,
    tensor_parallel_size=1,
    gpu="h100-sxm",
    model="llama-3.1-8b",
    weight_dtype="bf16",
    lines=(
        LoggedLine("non_torch", OUTSIDE.bytes + MORE, OUTSIDE.bytes, LEAST_SPREAD),
        # a tenth more than expected: a factor, which grows with the tokens of a pass
        LoggedLine("activation", ACTIVATION.bytes * 11 // 10, ACTIVATION.bytes, LEAST_SPREAD),
        LoggedLine("weights", 2 * GIB, GIB, LEAST_SPREAD),
    ),
)


@pytest.mark.parametrize(
    ("model", "changes", "outside", "tenths"),
    [
        # the same start: the gibibyte outside, the one of the weights, a tenth of activations
        ("llama-3.1-8b", {}, 2 * GIB, 1),
        ("llama-3.1-8b", {"max_num_batched_tokens": 65_536}, 2 * GIB, 1),
        # weights in another format are another checkpoint's
        ("llama-3.1-8b", {"weight_dtype": "fp8"}, GIB, 1),
        # two ranks hold half of the weights each
        ("llama-3.1-8b", {"tensor_parallel_size": 2}, GIB + GIB // 2, 1),
        ("llama-3.1-8b", {"engine_version": "0.25"}, 2 * GIB, 1),
        # another model: what is outside alone
        ("qwen3-8b", {}, GIB, 0),
    ],
)
def test_what_carries_over(model, changes, outside, tenths):
    usual = calculator.plan(model, **{**ASKED, **changes}).per_gpu.lines
    own = calculator.plan(model, calibration=BOX, **{**ASKED, **changes}).per_gpu.lines
    assert own["non_torch"].bytes - usual["non_torch"].bytes == outside
    more = own["activation"].bytes - usual["activation"].bytes
    assert more == pytest.approx(tenths * usual["activation"].bytes / 10, abs=5)


def test_what_ranks_hold_for_each_other_does_not_carry_over_to_fewer():
    held = calculator.plan("qwen3-8b", calibration={**BOX.stated(), "tensor_parallel_size": 2}, **ASKED)
    assert held.per_gpu.non_torch_bytes == OUTSIDE.bytes


def test_an_estimate_that_is_far_off_lacks_an_amount_and_not_a_factor():
    # 15 GiB where 3 were expected: 12 are lacking, whatever is expected of another start
    far = {
        **BOX.stated(),
        "lines": [{"key": "activation", "bytes": 15 * GIB, "usual_bytes": 3 * GIB, "unsure_bytes": 0}],
    }
    own = calculator.plan("llama-3.1-8b", calibration=far, **ASKED)
    assert own.per_gpu.activation_bytes == ACTIVATION.bytes + 12 * GIB


def test_the_range_is_narrowed_only_for_the_version_and_ranks_that_were_logged():
    def width(model, **changes):
        line = calculator.plan(model, **{**ASKED, **changes}).per_gpu.lines["non_torch"]
        return line.high - line.low

    # a quarter of the wider side of the range to either side, at least a tenth of a GiB
    side = max(OUTSIDE.high - OUTSIDE.bytes, OUTSIDE.bytes - OUTSIDE.low)
    assert width("qwen3-8b", calibration=BOX) == 2 * max(LEAST_SPREAD, round(side / 4)) < width("qwen3-8b")
    for other in ({"engine_version": "0.25"}, {"tensor_parallel_size": 2}):
        # an estimate near nothing is cut off there; with a gibibyte more it is not
        line = calculator.plan("qwen3-8b", **{**ASKED, **other}).per_gpu.lines["non_torch"]
        assert width("qwen3-8b", calibration=BOX, **other) == line.high - line.low
    # of the start that was logged, activations leave nothing open
    same = calculator.plan("llama-3.1-8b", calibration=BOX, **ASKED).per_gpu.lines["activation"]
    assert same.low == same.bytes == same.high


def test_a_device_that_was_not_logged_is_refused_and_a_change_of_it_drops_the_log():
    # both report 79.2 GiB to a program
    with pytest.raises(calculator.InvalidValueError, match="it is of h100-sxm, and a100-80gb-sxm is planned"):
        calculator.plan("llama-3.1-8b", **{**ASKED, "gpu": "a100-80gb-sxm"}, calibration=BOX)
    own = calculator.plan("llama-3.1-8b", calibration=BOX, **ASKED)
    assert calculator.vary(own, seq_len=4_096).calibration == BOX
    assert calculator.vary(own, gpu="a100-80gb-sxm").calibration is None
    assert calculator.vary(own, engine="sglang", engine_version=None).calibration is None
    assert calculator.vary(own, calibration=None) == USUAL


def test_values_of_ones_own_stand_before_those_of_a_log():
    own = calculator.plan("llama-3.1-8b", calibration=BOX, non_torch_bytes=0, **ASKED)
    assert own.per_gpu.lines["non_torch"].high == 0
    assert not any("as a log of this machine has it" in note for note in own.notes)


def write(folder, plan):
    file = folder / "plan.yaml"
    file.write_text(calculator.write_plan_file(plan, "box"), encoding="utf-8")
    return file


def test_every_face_of_a_plan_keeps_it(tmp_path):
    own = calculator.plan("llama-3.1-8b", calibration=BOX, **ASKED)
    (again,) = calculator.read_plan_file(write(tmp_path, own))
    assert (again.plan.calibration, again.plan.as_dict()) == (BOX, own.as_dict())
    (cause,) = {row.cause for row in calculator.compare(USUAL, own).changed}
    assert cause == "calibration None → by a log of vllm 0.19"
    BOX.save(tmp_path / "box.json")
    assert calibration_of(tmp_path / "box.json") == BOX
    held = calculator.sweep("llama-3.1-8b", calibration=BOX, **{**ASKED, "seq_len": [8_192]})
    assert held.max_batch_size.tolist() == [own.max_batch_size]


def test_a_search_plans_the_machine_that_was_logged_by_its_log_and_says_so():
    asked = {"users": 20, "seq_len": 8_192, "engine_version": "0.19", "max_gpus": 2}
    found = calculator.size("llama-3.1-8b", gpus=["h100-sxm", "h200"], calibration=BOX, **asked)
    by = {(option.plan.accelerator.id, option.plan.calibration) for option in found.options}
    assert by == {("h100-sxm", BOX), ("h200", None)}
    assert found.notes == ("H100 SXM with vLLM goes by a log of such a machine; all else by the rules alone",)
    usual = calculator.size("llama-3.1-8b", gpus=["h200"], **asked)
    assert [one.plan for one in found.options if one.plan.calibration is None] == [one.plan for one in usual.options]
    there = calculator.what_runs("h100-sxm", models=["qwen3-8b"], calibration=BOX, engine_version="0.19")
    assert (there.rows[0].plan.calibration, len(there.notes)) == (BOX, 1)
    for elsewhere in ({"gpus": ["h200"]}, {"gpus": ["h100-sxm"], "engines": ["sglang"]}):
        with pytest.raises(calculator.InvalidValueError, match="it is of vLLM on H100 SXM, which is not searched"):
            calculator.size("llama-3.1-8b", users=20, seq_len=8_192, calibration=BOX, **elsewhere)
    with pytest.raises(calculator.InvalidValueError, match="it is of vLLM on H100 SXM, which is not searched"):
        calculator.what_runs("h200", models=["qwen3-8b"], calibration=BOX)


HEAD = (
    "Initializing a V1 LLM engine (v0.19.0) with config: model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, "
    "quantization=None, max_seq_len=8192, gpu_memory_utilization=0.9, max_num_seqs=1024, max_num_batched_tokens=8192\n"
    "Free memory on device (78.6/79.2 GiB) on startup.\n"
)


def start(held_gib, printed=""):
    """Return a log whose pool lacks so much of the planned one."""
    plan = calculator.plan(
        "llama-3.1-8b", gpu="h100-sxm", gpu_memory_bytes="79.2GiB", engine_version="0.19", seq_len=8_192,
        gpu_memory_utilization=0.9, max_num_seqs=1024, max_num_batched_tokens=8192,
    )  # fmt: skip
    pool = plan.kv_pool_bytes / GIB - held_gib
    return plan, reconcile(HEAD + printed + f"Available KV cache memory: {pool:.4f} GiB\n", gpu="h100-sxm").calibration


def test_what_the_log_prints_is_the_lines_own_and_the_rest_is_held_outside():
    plan, found = start(3.0, "Model loading took 15.5 GiB memory\n")
    lines = {line.key: line for line in found.lines}
    weights = plan.per_gpu.weights_bytes
    assert (lines["weights"].bytes, lines["weights"].usual_bytes) == (round(15.5 * GIB), weights)
    rest = 3 * GIB - (round(15.5 * GIB) - weights)
    more = {key: lines[key].bytes - lines[key].usual_bytes for key in ("activation", "non_torch")}
    assert sum(more.values()) == pytest.approx(rest, abs=GIB / 1000)
    # squares of how far each may be above its estimate, activations and what is outside, share it out
    squares = {key: (line.high - line.bytes) ** 2 for key, line in plan.per_gpu.lines.items() if key in more}
    share = squares["non_torch"] / sum(squares.values())
    alone = max(squares.values()) >= 4 * min(squares.values())
    assert more["non_torch"] == pytest.approx(rest * (round(share) if alone else share), abs=GIB / 1000)


def test_a_start_by_its_own_log_is_that_start():
    plan, found = start(1.25)
    own = calculator.vary(plan, calibration=found)
    assert own.kv_pool_bytes == pytest.approx(plan.kv_pool_bytes - 1.25 * GIB, abs=GIB / 1000)
    assert own.kv_pool_bytes_high - own.kv_pool_bytes_low < plan.kv_pool_bytes_high - plan.kv_pool_bytes_low


def test_public_starts_predicted_from_another_of_their_machine():
    # the aim: within 1 % in the median, and no worse than without a log
    every = by_what_is_shared()[-1]
    assert (every.name, len(every.pairs)) == (ALL, len(pairs()))
    assert every.median <= 0.01
    assert every.median <= every.plain_median
    same = next(group for group in by_what_is_shared() if group.name == OF_SETUP)
    assert same.median <= same.plain_median / 2
    assert sum(pair.held for pair in every.pairs) >= 0.9 * len(every.pairs)


def test_a_log_of_one_own_architecture_is_none_of_another():
    config = {
        "model_type": "llama", "hidden_size": 4_096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 14_336, "vocab_size": 128_256,
        "max_position_embeddings": 131_072, "torch_dtype": "bfloat16",
    }  # fmt: skip
    logged = calculator.model_from_hf_config(config)
    box = reconcile(VLLM_V1, model=logged, gpu="h100-sxm").calibration
    asked = {"gpu": "h100-sxm", "engine_version": "0.11", "seq_len": 8_192}

    def more(model):
        usual, own = (
            calculator.plan(model, **asked, **by).per_gpu.activation_bytes for by in ({}, {"calibration": box})
        )
        return own - usual

    # the log prints 4.76 GiB, and another is expected: what of it carries over is of this model, however it is named
    assert more(logged) != 0
    assert more(calculator.model_from_hf_config(config, name="named otherwise")) == more(logged)
    assert more(calculator.model_from_hf_config({**config, "num_hidden_layers": 40})) == 0


def _line(key="weights", **changes):
    return {"lines": [{"key": key, "bytes": GIB, "usual_bytes": GIB, "unsure_bytes": 0, **changes}]}


@pytest.mark.parametrize(
    ("edited", "why"),
    [
        ({"non_torch_bytes": -5}, "non_torch_bytes must be at least 0, not -5"),
        ({"non_torch_bytes": 500 * GIB}, r"non_torch_bytes is 500\.00 GiB, more than the 79\.16 GiB of the GPU"),
        (_line(bytes=500 * GIB), r"lines\.weights\.bytes is 500\.00 GiB, more than"),
        (_line(bytes=-1), r"lines\.0\.bytes must be at least 0, not -1"),
        (
            {"lines": [*_line(bytes=50 * GIB)["lines"], *_line("activation", bytes=50 * GIB)["lines"]]},
            "the sum of the lines is",
        ),
        ({"lines": 2 * _line()["lines"]}, "the line weights stands there twice"),
        (_line("activations"), "unknown line 'activations': did you mean activation"),
        ({"weight_dtype": "fp99"}, "unknown weight format 'fp99'"),
        ({"engine_version": "abc"}, "engine_version must look like"),
    ],
)  # fmt: skip
def test_lines_edited_by_hand_that_cannot_be_are_refused(edited, why):
    of_box = {"engine": "vllm", "engine_version": "0.33", "gpu": "h100-sxm", "non_torch_bytes": GIB}
    with pytest.raises(InvalidValueError, match=f"calibration: .*{why}"):
        calculator.plan("llama-3.1-8b", gpu="h100-sxm", calibration={**of_box, **edited})


def test_every_line_of_every_engine_has_a_key_that_a_calibration_may_name():
    folder = Path(overheads.__file__).parent
    modules = [".".join(file.relative_to(folder).with_suffix("").parts) for file in folder.rglob("*.py")]
    found = (vars(import_module(f"calculator.engines.{name}")) for name in modules if "__init__" not in name)
    keys = {value.key for values in found for value in values.values() if isinstance(value, overheads.Line)}
    assert keys == overheads.LINE_KEYS
