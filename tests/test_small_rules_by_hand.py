"""Rules that few inputs reach, each by hand: replays, questions of a log, commands, drafters, risks at their ends."""

import dataclasses
import inspect
import json

import numpy
import pytest

import calculator
from calculator.architecture.weights import embedding_bytes
from calculator.catalogue.presets import gpu_ids, load_gpu
from calculator.configs.blocks.mtp import MTP
from calculator.logs.proof.judged import proof, written
from calculator.logs.questions import ask_for_gpu, ask_for_model
from calculator.planning.sizing.operating import Goals, Lengths, Replica
from calculator.planning.sizing.served import speeds_at
from calculator.planning.traffic.arrivals.replay import Replayed, at_rate, replay
from calculator.planning.traffic.inputs import OF_MEANS, RISK, STEP
from calculator.planning.traffic.residence import LawOfSum, most_at_risk
from calculator.request.speculation import Speculation

GIB, MIB = 2**30, 2**20


# A trace at another rate than its own


def trace(count):
    return numpy.arange(count, dtype=float), numpy.arange(count)


def test_at_its_own_rate_a_trace_is_itself():
    times, order = trace(200)
    rows, come = at_rate(times, order, 200 / 199)
    assert (rows.tolist(), come.tolist()) == (order.tolist(), times.tolist())


@pytest.mark.parametrize("times_more", [2, 3, 7])
def test_above_its_rate_each_request_comes_several_times_within_the_time_to_the_next(times_more):
    times, order = trace(200)
    rows, come = at_rate(times, order, times_more * 200 / 199)
    assert sorted(rows.tolist()) == sorted(times_more * order.tolist())
    late = come - times[rows]
    assert (late.min() >= 0, late.max() <= 199 / 200, come.tolist() == sorted(come.tolist())) == (True, True, True)
    assert late.mean() == pytest.approx(0.5, abs=0.06)


def test_below_its_rate_requests_are_left_out():
    times, order = trace(4_000)
    rows, come = at_rate(times, order, 0.25 * 4_000 / 3_999)
    # a quarter of 4,000: 27 more or fewer are a standard deviation
    assert len(rows) == pytest.approx(1_000, abs=110)
    assert come.tolist() == times[rows].tolist()


@pytest.mark.parametrize(("count", "some"), [(99, None), (100, 100), (101, 101)])
def test_fewer_than_a_hundred_say_nothing(count, some):
    times, order = trace(count)
    found = at_rate(times, order, count / (count - 1))
    assert (found and len(found[0])) == some


def test_beyond_120_copies_time_is_squeezed():
    # 12,000 requests at most and a hundred of the trace at least: 120 copies; twice that rate is half the time
    times, order = trace(1_000)
    rows, come = at_rate(times, order, 240 * 1_000 / 999)
    assert (len(rows), set(rows.tolist())) == (12_000, set(range(100)))
    assert 99 / 2 < come.max() <= 99 / 2 + 1 / 2


def test_a_replay_of_nothing_is_empty():
    assert replay([0.0], [1.0], [1.0], [0.0, 1.0], 1.0) == Replayed(0.0, 1.0, 0.0)


# What a log does not say


def test_devices_that_may_be_have_a_little_more_than_was_free():
    sizes = {key: load_gpu(key).memory_bytes / GIB for key in gpu_ids()}
    free = sizes["h100-sxm"]
    choices = ask_for_gpu("", free).choices
    # from what was free to a ninth more, which is a tenth of the whole in use
    assert set(choices) == {key for key, size in sizes.items() if free <= size <= free / 0.9}
    assert "h100-sxm" in choices
    assert [sizes[key] for key in choices] == sorted(sizes[key] for key in choices)
    assert "h100-sxm" in ask_for_gpu("", free * 0.9001).choices
    assert "h100-sxm" not in ask_for_gpu("", free * 0.8999).choices
    assert ask_for_gpu("", free, runs=lambda key: key == "h100-sxm").choices == ("h100-sxm",)


def test_without_free_memory_the_nearest_capacity_comes_first():
    off = {"h100-sxm": 0.03, "a100-80gb-sxm": 0.01, "l4": 0.02}
    assert ask_for_gpu("", 0, off.get).choices == ("a100-80gb-sxm", "l4", "h100-sxm")
    assert ask_for_gpu("", 0).choices == ()


def test_questions_name_what_the_log_says():
    assert (
        str(ask_for_gpu("Foo 9000", 0).text)
        == "which GPU is 'Foo 9000'? It is none of the presets; its memory would do"
    )
    assert str(ask_for_gpu("", 0).text) == "on which GPU did it run? The log does not say"
    named = ask_for_model("acme/foo", ("llama-3-8b",))
    assert (named.keyword, named.choices) == ("model", ("llama-3-8b",))
    assert str(named.text) == "which model is 'acme/foo'? It is none of the presets"
    assert str(ask_for_model("", ()).text) == "which model was it? The log does not say"


