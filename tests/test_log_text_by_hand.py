"""A log as text: how it is decoded, broken lines made whole, figures of ranks, prose beside it, what is said of it."""

from types import SimpleNamespace

import pytest

import calculator
from calculator.engines import engine_log
from calculator.errors import FileFormatError, InvalidValueError
from calculator.logs import causes
from calculator.logs.lines.prose import Prose, cards
from calculator.logs.lines.records import records
from calculator.logs.reading import MAX_LOG_BYTES, _decoded, _figures, _lines
from calculator.units import GIB

VLLM = engine_log("vllm")


# Text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"abc", "abc"), ("ü".encode(), "ü"), (b"\xff\xfea\x00b\x00", "ab"), (b"\xfe\xff\x00a\x00b", "ab"),
        (b"a\xffb", "a\ufffdb"), (b"ab\x00\x00", "ab"), (b"\x00ab\x00c", "abc"),
        (b"\t\n\r\x1b\x08\x0ca\x00", "\t\n\r\x1b\x08\x0ca"),
    ],
)  # fmt: skip
def test_a_log_is_decoded(content, text):
    assert _decoded(content) == text


def test_what_is_no_text_is_refused():
    # more zeros than letters, or more than one control character in a hundred beside zeros
    assert _decoded(b"a" * 50 + b"\x00" * 50) == "a" * 50
    fine = b"a" * 99 + b"\x01\x00"
    assert _decoded(fine) == "a" * 99 + "\x01"
    for content in (b"a" * 49 + b"\x00" * 51, b"a" * 98 + b"\x01\x7f\x00"):
        with pytest.raises(FileFormatError, match="the log is no text: it holds zero bytes"):
            _decoded(content)
    assert _decoded(b"a" * 98 + b"\x01\x7f") == "a" * 98 + "\x01\x7f"  # without zeros nothing is counted
    for content in ("\x00" + "a" * 9, "\ufffd" * 1_001):
        with pytest.raises(FileFormatError, match=r"^the log is no text$"):
            _lines(content)
    assert list(_lines("\ufffd" * 1_000))
    for content in (3, None, ["a"]):
        with pytest.raises(InvalidValueError, match="a log is text or bytes") as no:
            _lines(content)
        assert no.value.what == "log"
    with pytest.raises(FileFormatError, match=f"longer than {MAX_LOG_BYTES:,} bytes"):
        _lines("a" * (MAX_LOG_BYTES + 1))
    assert len(list(_lines("a" * MAX_LOG_BYTES))) == 1
    assert [line for _, line in _lines(bytearray(b"a\nb"))] == ["a", "b"]
    assert list(_lines("a\n\nb")) == [(1, "a"), (2, ""), (3, "b")]


# Lines that a terminal broke


def test_lines_that_were_broken_are_made_whole():
    def broken(lines):
        return [text for _, text in records(enumerate(lines, 1))]

    whole = ["INFO " + "x" * 55 + str(number) for number in range(2)]
    assert broken(whole) == whole
    # cut in the middle of words at 60 characters
    cut = ["INFO " + "x" * 55, "y" * 10, "INFO " + "z" * 55, "w" * 60, "v"]
    assert broken(cut) == ["INFO " + "x" * 55 + "y" * 10, "INFO " + "z" * 55 + "w" * 60 + "v"]
    assert [number for number, _ in records(enumerate(cut, 1))] == [1, 3]
    # between words, where the next had no room
    between = ["INFO " + "x" * 50, "  " + "y" * 9 + " z", "INFO " + "z" * 52, "w" * 9]
    assert broken(between) == ["INFO " + "x" * 50 + " " + "y" * 9 + " z", "INFO " + "z" * 52 + " " + "w" * 9]
    # a word that had room begins a line of its own
    room = ["INFO " + "x" * 40, "y", "INFO " + "z" * 55, "w" * 9, "INFO " + "z" * 55, "w" * 9]
    assert broken(room)[:2] == ["INFO " + "x" * 40, "y"]
    assert broken(room)[2] == "INFO " + "z" * 55 + "w" * 9
    # too narrow, too wide, or of one record alone: nothing was broken
    for text in (["INFO " + "x" * 34, "y" * 9] * 2, ["INFO " + "x" * 256, "y" * 9] * 2, ["INFO " + "x" * 55, "y" * 9]):
        assert broken(text) == text
    assert broken([]) == []
    for text in (["INFO " + "x" * 35, "y" * 9] * 2, ["INFO " + "x" * 255, "y" * 9] * 2):
        assert broken(text) == [text[0] + text[1]] * 2


# Figures


