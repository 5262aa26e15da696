"""What a step of TensorRT-LLM costs besides bytes and FLOPs.

The figures of kinds and of the first token are a first fit to ``speed_figures.csv``, those of versions are fitted to
its given rows (``planning.traffic.fit``), 2026-11: versions 0.9 to 1.3.
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
    layouts=("stages", "attention"),
    longest_queue={"dense": float("inf")},
)
