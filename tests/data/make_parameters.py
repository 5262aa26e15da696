"""Make the lines of ``reference_parameters.jsonl``: what transformers 5.23.0 instantiates for a config.

The model is built on the ``meta`` device, where tensors have shapes and no memory, so the largest takes seconds.

Set up (about 1 GB; Python 3.11), in a folder outside the repository; a build of torch for CPUs does::

    python3.11 -m venv reference && reference/bin/pip install transformers==5.23.0 torch==2.13.0

Run::

    reference/bin/python make_parameters.py make NAME=config.json ...
    reference/bin/python make_parameters.py check
    reference/bin/python make_parameters.py switched TYPE ...

``make`` prints a line for each config; ``check`` counts every line anew and prints those that differ.
``switched`` prints the lines of ``reference_small.jsonl``: of a few small layers of each type with sizes alone, and
with every switch of its class the other way round. A type whose class takes no such sizes, or that no engine runs so,
has no line; caches other than of keys and values are left out there.

Keys of a line
--------------
case
    A name to find it by.
source
    Where the number of parameters is from; a line that another source gave is not counted anew.
config
    The keys of the config that bear on sizes.
num_parameters
    Elements of all parameters of the model class, tied ones once, encoders of images left out [-].
kv
    Kind of cache → rows of layers [-], window [tokens, null for none], bytes a token and layer in 16 bit [bytes]. Made
    by running two tokens through the model and looking at what its cache holds. Where the cache of the reference is
    not what an engine keeps (latent attention is expanded, states and the text that an encoder reads are no keys and
    values of the decoder's tokens), ``make`` leaves an empty table, to be worked out by hand from the layer types,
    heads and sizes of the config class, and ``check`` leaves the line's. Three lines differ and are right: the cache
    of GPT-Neo keeps all tokens of its local layers too, where attention sees 256 of them; MiMo V2 keeps one token
    more, the query's own, than the window that the config and the engine state.
state_bytes
    Bytes of state a sequence by the shapes and formats of vLLM 0.33.0's ``mamba_utils.py``; not made here [bytes].
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path

FILES = [Path(__file__).parent / f"reference_{name}.jsonl" for name in ("parameters", "small")]
SOURCE = "transformers 5.23.0, counted on the meta device"
COLUMNS = ("case", "source", "config", "num_parameters", "kv", "state_bytes")
PROMPT = 2
SMALL = {
    "vocab_size": 1000, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 6,
    "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 48,
}  # fmt: skip
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
SWITCHES = (
    "attention_bias", "mlp_bias", "use_bias", "qkv_bias", "use_qkv_bias", "use_qk_norm", "qk_layernorm", "bias",
    "tie_word_embeddings", "add_bias_linear", "parallel_attn", "new_decoder_architecture", "attention_out_bias",
    "hidden_bias", "use_parallel_residual", "norm_topk_prob", "enable_attention_bias", "use_sliding_window", "qk_norm",
    "projection_bias", "multi_query", "layer_norm_bias", "attn_bias", "use_attention_bias", "add_cross_attention",
    "use_mlp_bias", "linear_bias", "conv_bias", "mamba_conv_bias", "mamba_proj_bias", "use_conv_bias", "no_bias",
    "do_layer_norm_before", "alibi",
)  # fmt: skip


def model_of(config: dict):
    """Build the model of a config on the meta device."""
    import torch
    from transformers import AutoConfig, logging
    from transformers.models.auto import modeling_auto as auto

    logging.set_verbosity_error()
    torch.set_default_dtype(torch.bfloat16)
    known = AutoConfig.for_model(**config)
    if known.pad_token_id is not None and known.pad_token_id >= known.vocab_size:
        known.pad_token_id = None
    for name in ("SPEECH_SEQ_2_SEQ", "SEQ_TO_SEQ_CAUSAL_LM") if known.is_encoder_decoder else ("CAUSAL_LM",):
        table = getattr(auto, f"MODEL_FOR_{name}_MAPPING")
        if type(known) in table:
            with torch.device("meta"):
                return table[type(known)](known)
    raise ValueError(f"transformers has no language model of type {config['model_type']}")


def count(model) -> int:
    """Return the elements of all parameters, tied ones once [-]."""
    model.tie_weights()
    return sum(parameter.numel() for parameter in {id(one): one for one in model.parameters()}.values())


def kept(model) -> dict[str, list[list]]:
    """Return the layers that keep keys and values, by what a run of a few tokens leaves in the cache."""
    import torch

    if model.config.is_encoder_decoder:
        return {}
    answer = model(input_ids=torch.zeros((1, PROMPT), dtype=torch.long, device="meta"), use_cache=True)
    rows = Counter()
    for layer in answer.past_key_values.layers:
        if getattr(layer, "keys", None) is None or not layer.keys.numel():
            continue
        window = layer.sliding_window if getattr(layer, "is_sliding", False) else None
        elements = sum(part.shape[1] * part.shape[-1] for part in (layer.keys, layer.values))
        rows["full attention" if window is None else "sliding window", window, 2 * elements] += 1
    found: dict[str, list[list]] = {}
    for (kind, window, size), layers in rows.items():
        found.setdefault(kind, []).append([layers, window, size])
    return found


def line(name: str, config: dict) -> dict:
    """Return the line of a config."""
    model = model_of(config)
    try:
        kv = kept(model)
    except Exception as error:
        print(f"{name}: cache not read: {type(error).__name__}: {str(error)[:150]}", file=sys.stderr)
        kv = {}
    return dict(zip(COLUMNS, (name, SOURCE, config, count(model), kv, 0), strict=True))


def switched(kind: str):
    """Yield the lines of a type in small sizes: by default, and with every switch the other way round."""
    from transformers import AutoConfig

    try:
        known = AutoConfig.for_model(kind)
    except (ValueError, TypeError):  # a type that brings its own code
        return
    sizes = {key: value for key, value in SMALL.items() if hasattr(known, key)}
    if many := next((key for key in EXPERTS if hasattr(known, key)), None):
        each = ("num_experts_per_tok", "moe_topk", "moe_k")
        sizes |= {many: 4, **{key: 2 for key in each if hasattr(known, key)}}
    ways = {key: not value for key in SWITCHES if isinstance(value := getattr(known, key, None), bool)}
    for name, others in {"plain": {}, "switched": {"head_dim": None, **ways}}.items():
        config = {key: value for key, value in {"model_type": kind, **sizes, **others}.items() if value is not None}
        try:
            yield line(f"{kind} {name}", config)
        except Exception as error:
            print(f"{kind} {name}: not built: {type(error).__name__}: {str(error)[:150]}", file=sys.stderr)


def comparable(kv: dict) -> bool:
    """Whether the reference's own cache is what an engine keeps."""
    return set(kv) <= {"full attention", "sliding window"} and bool(kv)


