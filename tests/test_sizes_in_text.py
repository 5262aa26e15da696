"""Sizes as people write them, in every face, and keywords that are misspelt."""

import inspect

import pytest

import calculator
from calculator.cli.main import main
from calculator.units import parse_bytes, parse_tokens

GIB = 2**30


@pytest.mark.parametrize(
    ("text", "tokens"),
    # vLLM 0.33.0, utils/argparse_utils.py, human_readable_int: 1k is 1,000, 1K is 1,024, 25.6k is 25,600
    [("1k", 1_000), ("1K", 1_024), ("25.6k", 25_600), ("2m", 2_000_000), ("2M", 2 * 2**20), ("8Ki", 8_192),
     ("1Mi", 2**20), ("8 K", 8_192), ("8K tokens", 8_192), ("8192", 8_192), (" 8k ", 8_000)],
)  # fmt: skip
def test_tokens_as_an_engine_reads_them(text, tokens):
    assert parse_tokens(text) == tokens


@pytest.mark.parametrize("text", ["25.6K", "8G", "8kk", "1.5Ki", "0.0001k", "k", "8 thousand", "-8K"])
def test_what_could_mean_several_numbers_of_tokens_is_refused(text):
    with pytest.raises(calculator.InvalidValueError, match=r"is not a number of tokens|is no whole number of 1,024s"):
        parse_tokens(text)


def test_letters_behind_bytes():
    assert [parse_bytes(text) for text in ("512M", "512Mi", "512m", "4K", "78GiB")] == [
        512 * 2**20, 512 * 2**20, 512 * 10**6, 4096, 78 * GIB,
    ]  # fmt: skip
    with pytest.raises(calculator.InvalidValueError, match="a bare G could mean either"):
        parse_bytes("20G")


def test_a_plan_takes_sizes_in_text_and_shows_the_numbers():
    in_text = {"seq_len": "8K", "gpu_memory_bytes": "78GiB", "max_num_batched_tokens": "4k"}
    answer = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, **in_text)
    assert (answer.request.seq_len, answer.request.gpu_memory_bytes) == (8_192, 78 * GIB)
    assert answer.request.max_num_batched_tokens == 4_000
    assert answer.asked["seq_len"] == 8_192
    assert calculator.vary(answer, seq_len="4K").request.seq_len == 4_096
    with pytest.raises(calculator.InvalidValueError, match=r"^seq_len cannot be read: '8G' is not a number of tokens"):
        calculator.plan("llama-3-8b", gpu="h200", seq_len="8G")
    # what is no size keeps its own refusal
    with pytest.raises(calculator.InvalidValueError, match="tensor_parallel_size must be a whole number"):
        calculator.plan("llama-3-8b", gpu="h200", tensor_parallel_size="2K")


def test_everything_else_takes_them_too(tmp_path, capsys):
    # 2 x 8 KV heads x 128 x 80 layers x 2 bytes = 327,680 a token
    assert calculator.kv_cache_bytes("llama-3-70b", seq_len="8K") == 8_192 * 327_680
    assert list(calculator.kv_cache_bytes("llama-3-70b", seq_len=["1K", 10])) == [1_024 * 327_680, 3_276_800]
    assert list(calculator.sweep("llama-3-8b", gpu="h200", seq_len=["1k", "1K"])["seq_len"]) == [1_000, 1_024]
    assert calculator.Workload(requests_per_second=1, prompt_tokens="2k", output_tokens=9).prompt_tokens == 2_000
    found = calculator.size("llama-3-8b", users=2, seq_len="8K", gpus="h100-sxm")
    assert found.best.plan.request.seq_len == 8_192
    assert calculator.what_runs("h200", min_context="8K", models=["llama-3-8b"]).min_context == 8_192
    assert calculator.attention_memory("llama-3-8b", "1K") == calculator.attention_memory("llama-3-8b", 1_024)
    path = tmp_path / "plan.yaml"
    path.write_text(
        "deployments:\n- name: a\n  model: llama-3-8b\n  gpu: h200\n  seq_len: 8K\n  gpu_memory_bytes: 78 GiB\n"
        "  expect: {fits: true}\n"
    )
    (deployment,) = calculator.read_plan_file(path)
    assert (deployment.plan.request.seq_len, deployment.plan.request.gpu_memory_bytes) == (8_192, 78 * GIB)
    assert main(["kv", "--model", "llama-3-70b", "--seq-len", "8K", "--format", "json"]) == 0
    assert f"{8_192 * 327_680}" in capsys.readouterr().out
    path.write_text(path.read_text().replace("8K", "8G"))
    with pytest.raises(calculator.FileFormatError, match=r"plan.yaml:5: .*seq_len.* '8G' is not a number of tokens"):
        calculator.read_plan_file(path)


TAKES = [name for name in calculator.__all__ if inspect.isfunction(getattr(calculator, name))]


@pytest.mark.parametrize("name", [name for name in TAKES if inspect.signature(getattr(calculator, name)).parameters])
def test_a_misspelt_keyword_is_answered_with_the_near_ones(name):
    function = getattr(calculator, name)
    first = next(iter(inspect.signature(function).parameters))
    with pytest.raises(calculator.CalculatorError, match=rf"unknown (keyword|field).*'{first}_'"):
        function(**{f"{first}_": None})


@pytest.mark.parametrize(
    ("keyword", "value", "meant"),
    [
        ("weight_dtype", "int4", "awq-int4 or gptq-int4"),
        ("kv_cache_dtype", "int8", "int8_per_token_head"),
        ("kv_cache_dtype", "int4", "int4_per_token_head"),
        ("weight_dtype", "fp4", "mxfp4 or nvfp4"),
    ],
)
def test_a_format_that_is_half_said_names_what_it_could_be(keyword, value, meant):
    with pytest.raises(calculator.UnknownNameError, match=f"'{value}': did you mean {meant}"):
        calculator.plan("llama-3-8b", gpu="h200", **{keyword: value})
