"""Make ``reference_layers.jsonl``: which kind each layer is by the config classes of transformers.

Set up as ``make_defaults.py`` says, torch is not needed, and run from the checkout with the types to read::

    reference/bin/python tests/data/make_layers.py TYPE ... > tests/data/reference_layers.jsonl

Keys of a line
--------------
type, asked
    The model type, and the key of a schedule that its class is given, with 61 layers of 256 and 32 heads. A line with a
    key is there where it changes a list.
layer_types, mlp_layer_types
    The lists that the class makes of it, a letter a layer, as ``LETTERS`` has them; left out where it makes none.
"""

from __future__ import annotations

import json
import os
import sys

SIZES = {"num_hidden_layers": 61, "hidden_size": 256, "num_attention_heads": 32}
SCHEDULES = {
    "sliding_window_pattern": 7, "full_attention_interval": 7, "use_sliding_window": True, "max_window_layers": 7,
    "no_rope_layer_interval": 7, "global_attn_every_n_layers": 7, "attn_layer_period": 7, "attn_layer_offset": 3,
    "layer_group_size": 7, "prefix_dense_sliding_window_pattern": 2, "first_k_dense_replace": 7,
    "attn_layer_indices": [7],
    "num_dense_layers": 7, "decoder_sparse_step": 3, "mlp_only_layers": [7], "sliding_window": None,
    "interleave_moe_layer_step": 3, "moe_layer_interval": 3, "moe_layer_start_index": 7, "moe_layer_end_index": 7,
    "expert_layer_period": 3, "expert_layer_offset": 2, "use_bidirectional_attention": True, "enable_moe_block": True,
}  # fmt: skip
TOGETHER = {"max_window_layers": {"use_sliding_window": True}}
LISTS = ("layer_types", "mlp_layer_types")
LETTERS = {
    "full_attention": "f", "indexed_attention": "f", "sliding_attention": "w", "chunked_attention": "c",
    "linear_attention": "s", "conv": "s", "hybrid": "h", "hybrid_sliding": "v", "dense": "d", "sparse": "e",
    "hash_moe": "e",
    "heavily_compressed_attention": "k", "compressed_sparse_attention": "p",
}  # fmt: skip


def lists(kind: str, asked: dict) -> dict:
    """Return the lists of kinds that a class makes."""
    from transformers import AutoConfig

    config = AutoConfig.for_model(kind, **asked)
    found = {name: getattr(config, name, None) for name in LISTS}
    if not found["layer_types"] and hasattr(config, "layers_block_type"):
        found["layer_types"] = config.layers_block_type
    return {
        name: "".join(LETTERS[kind] for kind in value)
        for name, value in found.items()
        if isinstance(value, list) and len(value) == SIZES["num_hidden_layers"]
    }


def main() -> int:
    """Print the lines."""
    from transformers import logging

    os.environ["HF_HUB_OFFLINE"] = "1"
    logging.set_verbosity_error()
    for kind in sys.argv[1:]:
        plain: dict = {}
        for key, value in {"": None, **SCHEDULES}.items():
            changed = {**TOGETHER.get(key, {}), **({key: value} if key else {})}
            try:
                found = lists(kind, {**SIZES, **changed})
            except Exception as error:
                print(f"{kind} {changed}: {type(error).__name__}: {str(error)[:100]}", file=sys.stderr)
                continue
            plain = plain or found
            if found and (not key or found != plain):
                print(json.dumps({"type": kind, "asked": changed, **found}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
