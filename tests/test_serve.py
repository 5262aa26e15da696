"""The engines' own command lines: flags and values that the engines' sources accept, and nothing dropped unsaid."""

import csv
import json
import shlex
from collections import Counter
from dataclasses import replace

import pytest
from small_config import CONFIG

import calculator
from calculator.catalogue.presets import data_file
from calculator.catalogue.quantised import TABLE, quantised_repository
from calculator.engines import ENGINES, engine_command
from calculator.planning.command import serve_command

DENSE, SPARSE, LATENT = "llama-3.1-8b", "deepseek-v3.2", "deepseek-v3"
ACCEPTED = {
    # vLLM 0.33.0 config/cache.py CacheDType
    "vllm": {
        "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_ds_mla",
        "int4_per_token_head", "int8_per_token_head", "fp8_per_token_head", "nvfp4",
    },
    # SGLang 0.5.23 arg_groups/fields/model.py kv_cache_dtype
    "sglang": {"fp8_e5m2", "fp8_e4m3", "mxfp8", "bf16", "bfloat16", "nvfp4", "fp4_mx_block16"},
    # TensorRT-LLM commands/serve.py since pull request 11487
    "tensorrt-llm": {"auto", "fp8", "nvfp4"},
    # llama.cpp 0c1e570 common/arg.cpp kv_cache_types
    "llama.cpp": {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"},
}  # fmt: skip


def written(model=DENSE, **asked):
    """Return the words of a command, and what the comment after it names."""
    command, _, comment = serve_command(calculator.plan(model, gpu="b200", seq_len=8192, **asked)).partition("\n")
    return shlex.split(command), comment.removeprefix("# not on the command line: ")


def value(words, flag):
    """Return what stands behind a flag; None without it."""
    assert words.count(flag) <= 1
    return words[words.index(flag) + 1] if flag in words else None


def quantised_cache():
    """A model whose checkpoint asks for a cache in fp8."""
    quantised = {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}
    return calculator.model_from_hf_config(
        {**CONFIG, "quantization_config": quantised, "max_position_embeddings": 8192}
    )


@pytest.mark.parametrize("name", ["enable_prefix_caching", "async_scheduling"])
@pytest.mark.parametrize("asked", [True, False, None])
def test_a_switch_that_is_on_by_default_can_be_turned_off(name, asked):
    # vLLM engine/arg_utils.py: BooleanOptionalAction
    words, comment = written(**{name: asked})
    flag = name.replace("_", "-")
    assert [word for word in words if flag in word] == {True: [f"--{flag}"], False: [f"--no-{flag}"], None: []}[asked]
    assert comment == ""


def test_a_switch_without_such_a_form_is_left_out():
    words, _ = written(enforce_eager=False, enable_expert_parallel=False, language_model_only=False)
    assert not any("eager" in word or "expert" in word or "language" in word for word in words)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_cache_format_that_is_written_is_one_of_the_engines(engine):
    assert set(engine_command(engine).kv_formats.values()) <= ACCEPTED[engine]


@pytest.mark.parametrize(
    ("engine", "asked", "flag"),
    [
        ("vllm", "fp8", "fp8"),
        ("vllm", "nvfp4", "nvfp4"),
        ("vllm", "int8_per_token_head", "int8_per_token_head"),
        ("vllm", "bf16", None),
        ("sglang", "fp8", "fp8_e4m3"),
        ("sglang", "nvfp4", "nvfp4"),
        ("sglang", "fp16", None),
        ("tensorrt-llm", "fp8", "fp8"),
        ("tensorrt-llm", "nvfp4", "nvfp4"),
        ("tensorrt-llm", "bf16", None),
    ],
)
def test_cache_formats_of_servers(engine, asked, flag):
    words, comment = written(engine=engine, kv_cache_dtype=asked)
    assert value(words, calculator.plan(DENSE, gpu="b200", engine=engine).rules.flags["kv_cache_dtype"]) == flag
    assert comment == ""


@pytest.mark.parametrize(
    ("model", "engine", "asked"),
    [
        (DENSE, "vllm", "fp32"),
        (DENSE, "sglang", "fp32"),
        (LATENT, "sglang", "fp8_ds_mla"),
    ],
)
def test_a_cache_format_that_the_engine_lacks_is_said_and_not_written(model, engine, asked):
    words, comment = written(model, engine=engine, kv_cache_dtype=asked)
    assert not any("cache-dtype" in word or "cache_dtype" in word or "cache-type" in word for word in words)
    assert comment == f"kv_cache_dtype {asked}"


def test_fp8_of_an_indexers_model_is_the_packed_layout_on_sglang():
    assert value(written(SPARSE, engine="sglang", kv_cache_dtype="fp8_ds_mla")[0], "--kv-cache-dtype") == "fp8_e4m3"
    assert value(written(SPARSE, engine="sglang")[0], "--kv-cache-dtype") == "bfloat16"  # auto would be fp8 there


@pytest.mark.parametrize(
    ("engine", "asked", "flag", "named"),
    [
        ("vllm", "bf16", "bfloat16", ""),
        ("vllm", "float16", "float16", ""),
        ("vllm", "auto", "fp8", ""),
        ("sglang", "bf16", "bfloat16", ""),
        ("sglang", "fp16", None, "kv_cache_dtype fp16"),
    ],
)
def test_16_bit_is_written_where_the_checkpoint_asks_for_another_format(engine, asked, flag, named):
    words, comment = written(quantised_cache(), engine=engine, kv_cache_dtype=asked)
    assert (value(words, "--kv-cache-dtype"), comment) == (flag, named)


@pytest.mark.parametrize(
    ("asked", "slots", "cells"),
    [
        ({}, "1", "8192"),
        ({"batch_size": 3}, "3", "24576"),
        ({"max_num_seqs": 2, "batch_size": 3}, "2", "16384"),
        ({"seq_len": 1000, "batch_size": 2}, "2", "2048"),
    ],
)
def test_llama_cpp_has_as_many_slots_as_the_plan(asked, slots, cells):
    plan = calculator.plan(DENSE, gpu="b200", engine="llama.cpp", **{"seq_len": 8192, **asked})
    words = shlex.split(serve_command(plan))
    assert (value(words, "--parallel"), value(words, "--ctx-size")) == (slots, cells)


@pytest.mark.parametrize(("tokens", "batch"), [(512, None), (2048, None), (2049, "2049"), (4096, "4096")])
def test_llama_cpp_needs_a_batch_as_wide_as_the_micro_batch(tokens, batch):
    words, _ = written(engine="llama.cpp", max_num_batched_tokens=tokens)
    assert (value(words, "--ubatch-size"), value(words, "--batch-size")) == (str(tokens), batch)


def test_llama_cpp_names_what_it_has_no_flag_for():
    words, comment = written(
        engine="llama.cpp", data_parallel_size=2, gpu_memory_utilization=0.5, weight_dtype="q8_0", block_size=256
    )
    assert shlex.join(words) == (
        "llama-server --model llama-3.1-8b.gguf --ctx-size 8192 --cache-type-k bf16 --cache-type-v bf16 --parallel 1"
    )
    assert comment == "data_parallel_size 2, gpu_memory_utilization 0.5"


@pytest.mark.parametrize(
    ("engine", "size", "flags"),
    [
        ("vllm", 8, " --enable-expert-parallel"),
        ("sglang", 8, " --ep-size 8"),
        ("sglang", 1, ""),
        ("tensorrt-llm", 8, " --ep_size 8"),
    ],
)
def test_expert_parallelism(engine, size, flags):
    asked = {"engine": engine, "tensor_parallel_size": size, "max_num_seqs": 1}
    with_it, comment = written(LATENT, enable_expert_parallel=True, **asked)
    without, _ = written(LATENT, **asked)
    assert shlex.join(with_it).replace(flags, "") == shlex.join(without)
    assert flags in shlex.join(with_it)
    assert comment == ""


def test_experts_shared_by_replicas_are_vllms_alone():
    asked = {"tensor_parallel_size": 8, "data_parallel_size": 2, "enable_expert_parallel": True}
    assert written(LATENT, **asked)[1] == ""
    words, comment = written(LATENT, engine="sglang", **asked)
    assert (value(words, "--dp-size"), value(words, "--ep-size")) == ("2", "8")
    assert comment == ""


def test_pipeline_and_data_parallelism():
    asked = {"pipeline_parallel_size": 2, "data_parallel_size": 4}
    assert "--pipeline-parallel-size 2 --data-parallel-size 4" in shlex.join(written(**asked)[0])
    assert "--pp-size 2 --dp-size 4" in shlex.join(written(engine="sglang", **asked)[0])
    words, comment = written(engine="tensorrt-llm", **asked)
    assert (value(words, "--pp_size"), comment) == ("2", "data_parallel_size 4")


def test_attention_dp_of_sglang_has_one_dp_size():
    asked = {"engine": "sglang", "tensor_parallel_size": 8, "enable_attention_dp": True}
    words, comment = written(LATENT, **asked)
    assert shlex.join(words).count("--enable-dp-attention --dp-size 8") == shlex.join(words).count("--dp-size") == 1
    assert comment == ""
    words, comment = written(LATENT, data_parallel_size=2, **asked)
    assert (value(words, "--dp-size"), comment) == ("8", "data_parallel_size 2")


def test_sglang_counts_the_sequences_of_all_ranks_of_attention_dp():
    asked = {"engine": "sglang", "tensor_parallel_size": 8, "max_num_seqs": 16}
    assert value(written(LATENT, enable_attention_dp=True, **asked)[0], "--max-running-requests") == "128"
    assert value(written(LATENT, **asked)[0], "--max-running-requests") == "16"


def test_tensorrt_llm_says_what_goes_into_its_yaml_file():
    words, comment = written(
        LATENT, engine="tensorrt-llm", tensor_parallel_size=8, enable_attention_dp=True, block_size=64
    )
    assert "--tp_size" in words
    assert comment == (
        "enable_attention_dp, block_size 64; in the YAML file of --extra_llm_api_options (--config in newer versions): "
        "enable_attention_dp, kv_cache_config.tokens_per_block"
    )


def test_tensorrt_llm_has_a_flag_for_the_cache_since_1_3():
    words, comment = written(engine="tensorrt-llm", engine_version="1.2", kv_cache_dtype="fp8")
    assert "--kv_cache_dtype" not in words
    assert comment.startswith("kv_cache_dtype fp8_e4m3; in the YAML file")
    assert comment.endswith(": kv_cache_config.dtype")


@pytest.mark.parametrize(
    ("asked", "flags"),
    [
        ({"weight_dtype": "fp8"}, "--quantization fp8_per_tensor"),
        ({"weight_dtype": "fp8", "engine_version": "0.30"}, "--quantization fp8"),
        ({"weight_dtype": "fp8-block"}, "--quantization fp8_per_block"),
        ({"weight_dtype": "nf4", "engine_version": "0.27"}, "--quantization bitsandbytes"),
        ({"weight_dtype": "fp16"}, "--dtype float16"),
        ({"weight_dtype": "fp32"}, "--dtype float32 --kv-cache-dtype bfloat16"),
        ({"weight_dtype": "fp8", "engine": "sglang"}, "--quantization fp8"),
        ({"weight_dtype": "nf4", "engine": "sglang"}, "--quantization bitsandbytes --load-format bitsandbytes"),
        ({"weight_dtype": "fp16", "engine": "sglang"}, "--dtype float16"),
    ],
)
def test_weights_that_the_engine_converts_while_loading(asked, flags):
    words, comment = written(**asked)
    assert f" {flags} --" in shlex.join(words)
    assert comment == ""


def test_weights_are_taken_from_the_repository_that_has_them_where_one_is_known():
    with data_file(TABLE).open(encoding="utf-8") as file:
        rows = [row["repository"] for row in csv.DictReader(file)]
    for repository in rows:
        model = calculator.load_model(repository)
        preset = calculator.load_model(model.id)
        assert model.weight_dtype != preset.weight_dtype, repository
        assert quantised_repository(preset, model.weight_dtype) in rows
    for engine in ("vllm", "sglang", "tensorrt-llm"):
        words, comment = written("qwen2.5-72b", engine=engine, weight_dtype="awq-int4")
        assert "Qwen/Qwen2.5-72B-Instruct-AWQ" in words
        assert (comment, "Qwen/Qwen2.5-72B" in words) == ("", False)
    # fp8 of a tensor is made on loading; a varied model is nobody's checkpoint; its own format names its own repository
    assert "meta-llama/Llama-3.3-70B-Instruct" in written("llama-3.3-70b", weight_dtype="fp8")[0]
    varied = calculator.load_model("qwen2.5-72b").with_kv_heads(4)
    assert written(varied, weight_dtype="awq-int4")[1] == "weight_dtype awq-int4 (needs a checkpoint in it)"
    assert "Qwen/Qwen2.5-72B" in written("qwen2.5-72b")[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_no_command_states_a_length_that_the_model_is_not_made_for(engine):
    """LLaMA 3 8B is made for 8,192 tokens; the plan is of 20,000, which a note says first."""
    answer = calculator.plan("llama-3-8b", gpu="h100-sxm", seq_len=20_000, engine=engine)
    command, _, comment = serve_command(answer).partition("\n")
    assert value(shlex.split(command), answer.rules.flags["seq_len"]) == "8192"
    assert comment.startswith("# not on the command line: seq_len 20000 (the model is made for 8192)")
    assert answer.notes[0].key == "notes.beyond_the_model"


@pytest.mark.parametrize(
    ("engine", "asked"),
    [
        ("vllm", "int8"),
        ("vllm", "nvfp4"),
        ("vllm", "gptq-int4"),
        ("sglang", "int8"),
        ("sglang", "nvfp4"),
        ("sglang", "gptq-int4"),
        ("tensorrt-llm", "fp8"),
    ],
)
def test_weights_that_need_a_checkpoint_of_their_own_are_said_and_not_written(engine, asked):
    words, comment = written(engine=engine, weight_dtype=asked)
    assert not any(word in ("--quantization", "--dtype") for word in words)
    assert comment == f"weight_dtype {asked} (needs a checkpoint in it)"


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
@pytest.mark.parametrize(("model", "own"), [(DENSE, "bf16"), (LATENT, "fp8-block")])
def test_a_checkpoints_own_weight_format_needs_no_words(engine, model, own):
    assert written(model, engine=engine, weight_dtype=own) == written(model, engine=engine)


def test_a_quantised_checkpoint_is_not_converted():
    assert written(LATENT, weight_dtype="fp8")[1] == "weight_dtype fp8 (needs a checkpoint in it)"


@pytest.mark.parametrize(("asked", "shown"), [(0.9123456, "0.9123456"), (0.9, "0.9"), (1 / 3, "0.3333333333333333")])
@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_the_utilisation_is_written_whole(engine, asked, shown):
    flag = calculator.plan(DENSE, gpu="b200", engine=engine).rules.flags["gpu_memory_utilization"]
    assert value(written(engine=engine, gpu_memory_utilization=asked)[0], flag) == shown


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", [DENSE, "qwen3-30b-a3b", "gemma-3-27b"])
def test_no_flag_is_written_twice(engine, model):
    words, comment = written(
        model, engine=engine, kv_cache_dtype="bf16", enable_expert_parallel=True, data_parallel_size=2,
        max_num_seqs=4, max_num_batched_tokens=4096, gpu_memory_utilization=0.8, enforce_eager=True, batch_size=2,
    )  # fmt: skip
    assert max(Counter(word for word in words if word.startswith("--")).values()) == 1
    assert "\n" not in comment


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("me/x; rm -rf ~", "'me/x; rm -rf ~'"),
        ("me/$(id)`id`", "'me/$(id)`id`'"),
        ("me/it's", "'me/it'\"'\"'s'"),
        ("me/a\nreboot #", r"$'me/a\U0000000areboot #'"),
        ("me/\x1b[2J\\'\u202e", r"$'me/\U0000001b[2J\\\'\U0000202e'"),
    ],
)
def test_a_foreign_name_is_one_word_on_one_line(name, word):
    model = replace(calculator.model_from_hf_config(CONFIG), huggingface_id=name)
    command, _, comment = serve_command(
        calculator.plan(model, gpu="b200", seq_len=8192, engine="tensorrt-llm", enable_attention_dp=True)
    ).partition("\n")
    assert word in command
    assert comment.startswith("# not on the command line: ")
    assert "\n" not in comment


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("Llama 3.1 8B", "meta-llama/Llama-3.1-8B"),
        ("llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("META-LLAMA/Llama-3.1-8B-Instruct", "META-LLAMA/Llama-3.1-8B-Instruct"),
        ("qwen3-8b-awq", "qwen3-8b-awq"),  # Qwen/Qwen3-8B is no checkpoint in that format
    ],
)
def test_a_command_names_a_repository_where_one_is_meant(name, repository):
    assert written(name)[0][:3] == ["vllm", "serve", repository]


def test_a_drafter_is_named_by_its_repository():
    draft = {"method": "draft_model", "model": "llama-3.2-1b", "num_speculative_tokens": 3}
    said = json.loads(value(written(speculative_config=draft)[0], "--speculative-config"))
    assert said["model"] == "meta-llama/Llama-3.2-1B"
    words, _ = written(speculative_config=draft, engine="sglang")
    assert value(words, "--speculative-draft-model-path") == "meta-llama/Llama-3.2-1B"
