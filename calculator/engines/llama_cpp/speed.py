"""What a step of llama.cpp costs besides bytes and FLOPs.

Measured with one sequence at a time, builds of 2024-05; launches are those of engines that nothing was fitted to.

What was measured, devices to lengths, is what the table's rows of steps and of full load hold.
"""

from calculator.engines.speeds import OTHER_LAUNCH_US, Speeds

SPEED = Speeds(
    launch_us={"dense": OTHER_LAUNCH_US},
    most_sequences=1,
    devices=(
        "a100-80gb-pcie", "a100-80gb-sxm", "a40", "h100-pcie", "l40s", "rtx-3080", "rtx-4070-ti", "rtx-4080",
        "rtx-4090", "rtx-5000-ada", "rtx-6000-ada", "rtx-a6000",
    ),
    weights={
        "ada": {"dense": ("bf16", "q4_k_m")},
        "ampere": {"dense": ("bf16", "q4_k_m")},
        "hopper": {"dense": ("q4_k_m",)},
    },
    caches={"ada": ("bf16",), "ampere": ("bf16",), "hopper": ("bf16",)},
    longest_output=1024,
    longest_sequence=1124,
)  # fmt: skip
