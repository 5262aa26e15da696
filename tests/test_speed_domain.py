"""Where speeds were measured: held to the shipped table, and what lies outside it is never called checked."""

from collections import Counter, defaultdict

import pytest
from cases import CONFIGS

import calculator
from calculator.architecture.layers import CrossAttention
from calculator.architecture.recurrent import RecurrentState
from calculator.engines import ENGINES, engine_speed
from calculator.engines.llama_cpp.speed import SPEED as LLAMA_CPP
from calculator.engines.measured import LARGEST_MODEL, LONGEST_PROMPT, SMALLEST_MODEL, architecture_kind
from calculator.engines.sglang.speed import SPEED as SGLANG
from calculator.engines.tensorrt_llm.speed import SPEED as TENSORRT_LLM
from calculator.engines.vllm.speed import SPEED as VLLM
from calculator.planning.traffic.judged.accuracy import planned
from calculator.planning.traffic.judged.fit import launches
from calculator.planning.traffic.timing.speed import speed

# rows that say how long a step takes or what a full load gives; of bursts neither is described
COUNTED = [(row, plan) for row, plan in planned() if row.kind in ("serve", "static", "full")]

FIGURES = {"vllm": VLLM, "sglang": SGLANG, "tensorrt-llm": TENSORRT_LLM, "llama.cpp": LLAMA_CPP}


def alike(dtype):
    """The name of a format without the size of its groups; both of 16 bit are one."""
    return {"fp16": "bf16"}.get(dtype, dtype.split("-g")[0])


def of_engine(engine):
    found = [(row, plan) for row, plan in COUNTED if plan.rules.name == engine]
    assert found
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_measured_is_what_the_table_holds(engine):
    rows, figures = of_engine(engine), FIGURES[engine]
    assert figures is engine_speed(engine)
    assert set(figures.devices) == {plan.accelerator.id for _, plan in rows}
    weights, caches = defaultdict(lambda: defaultdict(set)), defaultdict(set)
    for row, plan in rows:
        generation = plan.accelerator.generation
        weights[generation][architecture_kind(plan.model)].add(alike(row.asked["weight_dtype"]))
        caches[generation].add(alike(plan.request.kv_cache_dtype))
    shipped = {
        generation: {kind: set(some) for kind, some in kinds.items()} for generation, kinds in figures.weights.items()
    }
    assert shipped == weights
    assert {generation: set(some) for generation, some in figures.caches.items()} == caches


@pytest.mark.parametrize("engine", ENGINES)
def test_lengths_and_versions_measured_are_those_of_the_table(engine):
    rows, figures = of_engine(engine), engine_speed(engine)
    short = [row for row, _ in rows if row.prompt_tokens <= LONGEST_PROMPT]
    assert figures.longest_output == max(row.output_tokens for row in short)
    assert figures.longest_sequence == max(row.prompt_tokens + row.output_tokens for row in short)
    versions = [
        tuple(map(int, row.asked["engine_version"].split("."))) for row, _ in rows if "engine_version" in row.asked
    ]
    width = len(figures.newest)
    assert max((version[:width] for version in versions), default=()) == figures.newest
    many = Counter(version[: len(figures.oldest)] for version in versions)
    # one blog post has five rows of TensorRT-LLM 0.5: too few to call it, and what lies between, measured
    assert min((version for version, count in many.items() if count > 5), default=()) == figures.oldest


def test_launches_by_version_follow_from_the_rows_given():
    fitted = launches()
    shipped = {
        (engine, kind, version): launch
        for engine, figures in FIGURES.items()
        for kind, versions in figures.launch_us_by_version.items()
        for version, launch in versions.items()
    }
    assert shipped == {key: round(launch) for key, launch in fitted.items()}


def test_models_measured_are_those_of_the_table():
    sizes = [plan.model.num_parameters for _, plan in COUNTED]
    assert (min(sizes), max(sizes)) == (SMALLEST_MODEL, LARGEST_MODEL)
    for engine in ENGINES:
        specs = [group.spec for _, plan in of_engine(engine) for group in plan.model.groups]
        states = {spec.variant.value for spec in specs if isinstance(spec, RecurrentState)}
        assert set(engine_speed(engine).recurrences) == states
        assert not any(isinstance(spec, CrossAttention) for spec in specs)
    # GPT-J and Falcon have two matrices a MLP, in their configs
    old = {plan.rules.name for row, plan in COUNTED if row.asked["model"] in ("gpt-j-6b", "falcon-180b")}
    assert old == {engine for engine in ENGINES if engine_speed(engine).without_gate}


