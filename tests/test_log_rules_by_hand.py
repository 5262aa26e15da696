"""Rules by which a log is read, each alone and at its bounds: what it implies, states, assumes and calibrates."""

from types import SimpleNamespace

import pytest

import calculator
from calculator.architecture.weights import weight_bytes_per_rank
from calculator.engines import engine_log, engine_rules
from calculator.errors import InvalidValueError
from calculator.logs import calibrating, implied, names, setup
from calculator.logs.comparison import Comparison, Term
from calculator.logs.lines.starts import ENDS_A_START, Start, those_of_memory
from calculator.logs.lines.vocabulary import rank_of, stated_by, vocabulary
from calculator.units import GIB

LLAMA = calculator.load_model("llama-3.1-8b")
WEIGHTS = 8_030_261_248 * 2 / GIB
TOKEN = 131_072


# What figures imply


@pytest.mark.parametrize(
    ("figures", "bounds"),
    # a pool printed to two places, keys and values each: (p - 0.01) to (p + 0.01) GiB over its tokens
    [
        ({"kv_pool_gib": 10.0, "kv_tokens": 1_000}, (9.99, 10.01)),
        ({"kv_pool_gib": 10.0, "cells": 1_000}, (9.99, 10.01)),
        ({"kv_pool_gib": 10.0, "n_ctx": 1_000}, (9.99, 10.01)),
        ({"kv_pool_gib": 10.0, "kv_tokens": 1_000, "cells": 7, "n_ctx": 8}, (9.99, 10.01)),
        ({"kv_pool_gib": 10.0, "kv_tokens": 1_000, "needed_gib": 2.0, "concurrency_at": 100}, (19.9, 20.1)),
        ({"kv_pool_gib": 10.0, "kv_tokens": 1_000, "needed_gib": 2.0}, (9.99, 10.01)),
        ({"kv_pool_gib": 10.0}, None), ({"kv_tokens": 1_000}, None), ({"needed_gib": 2.0}, None), ({}, None),
        ({"kv_pool_gib": 0.0, "kv_tokens": 5}, None),
    ],
)  # fmt: skip
def test_bytes_of_a_token_that_a_log_prints(figures, bounds):
    found = implied._token_bytes(figures)
    assert found == (None if bounds is None else pytest.approx([end * GIB / 1_000 for end in bounds]))


def test_bytes_of_a_token_that_stand_there_are_exact():
    assert implied._token_bytes({"kv_bytes_per_token": 131_072, "kv_pool_gib": 1, "kv_tokens": 5}) == (TOKEN, TOKEN)


@pytest.mark.parametrize(
    ("flags", "formats"),
    [
        ({}, ("fp16", "fp8_e4m3")), ({"kv_cache_dtype": "auto"}, ("fp16", "fp8_e4m3")),
        ({"kv_cache_dtype": "auto", "quantization": "none"}, ("fp16",)), ({"kv_cache_dtype": "f16"}, ("fp16",)),
        ({"kv_cache_dtype": "fp16"}, ("fp16",)), ({"kv_cache_dtype": "float16"}, ("fp16",)),
        ({"kv_cache_dtype": "bf16"}, ("fp16",)), ({"kv_cache_dtype": "torch.bfloat16"}, ("fp16",)),
        ({"kv_cache_dtype": "half"}, ("fp16",)), ({"kv_cache_dtype": "fp8"}, ("fp8_e4m3",)),
        ({"kv_cache_dtype": "fp8_e5m2"}, ("fp8_e4m3",)), ({"kv_cache_dtype": "torch.float8_e4m3fn"}, ("fp8_e4m3",)),
        ({"kv_cache_dtype": "int8"}, ("fp16", "fp8_e4m3")), ({"kv_cache_dtype": "q4_0"}, ("fp16", "fp8_e4m3")),
        ({"kv_cache_dtype": "q8_0"}, ("fp16", "fp8_e4m3")),
    ],
)  # fmt: skip
def test_formats_that_the_cache_of_a_log_may_be_in(flags, formats):
    flags = {**flags, **({"quantization": implied.UNQUANTISED} if "quantization" in flags else {})}
    assert implied._kept_in(flags) == formats


