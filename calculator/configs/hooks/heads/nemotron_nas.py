"""Nemotron-NAS: a list describes the layers one by one: KV heads, MLP width, or neither.

References
----------
The remote code of Nemotron-NAS; vLLM 0.33.0, ``model_executor/models/nemotron_nas.py``.
"""

from __future__ import annotations

from typing import Any

from calculator.architecture import blocks
from calculator.architecture.groups import divisors_of
from calculator.architecture.layers import FullAttention, LayerSpec, NoCache
from calculator.architecture.matrices import WeightMatrix
from calculator.configs.blocks.builder import Layer
from calculator.configs.blocks.layers import Assembler
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say


class BlockConfigs(Assembler):
    """Layers are what ``block_configs`` says of each."""

    def widest_mlp(self) -> int:
        """Return 0: widths are multiples that the list gives."""
        return 0

    def each_layer(self) -> list[Layer]:
        """Return the layers of the list."""
        configs = self.keys.value("block_configs")
        if not isinstance(configs, list) or len(configs) != self.num_layers:
            raise InvalidValueError(
                say(
                    "nemotron_nas.block_configs_must_list",
                    "block_configs must list the {num_layers:,} layers",
                    num_layers=self.num_layers,
                )
            )
        built: list[Layer] = []
        for index, config in enumerate(configs):
            attention, ffn = _part(config, "attention", index), _part(config, "ffn", index)
            spec: LayerSpec = NoCache()
            weights: list[WeightMatrix] = []
            if not attention.get("no_op"):
                ratio = attention.get("n_heads_in_group")
                if type(ratio) is not int or ratio < 1 or self.heads % ratio:
                    raise InvalidValueError(
                        say(
                            "nemotron_nas.block_configs_layer_n",
                            "block_configs: layer {index}: n_heads_in_group {ratio} does not divide the heads",
                            index=index,
                            ratio=shown(ratio),
                        )
                        + _nearest(self.heads, ratio),
                        what="block_configs",
                        asked=ratio,
                        allowed=divisors_of(self.heads),
                    )
                groups = self.heads // ratio
                spec = FullAttention(groups, self.head_dim, self.head_dim)
                weights += blocks.attention(self.hidden, self.heads, groups, self.head_dim, self.head_dim, *self.biases)
                weights += blocks.norms(self.hidden, 1)
            if not ffn.get("no_op"):
                multiplier = ffn.get("ffn_mult")
                if not isinstance(multiplier, int | float) or isinstance(multiplier, bool) or not 0 < multiplier < 1000:
                    raise InvalidValueError(
                        say(
                            "nemotron_nas.block_configs_layer_ffn",
                            "block_configs: layer {index}: ffn_mult {multiplier} is not a width",
                            index=index,
                            multiplier=shown(multiplier),
                        )
                    )
                weights += blocks.mlp(self.hidden, _ffn_width(multiplier, self.hidden), gated=True)
                weights += blocks.norms(self.hidden, 1)
            built.append((spec, tuple(weights)))
        return built


def _nearest(heads: int, asked: Any) -> str:
    """Say which number nearest to one asked for divides the heads; nothing where no number is asked for."""
    if type(asked) is not int:
        return ""
    return f"; the nearest that does is {min(divisors_of(heads), key=lambda each: (abs(each - asked), each))}"


def _part(config: Any, name: str, index: int) -> dict[str, Any]:
    part = config.get(name) if isinstance(config, dict) else None
    if not isinstance(part, dict):
        raise InvalidValueError(
            say(
                "nemotron_nas.block_configs_layer_missing",
                "block_configs: layer {index}: {name} is missing",
                index=index,
                name=name,
            )
        )
    for key in ("replace_with_linear", "sparsify", "window_length", "num_sink_tokens", "unshifted_sink"):
        if part.get(key):
            raise UnsupportedError(
                say(
                    "nemotron_nas.block_configs_layer_not",
                    "block_configs: layer {index}: {name}: {key_} is not understood",
                    index=index,
                    name=name,
                    key_=key,
                )
            )
    return part


def _ffn_width(multiplier: float, hidden: int) -> int:
    width = int(2 * multiplier * hidden / 3)
    return -(-width // 256) * 256
