"""A log beside its plan, term by term, with pools and weights that are worked by hand."""

import json
from math import sqrt

import pytest
from logs import VLLM_V1

import calculator
from calculator import read_log, reconcile
from calculator.logs.names import gpu_of, named_model
from calculator.planning.files.plan_file import read_deployments
from calculator.reading import strict_yaml

GIB = 2**30
WEIGHTS = 2 * 8_030_261_248 / GIB  # Llama 3.1 8B in bf16
NO_OVERHEADS = {"activation_bytes": 0, "non_torch_bytes": 0, "cuda_graph_bytes": 0}
POOL = 32 - WEIGHTS  # 0.8 of 40 GiB, less the weights


def log_of(*lines, more=""):
    return (
        "Initializing a V1 LLM engine (v0.33.0) with config: model='meta-llama/Llama-3.1-8B', dtype=torch.bfloat16, "
        f"quantization=None, max_seq_len=8192, gpu_memory_utilization=0.8{more}\n"
        + "".join(f"{line}\n" for line in lines)
    )


def pool_of(gib):
    return f"Available KV cache memory: {gib:.4f} GiB"


def tokens_of(tokens):
    return f"GPU KV cache size: {tokens:,} tokens"


def keys_of(result):
    return [cause.key.removeprefix("logs.cause.") for cause in result.causes]


# Without a device: what the printed pool holds


@pytest.mark.parametrize(
    ("pool", "tokens", "agrees"),
    # 131,072 bytes a token in blocks of 16: 10 GiB hold 81,920. They may differ by 1 % of those reported, by a block,
    # or by what two figures of two places hide of the pool: 0.01 of 0.1 GiB is a tenth of 819 // 16 x 16
    [
        (10, 81_920, True), (10, 81_112, True), (10, 81_104, False), (10, 82_744, True), (10, 82_752, False),
        (0.1, 816, True), (0.1, 743, True), (0.1, 740, False), (0.1, 904, True), (0.1, 908, False),
        (0.02, 160, True),
    ],
)  # fmt: skip
def test_a_printed_pool_holds_the_printed_tokens(pool, tokens, agrees):
    result = reconcile(log_of(pool_of(pool), tokens_of(tokens)))
    assert result.agrees is agrees
    held = int(pool * 8_192) // 16 * 16
    assert result.finding.endswith(
        f"the reported pool of {pool:.2f} GiB holds {held:,} tokens, {tokens:,} are reported."
    )
    terms = {term.key: term for term in result.terms}
    assert (terms["held_tokens"].predicted, terms["held_tokens"].reported) == (held, tokens)
    assert (terms["kv_pool"].predicted, terms["kv_pool"].reported) == (None, pool)


def test_without_a_device_one_figure_alone_decides_nothing():
    pool = reconcile(log_of(pool_of(10)))
    assert (pool.agrees, pool.finding.key) == (False, "logs.finding.no_device_pool")
    assert pool.finding.endswith("the device is not known, so the KV pool of 10.00 GiB cannot be predicted.")
    tokens = reconcile(log_of(tokens_of(81_920)))
    assert (tokens.agrees, tokens.finding.key) == (False, "logs.finding.no_device_tokens")
    assert tokens.finding.endswith("by this model's layers they take 10.00 GiB of each GPU.")
    none = reconcile(log_of("Model loading took 14.96 GiB"))
    assert (none.agrees, none.finding.key) == (False, "logs.finding.no_capacity")


# With one: the printed pool beside the predicted

COUNTS = 256 * 4 * (128_256 + 2 * 4_008) / GIB
"""Of 256 sequences and Llama's vocabulary, from 0.27 on: v1/worker/gpu/sample/penalties.py [GiB]."""


def known(*lines, more="", **asked):
    return reconcile(log_of(*lines, more=more), gpu_memory_bytes=40 * GIB, **{**NO_OVERHEADS, **asked})


@pytest.mark.parametrize(
    ("off", "within"), [(0, True), (0.0045, True), (-0.0045, True), (0.0055, False), (-0.0055, False)]
)
def test_a_pool_agrees_within_the_last_digit(off, within):
    result = known(pool_of(POOL + off))
    assert result.agrees is within
    assert result.finding.key == f"logs.finding.pool_{'within' if within else 'outside'}"


@pytest.mark.parametrize(("off", "within"), [(0.254, True), (-0.554, True), (0.256, False), (-0.556, False)])
def test_a_pool_agrees_within_the_range_of_its_estimates(off, within):
    # outside the allocator 0.25 GiB, 0 to 0.8, and counts of output tokens
    assert known(pool_of(POOL - 0.25 - COUNTS + off), non_torch_bytes=None).agrees is within


def test_deviations_of_several_estimates_add_in_squares():
    # outside the allocator of linked GPUs 2.1, 1.2 to 2.6, and graphs of 51 sizes on a smaller card 0.5, 0.05 to 0.95
    plan = calculator.plan(
        "llama-3.1-8b", gpu_memory_bytes=40 * GIB, gpu_memory_utilization=0.8, seq_len=8_192, tensor_parallel_size=2,
        activation_bytes=0,
    )  # fmt: skip
    pool = 32 - (WEIGHTS * GIB + 2 * 65 * 4_096) / 2 / GIB - 2.6 - COUNTS
    found = [size / GIB for size in (plan.kv_pool_bytes, plan.kv_pool_bytes_low, plan.kv_pool_bytes_high)]
    assert found == pytest.approx([pool, pool - sqrt(0.5**2 + 0.45**2), pool + sqrt(0.9**2 + 0.45**2)], abs=1e-6)


