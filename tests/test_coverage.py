"""The table of what is read: tables of other libraries are read as text, and each type is read, aliased or refused."""

import pytest

import calculator
from calculator.engines.vllm import coverage

SOURCE = """
from collections import OrderedDict
NAMES = OrderedDict([("llama", "LlamaForCausalLM"), ("qwen2", "Qwen2ForCausalLM")])
MODELS: dict[str, tuple[str, str]] = {"LlamaForCausalLM": ("llama", "LlamaForCausalLM")}
COMPUTED = {name: name for name in ("a", "b")}
"""
SIZES = {
    "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 1000,
    "max_position_embeddings": 2048,
}  # fmt: skip


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "registry.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


def test_a_table_is_read_from_the_source_alone(module):
    assert coverage.literal(module, "NAMES") == {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}
    assert coverage.literal(module, "MODELS") == {"LlamaForCausalLM": ("llama", "LlamaForCausalLM")}


@pytest.mark.parametrize(("name", "said"), [("COMPUTED", "is no plain table"), ("OTHER", "has no OTHER")])
def test_a_table_that_is_not_plain_is_refused(module, name, said):
    with pytest.raises(calculator.InvalidValueError, match=said):
        coverage.literal(module, name)


@pytest.mark.parametrize(
    ("kind", "state", "why"),
    [
        ("llama", coverage.READ, "llama"),
        ("phi4mm", coverage.ALIAS, "phi3"),
        ("qwen3_moe", coverage.READ, "its default leaves out what decides: num_experts"),
        (
            "rwkv",
            coverage.REFUSED,
            "model_type 'rwkv' is known and not read: it has a recurrence whose state was not read",
        ),
    ],
)
def test_a_type_is_read_aliased_or_refused(kind, state, why):
    assert coverage.of_kind(kind, kind, SIZES) == coverage.Covered(kind, kind, state, why)


def test_the_page_counts_what_it_lists():
    rows = [coverage.of_kind(kind, kind, SIZES) for kind in ("llama", "phi4mm", "rwkv")]
    page = coverage.written([("a library", rows)])
    assert "3 names: 1 read, 1 read as another type, 1 refused; 67% are read." in page
    assert "| phi4mm | phi4mm | read as another type | phi3 |" in page
