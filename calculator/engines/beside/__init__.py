"""What stands beside a model on its GPU, and what of it keeps an engine from starting."""