def test_tokens_alone_are_set_beside_the_predicted_ones():
    # 17.04 GiB are 139,616 tokens
    held = int(POOL * 8_192) // 16 * 16
    result = known(tokens_of(held))
    assert (result.agrees, result.finding.key) == (True, "logs.finding.tokens_within")
    assert f"{held:,} tokens are predicted, {held:,} reported, within the range" in result.finding
    far = known(tokens_of(held - 1_600))
    assert (far.agrees, far.finding.key) == (False, "logs.finding.tokens_outside")
    blocks = known(f"# GPU blocks: {held // 16}, # CPU blocks: 0")
    assert blocks.agrees
    terms = {term.key: term for term in result.terms}
    assert (terms["kv_tokens"].predicted, terms["kv_tokens"].reported) == (held, held)
    assert terms["kv_tokens"].difference == 0


def test_every_printed_figure_is_a_term():
    result = known(
        "Model loading took 14.9600 GiB and 1 seconds", pool_of(17.043), tokens_of(139_616),
        "Maximum concurrency for 8,192 tokens per request: 17.04x", "# GPU blocks: 8726, # CPU blocks: 0",
        activation_bytes=GIB, cuda_graph_bytes=GIB // 2, non_torch_bytes=GIB // 4,
    )  # fmt: skip
    terms = {term.key: (term.predicted, term.reported) for term in result.terms}
    assert terms["memory"] == (40, None)
    assert terms["budget"] == (pytest.approx(32), None)
    assert terms["weights"] == pytest.approx((WEIGHTS, 14.96))
    assert (terms["activations"], terms["outside"], terms["graphs"]) == ((1, None), (0.25, None), (0.5, None))
    assert terms["kv_pool"] == pytest.approx((POOL - 1.75, 17.043))
    assert terms["held_blocks"] == (8_726, 8_726)
    assert terms["held_tokens"] == (139_616, 139_616)
    assert terms["held_sequences"] == pytest.approx((8_726 / 512, 17.04))


def test_what_one_sequence_needs_is_a_term():
    line = (
        "ValueError: To serve at least one request with the models's max seq len (131072), (16.0 GiB KV cache is "
        "needed, which is larger than the available KV cache memory (12.50 GiB). Based on it, the estimated maximum "
        "model length is 102400."
    )
    result = reconcile(log_of(line).replace("8192", "131072"))
    term = next(term for term in result.terms if term.key == "sequence")
    assert (term.predicted, term.reported, term.unit) == (16, 16, "GiB")
    assert term.name == "One sequence of 131,072 tokens"


def test_activations_are_the_peak_of_torch_less_the_weights():
    lines = (
        "Loading model weights took 14.9888 GB\n"
        "Memory profiling results: total_gpu_memory=79.19GiB, initial_memory_usage=15.31GiB, "
        "peak_torch_memory=16.22GiB, memory_usage_post_profile=15.36GiB, non_torch_memory=0.36GiB, "
        "kv_cache_size=54.69GiB, gpu_memory_utilization=0.90\n"
    )
    figures = read_log(lines).figures
    assert figures["activation_gib"] == pytest.approx(1.2312)
    assert (figures["kv_pool_gib"], figures["non_torch_gib"], figures["memory_gib"]) == (54.69, 0.36, 79.19)


# Causes


@pytest.mark.parametrize("ranks", [2, 4, 8, 16])
def test_weights_of_one_rank_say_how_many_there_are(ranks):
    # matrices are divided, 65 norms of 4,096 are not; of 16 ranks two hold each of the 8 heads of keys and values
    norms, heads = 2 * 65 * 4_096, 2 * 32 * 4_096 * 2 * 1_024
    divided = (2 * 8_030_261_248 - norms - heads) / ranks + norms + heads / min(ranks, 8)
    result = reconcile(log_of(f"Model loading took {divided / GIB:.4f} GiB and 1 seconds"), gpu="h100-sxm")
    assert result.causes[0].key == "logs.cause.ranks_of_weights"
    assert result.causes[0].startswith(f"tensor_parallel_size {ranks} would explain the weights of ")


@pytest.mark.parametrize(("off", "said"), [(0.02, False), (-0.02, False), (0.04, True), (-0.04, True)])
def test_weights_within_3_percent_are_the_same(off, said):
    half = WEIGHTS / 2 * (1 + off / 2)
    weights = WEIGHTS * (1 + off) if not said else half
    result = reconcile(log_of(f"Model loading took {weights:.4f} GiB and 1 seconds"), gpu="h100-sxm")
    assert ("ranks_of_weights" in keys_of(result)) is said


