"""The model that llama.cpp's start-up log describes: the metadata of its file, as printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calculator.architecture.model import ModelArchitecture
from calculator.configs.checkpoints.gguf.header import Header
from calculator.configs.checkpoints.gguf.metadata import config_of
from calculator.configs.checkpoints.safetensors import Tensor
from calculator.configs.reader import model_from_hf_config
from calculator.errors import CalculatorError

PAIR = re.compile(r"llama_model_loader: - kv {1,6}+[0-9]{1,4}: {1,80}+([\w.]{3,120}+) {1,40}+([a-z]{1,4}+.{0,2000})")
SIZE = re.compile(
    r"(?:print_info|llm_load_print_meta): (n_\w{1,40}+|arch|ssm_\w{1,40}+|model params) {0,40}+= (.{1,2000})"
)
DESCRIBED = (PAIR, SIZE)
"""A pair of metadata, and the sizes that are printed once more."""
PRINTED: Mapping[str, str] = {
    "n_ctx_train": "context_length", "n_embd": "embedding_length", "n_layer": "block_count",
    "n_head": "attention.head_count", "n_head_kv": "attention.head_count_kv", "n_embd_head_k": "attention.key_length",
    "n_embd_head_v": "attention.value_length", "n_ff": "feed_forward_length", "n_expert": "expert_count",
    "n_expert_used": "expert_used_count", "n_vocab": "vocab_size", "n_swa": "attention.sliding_window",
    "ssm_d_conv": "ssm.conv_kernel", "ssm_d_inner": "ssm.inner_size", "ssm_d_state": "ssm.state_size",
    "ssm_dt_rank": "ssm.time_step_rank", "ssm_n_group": "ssm.group_count",
}  # fmt: skip
"""What a size that is printed again is called in the metadata; 0 there stands for none."""
_TYPED = re.compile(r"(?:[iuf][0-9]{1,2}|bool|str|arr\[(\w{2,8}),([0-9]{1,9})\])\s{0,40}= (.*)", re.DOTALL)
_PARAMS = re.compile(r"([0-9.]{1,12}) ([MBT])\b")
_MULTIPLES = {"M": 1e6, "B": 1e9, "T": 1e12}


def described(said: Mapping[str, str]) -> ModelArchitecture | None:
    """Return the model that printed metadata describe, None where they do not say all that decides its layers.

    Parameters
    ----------
    said : mapping
        Names and values as printed [-].

    Returns
    -------
    ModelArchitecture or None
        Its layers; the format of its weights is not among them.
    """
    values = _values(said)
    name = str(values.get("general.name") or values.get("general.architecture") or "")
    found: list[ModelArchitecture] = []
    for ends in ([Tensor("output.weight", "F16", 0, 0)], []):
        try:
            found.append(model_from_hf_config(config_of(Header(dict(values), list(ends)), "the log"), name))
        except CalculatorError:
            return None
    number = _PARAMS.match(said.get("model params", ""))
    if not number:
        return found[0]
    size = float(number[1]) * _MULTIPLES[number[2]]
    return min(found, key=lambda model: abs(model.num_parameters - size))


def _values(said: Mapping[str, str]) -> dict[str, Any]:
    """Return metadata by their keys: those that are printed whole, else the sizes that are printed once more."""
    values: dict[str, Any] = {}
    for key, text in said.items():
        typed = _TYPED.match(text) if "." in key else None
        if typed and typed[2]:
            values[f"#{key}"] = int(typed[2])
        value = _read(typed[3]) if typed else None
        if value is not None:
            values[key] = value
    kind = values.setdefault("general.architecture", said.get("arch", "").strip())
    for name, key in PRINTED.items():
        value = _read(said.get(name, "0"))
        if value and f"{kind}.{key}" not in values:
            values[f"{kind}.{key}"] = value
    return values


def _read(text: str) -> Any:
    """Return a printed value; None for a list that is not printed to its end."""
    text = text.strip()
    if text.startswith("["):
        items = [_read(item) for item in text.strip("[]").split(",")]
        return items if text.endswith("]") and all(isinstance(item, int) for item in items) else None
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?[0-9]{1,15}", text) else text or None
