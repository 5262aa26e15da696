"""Small refusals: files that expect nothing, names beside a nested field, reports that cannot be written."""

import subprocess
import sys
from pathlib import Path

import pytest

import calculator
from calculator.planning.files import checks

DEPLOYMENT = """\
deployments:
  - name: chat
    model: llama-3-70b
    gpu: a100-80gb-sxm
    tensor_parallel_size: 4
    expect:{expect}
"""


def refusal(tmp_path: Path, content: str) -> str:
    path = tmp_path / "file.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(calculator.FileFormatError) as caught:
        checks.check_file(path)
    return str(caught.value).removeprefix(str(path))


def test_a_deployment_must_expect_something(tmp_path: Path) -> None:
    text = refusal(tmp_path, DEPLOYMENT.format(expect=" {}"))
    assert text.startswith(
        ":6: deployments: 0 (chat): expect: expects nothing: name at least one of fits, min_batch_size"
    )


def test_an_unknown_expectation_is_told_the_near_ones(tmp_path: Path) -> None:
    text = refusal(tmp_path, DEPLOYMENT.format(expect="\n      min_batch: 4"))
    assert text.startswith(
        ":7: deployments: 0 (chat): expect: min_batch: unknown field 'expect.min_batch': did you mean "
    )
    assert "min_batch_size" in text
    assert "tensor_parallel_size" not in text


@pytest.mark.parametrize("section", ["models", "gpus"])
def test_a_file_must_hold_presets(tmp_path: Path, section: str) -> None:
    assert refusal(tmp_path, f"{section}: {{}}\n") == f":1: {section}: holds no presets"


def test_a_price_range_must_rise(tmp_path: Path) -> None:
    gpu = "gpus:\n  x:\n    name: X\n    vendor: Y\n    reported_mib: 1000\n    gpus_per_node: 1\n    sources: Z\n"
    text = refusal(tmp_path, gpu + "    price_usd_per_hour_low: 2.0\n    price_usd_per_hour_high: 1.0\n")
    assert text == ":8: x: price_usd_per_hour_low: price_usd_per_hour_low 2 is more than the high 1"


def test_a_format_that_does_not_suit_is_a_row_of_a_sweep() -> None:
    frame = calculator.sweep(
        "falcon-7b", gpu="h100-sxm", engine="llama.cpp", kv_cache_dtype=["fp16", "q8_0"], seq_len=128
    )
    assert frame["refused"].tolist() == ["", ""]
    odd = calculator.custom_model(
        num_layers=2, num_attention_heads=8, num_key_value_heads=8, head_dim=80, hidden_size=640, intermediate_size=64,
        vocab_size=1000, max_position_embeddings=512, tie_word_embeddings=False,
    )  # fmt: skip
    frame = calculator.sweep(odd, gpu="h100-sxm", engine="llama.cpp", kv_cache_dtype=["fp16", "q8_0"], seq_len=128)
    assert frame["refused"].str.contains("multiple of 32").tolist() == [False, True]
    assert frame["kv_bytes_per_sequence"].isna().tolist() == [False, True]


@pytest.mark.parametrize("redirect", [">/dev/full", ">&-"])
def test_a_report_that_cannot_be_written_is_said(redirect: str) -> None:
    command = f"{sys.executable} -m calculator models {redirect}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the report cannot be written: ")
    assert done.stderr.count("\n") == 1


def test_flags_are_not_abbreviated() -> None:
    command = [sys.executable, "-m", "calculator", "kv", "--model", "llama-3-70b", "--seq", "5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "required: --seq-len" in done.stderr
