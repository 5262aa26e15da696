"""What each engine's packages changed, told rule by rule: since which release a rule has which value."""

import pytest

import calculator
from calculator.engines import engine_rules
from calculator.engines.sglang.changes import BUILT, READ
from calculator.engines.vllm.changes import CHANGES
from calculator.engines.vllm.sources import OWN

MOST = 160 * 1024  # MiB: B200, MI300X and larger
H100, ELSE = 70 * 1024, 0
DENSE = {"qwen3", "llama", "mistral"}
EXPERTS = {"deepseek_v2", "qwen2_moe", "granitemoe"}
DEPRECATED = {"fbgemm_fp8", "fp_quant"}
NONE = {
    "gpt_neo",
    "gpt_neox_japanese",
    "codegen",
    "openai-gpt",
    "xglm",
    "big_bird",
    "megatron-bert",
    "rembert",
    "roformer",
    "bailing_moe_linear",
}


def devices(rows):
    return [(row.at_least_mib, row.max_num_batched_tokens, row.max_num_seqs, row.offline_tokens, set(row.not_named))
            for row in rows]  # fmt: skip


def by_name(recurrences):
    return {each.name: value for each, value in recurrences.items()}


READ_AS = {
    "device_defaults": devices, "second_runner_types": lambda types: types and set(types), "refused_methods": set,
    "types_without_class": set,
    "mode_follows_model": lambda kinds: {kind.name for kind in kinds}, "checkpoint_alignment": by_name,
    "admission": lambda it: (it.watermark, it.reserve_ratio, it.reserve_most_tokens, it.whole_output, it.whole_context),
    "graphs": lambda rows: [(row.below_mib, row.few_ranks, row.many_ranks) for row in rows],
    "windows_longer": dict,
}  # fmt: skip
# arg_utils.get_batch_defaults: MiB from which, tokens, sequences, tokens offline, names left out
PLAIN, SERVER = (ELSE, 2048, 256, 0, set()), (ELSE, 2048, 256, 8192, set())
LARGE = (H100, 8192, 1024, 16384, {"a100", "gb10"})
VLLM = {
    "gpu_memory_utilization": {"0.6": 0.9, "0.20": 0.92},
    "sampler_copies_tenths": {"0.6": 96, "0.17": 37},
    "second_runner_copies_tenths": {"0.6": 0, "0.22": 15, "0.26": 5, "0.33": 37},
    "second_runner_counts_outputs": {"0.6": False, "0.27": True},
    "activation_spread": {"0.6": (0.75, 1.25), "0.8": (0.8, 1.25), "0.20": (0.5, 1.8)},
    "unchunked": {"0.6": True, "0.8": False},
    "latent_row_multiple": {"0.6": 128, "0.8": 1},
    "keeps_latents": {"0.6": False, "0.7": True},
    "budget_of_device": {"0.6": False, "0.7": True, "0.8": False, "0.9.1": True},
    "needs_budget_free": {"0.6": False, "0.9.1": True},
    "groups_layers": {"0.6": False, "0.9.1": True},
    "held_back": {"0.6": 0, "0.8": 1},
    "start_check": {"0.6": "stage", "0.8": None, "0.9.1": "layers", "0.14": "model", "0.17": "stage"},
    "start_check_holds_back": {"0.6": False, "0.29": True},
    "padding_factor": {"0.12": 1.25, "0.18": 1.5},
    "async_scheduling": {"0.6": False, "0.12": True},
    "chunks_as_such": {"0.6": False, "0.14": True},
    "charges_whole_passes": {"0.6": False, "0.15": True},
    "pages_of_cached_state": {"0.15": 2},
    "experts_stay": {"0.6": False, "0.17": True},
    "graphs_in_budget": {"0.6": False, "0.20": True},
    "graphs_need_states": {"0.6": False, "0.20": True},
    "packs_rows": {"0.6": False, "0.20": True},
    "tokens_from_concurrency": {"0.6": False, "0.21": True},
    "second_runner_types": {"0.6": set(), "0.22": {"qwen3"}, "0.23": DENSE, "0.24": DENSE | EXPERTS, "0.25": EXPERTS,
                            "0.29": None},
    "second_runner_serves_dense": {"0.6": False, "0.25": True},
    "second_runner_profiles_graphs": {"0.6": False, "0.29": True},
    "batches_in_flight": {"0.6": False, "0.26": True},
    "unexplained_bytes_per_token": {"0.6": 0, "0.26": 14_000, "0.33": 0},  # of public starts
    # models/registry.py: classes that went, and types that never had one
    "types_without_class": {"0.6": NONE, "0.24": NONE | {"baichuan", "qwen"},
                            "0.29": NONE | {"baichuan", "qwen", "mpt"}},
    "caches_states": {"0.6": False, "0.28": True},
    "mode_follows_model": {"0.6": set(), "0.12": {"MAMBA1", "MAMBA2"}, "0.28": set()},
    "checkpoint_alignment": {"0.6": {}, "0.32": {"MAMBA2": 1}, "0.33": {"MAMBA2": 1, "GATED_DELTA_NET": 64}},
    "windows_longer": {"0.6": {}, "0.33": {"cohere2": 1, "cohere2_moe": 1}},
    "refused_methods": {"0.6": set(), "0.24": DEPRECATED, "0.29": DEPRECATED | {"bitsandbytes"}},
    "device_defaults": {"0.6": [PLAIN], "0.8": [(H100, 8192, 1024, 16384, {"a100"}), SERVER], "0.11": [LARGE, SERVER],
                        "0.28": [(MOST, 16384, 1024, 0, set()), LARGE, SERVER]},
    "admission": {"0.6": (0.01, 0, 0, False, False), "0.8": (0, 0, 0, False, False)},
}  # fmt: skip


