"""What a step of SGLang costs besides bytes and FLOPs.

The figures of kinds and of the first token are a first fit to ``speed_figures.csv``, those of versions are fitted to
its given rows (``planning.traffic.fit``), 2026-11: versions 0.4 to 0.5.10.

What was measured, devices to lengths, is what the table's rows of steps and of full load hold.
"""

from calculator.engines.measured import NotDescribed
from calculator.engines.speeds import Speeds

SPEED = Speeds(
    launch_us={"dense": 100, "experts": 125, "latent": 120, "hybrid": 115, "sparse": 200},
    launch_us_by_version={
        "dense": {"0.5.1": 34, "0.5.6": 86},
        "experts": {"0.5.6": 114},
        "hybrid": {"0.5.9": 139, "0.5.10": 94},
        "latent": {"0.5.9": 103, "0.5.10": 158},
    },
    patches_from=(0, 5),
    first_token_factors=(1.32, 0.30, 11.8, 0.142),
    oldest=(0, 4),
    newest=(0, 5, 10),
    devices=("b200", "b300", "h100-sxm", "h20", "h200"),
    weights={
        "blackwell": {
            "hybrid": ("bf16", "fp8-block", "nvfp4"), "latent": ("fp8-block", "nvfp4"), "sparse": ("fp8", "nvfp4"),
        },
        "hopper": {
            "dense": ("awq-int4", "bf16", "fp8", "int8"), "experts": ("bf16", "fp8", "gptq-int4"),
            "hybrid": ("fp8-block",), "latent": ("fp8-block",), "sparse": ("fp8",),
        },
    },
    caches={"blackwell": ("bf16", "fp8_e4m3"), "hopper": ("bf16", "fp8_e4m3")},
    recurrences=("gated delta net",),
    longest_output=8192,
    longest_sequence=9216,
    not_described=(
        NotDescribed("latent attention in 8 bit on this generation was up to 88 % off", kinds=("latent",),
                     weights=("fp8", "fp8-block"), generations=("blackwell",)),
    ),
)  # fmt: skip
