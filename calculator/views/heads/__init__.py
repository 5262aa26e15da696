"""How many KV heads: one number of them in words, published quality beside it, and what presets chose."""