def test_twice_the_tokens_are_of_8_bit_or_of_two_ranks():
    twice = (pool_of(10), tokens_of(163_840))
    assert keys_of(reconcile(log_of(*twice))) == ["kv_format", "ranks_of_tokens"]
    stated = reconcile(log_of(*twice, more=", kv_cache_dtype=bfloat16"))
    assert keys_of(stated) == ["ranks_of_tokens"]
    assert stated.causes[0] == "tensor_parallel_size 2 would hold as many tokens as are reported"
    # four times as many: 4 bit with a scale holds fewer, so four ranks
    assert keys_of(reconcile(log_of(pool_of(10), tokens_of(327_680))))[-1] == "ranks_of_tokens"
    both = reconcile(log_of(*twice, more=", kv_cache_dtype=bfloat16, tensor_parallel_size=2"))
    assert both.agrees


def test_tokens_that_nothing_explains_are_of_another_model():
    result = reconcile(log_of(pool_of(10), tokens_of(100_000), more=", kv_cache_dtype=bfloat16"))
    assert keys_of(result) == ["other_model"]
    assert "the reported pool of 10.00 GiB holds 81,920 tokens by this model's layers, 100,000 are" in result.causes[0]


@pytest.mark.parametrize(("tokens", "named"), [(81_000, False), (80_960, False), (80_800, True), (83_100, True)])
def test_tokens_within_1_2_percent_need_no_cause(tokens, named):
    # |81,920 - n| <= 0.012 n: from 80,949 to 82,914
    result = reconcile(log_of(pool_of(10), tokens_of(tokens), more=", kv_cache_dtype=bfloat16"))
    assert bool(result.causes) is named


@pytest.mark.parametrize(
    ("figure", "key", "term"),
    [
        ("2.00 GiB for peak activation", "activation_bytes", "activations: 1.00 GiB more"),
        (
            "1.00 GiB for peak activation, 1.50 GiB for non-torch memory",
            "non_torch_bytes",
            "outside the allocator: 1.00",
        ),
    ],
)
def test_what_is_logged_of_a_term_explains_the_pool(figure, key, term):
    given = {"activation_bytes": GIB, "non_torch_bytes": GIB // 2}
    line = f"Actual usage is {WEIGHTS:.2f} GiB for weight, {figure}"
    result = known(line, pool_of(POOL - 2.5), **given)
    assert keys_of(result)[0] == key
    assert f"as logged: {POOL - 2.5:.2f} GiB would be predicted" in result.causes[0]
    assert any(cause.startswith(term) for cause in result.causes)


def test_graphs_that_are_logged_as_none_explain_a_larger_pool():
    line = f"Actual usage is {WEIGHTS:.2f} GiB for weight, and 0.00 GiB for CUDAGraph memory."
    result = known(line, pool_of(POOL), cuda_graph_bytes=GIB)
    assert keys_of(result)[0] == "cuda_graph_bytes"


def test_a_range_of_less_than_a_gib_is_shown_as_it_is():
    # 0.8 of 19 GiB less the weights
    result = reconcile(log_of(pool_of(15.2 - WEIGHTS)), gpu_memory_bytes=19 * GIB, **NO_OVERHEADS)
    assert result.finding.endswith(", within the range of 0.24 to 0.24 GiB.")


# Names


@pytest.mark.parametrize(
    ("device", "memory", "preset"),
    # as nvidia-smi, rocm-smi and torch print them, and what a program sees [GiB] where a name does not tell
    [
        ("NVIDIA B200", None, "b200"), ("NVIDIA GB200", None, "gb200"), ("NVIDIA GB300", None, "gb300"),
        ("NVIDIA GH200 480GB", None, "gh200-96gb"), ("NVIDIA H20", None, "h20"), ("NVIDIA H200", None, "h200"),
        ("NVIDIA H100 80GB HBM3", 79.1, "h100-sxm"), ("NVIDIA H100 PCIe", 79.1, "h100-pcie"),
        ("NVIDIA H100 NVL", 93.0, "h100-nvl"), ("NVIDIA A100-SXM4-40GB", 39.4, "a100-40gb"),
        ("NVIDIA A100-SXM4-80GB", 79.2, "a100-80gb-sxm"), ("NVIDIA A100 80GB PCIe", 79.2, "a100-80gb-pcie"),
        ("NVIDIA A10", 22.1, "a10"), ("NVIDIA A10G", 22.1, "a10g"), ("NVIDIA A30", None, "a30"),
        ("NVIDIA A40", None, "a40"), ("Tesla T4", None, "t4"), ("Tesla V100-SXM2-16GB", 15.8, "v100-16gb"),
        ("Tesla V100-SXM2-32GB", 31.7, "v100-32gb"), ("NVIDIA L4", None, "l4"), ("NVIDIA L40", None, "l40"),
        ("NVIDIA L40S", None, "l40s"), ("NVIDIA RTX A6000", None, "rtx-a6000"),
        ("NVIDIA RTX 6000 Ada Generation", None, "rtx-6000-ada"), ("NVIDIA GeForce RTX 3090", None, "rtx-3090"),
        ("NVIDIA GeForce RTX 4090", None, "rtx-4090"), ("NVIDIA GeForce RTX 5090", None, "rtx-5090"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", None, "rtx-pro-6000-blackwell"),
        ("AMD Instinct MI300X", None, "mi300x"), ("AMD Instinct MI325X", None, "mi325x"),
        ("AMD Instinct MI210", None, "mi210"), ("AMD Instinct MI355X", None, "mi355x"),
        # slices and profiles are never the whole device: nvidia-smi's own names; of several the printed memory tells
        ("NVIDIA DC-4-96Q", 95.5, "rtx-pro-6000-blackwell-vgpu-4-96q"), ("NVIDIA L40S-24Q", None, "l40s-vgpu-24q"),
        ("NVIDIA A100 80GB PCIe MIG 3g.40gb", None, "a100-80gb-pcie-mig-3g.40gb"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None, "h100-sxm-mig-1g.10gb"), ("NVIDIA A100 MIG 3g.40gb", None, None),
        ("NVIDIA L4-77Q", 70.0, None), ("NVIDIA B999 MIG 1g.11gb", 11.0, None),
        ("NVIDIA GeForce GTX 1080", None, None), ("a device of no name", None, None), ("", None, None),
    ],
)  # fmt: skip
def test_the_name_of_a_device_is_its_preset(device, memory, preset):
    assert gpu_of(device, memory) == preset


@pytest.mark.parametrize(
    ("name", "preset"),
    # repositories of the Hub
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"), ("meta-llama/Meta-Llama-3-70B-Instruct", "llama-3-70b"),
        ("unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit", "llama-3.1-8b"),
        ("neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8-dynamic", "llama-3.1-8b"),
        ("hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4", "llama-3.1-70b"),
        ("/models/Llama-3.3-70B-Instruct/", "llama-3.3-70b"), ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "qwen2.5-7b"),
        ("Qwen/Qwen3-8B-Base", "qwen3-8b"), ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "qwen3-235b-a22b"),
        ("google/gemma-3-27b-it", "gemma-3-27b"), ("meta-llama/Llama-2-7b-chat-hf", "llama-2-7b"),
        ("openai/gpt-oss-120b", "gpt-oss-120b"), ("lmsys/gpt-oss-20b-bf16", "gpt-oss-20b"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b"), ("nvidia/DeepSeek-R1-FP4", "deepseek-r1"),
        ("deepseek-ai/DeepSeek-R1", "deepseek-r1"), ("a/model-of-ones-own", None),
    ],
)  # fmt: skip
def test_the_name_of_a_checkpoint_is_its_preset(name, preset):
    if preset is None:
        with pytest.raises(calculator.InvalidValueError, match="is not one of the presets"):
            named_model({"model": name}, [])
    else:
        assert named_model({"model": name}, []).id == preset


