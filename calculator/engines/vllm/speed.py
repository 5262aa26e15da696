"""What a step of vLLM costs besides bytes and FLOPs.

The figures of kinds and of the first token are a first fit to ``speed_figures.csv``, those of versions are fitted to
its given rows (``planning.traffic.fit``), 2026-11: versions 0.9 to 0.23.
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
    layouts=("experts",),
    longest_queue={"dense": 3, "experts": 3},
)