def test_one_value_of_each_figure():
    def figures(*values):
        return _figures([(name, value, "") for name, value in values], VLLM)

    found, problems = figures(("block_size", 16), ("block_size", 8))
    assert (found["block_size"], problems) == (16, [])  # the first
    found, problems = figures(("kv_pool_gib", 5.0), ("kv_pool_gib", 4.0))
    assert (found["kv_pool_gib"], [one.key for one in problems]) == (4.0, ["logs.problem.ranks_differ"])
    assert "4.0 to 5.0" in problems[0]
    found, problems = figures(("kv_pool_gib", 4.0), ("kv_pool_gib", 4.0))
    assert (found["kv_pool_gib"], problems) == (4.0, [])
    # a capacity is the memory, where no line says that itself
    assert figures(("capacity_gib", 80.0))[0]["memory_gib"] == 80.0
    assert figures(("capacity_gib", 80.0), ("memory_gib", 79.0))[0] == {"memory_gib": 79.0}
    # a pool of nothing that holds tokens is allocated elsewhere
    assert "kv_pool_gib" not in figures(("kv_pool_gib", 0), ("kv_tokens", 5))[0]
    assert figures(("kv_pool_gib", 0), ("kv_tokens", 0))[0]["kv_pool_gib"] == 0
    assert figures(("kv_pool_gib", 0))[0]["kv_pool_gib"] == 0


# Prose


def prose(*lines):
    found = Prose()
    for line in lines:
        found.take(line)
    return found


def test_what_a_text_states_of_an_engine():
    assert prose("I run vLLM 0.20.1 with TP=2 on it").stated("vllm") == {
        "engine_version": "0.20.1", "tensor_parallel_size": 2,
    }  # fmt: skip
    assert prose("vLLM version: 0.20.1.", "tp 2 and TP:2").stated("vllm") == {
        "engine_version": "0.20.1", "tensor_parallel_size": 2,
    }  # fmt: skip
    # two versions, two degrees, another engine: nothing is stated
    assert prose("vllm 0.20.1", "vllm 0.21.0", "tp=2", "tp=4").stated("vllm") == {}
    assert prose("vllm 0.20.1").stated("sglang") == {}
    assert prose("tensorrt-llm v1.2.0").stated("tensorrt-llm") == {"engine_version": "1.2.0"}
    assert prose("tensorrtllm 1.2.0").stated("tensorrt-llm") == {"engine_version": "1.2.0"}


@pytest.mark.parametrize(
    ("line", "words"),
    [("we use Qwen3-8B, and", ["Qwen3-8B"]), ("see start-qwen3-8b.sh here", ["start-qwen3-8b"]), ("plain words", []),
     ("run models/qwen3-8b.yaml now", ["qwen3-8b"]), ("llama3-1  | some text", ["llama3-1"])],
)  # fmt: skip
def test_words_that_may_be_a_models_name(line, words):
    assert list(prose(line).words) == words


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        ("on an L4 here", [("l4",)]), ("two 4090 cards", [("rtx-4090",)]), ("port 4090 is open", []),
        ("RTX 4090 and L4", [("rtx-4090",), ("l4",)]), ("2x l4", [("l4",)]), ("an l4", []),
        ("H100 NVL", [("h100-nvl",)]), ("2 x H200", [("h200",)]), ("path/L4/x", []),
    ],
)  # fmt: skip
def test_cards_that_a_text_names(line, ids):
    assert list(cards(line)) == ids


# What explains a difference


def test_what_is_more_or_less_than_predicted_is_said_the_largest_first():
    def terms(*pairs):
        made = [SimpleNamespace(key=key, name=f"name of {key}", difference=value) for key, value in pairs]
        lines = [SimpleNamespace(name="name of graphs", in_slack=True), SimpleNamespace(name="x", in_slack=False)]
        return SimpleNamespace(plan=SimpleNamespace(stage=SimpleNamespace(overheads=lines)), terms=made)

    compared = terms(("weights", 0.5), ("activations", -2.0), ("outside", 0.1), ("graphs", 9.0), ("kv_pool", 9.0),
                     ("consumed", None))  # fmt: skip
    assert list(causes._terms_that_differ(compared, 0.1)) == [
        "activations: 2.00 GiB less than predicted", "weights: 0.50 GiB more than predicted",
    ]  # fmt: skip
    assert len(list(causes._terms_that_differ(compared, 0.09))) == 3


