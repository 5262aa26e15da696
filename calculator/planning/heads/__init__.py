"""How many KV heads: the study of a model, what was published and what circulates, and what conversion costs."""
