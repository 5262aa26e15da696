"""What a step of TensorRT-LLM costs besides bytes and FLOPs.

The figures of kinds and of the first token are a first fit to ``speed_figures.csv``, those of versions are fitted to
its given rows (``planning.traffic.fit``), 2026-11: versions 0.9 to 1.3.

What was measured, devices to lengths, is what the table's rows of steps and of full load hold.
"""

from calculator.engines.speeds import Speeds

SPEED = Speeds(
    launch_us={"dense": 60, "experts": 70, "latent": 90},
    launch_us_by_version={
        "dense": {"1.0": 62},
        "experts": {"1.0": 68, "1.2": 50},
        "latent": {"1.1": 95, "1.2": 85},
    },
    first_token_factors=(0.77, 0.063, 9.6, 0.045),
    oldest=(0, 9),
    newest=(1, 3),
    devices=("a100-80gb-sxm", "b200", "gb200", "h100-sxm", "h200", "l40s", "rtx-pro-6000-blackwell"),
    weights={
        "ada": {"dense": ("fp8",), "experts": ("fp8",)},
        "ampere": {"dense": ("bf16",)},
        "blackwell": {
            "dense": ("fp8", "nvfp4"), "experts": ("mxfp4", "nvfp4"), "latent": ("fp8-block", "nvfp4"),
        },
        "hopper": {"dense": ("bf16", "fp8"), "experts": ("fp8", "mxfp4"), "latent": ("fp8-block",)},
    },
    caches={
        "ada": ("fp8_e4m3",), "ampere": ("bf16",), "blackwell": ("bf16", "fp8_e4m3"), "hopper": ("bf16", "fp8_e4m3"),
    },
    without_gate=True,
    longest_output=32_768,
    longest_sequence=33_792,
    layouts=("stages", "attention"),
    longest_queue={"dense": float("inf")},
)  # fmt: skip