def test_a_preset_by_another_name_is_assumed_aloud():
    assumed = []
    named_model({"model": "Qwen/Qwen3-8B"}, assumed)
    assert assumed == []
    named_model({"model": "Qwen/Qwen3-8B-AWQ"}, assumed)
    assert assumed == ["the preset qwen3-8b: its layers are those of the log's model by name"]
    with pytest.raises(calculator.InvalidValueError, match="the log names no model"):
        named_model({}, [])


# Set-up


@pytest.mark.parametrize(("prefix", "experts"), [("TP3", False), ("TP3_EP3", True), ("TP3_EP0", False)])
def test_ranks_that_print_say_what_they_share(prefix, experts):
    line = f"(Worker_{prefix} pid=9) INFO 09-29 11:34:04 [gpu_worker.py:298] Available KV cache memory: 11.55 GiB"
    log = log_of(line).replace("meta-llama/Llama-3.1-8B", "Qwen/Qwen3-30B-A3B")
    request = reconcile(log, gpu="h100-sxm").plan.request
    assert (request.tensor_parallel_size, request.enable_expert_parallel) == (4, experts)
    stated = reconcile(log.replace("_utilization=0.8", "_utilization=0.8, tensor_parallel_size=8"), gpu="h100-sxm")
    assert stated.plan.request.tensor_parallel_size == 8


def test_given_keywords_hold_against_those_of_a_log():
    request = reconcile(log_of(pool_of(10)), gpu="h100-sxm", seq_len=4_096, gpu_memory_utilization=None).plan.request
    assert (request.seq_len, request.gpu_memory_utilization) == (4_096, 0.8)


@pytest.mark.parametrize(
    ("quantization", "dtype", "taken"),
    [
        ("awq", "float16", "awq-int4"), ("awq_marlin", "float16", "awq-int4"), ("fp8", "bfloat16", "fp8"),
        ("None", "float16", "fp16"), ("None", "bfloat16", "bf16"), ("None", "float32", "auto"),
    ],
)  # fmt: skip
def test_the_format_of_weights_that_a_log_states(quantization, dtype, taken):
    log = log_of(pool_of(10)).replace("quantization=None", f"quantization={quantization}")
    result = reconcile(log.replace("torch.bfloat16", f"torch.{dtype}"), gpu="h100-sxm")
    assert result.plan.asked.get("weight_dtype", "auto") == taken