def test_no_layout_is_measured_that_the_table_lacks():
    for engine in ENGINES:
        plans = [plan.request for _, plan in of_engine(engine)]
        seen = {
            "stages": any(request.pipeline_parallel_size > 1 for request in plans),
            "attention": any(request.enable_attention_dp for request in plans),
        }
        assert set(engine_speed(engine).layouts) == {name for name, there in seen.items() if there}
        assert not any(request.enforce_eager for request in plans)


def ask(asked, given):
    plan = calculator.plan(**{"model": "llama-3.1-8b", "gpu": "h100-sxm", "seq_len": 8192, **asked})
    return speed(plan, **{"batch_size": 4, "prompt_tokens": 500, "output_tokens": 250, **given})


@pytest.mark.parametrize(
    ("asked", "given", "why"),
    [
        # what the engine refuses or does not run at once
        ({"seq_len": 1000}, {"prompt_tokens": 751}, "requests of 1,001 tokens, where the plan takes 1,000"),
        ({"seq_len": 1000}, {"resident_tokens": 1001}, "requests of 1,001 tokens, where the plan takes 1,000"),
        ({"max_num_seqs": 8}, {"batch_size": 9}, "9 sequences at once, where max_num_seqs lets 8 run"),
        (
            {"model": "deepseek-r1", "gpu": "h200", "engine": "tensorrt-llm", "tensor_parallel_size": 8,
             "enable_attention_dp": True, "max_num_seqs": 2},
            {"batch_size": 17}, "17 sequences at once, where max_num_seqs lets 16 run",
        ),
        # KV formats
        ({"kv_cache_dtype": "nvfp4", "gpu": "b200"}, {}, "no speed of a KV cache in nvfp4"),
        ({"kv_cache_dtype": "int4_per_token_head"}, {}, "no speed of a KV cache in int4_per_token_head"),
        ({"kv_cache_dtype": "fp8_e5m2", "gpu": "a100-80gb-sxm"}, {}, "no speed of a KV cache in fp8_e5m2"),
        ({"kv_cache_dtype": "q4_0", "engine": "llama.cpp", "gpu": "a40"}, {"batch_size": 1}, "a KV cache in q4_0"),
        # weight formats by generation and kind
        ({"weight_dtype": "fp8", "gpu": "a100-80gb-sxm"}, {}, "dense models with weights in fp8"),
        ({"weight_dtype": "nvfp4", "gpu": "a100-80gb-sxm"}, {}, "dense models with weights in nvfp4"),
        ({"weight_dtype": "mxfp4"}, {}, "dense models with weights in mxfp4"),
        # devices, whatever their generation
        *(
            ({"gpu": gpu}, {}, "was measured with vLLM")
            for gpu in ("a30", "a10", "l4", "l40", "h100-nvl", "gh200-96gb", "h20")
        ),
        # kinds of models
        ({"model": "falcon-7b"}, {"batch_size": 2}, "whose MLP has no gate"),
        ({"model": "gpt2", "seq_len": 1024}, {}, "a model of 0.12 billion parameters, measured were 0.60 to 1,026"),
        ({"model": "qwen3-30b-a3b", "gpu": "a100-80gb-sxm", "engine": "sglang"}, {}, "no speed on "),
        # versions
        ({"engine_version": "0.40"}, {}, "vLLM 0.40 is newer than all whose rules are known"),
        ({"engine_version": "1.0"}, {}, "vLLM 1.0 is newer than all whose rules are known"),
        ({"engine_version": "0.1.dev1+g1234567"}, {}, "which release vLLM 0.1.dev1+g1234567 is was not said"),
        # lengths and layouts
        ({"seq_len": 20_000}, {"output_tokens": 8193}, "answers of 8,193 tokens, measured were up to 8,192"),
        ({"seq_len": 40_000}, {"prompt_tokens": 500, "resident_tokens": 10_001}, "sequences of 10,001 tokens"),
        ({"enforce_eager": True}, {}, "no speed without CUDA graphs was measured"),
    ],
)  # fmt: skip
def test_outside_what_was_measured_nothing_is_checked(asked, given, why):
    found = ask(asked, given)
    assert not found.checked
    assert why in found.why


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ({}, {}), ({"seq_len": 1000}, {"prompt_tokens": 750}), ({"max_num_seqs": 8}, {"batch_size": 8}),
        ({"kv_cache_dtype": "fp8"}, {}), ({"weight_dtype": "fp16"}, {}), ({"weight_dtype": "fp8", "gpu": "b200"}, {}),
        ({"model": "gpt-oss-20b", "gpu": "h100-sxm"}, {}), ({"seq_len": 10_000}, {"output_tokens": 8192}),
        ({"engine_version": "0.33"}, {}), ({"engine_version": "0.9.1"}, {}),
        ({"model": "falcon-7b", "engine": "tensorrt-llm"}, {"batch_size": 2}),
    ],
)  # fmt: skip
def test_inside_it_is_checked(asked, given):
    assert ask(asked, given).why == ""
    assert ask(asked, given).checked