# server_args.py: MiB from which a chunk has so many tokens; no limit of sequences, said as 2,048
def chunks(*rows):  # fmt: skip
    return [(at_least * 1024, tokens, 2048, 0, set()) for at_least, tokens in rows]


ANY = 2**40
SGLANG = {
    "fixed_encoder_factor": {"0.4.4": 0.95, "0.4.9": 0.9, "0.4.10": None},
    "long_context_factor": {"0.4.4": 1.0, "0.4.9": 0.85},
    "window_ratio": {"0.4.4": 0.8},
    "state_ratio": {"0.4.4": 0, "0.5.5": 0.9},
    "slots_follow_requests": {"0.4.4": False, "0.5.5": True},
    "most_slots": {"0.4.4": 0, "0.5.5": 512, "0.5.12": 0},
    "counts_plain_rows": {"0.4.4": False, "0.5.5": True, "0.5.18": False},
    "padding_slots": {"0.4.4": 0, "0.5.18": 1},
    "prefill_graphs_with_attention_dp": {"0.5.10": False, "0.5.18": True},
    "requests_cap_graphs": {"0.4.4": False, "0.5.23": True},
    "admission": {"0.4.4": (0, 0.098, 4096, False, False)},  # 0.14 of 0.7
    "device_defaults": {
        "0.4.4": [(25_000, 8192, 2048, 0, set()), *chunks((0, 2048))],
        "0.4.9": chunks((160, 16384), (35, 8192), (0, 2048)),
        "0.5.5": chunks((160, 16384), (60, 8192), (35, 4096), (0, 2048)),
        "0.5.23": chunks((160, 16384), (60, 8192), (20, 4096), (0, 2048)),
    },
    "graphs": {  # MiB below which the largest captured batch is so many, below TP 4 and from it on
        "0.4.4": [(25_000, 8, 80), (ANY, 160, 160)],
        "0.4.9": [(35 * 1024, 8, 80), (90 * 1024, 160, 160), (160 * 1024, 256, 256), (ANY, 512, 512)],
        "0.5.5": [(20 * 1024, 8, 8), (35 * 1024, 24, 80), (60 * 1024, 32, 160), (160 * 1024, 256, 512),
                  (ANY, 512, 512)],
        "0.5.23": [(20 * 1024, 8, 8), (35 * 1024, 48, 160), (60 * 1024, 32, 160), (160 * 1024, 256, 512),
                   (ANY, 512, 512)],
    },
}  # fmt: skip
# release notes of 0.11 (256 sequences, 8,192 tokens of a built engine), logs of November 2024 and June 2025 (2,048 and
# blocks of 64, then of 32), 1.0: the PyTorch backend
TENSORRT_LLM = {
    "fraction": {"0.11": 0.9},
    "tokens_per_block": {"0.11": 64, "0.20": 32},
    "builds_engine": {"0.11": True, "1.0": False},
    "device_defaults": {"0.11": [(ELSE, 8_192, 256, 0, set())], "0.12": [(ELSE, 8_192, 2_048, 0, set())]},
    "admission": {"0.11": (0, 0, 0, True, False)},
}
RELEASES = {
    "tensorrt-llm": "0.11 0.12 0.16 0.18 0.19 0.20 0.21 1.0 1.1 1.2",
    "vllm": "0.6 0.7 0.8 0.8.5 0.9.1 0.10 0.11 0.12 0.13 0.14 0.15 0.16 0.17 0.18 0.19 0.20 0.21 0.22 0.23 0.24 0.25 "
            "0.26 0.27 0.28 0.29 0.30 0.31 0.32 0.33",
    "sglang": "0.4.4 0.4.9 0.4.10 0.5.1 0.5.5 0.5.8 0.5.10 0.5.12 0.5.18 0.5.23",
}  # fmt: skip