def test_one_log_of_a_machine_predicts_another_of_it(tmp_path, run):
    # two public starts of the same L40S-like box, made by hand: 45.0 GiB, of which 1.5 are held by an unknown cause
    head = "Initializing a V1 LLM engine (v0.19.0) with config: model='{}', dtype=torch.bfloat16, quantization=None, "
    flags = "max_seq_len=8192, gpu_memory_utilization=0.9, max_num_seqs=256, max_num_batched_tokens=2048\n"
    memory = "Free memory on device (44.5/45.0 GiB) on startup.\n"
    asked = {"gpu_memory_bytes": 45 * GIB, "engine_version": "0.19", "gpu_memory_utilization": 0.9, "seq_len": 8_192}

    def start(model):
        real = calculator.plan(model, non_torch_bytes=3 * GIB // 2, max_num_seqs=256, **asked).kv_pool_bytes / GIB
        named = calculator.load_model(model).huggingface_id
        return head.format(named) + flags + memory + f"Available KV cache memory: {real:.2f} GiB\n", real

    first, _ = start("llama-3.1-8b")
    found = reconcile(first).calibration
    assert found.non_torch_bytes / GIB == pytest.approx(1.5, abs=0.006)
    assert (found.engine, found.gpu_memory_bytes) == ("vllm", 45 * GIB)
    _, real = start("qwen3-8b")
    usual = calculator.plan("qwen3-8b", max_num_seqs=256, **asked)
    own = calculator.plan("qwen3-8b", max_num_seqs=256, calibration=found, **asked)
    assert abs(usual.kv_pool_bytes / GIB / real - 1) > 0.04
    assert own.kv_pool_bytes / GIB == pytest.approx(real, rel=0.001)
    assert own.kv_pool_bytes_high - own.kv_pool_bytes_low < usual.kv_pool_bytes_high - usual.kv_pool_bytes_low
    log, saved = tmp_path / "start.log", tmp_path / "box.json"
    log.write_text(first, encoding="utf-8")
    run("reconcile", log, "--save-calibration", saved)
    assert calculator.plan("qwen3-8b", max_num_seqs=256, calibration=str(saved), **asked) == own
    with pytest.raises(calculator.InvalidValueError, match="it is of vllm, and sglang is planned"):
        calculator.plan("qwen3-8b", gpu="l40s", engine="sglang", calibration=found)
    with pytest.raises(calculator.InvalidValueError, match="calibration: non_torch_bytes is missing"):
        calculator.plan("qwen3-8b", gpu="l40s", calibration={"engine": "vllm", "engine_version": "0.19"})


def test_a_calibration_of_a_device_with_other_memory_is_refused():
    # 78.5 GiB were logged, an A100 40GB has about half of it; an A100 80GB differs by less than 1 %
    found = {"engine": "vllm", "engine_version": "0.33", "non_torch_bytes": GIB, "gpu_memory_bytes": int(78.5 * GIB)}
    with pytest.raises(calculator.InvalidValueError, match=r"it is of a GPU of 78\.50 GiB, and A100 40GB with"):
        calculator.plan("llama-3.1-8b", gpu="a100-40gb", calibration=found)
    near = calculator.plan("llama-3.1-8b", gpu="a100-80gb-sxm", calibration=found)
    assert near.per_gpu.total_bytes == int(78.5 * GIB)
    assert any("as a log of this machine has it, vLLM 0.33" in note for note in near.notes)
    older = calculator.vary(near, engine_version="0.21")
    assert any("as a log of vLLM 0.33 has it, and 0.21 is planned" in note for note in older.notes)
    ranks = calculator.vary(near, calibration={**found, "tensor_parallel_size": 2})
    assert any("as a log of tensor_parallel_size 2 has it, and 1 is planned" in note for note in ranks.notes)
    own = calculator.vary(near, non_torch_bytes=2 * GIB)
    assert not any("as a log of" in note for note in own.notes)
    written = calculator.write_plan_file(near, "box")
    assert (written.count("non_torch_bytes"), written.count("gpu_memory_bytes")) == (1, 1)  # in the calibration alone
    (again,) = read_deployments(strict_yaml.parse(written, "as written"))
    assert (again.plan.as_dict(), again.plan.notes) == (near.as_dict(), near.notes)
    given = calculator.plan("llama-3.1-8b", gpu="a100-40gb", gpu_memory_bytes=39 * GIB, calibration=found)
    assert given.per_gpu.total_bytes == 39 * GIB
    assert "gpu_memory_bytes: 41875931136" in calculator.write_plan_file(given, "own memory")


def test_a_plan_file_takes_a_calibration_or_its_file_beside_it(tmp_path):
    said = {"engine": "vllm", "engine_version": "0.19", "non_torch_bytes": 2 * GIB, "gpu_memory_bytes": 79 * GIB}
    (tmp_path / "box.json").write_text(json.dumps(said), encoding="utf-8")
    file = tmp_path / "plan.yaml"

    def planned(stated):
        entry = {"name": "a", "model": "llama-3.1-8b", "gpu": "a100-80gb-sxm", "engine_version": "0.19"}
        content = {"deployments": [{**entry, "calibration": stated, "expect": {"fits": True}}]}
        file.write_text(json.dumps(content, indent=1), encoding="utf-8")  # YAML too
        (one,) = calculator.read_plan_file(file)
        return one.plan

    # the same figures given by hand
    known = {"non_torch_bytes": 2 * GIB, "gpu_memory_bytes": 79 * GIB}
    own = calculator.plan("llama-3.1-8b", gpu="a100-80gb-sxm", engine_version="0.19", **known)
    assert planned(said).kv_pool_bytes == planned("box.json").kv_pool_bytes == own.kv_pool_bytes
    for stated, why in (
        ("none.json", r"plan.yaml:8: .*none.json: cannot be read"),
        ({**said, "engine": "sglang"}, r"plan.yaml:8: .*it is of sglang, and vllm is planned"),
        ({**said, "non_torch_bytes": -1}, r"plan.yaml:8: .*calibration: non_torch_bytes must be at least 0, not -1"),
        ({**said, "nvlink": 1}, r"plan.yaml:8: .*calibration: unknown field 'nvlink'"),
    ):
        with pytest.raises(calculator.FileFormatError, match=why):
            planned(stated)


def test_a_pool_outside_the_range_of_a_device_known_by_its_memory_alone_asks_for_the_device():
    # SGLang on AMD takes 0.85 × 0.85 above 8,192 tokens of context: 287.27 × (1 − 0.7225) GiB less stay unused
    log = (
        "python -m sglang.launch_server --model-path Qwen/Qwen3.8-27B-FP8 --mem-fraction-static 0.85 "
        "--max-running-requests 32\n[2026-08-20 03:06:54] Load weight end. elapsed=7.79 s, "
        "type=Qwen3_5ForConditionalGeneration, quant=fp8, fmt=e4m3, avail mem=258.78 GB, mem usage=28.49 GB.\n"
        "[2026-08-20 03:07:01] max_total_num_tokens=1543256, chunked_prefill_size=16384, max_prefill_tokens=16384, "
        "max_running_requests=32, context_len=262144, available_gpu_mem=77.76 GB\n"
    )
    unsaid = reconcile(log)
    assert not unsaid.agrees
    (question,) = unsaid.missing
    assert (question.keyword, set(question.choices)) == ("gpu", {"mi350x", "mi355x"})
    said = reconcile(log, gpu="mi355x")
    assert (said.agrees, said.missing) == (True, ())


def test_sequences_of_full_length_are_not_explained_by_windows():
    # 102.56 GiB / 128 KiB a token (32 layers, 8 heads of 128, 16 bit) = 840,172 tokens = 25.64 × 32,768: every layer
    # is kept at full length, where the windows of 4,096 tokens of Mistral 7B v0.1 would hold several times as many
    log = (
        "vLLM API server version 0.11.0\nnon-default args: {'model': '/models/mine', 'dtype': 'float16', "
        "'quantization': 'gptq'}\nUsing max model len 32768\n"
        "Chunked prefill is enabled with max_num_batched_tokens=2048.\nModel loading took 3.8844 GiB and 20 seconds\n"
        "Available KV cache memory: 102.56 GiB\nGPU KV cache size: 840,160 tokens\n"
        "Maximum concurrency for 32,768 tokens per request: 25.64x\n"
    )
    windows = reconcile(log, model="mistral-7b-v0.1")
    assert [cause.key for cause in windows.causes] == ["logs.cause.other_sequences"]
    assert not windows.agrees
    plain = reconcile(log, model="mistral-7b-v0.3")
    assert (plain.agrees, plain.causes) == (True, ())


def test_a_public_start_of_a_box_predicts_its_other_one():
    # jethac/dgx-spark-hijinks, SGLang 0.5.12 on one GB10: 41.60 GiB with a 16 bit cache, 41.58 with 8 bit
    log = (
        "# sglang 0.5.12\nserver_args=ServerArgs(model_path='Qwen/Qwen2.5-1.5B-Instruct', tp_size=1, "
        "mem_fraction_static=0.4, chunked_prefill_size=8192, kv_cache_dtype='auto')\n"
        "Load weight begin. avail mem=112.26 GB\nLoad weight end. avail mem=109.01 GB, mem usage=3.25 GB.\n"
        "KV Cache is allocated. dtype: torch.bfloat16, #tokens: 1557709, K size: 20.80 GB, V size: 20.80 GB\n"
    )
    result = reconcile(log, gpu_memory_bytes=int(119.7 * GIB))
    assert result.agrees
    other = calculator.plan(
        "qwen2.5-1.5b", engine="sglang", engine_version="0.5.12", gpu_memory_utilization=0.4, kv_cache_dtype="fp8_e4m3",
        calibration=result.calibration,
    )  # fmt: skip
    assert other.kv_pool_bytes / GIB == pytest.approx(41.58, rel=0.001)


def test_a_pool_in_range_that_holds_other_tokens_does_not_agree():
    # 131,072 bytes a token: the pool holds 8,192 tokens a GiB; twice as many are those of 8 bit
    tokens = int(POOL * 8_192) // 16 * 16
    assert known(pool_of(POOL), tokens_of(tokens)).agrees
    other = known(pool_of(POOL), tokens_of(2 * tokens))
    assert not other.agrees
    assert other.finding.endswith(f"but it holds {tokens:,} tokens, {2 * tokens:,} are reported.")
    assert "kv_format" in keys_of(other)


@pytest.mark.parametrize(
    ("in_flight", "version"),
    # Mistral 7B v0.1 in 20 GiB, 2 MiB a block of 16: a window is charged 4,095 tokens and those in flight, and a block;
    # 2,048 up to 0.25 (385 blocks), two batches from 0.26 on (513). Tokens are concurrency × 32,768 from 0.21 on
    [(2_048, "0.25"), (4_096, None)],
)
def test_the_version_of_a_log_that_names_none_is_told_by_its_tokens(in_flight, version):
    blocks = -(-(4_095 + in_flight) // 16) + 1
    concurrency = (10_240 - 1) / blocks
    log = (
        "EngineCore INFO [kv_cache_utils.py:1] Initializing engine with model='mistralai/Mistral-7B-v0.1', "
        "max_seq_len=32768, max_num_batched_tokens=2048\n"
        "(EngineCore pid=1) INFO [gpu_worker.py:1] Available KV cache memory: 20.00 GiB\n"
        f"GPU KV cache size: {int(concurrency * 32_768):,} tokens\n"
        f"Maximum concurrency for 32,768 tokens per request: {concurrency:.2f}x\n"
    )
    result = reconcile(log)
    assert result.agrees
    said = [text for text in result.assumed if text.key == "logs.assumed.version_of_tokens"]
    if version is None:
        assert not said
    else:
        assert result.plan.rules.version in said[0]
        assert tuple(map(int, result.plan.rules.version.split("."))) <= (0, 25)


def test_weights_of_a_log_that_prints_them_with_what_is_outside():
    # Llama 3.1 8B in fp8 takes 8.49 GiB in vLLM's logs, 14.96 in 16 bit; 0.25 GiB are outside the allocator
    log = (
        "Initializing an LLM engine (v0.28.0) with config: model='meta-llama/Llama-3.1-8B', max_seq_len=8192\n"
        "Free memory on device (78.5/79.19 GiB) on startup. Desired GPU memory utilization is (0.9, 71.27 GiB). Actual "
        "usage is {:.2f} GiB for consumed memory (weights + non-torch), 1.2 GiB for peak activation, and 0.9 GiB for "
        "CUDAGraph memory. Current kv cache memory in use is 61.0 GiB.\n"
    )
    eight, sixteen = (reconcile(log.format(size), gpu="h100-sxm") for size in (8.49 + 0.25, 14.96 + 0.25))
    assert eight.plan.request.weight_dtype == "fp8"
    assert any("weights in fp8: with what is outside the allocator" in text for text in eight.assumed)
    assert sixteen.plan.request.weight_dtype == "bf16"


def test_a_model_is_told_by_bytes_a_token_and_the_bytes_of_its_files():
    # TinyLlama: 22 layers × 2 × 4 heads × 64 × 2 bytes a token; 1,100,048,384 weights of 2 bytes are 2.05 GiB
    log = (
        "[TRT-LLM] [I] Use 2.05 GB for model weights.\n"
        "[TRT-LLM] [I] Peak memory during memory usage profiling (torch + non-torch): 5.13 GiB, available KV cache "
        "memory when calculating max tokens: 39.26 GiB, fraction is set 0.9, kv size is 22528. device total memory "
        "47.37 GiB, , tmp kv_mem 1.38 GiB\n"
        "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 39.26 GiB for max tokens in paged KV cache (1871136).\n"
    )
    result = reconcile(log)
    assert (result.plan.model.id, result.missing, result.agrees) == ("tinyllama-1.1b", (), True)


@pytest.mark.parametrize(
    ("path", "model"),
    # 3.88 GiB of 4 bit weights and 131,072 bytes a token are those of Mistral 7B, 0.2 and 0.3 alike; a name chooses
    [("/models/mistral-7b", "mistral-7b-v0.3"), ("/models/base", None)],
)
def test_a_path_chooses_among_models_of_the_same_size(path, model):
    log = (
        f"non-default args: {{'model': '{path}', 'quantization': 'gptq'}}\nModel loading took 3.8844 GiB\n"
        "Available KV cache memory: 102.56 GiB\nGPU KV cache size: 840,160 tokens\nUsing max model len 32768\n"
    )
    if model is None:
        with pytest.raises(calculator.InvalidValueError, match="is not one of the presets"):
            reconcile(log)
    else:
        assert reconcile(log).plan.model.id == model


def test_the_question_for_the_device_names_those_whose_pool_it_would_be():
    # a public start on an A100 of 40 GB (startup_figures.csv, vllm-qweewqq-vllm_server) that prints no memory
    log = (
        "LLM engine (v0.11.0) with config: model='meta-llama/Llama-3.1-8B-Instruct', max_seq_len=4096, "
        "dtype=torch.bfloat16, quantization=None, gpu_memory_utilization=0.9, tensor_parallel_size=1, "
        "max_num_batched_tokens=2048\nModel loading took 14.9889 GiB\nAvailable KV cache memory: 19.24 GiB\n"
        "GPU KV cache size: 157,584 tokens\n"
    )
    (question,) = reconcile(log).missing
    assert "a100-40gb" in question.choices
    assert not {"h100-sxm", "a100-80gb-sxm", "rtx-4090", "l40s"} & set(question.choices)
    assert reconcile(log, gpu="a100-40gb").agrees


def test_a_cache_of_4_bits_by_its_name_on_sglang():
    # Qwen2.5 1.5B keeps 28 layers × 2 × 2 heads × 128 values of half a byte, and a byte of scale for 16: 8,064 bytes
    pool = 2 * 20.79
    tokens = int(pool * GIB / 8_064)
    log = (
        "[2026-06-08 01:40:55] server_args=ServerArgs(model_path='Qwen/Qwen2.5-1.5B-Instruct', tp_size=1, "
        "kv_cache_dtype='fp4_e2m1', mem_fraction_static=0.4)\n"
        "Hybrid swa model: self.hf_config.architectures=['Qwen2']\n"
        f"[2026-06-08 01:41:27] KV Cache is allocated. dtype: torch.float4_e2m1fn_x2, #tokens: {tokens}, "
        "K size: 20.79 GB, V size: 20.79 GB\n"
    )
    result = reconcile(log)
    assert result.plan.model.id == "qwen2.5-1.5b"
    assert (result.plan.request.kv_cache_dtype, result.agrees) == ("nvfp4", True)


@pytest.mark.parametrize(("served", "model"), [("['Qwen/Qwen3-8B', 'fast']", "qwen3-8b"), ("['gpt-9']", None)])
def test_a_model_in_a_folder_is_told_by_the_name_that_it_is_served_by(served, model):
    log = f"non-default args: {{'model': '/models/target', 'served_model_name': {served}, 'max_model_len': 8192}}\n"
    log += "Available KV cache memory: 10.00 GiB\n"
    if model is None:
        with pytest.raises(calculator.InvalidValueError, match="'/models/target' is not one of the presets"):
            reconcile(log)
    else:
        result = reconcile(log)
        assert result.plan.model.id == model
        assert result.assumed[0].startswith("the preset qwen3-8b: it is served by that name")


def test_a_log_of_two_starts_is_of_the_last():
    # Llama 3.1 8B keeps 128 KiB a cell: 4,096 cells are 512 MiB, of each start
    start = (
        "general.name = Meta-Llama-3.1-8B-Instruct\nload_tensors:        CUDA0 model buffer size =  4403.49 MiB\n"
        "llama_context: n_ctx         = 4096\n"
        "llama_kv_cache: size =  512.00 MiB (  4096 cells,  32 layers,  1/1 seqs), K (f16):  256.00 MiB\n"
        "llama_context:      CUDA0 compute buffer size =   258.50 MiB\n"
    )
    once, twice = reconcile(start, "llama-3.1-8b"), reconcile(start + start, "llama-3.1-8b")
    assert once.agrees
    assert (twice.agrees, twice.log.figures["kv_pool_gib"], twice.log.figures["weights_gib"]) == (
        True, 0.5, once.log.figures["weights_gib"],
    )  # fmt: skip


def test_sequences_of_a_batch_that_the_log_does_not_state():
    # Mistral 7B v0.1 in 20 GiB on vLLM 0.19: blocks of 2 MiB; 4,095 tokens and 2,048 in flight, and a block, are 385. A
    # device that is not known is taken for a large one, whose batch of 8,192 tokens would take 769
    concurrency = (10_240 - 1) / (-(-(4_095 + 2_048) // 16) + 1)
    log = (
        "LLM engine (v0.19.0) with config: model='mistralai/Mistral-7B-v0.1', max_seq_len=32768\n"
        "Available KV cache memory: 20.00 GiB\nGPU KV cache size: 163,824 tokens\n"
        f"Maximum concurrency for 32,768 tokens per request: {concurrency:.2f}x\n"
    )
    assert "tokens_in_flight" in keys_of(reconcile(log))


@pytest.mark.parametrize(
    ("device", "printed", "memory_gib"),
    # 3g.40gb of an A100 80GB has 40,192 MiB by nvidia-smi -lgip's 39.25 GiB; what the log prints stands before it
    [("NVIDIA A100 80GB PCIe MIG 3g.40gb", None, 39.25), ("NVIDIA A100 80GB PCIe MIG 3g.40gb", 39.38, 39.38),
     ("NVIDIA DC-4-96Q", None, 95.5), ("NVIDIA DC-4-96Q", 95.47, 95.47)],
)  # fmt: skip
def test_a_log_of_a_part_is_compared_with_its_own_memory_the_printed_one_first(device, printed, memory_gib):
    log = f"vLLM API server version 0.12.0\nmodel='meta-llama/Meta-Llama-3-8B'\nRunning on {device}\n"
    if printed:
        log += (
            f"Free memory on device ({printed - 0.4:.2f}/{printed:.2f} GiB) on startup. Desired GPU memory utilization "
        )
        log += f"is (0.9, {0.9 * printed:.2f} GiB).\n"
    found = reconcile(log + "Available KV cache memory: 18.00 GiB\nGPU KV cache size: 147,456 tokens\n")
    assert found.plan.accelerator.memory_bytes / 2**30 == pytest.approx(memory_gib, abs=1e-4)
    assert found.missing == ()


@pytest.mark.parametrize("device", ["t4", "rtx-4090", "a100-40gb"])
def test_a_device_without_the_memory_that_the_log_prints_is_refused(device):
    # 79.18 GiB are printed: what has less never printed it; what has more may have been used in part
    with pytest.raises(calculator.CalculatorError, match=r"the log prints 79\.18 GiB for one GPU") as refused:
        reconcile(VLLM_V1, gpu=device)
    assert (refused.value.what, refused.value.asked) == ("gpu", device)
    assert reconcile(VLLM_V1, gpu="h200").plan.accelerator.id == "h200"
