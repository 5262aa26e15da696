"""The blocks of a decoder as a config states them: heads, MLPs, experts, mixers, and their matrices."""
