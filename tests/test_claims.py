"""Claims that circulate about KV heads: each with the arithmetic that reproduces, bounds or refutes it, by hand."""

import re
from pathlib import Path

import pytest
import yaml

import calculator
from calculator.catalogue.claims import TOPICS, claim_entries
from calculator.planning.heads.claims import UNITS, figure
from calculator.planning.heads.figures import FIGURES

ROOT = Path(__file__).parent.parent
CLAIMS = {claim.number: claim for claim in calculator.circulating_claims()}
KIB, GIB, GB = 2**10, 2**30, 1e9

# LLaMA 3 70B: 80 layers, 64 query heads and 8 KV heads of 128, hidden size 8,192, 128,256 tokens in its vocabulary
# (head not tied), 70,553,706,496 parameters. Bytes of a KV head and token over all layers, in 16 bit:
HEAD = 80 * 2 * 128 * 2
TOKEN = 8 * HEAD
BATCH = 16 * 8192
PARAMETERS = 70_553_706_496
READ = PARAMETERS - 128_256 * 8192  # all but the input embedding
A100 = 2039e9  # bytes a second of one A100 80GB SXM


def scores(tokens, heads=64):
    """FLOPs of one new token's attention over so many: 2 H (d_k + d_v) for each and each layer."""
    return 2 * heads * 256 * tokens * 80


