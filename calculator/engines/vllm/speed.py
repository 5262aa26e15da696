"""What a step of vLLM costs besides bytes and FLOPs.

The figures of kinds and of the first token are a first fit to ``speed_figures.csv``, those of versions are fitted to
its given rows (``planning.traffic.fit``), 2026-11: versions 0.9 to 0.23.

What was measured, devices to lengths, is what the table's rows of steps and of full load hold.
"""

from calculator.engines.speeds import Speeds

SPEED = Speeds(
    launch_us={"dense": 75, "experts": 90, "latent": 120},
    launch_us_by_version={
        "dense": {"0.12": 76},
        "experts": {"0.12": 261, "0.15": 59, "0.16": 122, "0.17": 115, "0.18": 97, "0.19": 94},
        "latent": {"0.15": 164, "0.16": 144, "0.17": 103, "0.19": 96},
    },
    first_token_factors=(1.27, 0.076, 6.2, 0.012),
    oldest=(0, 9),
    newest=(0, 23),
    devices=(
        "a100-40gb", "a100-80gb-sxm", "b200", "b300", "gb200", "h100-sxm", "h200", "mi300x", "rtx-4090",
        "rtx-pro-6000-blackwell",
    ),
    weights={
        "ada": {"dense": ("bf16",)},
        "ampere": {"dense": ("bf16",), "experts": ("bf16",)},
        "blackwell": {
            "dense": ("bf16", "fp8", "nvfp4"), "experts": ("bf16", "fp8-block", "mxfp4", "nvfp4"),
            "latent": ("awq-int4", "nvfp4"),
        },
        "cdna3": {"dense": ("fp8",)},
        "hopper": {"dense": ("bf16", "fp8"), "experts": ("fp8", "fp8-block", "mxfp4"), "latent": ("awq-int4",)},
    },
    caches={
        "ada": ("bf16",), "ampere": ("bf16",), "blackwell": ("bf16", "fp8_e4m3"), "cdna3": ("fp8_e4m3",),
        "hopper": ("bf16", "fp8_e4m3"),
    },
    longest_output=8192,
    longest_sequence=10_000,
    longest_queue={"dense": 3, "experts": 3},
)  # fmt: skip
