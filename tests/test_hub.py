"""Reading a config from the Hub, tried on the client's own cache, without a network."""

import json
from pathlib import Path
from typing import Any

import pytest

import calculator
from calculator.configs.hub import model_from_hub

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


@pytest.mark.parametrize(
    "name",
    [
        "a/..b",
        "a/b..c",
        "a../b",
        "a/.b",
        "a/b.",
        "a/b.git",
        "a/b--c",
        "-a/b",
        "a/b-",
        "a//b",
        "a/../b",
        "a/" + "b" * 97,
    ],
)
def test_a_repository_that_plays_tricks_with_paths_is_refused(name: str) -> None:
    with pytest.raises(calculator.InvalidValueError, match=r"named owner/name, not .*; either is of letters, digits, "):
        model_from_hub(name)


@pytest.mark.parametrize(
    "revision", ["a/../../b", "a..b", "a//b", "a/.b", "a./b", "a.", "a/", "a.lock", "a b", "main\n", ""]
)
def test_a_revision_that_plays_tricks_with_paths_is_refused(revision: str) -> None:
    with pytest.raises(
        calculator.InvalidValueError, match=r"branch, tag or commit, not .*; it is of letters, digits, "
    ):
        model_from_hub("someone/small", revision)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("revision", ["refs/pr/1", "v1.0", "feature/x_y-z", "a", COMMIT])
def test_a_revision_of_every_honest_form_is_asked_for(asked: dict[str, Any], revision: str) -> None:
    model_from_hub("some-one.x/Small_1.0-it", revision)
    assert asked["revision"] == revision


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stand in for the client; return what it is asked for."""
    seen: dict[str, Any] = {}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")

    def download(*_: str, **options: Any) -> str:
        seen.update(options)
        return str(path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    return seen


def test_the_token_of_the_machine_is_used_only_where_it_is_asked_for(asked: dict[str, Any]) -> None:
    model_from_hub("someone/small")
    assert asked["token"] is False
    model_from_hub("someone/small", token=True)
    assert asked["token"] is True
    with pytest.raises(calculator.InvalidValueError, match="a token is text, True for the one saved on this machine"):
        model_from_hub("someone/small", token=None)  # type: ignore[arg-type]


def test_an_error_of_the_client_is_shown_without_secrets_and_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: str, **__: Any) -> str:
        raise OSError(
            "401 for https://me:pass@host/x with hf_abcdefghijkl: '/home/me/.cache/hub/models--a' is locked\nx"
        )

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(calculator.InvalidValueError) as caught:
        model_from_hub("someone/small")
    assert str(caught.value) == (
        "the Hub did not give the config.json of someone/small: 401 for https://•••@host/x with hf_•••: '•••' is locked"
    )


def test_a_file_of_the_cache_is_named_by_its_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"\xff")
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: str(path))
    with pytest.raises(calculator.FileFormatError, match=r"^someone/small/config\.json: not UTF-8 text$"):
        model_from_hub("someone/small")