def on_four(heads, tokens=8192):
    """Bytes of one sequence on one of 4 GPUs: a head at the least."""
    return max(1, heads // 4) * HEAD * tokens


# What a config.json leaves to its defaults, from the published models: query heads and KV heads; None where heads share
# a latent vector, or layers differ.
IMPLIED = {
    "mistral-7b-v0.1": (32, 8), "gpt-oss-20b": (64, 8), "gpt-oss-120b": (64, 8), "qwen3-next-80b-a3b": (16, 2),
    "llama-4-scout": (40, 8), "llama-4-maverick": (40, 8), "jamba-v0.1": (32, 8), "nemotron-super-49b": (64, 8),
    "glm-4.5-air": (96, 8), "phi-3-mini-4k": (32, 32), "command-r-35b": (64, 64), "gpt-j-6b": (16, 16),
    "opt-13b": (40, 40), "bloom-7b1": (32, 32), "qwen3.5-27b": (24, 4), "qwen3.5-35b-a3b": (16, 2),
    "qwen3.5-122b-a10b": (32, 2), "qwen3.5-397b-a17b": (32, 2), "minimax-m2.5": (48, 8), "nemotron-h-56b": (64, 8),
    "gemma-7b": (16, 16), "gemma-2-2b": (8, 4), "glm-4-9b": (32, 2), "smollm3-3b": (16, 4),
    "ernie-4.5-21b-a3b": (20, 4), "gpt-neox-20b": (64, 64), "phi-3.5-moe": (32, 8), "gpt2": (12, 12),
    "opt-125m": (12, 12),
}  # fmt: skip
LATENT = {
    "deepseek-v2-lite",
    "deepseek-v3",
    "deepseek-v3.2",
    "deepseek-r1",
    "kimi-k2",
    "kimi-k2.5",
    "glm-5",
    "glm-5.2",
    "deepseek-v2.5",
    "kimi-vl-a3b",
    "mistral-small-4",
}
LAYERS_DIFFER = {
    "mimo-v2-flash": 8,
    "gemma-4-26b-a4b": 8,
    "gemma-4-31b": 16,
}  # and the most of a layer


def stated_heads():
    """Query heads and KV heads of every preset that has one number of each, as its file or its maker states them."""
    presets = yaml.safe_load((ROOT / "model_presets.yaml").read_text(encoding="utf-8"))["models"]
    found = dict(IMPLIED)
    for name, preset in presets.items():
        config = preset.get("config", preset)
        config = config.get("text_config", config)
        if name not in {*IMPLIED, *LATENT, *LAYERS_DIFFER}:
            found[name] = config["num_attention_heads"], config["num_key_value_heads"]
    assert {*found, *LATENT, *LAYERS_DIFFER} == set(presets)
    return found


HEADS = stated_heads()
ALL = len({*HEADS, *LATENT, *LAYERS_DIFFER})
SMALL = ["llama-3-8b", "llama-3.1-8b", "mistral-7b-v0.1", "mistral-7b-v0.2", "mistral-7b-v0.3", "qwen3-8b",
         "granite-3.1-8b", "mimo-7b", "qwen3-vl-8b", "ministral-8b"]  # fmt: skip
"""Of 6 to 9 billion parameters and 32 query heads, with 8 KV heads."""

BELOW_9B = [
    *SMALL, "llama-2-7b", "llama-3.2-1b", "llama-3.2-3b", "falcon-7b", "falcon3-7b", "qwen2-7b", "qwen2.5-0.5b",
    "qwen2.5-1.5b", "qwen2.5-3b", "qwen2.5-7b", "qwen3-0.6b", "qwen3-1.7b", "qwen3-4b", "phi-3-mini-4k",
    "starcoder2-7b", "gpt-j-6b", "bloom-7b1", "gemma-7b", "gemma-2-2b", "smollm3-3b", "gpt2",
    "qwen3-vl-2b", "qwen3-vl-4b", "qwen3.5-9b", "gemma-3-4b", "gemma-3-1b", "phi-2", "phi-3-mini-128k", "phi-4-mini",
    "tinyllama-1.1b", "codellama-7b", "qwen1.5-7b", "opt-125m", "granite-3.1-2b", "granite-4.0-h-micro",
    "qwen2.5-vl-7b", "gemma-4-e4b", "granite-4.0-micro", "qwen2.5-vl-3b", "olmo-2-7b", "olmo-3-7b", "gemma-3n-e4b",
]  # fmt: skip
"""By their makers' count; Gemma 7B has 8.5 billion, Qwen3.5 9B 8.95."""


def with_ratio(ratio):
    return sum(heads == ratio * groups for heads, groups in HEADS.values())


def with_groups(groups):
    return sum(each == groups for _, each in HEADS.values()) + sum(most == groups for most in LAYERS_DIFFER.values())


EXPECTED = {
    1: {
        "short": 8192 * TOKEN / GB,
        "long": 16_384 * TOKEN / GB,
        "window": 4096 * 131_072 / GB,
        "window_long": 4096 * 131_072 / GB,
    },
    2: {
        "attention": 8,
        "ridge": 989e12 / 3.35e12,
        "one": (2 * READ + scores(1024)) / (2 * READ + 1024 * TOKEN),
        "many": 512 * (2 * READ + scores(1024)) / (2 * READ + 512 * 1024 * TOKEN),
    },
    3: {"eight": 100, "four": 50, "two": 25, "one": 12.5},
    4: {
        "all": ALL, "eight": with_ratio(8), "four": with_ratio(4), "two": with_ratio(2), "one": with_ratio(1),
        "sixteen": with_ratio(16), "latent": len(LATENT), "differ": len(LAYERS_DIFFER),
    },
    5: {"kept": 12.5, "percent": 12.5},
    6: {"choices": len([1, 2, 4, 8, 16, 32, 64]), "percent": 100 / 64},
    7: {"t5": 47.1 - 47.2, "mmlu": 41.2 - 45.2, "ceval": 37.7 - 42.9},
    8: {"query": 64 * 128 * 2 / KIB, "query_all": 80 * 16, "kept": 2 * 8 * 128 * 2 / KIB, "cache": 8192 * TOKEN / GIB},
    9: {"heads": 64, "kv": 8, "t5": 47.1 - 47.2, "mmlu": 41.2 - 45.2},
    10: {"five": 0.05 * 2000, "ten": 0.1 * 2000},
    11: {"mha": 47.2, "gqa": 47.1, "mqa": 46.6, "gqa_change": -0.1, "mqa_change": -0.6, "aligned": 81.8 - 85.5},
    12: {"cache": 2 * 32 * 128 * 32 * 4096 * 2 / GIB, "kv": 8, "heads": 64},
    13: {
        "layer": 2 * 64 * 128 * 2 / KIB,
        "token": 80 * 32_768 / 1e6,
        "gb": 4096 * 80 * 32_768 / GB,
        "gib": 4096 * 80 * 32_768 / GIB,
        "longest": 2048,
    },
    14: {"tokens": -(-2 * PARAMETERS // TOKEN), "times": 8},
    15: {"kept": 100 / 64, "saved": 100 - 100 / 64},
    16: {"kv": 8, "heads": 64, "own": BATCH * TOKEN / GB, "expanded": BATCH * 64 * HEAD / GB},
    17: {"palm": 1, "falcon_7b": 1, "falcon_40b": 8, "falcon_180b": 8, "starcoder2": 4, "starcoder2_heads": 36},
    18: {"ratio": 32 / 8},
    19: {"heads": 128, "kv": 8, "saved": 100 - 100 * 8 / 128},
    20: {
        "all": ALL, "eight": with_groups(8), "share": 100 * with_groups(8) / ALL, "four": with_groups(4),
        "two": with_groups(2), "latent": len(LATENT),
        # Qwen3 0.6B, and Falcon 180B
        "fewest": min(heads for heads, groups in HEADS.values() if groups == 8), "most": 232,
    },
    21: {"right": BATCH * TOKEN / GB, "wrong": BATCH * TOKEN * 64 / 80 / GB, "layers": 80},
    22: {"right": BATCH * 64 * HEAD / GB, "wrong": BATCH * 64 * HEAD * 64 / 80 / GB, "layers": 80},
    23: {"cache": BATCH * 64 * HEAD / GB, "weights": 2 * PARAMETERS / GB},
    24: {"gb": BATCH * 56 * HEAD / GB, "percent": 87.5},
    25: {"own": 16 * on_four(8, 1), "mha": 16 * on_four(64, 1)},
    26: {"implied": 32 / 1.25e-3, "weights": 2 * PARAMETERS / (4 * A100) * 1e3, "read": 2 * READ / (4 * A100) * 1e3},
    27: {"mha": 12, "gqa": 116, "mqa": 234, "copies": 4},
    28: {"weights": 2 * PARAMETERS / (4 * A100) * 1e3},
    29: {"mha": 28.0, "gqa": 26.9, "mqa": 26.5},
    30: {"own": scores(8192) / 1e9, "mha": scores(8192) / 1e9, "percent": 12.5},
    31: {},
    32: {"own": 8, "scales": 2 * 128 / (128 / 2 + 4), "times": 8 * 256 / 68},
    33: {
        "mqa": on_four(1) / GB, "gqa": on_four(8) / GB, "four": on_four(4) / GB,
        "t5": -0.6, "t5_gqa": -0.1, "mmlu": 37.9 - 45.2, "mmlu_gqa": 41.2 - 45.2, "llama": 26.5 - 28.0,
        "llama_gqa": 26.9 - 28.0, "nq": 14.5 - 12.4, "nq_gqa": 14.0 - 12.4,
    },
    34: {"mha": BATCH * 64 * HEAD / GB, "own": BATCH * TOKEN / GB, "layers": 80, "percent": 87.5},
    35: {
        "v3": 100 * 576 / (128 * (192 + 128)),
        "lite": 100 * 576 / (16 * (192 + 128)),
        "latent": 100 * 576 / (2 * 64 * 128),
        "own": 12.5,
    },
    36: {"all": ALL, "eight": with_ratio(8), "four": with_ratio(4), "sixteen": with_ratio(16), "one": with_ratio(1)},
    37: {"eight": 1, "sixteen": 16 // 8},
    38: {},
    39: {},
    40: {},
    41: {"least": 37.7 - 42.9, "most": 14.0 - 12.4},
    42: {"mixed": (40 * 4 + 40 * 16) * 2 * 128 * 2, "own": TOKEN},
    43: {"percent": 12.5},
    44: {"transmla": 58.68, "base": 59.85, "mha2mla": -1, "care": 32.37 - 58.24},
    45: {
        "mha": BATCH * 64 * HEAD / GB, "gqa": BATCH * TOKEN / GB, "mqa": BATCH * HEAD / GB,
        "more": BATCH * 7 * HEAD / GB, "mmlu": 37.9 - 45.2, "mmlu_gqa": 41.2 - 45.2,
    },
    46: {"heads": 32, "kv": 32, "grouped": 8, "latent": 128},
    47: {},
    48: {
        "attention": scores(8192) / 1e9,
        "attention_mha": scores(8192) / 1e9,
        "matrices": 2 * (READ - 80 * 2 * 7 * 128 * 8192) / 1e9,
        "matrices_mha": 2 * (READ + 80 * 2 * 56 * 128 * 8192) / 1e9,
        "percent": 100 / 64,
    },
    49: {"shrinks": 64},
    50: {"mistral": 8, "large": 8, "small": 32, "middle": 40},
    51: {"width": 8 * 128},
    52: {
        "mha": 47.2, "gqa": 47.1, "mqa": 46.6, "mha_s": 1.51, "gqa_s": 0.28, "mqa_s": 0.24,
        "hs_mha": 75.1, "hs_gqa": 75.4, "hs_mqa": 74.5,
    },
    53: {"kv": 8, "heads": 16, "windows": 42 // 2, "layers": 42},
    54: {"small": 32 / 8, "large": 64 / 8, "gemma": 16 / 8},
    55: {"mqa": 37.9 - 45.2, "gqa": 41.2 - 45.2, "nq": 14.5 - 12.4},
    56: {"kv": 1, "longest": 2048},
    57: {"eight": HEAD * 8192 / GB, "one": HEAD * 8192 / GB, "sixteen": 2 * HEAD * 8192 / GB, "copies": 8},
    58: {
        "own": PARAMETERS / 1e9,
        "mqa": (PARAMETERS - 80 * 2 * 7 * 128 * 8192) / 1e9,
        "mha": (PARAMETERS + 80 * 2 * 56 * 128 * 8192) / 1e9,
    },
    59: {"one": scores(8192) / 1e9, "eight": scores(8192) / 1e9, "all": scores(8192) / 1e9},
    60: {"one": 100 / 64, "quarter": 25, "half": 50, "one_gpu": 100 / 16},
    61: {"copies": 4 // 2},
    62: {"he_mha": 7.9, "he_gqa": 7.9, "he_mqa": 7.3, "gs_mha": 4.9, "gs_gqa": 5.3, "gs_mqa": 4.8},
    63: {"mqa": 0.24, "gqa": 0.28, "paper": 100 * (0.28 / 0.24 - 1)},
    64: {"five": 100, "ten": 200},
    65: {"mmlu": 41.2 - 45.2, "ceval": 37.7 - 42.9, "t5": -0.1},
    66: {"copied": HEAD * 8192 / GB, "split": HEAD * 1024 / GB, "eight": HEAD * 8192 / GB},
    67: {"own": 2 * 8 * 128 * 2, "expanded": 2 * 64 * 128 * 2},
    68: {
        **{name: sum(HEADS[each][1] == groups for each in BELOW_9B)
           for name, groups in (("eight", 8), ("four", 4), ("two", 2))},
        "eight_32": len(SMALL), "four_32": 0, "qwen": 4, "qwen_heads": 28,
    },
    69: {"mqa": 128, "own": 1024},
    70: {"all": ALL, "half": with_ratio(2), "four": with_ratio(4), "eight": with_ratio(8), "kept": 50},
    71: {
        "four": 75, "eight": 87.5, "t5": 100 * (47.1 / 47.2 - 1), "llama": 100 * (26.9 / 28.0 - 1),
        "deepseek": 100 * (41.2 / 45.2 - 1),
    },
}  # fmt: skip
"""Each figure that follows from numbers by hand. Batches of claim 27 are worked in ``test_batches_by_hand``."""

BATCHES = {  # of 4 A100: claim, figure, KV heads, tokens of a sequence
    25: {"own_batch": (8, 8192), "mha_batch": (64, 8192)},
    27: {"mha": (64, 4096), "gqa": (8, 4096), "mqa": (1, 4096)},
    31: {"own": (8, 8192), "mha": (64, 8192)},
    38: {"right": (8, 8192)},
    39: {"own": (8, 8192), "mha": (64, 8192)},
    47: {"mqa_batch": (1, 8192), "gqa_batch": (8, 8192), "mha_batch": (64, 8192)},
    49: {"mqa": (1, 8192), "mha": (64, 8192)},
    60: {"one_batch": (1, 8192), "quarter_batch": (16, 8192), "half_batch": (32, 8192), "all_batch": (64, 8192)},
    61: {"eight": (8, 8192), "sixteen": (16, 8192)},
    65: {"own": (8, 8192), "mha": (64, 8192)},
}

RATES = {  # of 4 A100: claim, figure, KV heads, tokens of a sequence, sequences (0: the largest batch)
    26: {"mha": (64, 4096, 4), "gqa": (8, 4096, 32), "mqa": (1, 4096, 48)},
    31: {"own_rate": (8, 8192, 0), "mha_rate": (64, 8192, 0)},
    60: {
        "one_rate": (1, 8192, 0), "quarter_rate": (16, 8192, 0),
        "half_rate": (32, 8192, 0), "all_rate": (64, 8192, 0),
    },
}  # fmt: skip


def weights_of(heads):
    return READ + 80 * 2 * (heads - 8) * 128 * 8192


def batch_of(heads, tokens):
    """Sequences by hand: the pool of one GPU in blocks of 16 tokens, of which vLLM keeps one."""
    model = calculator.load_model("llama-3-70b").with_kv_heads(heads)
    plan = calculator.plan(model, gpu="a100-80gb-sxm", tensor_parallel_size=4, seq_len=tokens)
    return (plan.kv_pool_bytes // (16 * on_four(heads, 1)) - 1) // (tokens // 16)


@pytest.mark.parametrize("number", EXPECTED)
def test_figures_of_a_claim_worked_by_hand(number):
    found = CLAIMS[number].figures
    assert {name: found[name] for name in EXPECTED[number]} == pytest.approx(EXPECTED[number], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("number", BATCHES)
def test_batches_by_hand(number):
    found = CLAIMS[number].figures
    wanted = {name: batch_of(*asked) for name, asked in BATCHES[number].items()}
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize("number", RATES)
def test_no_rate_is_faster_than_reading_weights_and_cache(number):
    for name, (heads, tokens, sequences) in RATES[number].items():
        count = sequences or batch_of(heads, tokens)
        least_s = (2 * weights_of(heads) + count * 4 * on_four(heads, tokens)) / (4 * A100)
        assert 0.3 < CLAIMS[number].figures[name] / (count / least_s) <= 1


def test_the_table_of_three_speeds_is_impossible():
    # 4 A100 read at most 8.156e12 bytes a second, and every step reads all weights but the input embedding
    found, floor_ms = CLAIMS[28].figures, 2 * READ / (4 * A100) * 1e3
    for name, claimed in (("mha", 5.0), ("gqa", 1.25), ("mqa", 1.0)):
        assert claimed < floor_ms < found[name]
    assert CLAIMS[26].figures["implied"] == 8 * 3200


def test_ratios_of_batches_and_rates():
    ratio = batch_of(8, 8192) / batch_of(64, 8192)
    for number in (39, 40, 65):
        assert CLAIMS[number].figures["times"] == pytest.approx(ratio)
    assert CLAIMS[49].figures["times"] == pytest.approx(batch_of(1, 8192) / batch_of(64, 8192))
    rates = CLAIMS[31].figures
    for number in (39, 40):
        assert CLAIMS[number].figures["rate_times"] == pytest.approx(rates["own_rate"] / rates["mha_rate"])
    # 1 head and 64, both at as many sequences as 64 hold
    six = [
        calculator.speed(
            calculator.plan(
                calculator.load_model("llama-3-70b").with_kv_heads(heads), gpu="a100-80gb-sxm",
                tensor_parallel_size=4, seq_len=8192,
            ), batch_of(64, 8192), 8192, None,
        ).output_tokens_per_second
        for heads in (1, 64)
    ]  # fmt: skip
    assert CLAIMS[47].figures["mha"] == pytest.approx(100 * (six[0] / six[1] - 1))
    assert CLAIMS[63].figures["same"] == CLAIMS[47].figures["same"]
    assert CLAIMS[63].figures["full"] == CLAIMS[47].figures["full"]


def test_what_a_single_number_without_conditions_leaves_out():
    # 30 to 40 % is neither of these, and they differ with batch and length
    found = CLAIMS[47].figures
    assert found["short"] < found["same"] < 30 < 40 < min(found["full"], found["mha"])


def test_the_naive_batch_forgets_the_weights():
    # 4 GPUs of 79.235 GiB, the middle of what programs reported, over 2,684,354,560 bytes a sequence
    assert CLAIMS[38].figures["naive"] == 4 * 85_077_933_097 // 2_684_354_560


def test_the_cache_alone_exceeds_every_card():
    cache = 16 * 8192 * 64 * HEAD
    largest = max(calculator.load_gpu(gpu).memory_bytes for gpu in calculator.gpu_ids())
    assert cache > largest
    assert CLAIMS[23].figures["mi355x"] == calculator.load_gpu("mi355x").memory_bytes / GB


def test_more_memory_beside_the_weights_gains_less():
    assert CLAIMS[40].figures["large"] < CLAIMS[40].figures["times"]


# The data


def test_all_claims_are_there_by_number():
    assert list(CLAIMS) == list(range(1, 72))
    assert {claim.verdict for claim in CLAIMS.values()} == {"reproduced", "refuted", "conditional"}
    assert {claim.topic for claim in CLAIMS.values()} == set(TOPICS)
    assert calculator.circulating_claims(21) == (CLAIMS[21],)


@pytest.mark.parametrize("number", CLAIMS)
def test_a_claim_shows_its_figures_and_types_none_that_it_computes(number):
    claim, (entry,) = CLAIMS[number], [each for each in claim_entries() if each.number == number]
    shown = set(re.findall(r"\{(\w+)[:}]", entry.holds))
    assert shown == set(entry.figures) == set(claim.figures)
    assert claim.holds == entry.holds.format(**claim.figures)
    assert (claim.holds.key, claim.says) == (f"claims.{number}.holds", entry.says)
    published = any(spec["by"].startswith("published") for spec in entry.figures.values())
    assert bool(claim.source) or not published


def test_figures_have_units_and_every_function_serves_a_claim():
    specs = [spec for entry in claim_entries() for spec in entry.figures.values()]
    nested = [spec[name] for spec in specs for name in ("less", "over", "gain") if name in spec]
    assert {spec["unit"] for spec in specs if "unit" in spec} == set(UNITS)
    unused = set(FIGURES) - {spec["by"] for spec in specs + nested}
    assert unused == {"score_bytes", "prefill_bytes"}
    for name in FIGURES:
        assert re.search(r"\[[^\]]+\]|published|compared", FIGURES[name].__doc__), name


def test_figures_set_against_others():
    one = {"by": "kv_heads_of", "model": "llama-3-70b"}
    many = {"by": "heads_of", "model": "llama-3-70b"}
    assert figure({**many, "less": one}) == 56
    assert figure({**many, "over": one}) == 8
    assert figure({**many, "gain": one, "unit": "%"}) == pytest.approx(700)
    assert figure({"by": "score_bytes", "model": "llama-3-70b", "seq_len": 4096, "unit": "GiB"}) == 2
    assert figure({"by": "prefill_bytes", "model": "llama-3-70b", "seq_len": 1}) == 2 * (2 * 64 + 2 * 8) * 128


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"by": "no_such"}, "unknown figure 'no_such'"),
        ({"by": "presets", "unit": "furlongs"}, "unknown unit 'furlongs'"),
    ],
)
def test_an_unknown_figure_is_refused(spec, sentence):
    with pytest.raises(calculator.UnknownNameError, match=sentence):
        figure(spec)


@pytest.mark.parametrize("number", [0, 72, "21", True])
def test_an_unknown_claim_is_refused(number):
    with pytest.raises(calculator.InvalidValueError, match="number must be that of a claim, from 1 to 71"):
        calculator.circulating_claims(number)