@pytest.mark.parametrize(
    ("flags", "figures", "ranks", "holders", "weights"),
    [
        ({}, {}, 1, 1, 0.0), ({"tensor_parallel_size": 4}, {"ranks": 2, "weights_gib": 3.0}, 4, 4, 3.0),
        ({}, {"ranks": 2, "weights_gib": 3.0}, 2, 2, 3.0),
        # a checkpoint's files are of the whole model
        ({"tensor_parallel_size": 4}, {"weights_gib": 3.0, "checkpoint_gib": 15.0}, 4, 1, 15.0),
    ],
)  # fmt: skip
def test_what_is_printed_of_a_model(flags, figures, ranks, holders, weights):
    found = implied._printed(flags, figures)
    assert (found.ranks, found.holders, found.weights_gib, found.layers, found.apart) == (
        ranks, holders, weights, 0, False,
    )  # fmt: skip
    assert implied._printed({**flags, "pipeline_parallel_size": 2}, figures) is None
    assert implied._printed({**flags, "pipeline_parallel_size": 1}, figures) == found
    more = implied._printed({**flags, "states_apart": True}, {**figures, "layers": 7})
    assert (more.layers, more.apart) == (7, True)


@pytest.mark.parametrize(
    ("word", "sizes"),
    [
        ("Qwen2.5-7B-Instruct", {"7b"}), ("llama_3.1_70b", {"70b"}), ("qwen3-30b-a3b", {"30b"}), ("x0.5b", set()),
        ("qwen2.5-0.5b", {"0.5b"}), ("8x7b", set()), ("7bit", set()), ("phi-3", set()), ("1b 2b", {"1b", "2b"}),
    ],
)  # fmt: skip
def test_sizes_in_names(word, sizes):
    assert implied._sizes_in(word) == sizes


@pytest.mark.parametrize(
    ("model", "architecture", "is_of"),
    [
        ("llama-3.1-8b", "LlamaForCausalLM", True), ("llama-3.1-8b", "MistralForCausalLM", False),
        ("qwen3-30b-a3b", "Qwen3MoeForCausalLM", True), ("qwen3-8b", "Qwen3ForCausalLM", True),
        ("qwen3-8b", "Qwen3MoeForCausalLM", False), ("gemma-3-27b", "Gemma3ForConditionalGeneration", True),
        ("gemma-2-9b", "Gemma3ForConditionalGeneration", False), ("gpt-oss-20b", "GptOssForCausalLM", True),
        ("llama-3.1-8b", "ForCausalLM", False), ("llama-3.1-8b", "", False),
    ],
)  # fmt: skip
def test_the_class_of_a_model(model, architecture, is_of):
    assert implied._is_of_class(calculator.load_model(model), architecture) is is_of


def printed(token=None, weights=0.0, ranks=1, holders=1, layers=0, apart=False):
    return implied._Printed(token, weights, ranks, holders, layers, apart)


@pytest.mark.parametrize(
    ("weights", "holders", "may"),
    # 8.03 billion parameters are 7.479 GiB of one byte: at least 0.45 of them, at most 2.3 and a GiB
    [(0.0, 1, True), (0.451 * WEIGHTS / 2, 1, True), (0.449 * WEIGHTS / 2, 1, False), (1.15 * WEIGHTS + 0.99, 1, True),
     (1.15 * WEIGHTS + 1.01, 1, False), (1.15 * WEIGHTS / 4 + 0.99, 4, True), (1.15 * WEIGHTS / 4 + 1.01, 4, False)],
)  # fmt: skip
def test_weights_that_a_model_may_hold(weights, holders, may):
    assert implied._may_hold(LLAMA, printed(None, weights, holders, holders)) is may


