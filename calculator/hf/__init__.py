"""From the keys of a Hugging Face config to layers and weights; ``calculator.hf_config`` is the way in."""