def test_states_of_another_kind_are_said():
    # SGLang's hybrids that were measured keep states of a gated delta net, Nemotron-H those of Mamba 2
    found = ask({"model": "nemotron-h-56b", "gpu": "b200", "engine": "sglang"}, {})
    assert "no speed of models with Mamba 2 state was measured on SGLang" in found.why


def test_a_model_that_attends_to_an_encoder_is_said():
    model = calculator.model_from_hf_config(CONFIGS["encoder and decoder"], name="whisper")
    plan = calculator.plan(model, gpu="h100-sxm", seq_len=256, encoder_seq_len=100)
    found = speed(plan, 1, 100, 100)
    assert not found.checked
    assert "no speed of models that attend to an encoder was measured" in found.why


# Time to the first token of one prompt on an idle server: TensorRT-LLM 0.9, docs/source/performance.md;
# FP8 but FP16 on A100 [tokens, ms]
ALONE = [
    ("llama-2-7b", "h100-sxm", 1, "fp8", 128, 6.3), ("llama-2-7b", "h100-sxm", 1, "fp8", 2048, 30.8),
    ("llama-2-7b", "h200", 1, "fp8", 128, 5.7), ("llama-2-7b", "h200", 1, "fp8", 2048, 30.2),
    ("gpt-j-6b", "h100-sxm", 1, "fp8", 128, 5.5), ("mistral-7b-v0.1", "h200", 1, "fp8", 128, 5.9),
    ("llama-2-70b", "h200", 4, "fp8", 128, 17.8), ("llama-2-70b", "h200", 4, "fp8", 2048, 103.0),
    ("llama-2-70b", "h100-sxm", 8, "fp8", 2048, 85.1), ("llama-2-7b", "l40s", 1, "fp8", 128, 14.1),
    ("llama-2-7b", "l40s", 1, "fp8", 2048, 80.1), ("llama-2-7b", "a100-80gb-sxm", 1, "fp16", 128, 16.2),
    ("llama-2-7b", "a100-80gb-sxm", 1, "fp16", 2048, 132.4), ("llama-2-70b", "a100-80gb-sxm", 4, "fp16", 128, 45.6),
]  # fmt: skip


@pytest.mark.parametrize("row", ALONE, ids=lambda row: f"{row[0]}-{row[1]}-{row[4]}")
def test_one_prompt_alone_beside_published_times(row):
    model, gpu, ranks, weights, prompt, measured_ms = row
    plan = calculator.plan(
        model, gpu=gpu, tensor_parallel_size=ranks, weight_dtype=weights, engine="tensorrt-llm", engine_version="0.9",
        kv_cache_dtype="fp8" if weights == "fp8" else "fp16", seq_len=2304,
    )  # fmt: skip
    found = speed(plan, 1, prompt, None)
    assert found.prefill_s_low <= measured_ms / 1000 <= found.prefill_s_high
    # far inside: a third off at most
    assert measured_ms / 1000 == pytest.approx(found.prefill_s, rel=1 / 3)


def test_one_prompt_alone_by_hand():
    # LLaMA 3.1 8B on an H100, bf16: weights once at 3,350 GB/s, 32 launches of 75 us and 20 us; 1.45 times the FLOPs
    weights = 2 * (8_030_261_248 - 128_256 * 4096)
    flops = 128 * weights + 32 * 2 * 32 * 256 * 128**2 / 2
    found = ask({}, {"batch_size": 40, "prompt_tokens": 128})
    once = weights / 3350e9 + 32 * 75e-6 + 20e-6
    assert found.prompt_compute_s == pytest.approx(1.45 * flops / 989e12)
    # one prompt on an idle replica, however many the answer is about
    assert found.prefill_s == pytest.approx(once + found.prompt_compute_s)
    assert found.prefill_s == ask({}, {"batch_size": 1, "prompt_tokens": 128}).prefill_s


def test_a_prompt_of_a_model_with_experts_reads_those_that_its_tokens_touch():
    # Mixtral, fp8: 2 of 8 experts a token; 1 token touches a quarter of them, 64 all but 0.75^64
    def once_s(prompt):
        found = ask({"model": "mixtral-8x7b", "weight_dtype": "fp8"}, {"prompt_tokens": prompt})
        return found.prefill_s - found.prompt_compute_s

    experts = 32 * 8 * 3 * 14_336 * 4096  # bytes, one a parameter; scales are less than 1 %
    difference = 1.3 * experts * (0.75 - 0.75**64) / 3350e9
    assert once_s(64) - once_s(1) == pytest.approx(difference, rel=0.01)
