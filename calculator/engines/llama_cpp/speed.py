"""What a step of llama.cpp costs besides bytes and FLOPs.

Measured with one sequence at a time, builds of 2024-05; launches are those of engines that nothing was fitted to.
"""

from calculator.engines.speeds import OTHER_LAUNCH_US, Speeds

SPEED = Speeds(
    launch_us={"dense": OTHER_LAUNCH_US},
    most_sequences=1,
    weight_dtypes=("q4_k_m",),
)
