"""Numbers from outside the program, each with its source. Nothing here was printed by the program."""

import csv
from pathlib import Path

ROOT = Path(__file__).parents[1]
GIB = 2**30
DATA = Path(__file__).parent / "data"

# Worked from the published configs. preset: L, H, G, d_k, bytes a token in 16 bit.
SHAPES = {
    "llama-3-70b": (80, 64, 8, 128, 327_680),
    "llama-1-65b": (80, 64, 64, 128, 2_621_440),
    "llama-2-7b": (32, 32, 32, 128, 524_288),
    "llama-3-8b": (32, 32, 8, 128, 131_072),
    "falcon-7b": (32, 71, 1, 64, 8_192),
    "falcon-40b": (60, 128, 8, 64, 122_880),
    "falcon-180b": (80, 232, 8, 64, 163_840),
    "palm-540b": (118, 48, 1, 256, 120_832),
    "gpt-3-175b": (96, 96, 96, 128, 4_718_592),
    "qwen2.5-7b": (28, 28, 4, 128, 57_344),
    "qwen2.5-72b": (80, 64, 8, 128, 327_680),
    "qwen3-0.6b": (28, 16, 8, 128, 114_688),
}

# Worked from the published configs: preset, tokens, sequences, bytes in fp16.
CASES = [
    ("llama-3-70b", 8192, 16, 42_949_672_960),
    ("llama-1-65b", 4096, 1, 10_737_418_240),
    ("llama-2-7b", 4096, 8, 17_179_869_184),
    ("falcon-40b", 2048, 8, 2_013_265_920),
]

# The models that must be among the presets.
PRESETS = [
    "llama-1-65b",
    "llama-2-7b",
    "llama-2-13b",
    "llama-2-70b",
    "llama-3-8b",
    "llama-3-70b",
    "llama-3.1-8b",
    "llama-3.1-70b",
    "llama-3.1-405b",
    "llama-3.2-1b",
    "llama-3.2-3b",
    "llama-3.3-70b",
    "mistral-7b-v0.2",
    "mistral-7b-v0.3",
    "mistral-nemo-12b",
    "mistral-small-24b",
    "mistral-large-123b",
    "mixtral-8x7b",
    "mixtral-8x22b",
    "falcon-7b",
    "falcon-40b",
    "falcon-180b",
    "falcon3-7b",
    "falcon3-10b",
    "qwen1.5-72b",
    "qwen2-7b",
    "qwen2-72b",
    "qwen2.5-0.5b",
    "qwen2.5-1.5b",
    "qwen2.5-3b",
    "qwen2.5-7b",
    "qwen2.5-14b",
    "qwen2.5-32b",
    "qwen2.5-72b",
    "qwen3-0.6b",
    "qwen3-1.7b",
    "qwen3-4b",
    "qwen3-8b",
    "qwen3-14b",
    "qwen3-32b",
    "qwen3-30b-a3b",
    "qwen3-235b-a22b",
    "gpt-3-175b",
    "palm-540b",
]

# Bytes of a row of 128 and of 64 elements, and the multiple that a row must be. vLLM 0.33.0 and ggml-common.h at
#
# llama.cpp is 34 bytes per 32, so 4 x 34 = 136; nvfp4 is d/2 + d/16 = 64 + 8; int8 with a float a row 128 + 4.
ROWS = {
    "fp32": (512, 256, 1),
    "fp16": (256, 128, 1),
    "bf16": (256, 128, 1),
    "fp8": (128, 64, 1),
    "fp8_e4m3": (128, 64, 1),
    "fp8_e5m2": (128, 64, 1),
    "int8_per_token_head": (132, 68, 1),
    "fp8_per_token_head": (132, 68, 1),
    "int4_per_token_head": (68, 36, 2),
    "nvfp4": (72, 36, 16),
    "q8_0": (136, 68, 32),
    "q5_1": (96, 48, 32),
    "q5_0": (88, 44, 32),
    "q4_1": (80, 40, 32),
    "q4_0": (72, 36, 32),
}


def rows(name: str) -> list[dict[str, str]]:
    """Read a table of facts, comment lines left out."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))