@pytest.mark.parametrize(("said", "heads"), [("disabled", 1), ("enabled", 0)])
def test_scores_of_llama_cpp_stand_in_its_buffer_without_flash_attention(said, heads):
    # Llama 3 8B, 8,192 cells: 560.00 MiB were printed, 512 tokens x (8,192 x 32 heads + 8,192 + 4.5 x 4,096) x 4 bytes;
    # with flash attention the logits of 512 tokens over 128,256 words, 250.5 MiB, and a little
    log = (
        f"llama_context: n_ctx         = 8192\nllama_context: flash_attn    = {said}\n"
        "llama_kv_cache: size = 1024.00 MiB (  8192 cells,  32 layers,  1/1 seqs), K (f16):  512.00 MiB\n"
    )
    result = calculator.reconcile(log, model="llama-3-8b", gpu="h100-sxm")
    found = result.plan.per_gpu.activation_bytes / MIB
    assert found == pytest.approx(4 * 512 * (8_192 * 33 + 4.5 * 4_096) / MIB, abs=1e-3) if heads else found < 300


# What a command says


def test_a_format_that_no_flag_makes_is_said():
    # TensorRT-LLM serves a checkpoint in its own format
    words = calculator.serve_command(
        calculator.plan("llama-3.1-8b", "h200", engine="tensorrt-llm", weight_dtype="fp16")
    )
    assert words.splitlines()[1:] == ["# not on the command line: weight_dtype fp16 (needs a checkpoint in it)"]
    assert "float16" not in words.splitlines()[0]
    # a checkpoint in 8 bit is not made into one in 16
    words = calculator.serve_command(calculator.plan("deepseek-v3", "h200", weight_dtype="bf16"))
    assert "--dtype" not in words
    assert "needs a checkpoint in it" in words
    assert "--dtype float16" in calculator.serve_command(calculator.plan("llama-3.1-8b", "h200", weight_dtype="fp16"))


# What a drafter takes


def test_a_head_whose_config_is_known_has_its_own_layers():
    # EAGLE named by a preset: its 16 layers, 2h -> h in front of them, embedding and head of the model's vocabulary,
    # which are the model's own unless its sizes are another
    small = calculator.load_model("llama-3.2-1b")
    h, kv, width, layers = 2_048, 512, 8_192, 16
    assert (small.hidden_size, small.num_layers, small.intermediate_size) == (h, layers, width)
    asked = {"method": "eagle", "model": "llama-3.2-1b", "num_speculative_tokens": 2}
    draft = calculator.plan("llama-3.2-1b", "h200", speculative_config=asked).per_gpu.draft_bytes
    layer = 2 * h * h + 2 * h * kv + 3 * h * width + 2 * h
    assert draft == 2 * (layers * layer + 2 * h * h)


@pytest.mark.parametrize("model", ["gemma-3-27b", "gemma-2-9b", "mixtral-8x7b", "deepseek-v2-lite"])
def test_a_head_on_layers_of_several_kinds_is_not_guessed(model):
    # windows beside full attention, experts, latent heads: a head of its authors' own may be any of them
    asked = {"method": "eagle3", "model": "someone/head", "num_speculative_tokens": 2}
    with pytest.raises(calculator.UnsupportedError, match="cannot be told from its own layers"):
        calculator.plan(model, "h200", speculative_config=asked)


def test_types_whose_layers_for_further_tokens_are_known():
    # vLLM 0.33.0, config/speculative.py hf_config_override, and what the models' *_mtp.py build
    assert set(MTP) == {
        "deepseek_v3", "deepseek_v32", "glm_moe_dsa", "glm4_moe", "glm4_moe_lite", "mimo", "ernie4_5_moe", "qwen3_next",
        "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text", "nemotron_h",
    }  # fmt: skip
    # Qwen 3.5 counts them under a key of its own, and splits what joins token and hidden state over ranks
    own = {kind for kind, row in MTP.items() if row.key == "mtp_num_hidden_layers"}
    assert own == {"qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"}
    assert {kind for kind, row in MTP.items() if row.splits_join} == own | {"qwen3_next"}
    # norms of the token, of the hidden state and behind the layer; ERNIE's has none behind it
    assert {kind: row.norms for kind, row in MTP.items() if row.norms != 3} == {"ernie4_5_moe": 2}


# The share of an embedding in what a checkpoint takes


