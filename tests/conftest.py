"""What every test module shares: one small model to build others from, and reproducible property tests."""

import gc
import os

import pytest
from hypothesis import settings

import calculator
from calculator.cli.main import main

settings.register_profile("stable", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("fuzz", deadline=None, max_examples=20_000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "stable"))


def pytest_collection_finish():
    """Take all that is imported and collected out of the collector's sight: Streamlit collects after every script."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def fields():
    """The fields of a small decoder, for ``custom_model``."""
    return {
        "num_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 64,
        "hidden_size": 512,
        "intermediate_size": 1024,
        "vocab_size": 1000,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": True,
    }


@pytest.fixture
def reference():
    """The reference deployment: LLaMA 3 70B in bf16 on 4 x A100 80GB, 8,192 tokens, all else by default."""
    return calculator.plan(
        "llama-3-70b",
        gpu="a100-80gb-sxm",
        tensor_parallel_size=4,
        seq_len=8192,
        weight_dtype="bf16",
    )


@pytest.fixture
def run(capsys):
    """Return a function that runs a command in this process: exit code, stdout, stderr."""

    def command(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = exit_.code
        return (code, *capsys.readouterr())

    return command