def compared(figures, flags=None, asked=None, predicted=10.0):
    plan = calculator.plan("llama-3.1-8b", gpu="h100-sxm", seq_len=4_096)
    own = SimpleNamespace(usual_in_use_gib=lambda _: 0.7, assumptions=lambda *_: (), versions=lambda *_: ())
    log = SimpleNamespace(figures=figures, flags=flags or {})
    return SimpleNamespace(
        plan=plan, planned=plan, log=log, asked=asked or {}, own=own, predicted_gib=predicted, terms=(),
        printed_pool_gib=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("figures", "flags", "reported", "keys"),
    [
        ({}, {}, 10.0, []), ({"memory_gib": 80.0, "free_at_start_gib": 70.0}, {}, 10.0, ["other_process"]),
        ({"memory_gib": 80.0}, {}, 10.0, []), ({"memory_gib": 80.0, "free_at_start_gib": 79.4}, {}, 10.0, []),
        # less than half of it, and more than half left free
        ({"free_after_pool_gib": 5.1}, {}, 4.9, ["capped_unsaid"]), ({"free_after_pool_gib": 5.0}, {}, 4.9, []),
        ({"free_after_pool_gib": 5.1}, {}, 5.0, []), ({"free_after_pool_gib": 5.1}, {"max_total_tokens": 7}, 4.9, []),
    ],
)  # fmt: skip
def test_what_takes_memory_or_leaves_it(figures, flags, reported, keys):
    found = causes._differences(compared(figures, flags), reported, mismatch=True)
    assert [one.key for one in found] == [f"logs.cause.{key}" for key in keys]


def test_formats_of_weights_are_tried_where_the_log_says_nothing_of_them():
    tried = [changes["weight_dtype"] for _, changes in causes._weights(compared({}))]
    assert "bf16" not in tried  # what is planned
    assert {"fp8", "awq-int4"} <= set(tried)
    assert {text.key for text, _ in causes._weights(compared({}))} == {"logs.cause.weight_dtype"}
    for figures, asked in (({"weights_gib": 1.0}, {}), ({"consumed_gib": 1.0}, {}), ({}, {"weight_dtype": "bf16"})):
        assert list(causes._weights(compared(figures, asked=asked))) == []


def test_terms_are_taken_as_logged():
    figures = {"activation_gib": 1.5, "non_torch_gib": 0.0, "cuda_graph_gib": -0.1}
    assert [(text.key, changes) for text, changes in causes._as_logged(compared(figures))] == [
        ("logs.cause.activation_bytes", {"activation_bytes": 3 * GIB // 2}),
        ("logs.cause.non_torch_bytes", {"non_torch_bytes": 0}),
    ]
    (graphs,) = causes._as_logged(compared({"cuda_graph_gib": 0.25}))
    assert graphs == ("CUDA graphs of 0.25 GiB, as logged", {"cuda_graph_bytes": GIB // 4})


@pytest.mark.parametrize(("held", "same"), [(2.0, True), (2.023, True), (2.025, False), (1.975, False), (1.977, True)])
def test_as_many_sequences_within_1_2_percent(held, same):
    one = compared({"max_concurrency": 2.0, "concurrency_at": 4_096})
    one.held = lambda *_, **__: SimpleNamespace(max_concurrency=held)
    assert causes._as_many_sequences(one, 1.0) is same
    for figures in ({}, {"max_concurrency": 2.0}, {"max_concurrency": 2.0, "concurrency_at": 8}):
        one.log.figures = figures
        assert causes._as_many_sequences(one, 1.0)  # nothing is printed of that length


def test_what_is_tried_of_windows_and_states():
    assert [(key, changes) for key, changes, _ in causes.WINDOWS_AND_STATES] == [
        ("one_batch", {"async_scheduling": False}), ("two_batches", {"async_scheduling": True}),
        ("tokens_in_flight", {"max_num_batched_tokens": 2_048}),
        ("tokens_in_flight", {"max_num_batched_tokens": 8_192}),
        ("tokens_in_flight", {"max_num_batched_tokens": 16_384}),
        ("full_length", {"disable_hybrid_kv_cache_manager": True}), ("two_pages", {"enable_prefix_caching": True}),
        ("one_page", {"enable_prefix_caching": False}),
    ]  # fmt: skip


# What is said of it


@pytest.mark.parametrize(
    ("pool", "off", "exact"),
    # 8,192 cells of Llama 3 8B are 1,024 MiB; keys and values are each printed to a hundredth of one
    [("1024.00", 0, True), ("1024.02", 0.02, True), ("1023.98", 0.02, True), ("1024.03", 0.03, False),
     ("1023.97", 0.03, False)],
)  # fmt: skip
def test_a_cache_that_is_as_large_as_was_asked_for(pool, off, exact):
    log = (
        "llama_context: n_ctx         = 8192\nllama_context: flash_attn    = enabled\n"
        f"llama_kv_cache: size = {pool} MiB (  8192 cells,  32 layers,  1/1 seqs), K (f16):  512.00 MiB\n"
    )
    found = calculator.reconcile(log, model="llama-3-8b", gpu="h100-sxm")
    assert found.agrees is exact
    assert f"{1024 + (1 if float(pool) > 1024 else -1) * off:,.2f} MiB reported" in found.finding
