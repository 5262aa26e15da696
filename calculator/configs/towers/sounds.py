"""Types of encoders of sound: their matrices, and those of what joins them to the text decoder.

References
----------
transformers 5.23.0, the parameters of the classes of these model types on the meta device.
"""

from __future__ import annotations

from collections.abc import Mapping

from calculator.configs.keys import Keys
from calculator.configs.towers.shapes import Kind, Shape, Shapes, blocks, linear, sizes

WHISPER = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_mel_bins": 128,
    "max_source_positions": 1500,
}  # fmt: skip
CONVOLUTIONS = {
    "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_mel_bins": 128,
    "downsample_hidden_size": 480, "output_dim": 3584,
}  # fmt: skip


def _layers(keys: Keys) -> Shapes:
    """Yield Whisper's encoder without its positions: two convolutions, the layers, the last norm."""
    width, inner, layers = sizes(keys)
    yield from linear(width, 3 * keys.count("num_mel_bins"))
    yield from linear(width, 3 * width)
    yield from blocks(width, inner, layers, 6, biased=2)
    yield Shape(width, 1, 2)


def _whisper(keys: Keys) -> Shapes:
    yield from _layers(keys)
    yield Shape(keys.count("hidden_size"), keys.count("max_source_positions"))


def _one_matrix(keys: Keys, outer: Keys, hidden: int) -> Shapes:  # noqa: ARG001
    yield from _whisper(keys)
    yield from linear(hidden, keys.count("hidden_size"))


def _two_matrices(keys: Keys, outer: Keys, hidden: int) -> Shapes:
    bias = outer.value("projector_bias") is not False
    yield from _whisper(keys)
    yield from linear(hidden, keys.count("hidden_size"), bias)
    yield from linear(hidden, hidden, bias)


def _frames_at_once(keys: Keys, outer: Keys, hidden: int) -> Shapes:  # noqa: ARG001
    """Voxtral: so many frames are joined as the MLP is wide."""
    yield from _whisper(keys)
    yield from (Shape(hidden, keys.count("intermediate_size")), Shape(hidden, hidden))


def _with_borders(keys: Keys, outer: Keys, hidden: int) -> Shapes:  # noqa: ARG001
    """Qwen 2.5 Omni: positions are no parameters, and two tokens stand around a sound."""
    out = keys.count("output_dim")
    yield from _layers(keys)
    yield from linear(out, keys.count("hidden_size"))
    yield Shape(out, 2)


def _three_convolutions(keys: Keys, outer: Keys, hidden: int) -> Shapes:  # noqa: ARG001
    """Qwen 3: convolutions over time and frequency, and two matrices behind the layers."""
    width, inner, layers = sizes(keys)
    channels, out = keys.count("downsample_hidden_size"), keys.count("output_dim")
    left = keys.count("num_mel_bins")
    for inputs in (1, channels, channels):
        yield from linear(channels, inputs * 9)
        left = (left + 1) // 2
    yield Shape(width, channels * left)
    yield from blocks(width, inner, layers, 6)
    yield Shape(width, 1, 2)
    yield from linear(width, width)
    yield from linear(out, width)


TYPES: Mapping[str, Kind] = {
    "qwen2_audio_encoder": Kind(WHISPER, _one_matrix),
    "audioflamingo3_encoder": Kind(WHISPER, _two_matrices),
    "voxtral_encoder": Kind(WHISPER, _frames_at_once),
    "qwen2_5_omni_audio_encoder": Kind({**WHISPER, "output_dim": 3584}, _with_borders),
    "qwen3_omni_moe_audio_encoder": Kind(CONVOLUTIONS, _three_convolutions),
    "qwen3_asr_encoder": Kind(
        {**CONVOLUTIONS, "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}, _three_convolutions
    ),
}