@pytest.mark.parametrize("stored", [None, 10**10, 123_456_789])
def test_an_embeddings_share_of_a_checkpoint(stored):
    model = calculator.load_model("llama-3-8b")
    own, whole = 128_256 * 4_096, 8_030_261_248
    assert model.num_parameters == whole
    assert embedding_bytes(model, "bf16", stored) == (stored * own // whole if stored else 2 * own)


# Risks at their ends


def test_a_pool_without_room_is_always_exceeded_and_by_nobody_never():
    values, weights = numpy.array([1.0, 2.0]), numpy.array([0.5, 0.5])
    assert LawOfSum(values, weights, 0).exceeds(1) == pytest.approx(1, abs=1e-9)
    law = LawOfSum(values, weights, 3)
    assert [law.exceeds(count) for count in (-1, 0)] == [0.0, 0.0]
    # 1 or 2 each: one never holds more than 3, two do in one of four cases, three in seven of eight, four always
    assert [law.exceeds(count) for count in (1, 2, 3, 4)] == pytest.approx([0, 1 / 4, 7 / 8, 1], abs=1e-9)


def test_residents_of_one_length_are_counted_exactly():
    for pool in (0, 9, 10, 99, 100, 101, 10**9):
        assert most_at_risk((10.0, 0.0, 0.0), pool, 0.01) == (pool // 10, True)
    assert most_at_risk((0.0, 0.0, 0.0), 100, 0.01) == (0, True)


def test_the_most_at_a_risk_is_the_last_that_the_expansion_allows():
    # without skewness N m + z s sqrt(N) <= pool; z of 1 % is 2.3263
    mean, deviation, z = 10.0, 4.0, 2.326347874
    for pool in (50, 500, 5_000.5, 123_456):
        count, trusted = most_at_risk((mean, deviation**2, 0.0), pool, 0.01)
        assert trusted
        assert count * mean + z * deviation * count**0.5 <= pool
        assert (count + 1) * mean + z * deviation * (count + 1) ** 0.5 > pool


# What is not known misses no goal


def test_a_first_token_that_is_not_known_misses_no_goal():
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=1_024)
    found = speeds_at(Replica(plan, Lengths(1_000, None, 1_000)), 4, Goals(max_ttft_s=1e-6))
    assert (found.values["time_to_first_token_s"], found.meets_high) == (None, True)
    found = speeds_at(Replica(plan, Lengths(1_000, 100, 1_000)), 4, Goals(max_ttft_s=1e-6))
    assert not found.meets_high


# The table of what was compared


def test_the_table_that_is_written_is_the_one_that_is_read():
    held, read = json.loads(written(proof())), proof()
    assert [row["id"] for row in held["logs"]] == [one.id for one in read.logs]
    assert [row.get("error") for row in held["logs"]] == [one.error for one in read.logs]
    assert {name: tuple(map(tuple, rows)) for name, rows in held["machines"].items()} == read.machines
    assert [tuple(row.values()) for row in held["speeds"]] == [
        tuple(getattr(one, name) for name in row) for row, one in zip(held["speeds"], read.speeds, strict=True)
    ]
    assert len(held["calibrated"]) == len(read.calibrated)


# The file beside a config


@pytest.mark.parametrize("content", ["[1]", '"fp8"', "3"])
def test_what_stands_beside_a_config_is_a_mapping(tmp_path, content):
    config = {"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 512,
              "num_attention_heads": 8, "vocab_size": 1_000, "max_position_embeddings": 2_048}  # fmt: skip
    path, beside = tmp_path / "config.json", tmp_path / "hf_quant_config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    assert calculator.load_model(str(path)).weight_dtype is None
    beside.write_text(content, encoding="utf-8")
    with pytest.raises(calculator.FileFormatError, match=r"hf_quant_config\.json: holds no mapping of names to values"):
        calculator.load_model(str(path))
    # a config that says it itself is not asked for the file
    stated = {"quant_method": "fp8"}
    path.write_text(json.dumps({**config, "quantization_config": stated}), encoding="utf-8")
    assert calculator.load_model(str(path)).weight_dtype == "fp8"
    path.write_text(json.dumps(config), encoding="utf-8")
    beside.write_text("{}", encoding="utf-8")
    assert calculator.load_model(str(path)).weight_dtype is None


# The model of a log


@pytest.mark.parametrize(
    ("named", "preset", "stored"),
    [
        ("meta-llama/Llama-3.1-8B", "llama-3.1-8b", "bf16"), ("Qwen/Qwen3-8B-FP8", "qwen3-8b", "fp8"),
        ("deepseek-ai/DeepSeek-V3", "deepseek-v3", "fp8-block"), ("openai/gpt-oss-20b", "gpt-oss-20b", "mxfp4"),
    ],
)  # fmt: skip
def test_weights_of_a_log_are_those_of_the_checkpoint_that_it_names(named, preset, stored):
    # what each name, or its config.json, says of quantisation
    log = f"Initializing a V1 LLM engine (v0.33.0) with config: model='{named}', max_seq_len=4096\n" \
          "GPU KV cache size: 100,000 tokens\n"  # fmt: skip
    answer = calculator.reconcile(log, gpu="b200").plan
    assert (answer.model.id, answer.request.weight_dtype) == (preset, stored)


# Switches on a command line


@pytest.mark.parametrize(
    ("words", "flags"),
    # argparse.BooleanOptionalAction, and switches that take a word; what follows a switch may be the next argument
    [
        ("--enable-prefix-caching", {"enable_prefix_caching": True}),
        ("--no-enable-prefix-caching", {"enable_prefix_caching": False}),
        ("--enable-prefix-caching false", {"enable_prefix_caching": False}),
        ("--enable-prefix-caching=False", {"enable_prefix_caching": False}),
        ("--enable_prefix_caching True --tensor-parallel-size 2",
         {"enable_prefix_caching": True, "tensor_parallel_size": 2}),
        ("--enforce-eager --max-num-seqs 7", {"enforce_eager": True, "max_num_seqs": 7}),
        ("--enforce-eager model.json", {"enforce_eager": True}), ("-tp 4", {"tensor_parallel_size": 4}),
        ("-tp=4", {"tensor_parallel_size": 4}),
    ],
)  # fmt: skip
def test_switches_of_a_command_line(words, flags):
    log = calculator.read_log(f"$ vllm serve meta-llama/Llama-3.1-8B {words}\nGPU KV cache size: 1,024 tokens\n")
    found = {name: log.flags.get(name) for name in ("enable_prefix_caching", "enforce_eager", "tensor_parallel_size",
                                                    "max_num_seqs")}  # fmt: skip
    assert {name: value for name, value in found.items() if value is not None} == flags


# A drafter behind the last stage


def test_a_drafters_cache_stands_on_the_last_stage_alone():
    # 32 layers of 2 x 8 x 128 in two halves; behind the second 16 of 2 x 8 x 64; 16 bit, blocks of 16, one kept back
    asked = {"pipeline_parallel_size": 2, "kv_cache_memory_bytes": 10 * GIB, "seq_len": 4_096}
    draft = {"method": "draft_model", "model": "llama-3.2-1b", "num_speculative_tokens": 2}
    plain = calculator.plan("llama-3.1-8b", "h100-sxm", **asked)
    assert plain.num_blocks == 10 * GIB // (16 * 16 * 4_096)
    drafted = calculator.plan("llama-3.1-8b", "h100-sxm", speculative_config=draft, **asked)
    assert drafted.num_blocks == 10 * GIB // (16 * (16 * 4_096 + 16 * 2_048))
    first, last = (stage.memory.draft_bytes for stage in drafted.stages)
    assert (first, last > 0) == (0, True)


# Defaults that are said in two places


def test_defaults_of_tables_are_those_of_the_functions():
    # the command line and the page read the tables, callers of Python the signatures
    made = {field.name: field.default for field in dataclasses.fields(calculator.Workload)}
    tables = (
        (OF_MEANS.fields, made),
        (STEP, defaults_of(calculator.speed)),
        (RISK, defaults_of(calculator.concurrency)),
    )
    for fields, own in tables:
        optional = {name: field.default for name, field in fields.items() if not field.required and name in own}
        assert optional == {name: own[name] for name in optional}
        must_be_said = (inspect.Parameter.empty, dataclasses.MISSING)
        assert set(optional) == {name for name in fields if name in own and own[name] not in must_be_said}


def defaults_of(function):
    return {name: one.default for name, one in inspect.signature(function).parameters.items()}


@pytest.mark.parametrize(
    ("config", "method"),
    # vLLM 0.33.0, config/speculative.py: the method is told by the drafter's name where it is not said
    [
        ({"model": "ngram"}, "ngram"), ({"model": "[ngram]"}, "ngram"), ({"model": "acme/ngram-1b"}, "draft_model"),
        ({"model": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"}, "eagle3"), ({"model": "a/EAGLE-llama2-chat-7B"}, "eagle"),
        ({"model": "llama-3.2-1b"}, "draft_model"), ({}, "draft_model"), ({"method": "deepseek_mtp"}, "mtp"),
        ({"method": "mtp"}, "mtp"), ({"method": "suffix", "model": "ngram"}, "suffix"),
    ],
)  # fmt: skip
def test_how_tokens_are_drafted_is_told_by_the_drafter(config, method):
    assert Speculation({"num_speculative_tokens": 2, **config}).method == method