def main() -> int:
    """Make lines, or check those that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=("make", "check", "switched"))
    parser.add_argument("names", nargs="*", help="name=config.json; with check: cases; with switched: types")
    asked = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    if asked.verb == "make":
        for name, _, path in (one.partition("=") for one in asked.names):
            print(json.dumps(line(name, json.loads(Path(path).read_text(encoding="utf-8")))), flush=True)
        return 0
    if asked.verb == "switched":
        for made in (made for kind in asked.names for made in switched(kind)):
            print(json.dumps(made), flush=True)
        return 0
    tally = Counter()
    for old in (json.loads(text) for file in FILES for text in file.read_text(encoding="utf-8").splitlines()):
        if asked.names and old["case"] not in asked.names:
            continue
        if old["source"] != SOURCE:
            tally["of another source"] += 1
            continue
        try:
            new = line(old["case"], old["config"])
        except Exception as error:
            print(f"{old['case']}: not built: {type(error).__name__}: {str(error)[:200]}", flush=True)
            tally["not built"] += 1
            continue
        same = new["num_parameters"] == old["num_parameters"]
        tally["parameters equal" if same else "parameters differ"] += 1
        if not same:
            print(
                f"{old['case']}: parameters {old['num_parameters']:,} in the file, now {new['num_parameters']:,}",
                flush=True,
            )
        if comparable(old["kv"]) and new["kv"]:
            same = {kind: sorted(rows, key=str) for kind, rows in old["kv"].items()} == {
                kind: sorted(rows, key=str) for kind, rows in new["kv"].items()
            }
            tally["caches equal" if same else "caches differ"] += 1
            if not same:
                print(f"{old['case']}: cache {old['kv']} in the file, now {new['kv']}", flush=True)
    print(dict(tally))
    return tally["parameters differ"] > 0


if __name__ == "__main__":
    sys.exit(main())