# what a server is told to make of 16 bit weights as it loads them: vLLM's layers/quantization, fp8_per_block from 0.20,
# fp8_per_tensor from 0.31, bitsandbytes before 0.28; SGLang's, of 0.5.23
ON_LOAD = [
    ("vllm", "fp8", "0.19 fp8  0.30 fp8  0.31 fp8_per_tensor  0.33 fp8_per_tensor"),
    ("vllm", "fp8-block", "0.19 -  0.20 fp8_per_block  0.33 fp8_per_block"),
    ("vllm", "nf4", "0.19 bitsandbytes  0.26 bitsandbytes"),
    ("vllm", "awq-int4", "0.19 -  0.33 -"),
    ("sglang", "fp8", "0.4.9 fp8  0.5.23 fp8"),
    ("sglang", "nf4", "0.5.18 bitsandbytes  0.5.23 bitsandbytes"),
]


@pytest.mark.parametrize(("engine", "weight", "history"), ON_LOAD)
def test_a_command_names_the_method_that_its_release_has(engine, weight, history):
    words = history.split()
    for release, method in zip(words[::2], words[1::2], strict=True):
        plan = calculator.plan("llama-3-8b", "h100-sxm", engine=engine, weight_dtype=weight, engine_version=release)
        command = str(calculator.serve_command(plan)).split()
        given = command[command.index("--quantization") + 1] if "--quantization" in command else "-"
        assert given == method, release


def number(release):
    return tuple(map(int, f"{release}.0".split(".")[:3]))


@pytest.mark.parametrize(
    ("engine", "rule", "history"),
    [
        *(("vllm", *row) for row in VLLM.items()),
        *(("sglang", *row) for row in SGLANG.items()),
        *(("tensorrt-llm", *row) for row in TENSORRT_LLM.items()),
    ],
    ids=[*VLLM, *SGLANG, *TENSORRT_LLM],
)
def test_a_rule_is_as_its_release_has_it(engine, rule, history):
    for release in RELEASES[engine].split():
        known = [since for since in history if number(since) <= number(release)]
        if known:
            value = getattr(engine_rules(engine, release), rule)
            assert READ_AS.get(rule, lambda it: it)(value) == history[known[-1]], release


@pytest.mark.parametrize(
    ("ranks", "share"), [(1, 0.88), (2, 0.87), (3, 0.87), (4, 0.85), (7, 0.85), (8, 0.81), (15, 0.81), (16, 0.79)]
)
def test_fractions_of_the_oldest_release_by_ranks(ranks, share):
    rule = engine_rules("sglang", "0.4.4").fraction_rule
    assert next(value for at_least, value in rule.rows if ranks >= at_least) == share


def test_reserves_of_the_second_oldest_release():
    # below so many MiB, GiB and GiB a rank; 4 GiB more with attention data parallelism
    rule = engine_rules("sglang", "0.4.9").fraction_rule
    assert rule.rows == ((35_840, 2.8, 0.1), (92_160, 9.5, 0.5), (163_840, 12, 0.5), (ANY, 32, 0))
    assert rule.attention_dp_mib == 4_096
    assert not engine_rules("sglang", "0.5.8").fraction_rule.prefill_graphs
    assert engine_rules("sglang", "0.5.10").fraction_rule.prefill_graphs


def test_releases_that_were_read_and_when_they_were_built():
    assert [".".join(map(str, release)) for release in READ] == RELEASES["sglang"].split()
    # when PyPI had the packages, of 0.4.10 its second patch
    assert dict(zip(READ, (
        "2025-03-13", "2025-07-06", "2025-08-03", "2025-08-23", "2025-11-06", "2026-01-23", "2026-04-05", "2026-05-16",
        "2026-08-21", "2026-10-30",
    ), strict=True)) == BUILT  # fmt: skip


def test_sources_of_single_values_are_of_values_that_their_rows_have():
    rows = {change.since: change for change in CHANGES}
    for since, sources in OWN.items():
        assert sources.keys() <= rows[since].values.keys()
    row = rows[0, 18, 0]
    assert "GiB logged" in row.source_of(["non_torch"])
    assert "kv_cache_utils" not in row.source_of(["non_torch"])
    # of a value without a source of its own the row's holds
    assert rows[0, 33, 0].source_of(["windows_longer", "sees_images_whole"]) == rows[0, 33, 0].source
