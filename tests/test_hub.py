"""Reading a config from the Hub, tried on the client's own cache, without a network."""

import json
from pathlib import Path

import pytest

import calculator
from calculator.hub import model_from_hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 512,
    "num_attention_heads": 4, "num_key_value_heads": 2,
    "vocab_size": 1000, "max_position_embeddings": 2048, "torch_dtype": "bfloat16",
    "tie_word_embeddings": False, "auto_map": {"AutoModel": "evil.py"},
}  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out the client's cache as it does itself, and forbid it the network."""
    from huggingface_hub import constants

    repository = tmp_path / "models--someone--small"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT, encoding="utf-8")
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


@pytest.mark.usefixtures("cache")
def test_the_revision_is_recorded_and_no_code_is_asked_for() -> None:
    model = model_from_hub("someone/small")
    # 2 layers x 2 KV heads x 64 x (K and V) x 2 bytes
    assert model.kv_bytes_per_token("fp16") == 1_024
    assert model.source == f"Hub: someone/small at revision {COMMIT}"
    assert "auto_map" in model.ignored_keys


@pytest.mark.usefixtures("cache")
def test_a_hub_that_does_not_answer_is_said() -> None:
    with pytest.raises(calculator.InvalidValueError, match=r"the Hub did not give the config\.json of someone/other: "):
        model_from_hub("someone/other")


@pytest.mark.parametrize("name", ["", "x", "../etc/passwd", "a/b/c", "a/b\n", "<b>/x", 5, None])
def test_what_names_no_repository_is_refused(name: object) -> None:
    with pytest.raises(calculator.InvalidValueError, match="a repository on the Hub is named owner/name, not"):
        model_from_hub(name)  # type: ignore[arg-type]


def test_a_revision_that_is_none_is_refused() -> None:
    with pytest.raises(calculator.InvalidValueError, match="a revision is a branch, tag or commit, not"):
        model_from_hub("someone/small", "--upload-pack=x")