@pytest.mark.parametrize(
    ("token", "ranks", "layers", "fits"),
    [
        ((TOKEN, TOKEN), 1, 0, True), ((TOKEN + 1, 2 * TOKEN), 1, 0, False), ((1, TOKEN - 1), 1, 0, True),
        ((1, TOKEN // 2 - 1), 1, 0, False), ((TOKEN // 2, TOKEN // 2), 1, 0, True),
        ((TOKEN // 4, TOKEN // 4), 4, 0, True),
        ((TOKEN, TOKEN), 1, 32, True), ((TOKEN, TOKEN), 1, 31, False), (None, 1, 0, None), (None, 1, 31, False),
    ],
)  # fmt: skip
def test_bytes_of_a_token_are_the_models_in_one_of_the_formats(token, ranks, layers, fits):
    found = implied._tokens_fit(LLAMA, printed(token, 0.0, ranks, ranks, layers))
    assert found is fits
    if found is False and layers == 0:
        assert not implied._may_hold(LLAMA, printed(token, 0.0, ranks, ranks))


def test_layers_that_keep_other_than_tokens_leave_it_open():
    # GPT-OSS: half of its layers keep a window; a state beside attention counts where it stands apart
    assert implied._tokens_fit(calculator.load_model("gpt-oss-20b"), printed((1, 10**9))) is None
    hybrid = calculator.load_model("qwen3-next-80b-a3b")
    token = 12 * 2 * 2 * 256 * 2  # 12 of 48 layers, 2 KV heads of 256, 16 bit
    assert implied._tokens_fit(hybrid, printed((token, token))) is None
    assert implied._tokens_fit(hybrid, printed((token, token), apart=True)) is True
    assert implied._tokens_fit(hybrid, printed((token + 1, token + 1), apart=True)) is False


@pytest.mark.parametrize(("share", "near"), [(1.019, True), (1.021, False), (0.981, True), (0.979, False)])
def test_weights_of_a_size(share, near):
    off = implied._off(LLAMA, printed(None, WEIGHTS / share), ("bf16",))
    assert (off is not None) is near
    if near:
        assert off == pytest.approx(abs(share - 1), abs=1e-9)
    ranks = weight_bytes_per_rank(LLAMA, "bf16", 4)[0] / GIB
    assert implied._off(LLAMA, printed(None, ranks, 4, 4), ("bf16",)) == pytest.approx(0, abs=1e-9)
    assert implied._off(LLAMA, printed(None, WEIGHTS / 1.05), ("bf16",), 0.06) == pytest.approx(0.05)


def test_lengths_that_a_model_reaches():
    assert [implied._reaches(LLAMA, length) for length in (0, 131_072, 131_073)] == [True, True, False]
    assert implied._reaches(SimpleNamespace(max_position_embeddings=None), 10**9)
    # the very length first, then the nearer weights
    rows = [(0.0, SimpleNamespace(max_position_embeddings=8, id="a")),
            (0.3, SimpleNamespace(max_position_embeddings=9, id="b")),
            (0.2, SimpleNamespace(max_position_embeddings=9, id="c"))]  # fmt: skip
    assert [implied._nearest(list(rows), {"seq_len": length}) for length in (8, 9, 10)] == ["a", "c", "a"]
    assert implied._nearest([], {}) is None


def test_names_that_choose_among_several():
    found = [(0.0, calculator.load_model("llama-3.1-8b")), (0.1, calculator.load_model("llama-3-8b"))]
    assert implied._of_that_name(found, "x/Llama-3.1-8B-Foo/") == found[:1]
    assert implied._of_that_name(found, "Llama-3") == found  # the same layers
    assert implied._of_that_name(found, "") == []
    assert implied._of_that_name(found, "mistral") == []
    other = [(0.0, calculator.load_model("qwen3-8b")), (0.1, calculator.load_model("qwen3-14b"))]
    assert implied._of_that_name(other, "qwen3") == []
    assert implied._begun("llama-3.1") is None  # says no size
    assert implied._begun("qwen3-30b").id == "qwen3-30b-a3b"


# What a set-up states


@pytest.mark.parametrize(
    ("value", "off"), [(-1, True), (-0.5, True), (0, False), (1, False), ("-1", False), (None, False)]
)
def test_a_number_below_nothing_says_that_it_is_off(value, off):
    assert setup._is_off(value) is off


@pytest.mark.parametrize(
    ("figures", "asked", "taken"),
    # ranks that print are powers of two at least
    [
        ({}, {}, {}), ({"ranks": 1}, {}, {}), ({"ranks": 2}, {}, {"tensor_parallel_size": 2}),
        ({"ranks": 3}, {}, {"tensor_parallel_size": 4}), ({"ranks": 8}, {}, {"tensor_parallel_size": 8}),
        ({"ranks": 8}, {"tensor_parallel_size": 4}, {}),
        ({"ranks": 2, "expert_ranks": 1}, {}, {"tensor_parallel_size": 2}),
        ({"ranks": 2, "expert_ranks": 2}, {}, {"tensor_parallel_size": 2, "enable_expert_parallel": True}),
        ({"ranks": 2, "expert_ranks": 2}, {"enable_expert_parallel": False}, {"tensor_parallel_size": 2}),
    ],
)  # fmt: skip
def test_ranks_that_a_log_shows(figures, asked, taken):
    assumed = []
    assert setup._ranks(SimpleNamespace(figures=figures), asked, assumed) == taken
    assert [one.key for one in assumed] == ["logs.assumed.ranks", "logs.assumed.expert_ranks"][: len(taken)]
    if taken:
        assert f"up to TP{figures['ranks'] - 1}" in assumed[0]


def test_a_device_that_has_not_the_memory():
    device = calculator.load_gpu("h100-sxm")
    own = device.memory_bytes / GIB
    for logged in (None, 1.0, own, own * (1 + setup.SAME_MEMORY) - 1e-9):
        setup._check_memory(device, logged)
    with pytest.raises(InvalidValueError, match="give the GPU that it was") as no:
        setup._check_memory(device, own * (1 + setup.SAME_MEMORY) + 1e-6)
    assert (no.value.what, no.value.asked) == ("gpu", "h100-sxm")


def test_the_version_of_a_log_by_its_date():
    own = engine_log("sglang")
    days = sorted(own.built.items())
    assert len(days) > 2
    newest = max(own.built)
    for version, day in days:
        assumed = []
        found = setup._version_of(SimpleNamespace(figures={}, flags={"date": day}, engine="sglang"), own, assumed)
        # the newest of those that were built on that day or before it
        best = max(one for one, built in own.built.items() if built <= day)
        assert assumed[0].key == ("logs.assumed.newest" if best == newest else "logs.assumed.dated")
        assert (found is None) is (best == newest)
        if found:
            assert tuple(map(int, found.split(".")[:2])) == tuple(best)[:2]
        assert best >= version
    assumed = []
    early = SimpleNamespace(figures={}, flags={"date": "2000-01-01"}, engine="sglang")
    assert tuple(map(int, setup._version_of(early, own, assumed).split(".")[:2])) == tuple(min(own.built))[:2]
    assert setup._version_of(SimpleNamespace(figures={}, flags={}, engine="sglang"), own, assumed) is None


def test_drafts_that_a_log_states():
    known = engine_rules("vllm")
    flags = {"draft_method": "ngram", "draft_tokens": 3}
    config = {"speculative_config": {"method": "ngram", "num_speculative_tokens": 3}}
    assert setup._drafts(flags, known, LLAMA) == config
    for name in flags:
        assert setup._drafts({name: flags[name]}, known, LLAMA) == {}
    assert setup._drafts({**flags, "draft_method": "mtp"}, known, LLAMA) == {}  # it has no such layers
    assert setup._drafts(flags, SimpleNamespace(draft_methods=("mtp",)), LLAMA) == {}


# Names


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama3.18b"), ("org/Llama31-8B/", "llama3.18b"),
        ("Qwen/Qwen3-8B-FP8", "qwen38b"), ("a/b-AWQ-INT4-g128", "b"), ("x-chat-hf", "x"), ("X_2507", "x"),
        ("mistral-7b-v0.3", "mistral7bv0.3"), ("chatglm", "chatglm"),
    ],
)  # fmt: skip
def test_names_without_what_says_how_they_were_tuned(name, bare):
    assert names.plain(name) == bare


@pytest.mark.parametrize(
    ("device", "share", "preset"),
    [
        ("NVIDIA L4", None, "l4"), ("NVIDIA L4", 1.049, "l4"), ("NVIDIA GeForce RTX 4090", None, "rtx-4090"),
        ("NVIDIA GeForce RTX 4090, 24564MiB", None, "rtx-4090"), ("foo", None, None), ("", None, None),
        ("NVIDIA H100 NVL", None, "h100-nvl"), ("NVIDIA H100 PCIe", None, "h100-pcie"),
        ("H100 PCIe something", None, "h100-pcie"), ("H100 NVL something", None, "h100-nvl"),
    ],
)  # fmt: skip
def test_devices_by_their_names(device, share, preset):
    memory = calculator.load_gpu(preset).memory_bytes / GIB * share if share else None
    assert names.gpu_of(device, memory) == preset


def test_of_devices_of_a_name_the_nearest_in_memory():
    for key in ("a100-40gb-sxm", "a100-80gb-sxm", "h100-nvl", "h200"):
        memory = calculator.load_gpu(key).memory_bytes / GIB
        word = key.split("-")[0].upper()
        found = names.gpu_of(f"{word} device", memory)
        assert found.split("-")[0] == key.split("-")[0]
        assert calculator.load_gpu(found).memory_bytes / GIB == pytest.approx(memory, rel=0.01)


def test_a_device_beside_the_lines_is_one_alone():
    def beside(*ids, memory=None):
        assumed = []
        return names.gpu_beside({"devices_beside": ids}, memory, assumed), [one.key for one in assumed]

    own = calculator.load_gpu("l4").memory_bytes / GIB
    said = ("l4", ["logs.assumed.gpu_beside"])
    assert beside(("l4",)) == beside(("l4",), ("l4",)) == said
    assert beside(("l4", "t4")) == beside(("l4",), ("t4",)) == beside() == (None, [])
    assert beside(("l4", "t4"), memory=own) == beside(("l4",), memory=1.049 * own) == said
    assert beside(("l4",), memory=1.06 * own) == beside(("l4",), memory=0.94 * own) == (None, [])


def test_the_name_to_plan_a_model_by():
    assert names.name_of(LLAMA) == LLAMA.id
    own = calculator.custom_model(
        num_layers=1, num_attention_heads=1, num_key_value_heads=1, head_dim=64, hidden_size=64, intermediate_size=64,
        vocab_size=64, max_position_embeddings=64, tie_word_embeddings=True,
    )  # fmt: skip
    assert names.name_of(own) is own


# Starts of a log


def start(**figures):
    return Start(found={"vllm": [(name, value, "") for name, value in figures.items()]})


@pytest.mark.parametrize(
    ("name", "memory", "capacity"),
    # a size, or what ends a start, is of memory; what other engines' logs may hold too is not
    [
        ("weights_gib", True, False), ("kv_tokens", True, True), ("num_blocks", True, True),
        ("kv_pool_gib", True, True),
        ("nothing_left", True, True), ("refused_gib", False, False), ("capacity_gib", False, False),
        ("engine_version", False, False), ("max_concurrency", False, False), ("ranks", False, False),
    ],
)  # fmt: skip
def test_starts_that_print_memory(name, memory, capacity):
    one = start(**{name: 1})
    assert (one.prints_memory(), one.prints_a_capacity("vllm")) == (memory, capacity)
    assert not one.prints_a_capacity("sglang")


def test_what_ends_a_start():
    ending = {
        "kv_pool_gib", "kv_tokens", "num_blocks", "kv_buffer_gib", "cells_gib", "allocated_gib", "k_gib",
        "nothing_left", "refused_gib", "refused_sequences", "needed_gib",
    }  # fmt: skip
    assert ending == ENDS_A_START


def test_what_stands_beside_belongs_to_the_start_before_or_the_first():
    first, second = start(weights_gib=1), start(weights_gib=2)
    before, behind = Start(flags={"a": 1, "b": 1}), Start(flags={"a": 2, "c": 2}, described={"vllm": {"x": "1"}})
    second.flags, second.described = {"b": 5}, {"vllm": {"y": "2"}}
    found = those_of_memory([before, first, second, behind])
    assert found == [first, second]
    assert first.flags == {"a": 1, "b": 1}
    assert second.flags == {"a": 2, "b": 5, "c": 2}
    assert second.described == {"vllm": {"x": "1", "y": "2"}}
    # what is stated as not quantised gives way to what another part states
    one, other = Start(flags={"quantization": implied.UNQUANTISED}), Start(flags={"quantization": "fp8"})
    one.add(other)
    assert one.flags == {"quantization": "fp8"}
    one.add(Start(flags={"quantization": "awq"}, found={"vllm": [("a", 1, "")]}))
    assert (one.flags, one.found) == ({"quantization": "fp8"}, {"vllm": [("a", 1, "")]})
    nothing = [Start(flags={"a": 1}), Start(flags={"a": 2, "b": 2})]
    assert [each.flags for each in those_of_memory(nothing)] == [{"a": 1, "b": 2}]


# Lines


@pytest.mark.parametrize(
    ("line", "stated"),
    [
        ("args: model='a/b', tensor_parallel_size=2, seed=0", {"model": "a/b", "tensor_parallel_size": 2}),
        ("tensor_parallel_size=2, tensor_parallel_size=4", {"tensor_parallel_size": 2}),
        ("--tensor-parallel-size 2 -tp 4", {"tensor_parallel_size": 2}), ("--enforce-eager", {"enforce_eager": True}),
        ("--no-enable-prefix-caching", {"enable_prefix_caching": False}),
        ("model=foo(bar)", {}), ("model=None", {}), ("tensor_parallel_size=x", {}),
        ("2026-10-05 INFO", {"date": "2026-10-05"}),
        ("2026/10/05 INFO", {"date": "2026-10-05"}), ("x" * 80 + "2026-10-05", {}), ("x" * 70 + " 2026-10-05", {}),
        ("x" * 69 + " 2026-10-05", {"date": "2026-10-05"}), ("plain words", {}),
    ],
)  # fmt: skip
def test_what_a_line_states(line, stated):
    found = stated_by(line, "", vocabulary())
    assert {name: value for name, value in found.items() if name != "seed"} == stated


@pytest.mark.parametrize(
    ("line", "rank", "most"),
    [("(Worker_TP1 pid=7) x", "TP1", {"TP": 2}), ("(Worker_TP3_EP2 pid=7) x", "TP3_EP2", {"TP": 4, "EP": 3}),
     ("[2026-01-01 00:00:00 TP2] x", "TP2", {"TP": 3}), ("x", "", {}), ("y" * 201 + "(Worker_TP1 pid=7)", "", {})],
)  # fmt: skip
def test_the_rank_that_prints(line, rank, most):
    ranks = {}
    assert rank_of(line, ranks, vocabulary()) == rank
    assert ranks == most
    more = dict.fromkeys(most, 9)
    rank_of(line, more, vocabulary())
    assert more == dict.fromkeys(most, 9)


# What a start says of a machine


def line(size, low, high):
    return SimpleNamespace(bytes=size, low=low, high=high)


OUT = calibrating.NON_TORCH.key
LEAST = calibrating.LEAST_SPREAD


@pytest.mark.parametrize(
    ("lines", "told", "more", "shares"),
    [
        # nothing may be off: what is held outside has it all, or the weights where that is printed
        ({OUT: line(9, 9, 9)}, {}, 50, {OUT: (50, LEAST)}),
        ({OUT: line(9, 9, 9)}, {OUT: 20}, 50, {OUT: (20, LEAST), calibrating.WEIGHTS: (30, LEAST)}),
        # by the squares of how far each may be off to that side: 30 and 40 are 9 to 16
        ({"a": line(100, 100, 130), "b": line(100, 100, 140)}, {}, 50,
         {OUT: (0, LEAST), "a": (18, round(30 * 0.8)), "b": (32, round(40 * 0.6))}),
        ({"a": line(100, 70, 100), "b": line(100, 60, 100)}, {}, -50,
         {OUT: (0, LEAST), "a": (-18, round(30 * 0.8)), "b": (-32, round(40 * 0.6))}),
        # one that may be off twice as far has all of it
        ({"a": line(100, 100, 120), "b": line(100, 100, 140)}, {}, 50,
         {OUT: (0, LEAST), "a": (0, round(20 * 0.8**0.5)), "b": (50, round(40 * 0.2**0.5))}),
        ({"a": line(100, 100, 121), "b": line(100, 100, 140)}, {}, 50, {
            OUT: (0, LEAST), "a": (round(50 * 441 / 2041), round(21 * (1600 / 2041) ** 0.5)),
            "b": (round(50 * 1600 / 2041), round(40 * (441 / 2041) ** 0.5))}),
        # what is printed is that line's, the rest another's
        ({"a": line(100, 100, 120), "b": line(100, 100, 140)}, {"b": 60}, 50,
         {OUT: (0, LEAST), "b": (60, LEAST), "a": (0, 0)}),
        ({"a": line(100, 90, 120), "b": line(100, 100, 140)}, {"b": 60}, 50,
         {OUT: (0, LEAST), "b": (60, LEAST), "a": (-10, 0)}),
        ({"a": line(100, 100, 100), "b": line(100, 100, 140)}, {}, 50, {OUT: (0, LEAST), "b": (50, 0)}),
    ],
)  # fmt: skip
def test_a_difference_is_shared_out_by_what_may_be_off(lines, told, more, shares):
    found = calibrating._shared(lines, told, more)
    if told == {"b": 60} and lines["a"].low == 100:  # nothing may be less than its low end: left outside
        assert found == {OUT: (-10, LEAST), "b": (60, LEAST)}
    else:
        assert found == shares


def test_the_difference_of_a_term():
    assert Term("a", "a", "GiB", 3.0, 5.0).difference == 2.0
    assert Term("a", "a", "GiB", None, 5.0).difference is None
    assert Term("a", "a", "GiB", 3.0, None).difference is None


# The device of a log


@pytest.mark.parametrize(
    ("figures", "flags", "gpu", "given", "asked", "assumed"),
    [
        ({}, {}, None, {}, {"gpu_memory_bytes": 2**44}, ["no_device"]),
        ({}, {"device": "Foo 9000"}, None, {}, {"gpu_memory_bytes": 2**44}, ["no_device"]),
        ({}, {"device": "NVIDIA L4"}, None, {}, {"gpu": "l4"}, []),
        ({}, {"device": "NVIDIA L4"}, "h200", {}, {"gpu": "h200"}, []),
        ({}, {}, "h200", {}, {"gpu": "h200"}, []),
        ({"memory_gib": 22.0}, {}, None, {}, {"gpu_memory_bytes": 22 * GIB}, []),
        ({"memory_gib": 22.0}, {"device": "NVIDIA L4"}, None, {}, {"gpu": "l4", "gpu_memory_bytes": 22 * GIB}, []),
        ({}, {}, None, {"gpu_memory_bytes": 5 * GIB}, {}, []),
        ({}, {"devices_beside": (("l4",),)}, None, {}, {"gpu": "l4"}, ["gpu_beside"]),
        ({}, {"devices_beside": (("l4",),)}, None, {"gpu_memory_bytes": 5 * GIB}, {}, []),
    ],
)  # fmt: skip
def test_the_device_of_a_log(figures, flags, gpu, given, asked, assumed):
    said = []
    log = SimpleNamespace(figures=figures, flags=flags, engine="vllm")
    own, known = engine_log("vllm"), engine_rules("vllm")
    found = setup._device(log, own, known, gpu, given, said)
    assert found == asked
    assert [one.key for one in said] == [f"logs.assumed.{key}" for key in assumed]
    if "device" in flags and not asked.get("gpu"):
        assert "'Foo 9000' is none of the presets" in said[0]


# Tokens that a pool holds


def compared(pool, tokens, held=None, sequences=None):
    one = SimpleNamespace(printed_pool_gib=pool, printed_tokens=tokens, sequences_held=sequences)
    one.plan = SimpleNamespace(request=SimpleNamespace(block_size=16))
    one.held_tokens = lambda _: held
    one.tolerance = lambda many, share: Comparison.tolerance(one, many, share)
    return one


@pytest.mark.parametrize(
    ("pool", "tokens", "share", "off"),
    # a share of them, a block, or what a hundredth of a GiB of the pool holds
    [(10.0, 10_000, 0.01, 100), (10.0, 10_000, 0.02, 200), (10.0, 100, 0.01, 16), (0.5, 10_000, 0.01, 200),
     (None, 10_000, 0.01, 100), (0.0, 10_000, 0.01, 100), (0.5, 10_050, 0.0, 201)],
)  # fmt: skip
def test_by_how_much_tokens_may_differ(pool, tokens, share, off):
    assert compared(pool, tokens).tolerance(tokens, share) == pytest.approx(off)


@pytest.mark.parametrize(
    ("pool", "tokens", "held", "sequences", "holds"),
    [
        (10.0, 10_000, 10_100, None, True), (10.0, 10_000, 10_101, None, False), (10.0, 10_000, 9_900, None, True),
        (10.0, 10_000, 9_899, None, False), (10.0, 10_000, 10_000, 3.0, False), (None, 10_000, 0, None, True),
        (10.0, None, 0, None, True),
    ],
)  # fmt: skip
def test_whether_a_pool_holds_what_is_printed(pool, tokens, held, sequences, holds):
    assert Comparison.holds_what_is_printed.fget(compared(pool, tokens, held, sequences)) is holds
