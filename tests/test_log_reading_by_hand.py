"""Where reading a log ends: what is one record, what is too long, too odd or said too often, at each bound."""

import io
import sys
from types import SimpleNamespace

import pytest

from calculator.errors import CalculatorError, FileFormatError, InvalidValueError
from calculator.logs import reading
from calculator.logs.lines.prose import Prose, cards
from calculator.logs.lines.records import records
from calculator.logs.lines.starts import Start, those_of_memory
from calculator.logs.lines.vocabulary import rank_of, stated_by, vocabulary
from calculator.logs.reading import _decoded, clean, read_file, read_log

TOKENS = "GPU KV cache size: {:,} tokens"
POOL = "Available KV cache memory: 8.00 GiB\n"


def ended_at(size, text, fill="-"):
    return fill * (size - len(text)) + text


# Lengths and bytes

FULL = 64 * 2**20


def test_a_log_is_as_long_as_64_mib_at_most():
    with pytest.raises(FileFormatError, match="longer than 67,108,864 bytes"):
        read_log("x" * (FULL + 1))


def test_a_file_is_read_to_one_byte_more_than_a_log_may_have(tmp_path, monkeypatch):
    path = tmp_path / "log"

    def of(size, name):
        path.write_bytes(b"x" * size)
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"x" * size)))
        return read_file(name)

    monkeypatch.setattr(reading, "MAX_LOG_BYTES", 10)
    for name in (str(path), "-"):
        with pytest.raises(FileFormatError, match="longer than 10 bytes"):
            of(11, name)
        with pytest.raises(FileFormatError, match="no line is one that"):
            of(10, name)
    for longest in ("x" * 10, b"x" * 10):
        with pytest.raises(FileFormatError, match="no line is one that"):
            read_log(longest)
        with pytest.raises(FileFormatError, match="longer than 10 bytes"):
            read_log(longest + longest[:1])
    monkeypatch.undo()
    path.write_text(POOL)
    assert read_file(str(path)).figures["kv_pool_gib"] == 8
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        read_file(str(tmp_path / "other"))


@pytest.mark.parametrize(("size", "read"), [(16_384, True), (16_385, False)])
def test_no_more_of_a_line_is_read(size, read):
    log = read_log(POOL + ended_at(size, " " + TOKENS.format(157_584)))
    assert ("kv_tokens" in log.figures) is read


@pytest.mark.parametrize(("at", "text"), [(65_535, True), (65_536, False)])
def test_zeros_of_a_text_are_looked_for_in_its_first_64_kib(at, text):
    content = POOL + "x" * (at - len(POOL)) + "\x00"
    if text:
        with pytest.raises(FileFormatError, match="the log is no text"):
            read_log(content)
    else:
        assert read_log(content).figures["kv_pool_gib"] == 8


@pytest.mark.parametrize(("many", "read"), [(1_000, True), (1_001, False)])
def test_signs_that_no_letter_has(many, read):
    content = POOL + "\ufffd" * many
    if read:
        assert read_log(content).figures["kv_pool_gib"] == 8
        # those beyond 64 KiB do not count
        assert read_log(POOL + "x" * 65_536 + "\ufffd" * 2_000).figures["kv_pool_gib"] == 8
    else:
        with pytest.raises(FileFormatError, match="the log is no text"):
            read_log(content)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"ab\x00\x00", "ab"), (b"ab\x00\x00\x00", None),  # half of it zeros, and more
        (b"x" * 99 + b"\x01\x00", "x" * 99 + "\x01"), (b"x" * 98 + b"\x01\x00", None),  # 1 of 100, and of 99
        (b"x" * 98 + b"\x7f\x00", None), (b"x" * 98 + b"\x1f\x00", None), (b"x" * 98 + b" \x00", "x" * 98 + " "),
        (b"\t\n\r\x1b\x08\x0c\x00", "\t\n\r\x1b\x08\x0c"), (b"\x01\x02", "\x01\x02"),
        (b"\xff\xfea\x00b\x00", "ab"), (b"\xfe\xff\x00a\x00b", "ab"), (b"a\xff", "a\ufffd"),
    ],
)  # fmt: skip
def test_zeros_that_a_cut_file_holds_are_left_out_and_what_is_no_text_refused(content, text):
    if text is None:
        with pytest.raises(FileFormatError, match="it holds zero bytes"):
            _decoded(content)
    else:
        assert _decoded(content) == text


@pytest.mark.parametrize("content", [7, None, ["x"], 1.5])
def test_what_is_neither_text_nor_bytes_is_refused(content):
    with pytest.raises(InvalidValueError, match="a log is text or bytes, not") as refused:
        read_log(content)
    assert (refused.value.what, refused.value.asked) == ("log", content)
    assert read_log(bytearray(POOL.encode())).figures == read_log(memoryview(POOL.encode())).figures


def test_a_log_that_ends_within_a_long_line_is_cut_off():
    # 16,383 characters of the last line, which ends as no line of an engine does
    def problems(size, end):
        return [problem.key for problem in read_log(POOL + ended_at(size, end)).problems]

    assert problems(16_384, "word") == problems(16_383, "word") == ["logs.problem.cut_off"]
    assert problems(16_382, "word") == []
    for end in (".", ")", "x", "}", "]", "s", "B"):
        assert problems(16_384, end) == []


# Lines that are listed, and those that are counted


def test_four_hundred_lines_are_listed_and_the_others_counted():
    def read(many):
        return read_log(POOL + "".join(f"nothing of it: memory {'ab'[i % 2]}\n" for i in range(many)))

    log = read(400)
    assert (len(log.not_understood), log.unlisted, log.understood, log.others) == (400, 0, 1, 0)
    assert log.not_understood[0][0] == 2
    log = read(403)
    assert (len(log.not_understood), log.unlisted, log.others, len(log.bears_on_memory)) == (400, 3, 3, 400)
    dated = read_log(POOL + "2025-10-02 tokens of it\n")  # a day alone says nothing
    assert (dated.understood, dated.not_understood) == (1, ((2, "2025-10-02 tokens of it"),))
    stated = read_log(POOL + "2025-10-02 max_seq_len=5 tokens\n")
    assert (stated.understood, stated.not_understood) == (2, ())
    other = read_log(POOL + "a word\nmemory\n   \n")
    assert (len(other.not_understood), other.others, other.bears_on_memory) == (2, 1, ((3, "memory"),))


def test_400_characters_of_a_line_are_listed():
    for size in (399, 400, 401):
        ((_, text),) = read_log(POOL + "ab " * 133 + "c" * (size - 399)).not_understood
        assert text == ("ab " * 133 + "c" * (size - 399)).strip()[:400]


@pytest.mark.parametrize(("before", "read"), [(1_023, True), (1_024, False)])
def test_lines_that_differ_in_digits_alone_are_read_so_often(before, read):
    # each is a rank's: the smallest is taken, and after 1,024 no other is looked at
    content = (TOKENS.format(900) + "\n") * before + TOKENS.format(800)
    assert read_log(content).figures["kv_tokens"] == (800 if read else 900)


@pytest.mark.parametrize(("before", "read"), [(7, True), (8, False)])
def test_lines_that_say_nothing_are_looked_at_eight_times(before, read):
    # a number beyond any is not understood
    content = (
        POOL + ("GPU KV cache size: " + "9" * 20 + " tokens\n") * before + "GPU KV cache size: " + "1" * 2 + " tokens"
    )
    assert read_log(content).figures.get("kv_tokens") == (11 if read else None)


@pytest.mark.parametrize(("end", "starts"), [("nothing\n", 1), ("GPU KV cache size: 800 tokens\n", 2)])
def test_a_start_begins_behind_a_capacity_alone(end, starts):
    begin = "Initializing a V1 LLM engine (v0.33.0) with config: model='a/b-1', max_seq_len={}\n"
    begin += "Model loading took 1.5 GiB\n"
    log = read_log(begin.format(8) + end + begin.format(9) + "GPU KV cache size: 900 tokens\n")
    assert log.flags["seq_len"] == (8 if starts == 1 else 9)
    assert [problem.key for problem in log.problems] == (["logs.problem.several_starts"] if starts == 2 else [])


def test_a_start_without_a_capacity_is_not_the_last_that_is_taken():
    begin = "Initializing a V1 LLM engine (v0.33.0) with config: model='a/b-1', max_seq_len={}\n"
    log = read_log(
        begin.format(8) + "GPU KV cache size: 800 tokens\n" + begin.format(9) + "Model loading took 1.5 GiB\n"
    )
    assert (log.flags["seq_len"], log.figures["kv_tokens"], "weights_gib" in log.figures) == (8, 800, False)


def test_lines_of_two_engines_are_refused():
    with pytest.raises(FileFormatError, match="holds lines of sglang and vllm: give the log of one"):
        read_log(POOL + "[2025] K size: 2.00 GB, V size: 1.50 GB\n")


# Figures


@pytest.mark.parametrize(
    ("content", "figures", "problems"),
    [
        # a figure that ranks print is the least of them, any other the first that is printed
        ("Model loading took 2.5 GiB\nModel loading took 1.5 GiB", {"weights_gib": 2.5}, []),
        ("# GPU blocks: 30\n# GPU blocks: 20", {"num_blocks": 20, "v0_lines": 1}, ["ranks_differ"]),
        ("# GPU blocks: 30\n# GPU blocks: 30", {"num_blocks": 30, "v0_lines": 1}, []),
        ("Maximum concurrency for 512 tokens per request: 3.50x\n"
         "Maximum concurrency for 512 tokens per request: 2.50x\n"
         "GPU KV cache size: 16 tokens",
         {"concurrency_at": 512, "max_concurrency": 2.5, "kv_tokens": 16}, ["ranks_differ"]),
        ("GPU KV cache size: 30 tokens\nGPU KV cache size: 20 tokens", {"kv_tokens": 20}, ["ranks_differ"]),
        ("kv cache memory in use is 4294967296 bytes\ncurrent kv cache memory in use is 2147483648 bytes\n"
         "current kv cache memory in use is 3221225472 bytes", {"kv_pool_gib": 2.0}, ["ranks_differ"]),
        # what torch says a device has, where the engine does not say it itself
        (POOL + "has a total capacity of 79.25 GiB", {"kv_pool_gib": 8.0, "memory_gib": 79.25}, []),
        (POOL + "has a total capacity of 79.25 GiB\nMemory profiling results: total_gpu_memory=78.50GiB",
         {"kv_pool_gib": 8.0, "memory_gib": 78.5, "v0_lines": 1}, []),
        # a pool of nothing beside tokens is another's
        ("Available KV cache memory: 0.00 GiB\nGPU KV cache size: 16 tokens", {"kv_tokens": 16}, []),
        ("Available KV cache memory: 0.00 GiB", {"kv_pool_gib": 0.0}, []),
        ("Available KV cache memory: 1.00 GiB\nGPU KV cache size: 16 tokens", {"kv_tokens": 16, "kv_pool_gib": 1.0},
         []),
        ("(Worker_TP0_EP0 pid=1) Available KV cache memory: 1.00 GiB\n"
         "(Worker_TP2_EP1 pid=2) Available KV cache memory: "
         "1.00 GiB", {"kv_pool_gib": 1.0, "ranks": 3, "expert_ranks": 2}, []),
    ],
)  # fmt: skip
def test_one_value_of_each_figure(content, figures, problems):
    log = read_log(content)
    assert log.figures == figures
    assert [problem.key.removeprefix("logs.problem.") for problem in log.problems] == problems


@pytest.mark.parametrize(
    ("content", "flags"),
    [
        ("n_ctx = 64\nbuild: 61 (79c1)\nfile type   = Q8_0\n-m x-1.gguf\n"
         "using device CUDA0 (NVIDIA L40S) - 900 MiB free",
         {"engine_version": "61 (79c1)", "file_type": "Q8_0", "file": "x-1.gguf", "device": "NVIDIA L40S"}),
        ("general.name = Qwen3 8B\nn_ubatch = 64\nn_ctx_seq = 128\nn_ctx = 4096",
         {"model": "Qwen3 8B", "max_num_batched_tokens": 64, "seq_len": 128}),
        (POOL + "[model.py:5] Resolved architecture: X1ForCausalLM\nspeculative_config={'method': 'eagle', "
         "'num_speculative_tokens': 3}\nINFO [api_server.py:1839] version",
         {"architecture": "X1ForCausalLM", "draft_method": "eagle", "draft_tokens": 3, "usage_context": "server"}),
        ("Desired GPU memory utilization is (0.85, 8.00 GiB)\nargs: max_num_seqs=7",
         {"gpu_memory_utilization": 0.85, "max_num_seqs": 7}),
        ("tokens per block: 64\nAllocated 4.00 GiB for max tokens in paged KV cache (400)\nTRTGptModel maxBatchSize: 9",
         {"block_size": 64, "max_num_seqs": 9}),
        ("llama_kv_cache: size = 16 MiB ( 16 cells, 40 layers), K (f16): 8 MiB, V (f16): 8 MiB",
         {"kv_cache_dtype": "f16"}),
        ("llama_kv_cache: size = 16 MiB ( 16 cells, 40 layers), K (f16): 8 MiB, V (q8_0): 8 MiB",
         {"kv_cache_types": True}),
        ("llama_kv_cache: size = 16 MiB ( 16 cells, 40 layers), K (f16): 8 MiB", {"kv_cache_dtype": "f16"}),
        # another line of the same start says it first; what is printed as unquantised may be named later
        (POOL + "args: max_num_seqs=5\nargs: max_num_seqs=6\nargs: quantization=None\nargs: quantization='fp8'",
         {"max_num_seqs": 5,
         "quantization": "fp8"}),
        (POOL + "2025-08-01 model\n2025-10-02 model\n2025-09-03 model", {"date": "2025-10-02"}),
        ("K size: 2.00 GB, V size: 1.50 GB", {"states_apart": True}), (POOL, {"states_apart": None}),
        # beside the lines of an engine
        (POOL + "I have a 4090 from NVIDIA L40S", {"device": "NVIDIA L40S", "devices_beside": None}),
        (POOL + "it runs on 2x 3090 with TP=2 and vllm 0.9.2 and Qwen3-8B",
         {"devices_beside": (("rtx-3090",),), "tensor_parallel_size": 2, "engine_version": "0.9.2"}),
        (POOL + "model='a/b-1'\nwith Qwen3-8B", {"words_beside": None}),
        (POOL + "with Qwen3-8B", {"words_beside": ("Qwen3-8B",)}),
        (POOL + "tensor_parallel_size=4\nI used TP=2", {"tensor_parallel_size": 4}),
    ],
)  # fmt: skip
def test_what_a_log_states(content, flags):
    found = read_log(content).flags
    assert {name: found.get(name) for name in flags} == flags


def test_of_several_devices_the_first_that_is_known_is_taken():
    log = read_log(POOL + "Device 0: NVIDIA Foo 9\nDevice 1: NVIDIA L40S\nDevice 2: NVIDIA L4\n")
    assert log.flags["device"] == "NVIDIA L40S"
    assert [problem.key for problem in log.problems] == ["logs.problem.several_gpus"]
    assert "L40S, " in log.problems[0] or "l40s, l4: l40s is taken" in log.problems[0]
    unknown = read_log(POOL + "Device 0: NVIDIA Foo 9\nDevice 1: NVIDIA Bar 8\n")
    assert (unknown.flags["device"], unknown.problems) == ("NVIDIA Foo 9", ())


# What a line states


@pytest.mark.parametrize(
    ("before", "line", "stated"),
    [
        ("", "model=<your-model>", {}), ("", "model=$MODEL", {}), ("", "model={x}", {}), ("", "model=...", {}),
        ("", "model=f(x)", {}), ("", "model='a/b-1'", {"model": "a/b-1"}), ("", "seq_len=5 max_seq_len=null", {}),
        ("", "quantization=null", {}), ("", "quantization=None", {"quantization": "none"}), ("", "dtype=None", {}),
        ("", "max_num_seqs: x9", {}), ("", "max_num_seqs: 9:", {"max_num_seqs": 9}),
        ("", "enforce_eager=perhaps", {}), ("", "max_num_seqs=1, max_num_seqs=2", {"max_num_seqs": 1}),
        ("docker run vllm/vllm-openai:v0.9.2 \\", "a/b-1 x", {"model": "a/b-1"}),
        ("docker run vllm/vllm-openai:v0.9.2", "a/b-1 x", {}), ("$ vllm serve \\", "  a/b-1", {"model": "a/b-1"}),
        ("", "$ vllm serve <model>", {}), ("", "Model Path: /m/b-1 ", {"model": "/m/b-1"}),
        ("", "--model c/d-2 Model name: a/b-1", {"model": "c/d-2"}),
        ("", "20260-01-02", {}), ("", "2026-01-02 a", {"date": "2026-01-02"}),
        ("", "2026/11/30 a", {"date": "2026-11-30"}),
        ("", " " * 70 + "2026-01-02", {"date": "2026-01-02"}), ("", " " * 71 + "2026-01-02", {}),
        ("", "NVIDIA Driver 570", {}), ("", "NVIDIA Graphics", {"device": "NVIDIA Graphics"}),
        ("", "NVIDIA Thor", {"device": "NVIDIA Thor"}), ("", "NVIDIA Something", {}),
        ("", "device_name=NVIDIA_H20", {"device": "NVIDIA_H20"}),
        ("", "AMD_Instinct_MI300X", {"device": "AMD Instinct MI300X"}),
        ("", "Replace gpu_memory_utilization config with `--kv-cache-memory-bytes=7G`", {}),
        ("", "max_total_num_tokens=5, max_running_requests=7", {}), ("", "-tp", {}),
        ("", "--max-num-seqs --enforce-eager",
         {"enforce_eager": True}),
    ],
)  # fmt: skip
def test_what_a_line_states(before, line, stated):
    assert stated_by(line, before, vocabulary()) == stated


@pytest.mark.parametrize("word", [
    "Release", "Corporation", "Container", "Driver", "Deep", "Nsight", "CUDA", "cuDNN", "Triton", "TensorRT", "Dynamo",
    "NIM", "Management", "Open", "Software", "Inference", "AI", "and", "or", "GPU", "GPUs", "devices",
     "ROCm"])  # fmt: skip
def test_what_makers_print_of_other_things_is_no_device(word):
    assert stated_by(f"NVIDIA {word} 25", "", vocabulary()) == {}


def test_ranks_of_a_line():
    known = vocabulary()
    ranks = {}
    assert rank_of("(Worker_TP0_EP3 pid=8092) x", ranks, known) == "TP0_EP3"
    assert rank_of("[2025-12-19 07:42:57 DP1 TP2] x", ranks, known) == "DP1 TP2"
    assert rank_of("nothing", ranks, known) == ""
    assert ranks == {"TP": 3, "EP": 4, "DP": 2}
    end = "(Worker_TP9 pid"
    assert rank_of(" " * (200 - len(end)) + end, ranks, known) == "TP9"
    assert rank_of(" " * (200 - len("(Worker_TP9 ") + 1) + "(Worker_TP9 ", ranks, known) == ""


def test_starts_that_print_no_memory_belong_to_the_one_before():
    def start(name, **flags):
        return Start(found={"vllm": [(name, 1, "")]} if name else {}, flags=flags)

    one, two = start("kv_pool_gib", a=1), start("weights_gib", b=2)
    assert those_of_memory([start("", z=9), one, start("", c=3), two, start("", d=4)]) == [one, two]
    assert (one.flags, two.flags) == ({"a": 1, "c": 3, "z": 9}, {"b": 2, "d": 4})
    alone = those_of_memory([start("", a=1), start("", b=2)])
    assert [found.flags for found in alone] == [{"a": 1, "b": 2}]


# Records: lines that a terminal broke


def broken(many, width, rest="goes on", begin="INFO "):
    """Return so many records as long as the width, each with its rest below."""
    return [line for _ in range(many) for line in (begin + "x" * (width - len(begin)), rest)]


def joined_of(lines):
    return [text for _, text in records(enumerate(lines, 1))]


@pytest.mark.parametrize(("width", "whole"), [(39, False), (40, True), (260, True), (261, False)])
def test_widths_at_which_a_log_can_have_been_broken(width, whole):
    lines = broken(2, width)
    assert joined_of(lines) == (["".join(lines[:2])] * 2 if whole else lines)
    assert [number for number, _ in records(enumerate(lines, 1))] == ([1, 3] if whole else [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("lines", "whole"),
    [
        # two records at least begin, two lines at least are of that length
        (broken(1, 60), False), (broken(2, 60), True), ([*broken(1, 60), "y" * 60, "goes on"], False),
        (["INFO " + "x" * 55, "goes on", "INFO a", "b"], False),
        # a line within 24 of the width counts as one of its length; one 24 shorter does not
        (["INFO " + "x" * 55, "goes on", "INFO " + "y" * 32, "z" * 30], True),
        (["INFO " + "x" * 55, "goes on", "INFO " + "y" * 31, "z" * 30], False),
        # of 100 lines, 8 are enough; 7 are not
        (broken(8, 60) + ["INFO b"] * 84, True), (broken(7, 60) + ["INFO b"] * 86, False),
        # a third as many rests as long lines; blank lines are no rests
        (broken(1, 60) + ["INFO " + "x" * 55] * 2, True), (broken(1, 60) + ["INFO " + "x" * 55] * 3, False),
        (broken(1, 60) + ["INFO " + "x" * 55] * 3 + [" "] * 5, False), ([], False),
    ],
)  # fmt: skip
def test_a_log_that_was_broken_is_told(lines, whole):
    assert (joined_of(lines) != lines) is whole


def test_a_line_goes_on_where_its_first_word_had_no_room():
    # 50 and a space and 9 are 60: room; 10 have none
    full = broken(2, 60)
    assert joined_of([*full, "INFO " + "x" * 45, "y" * 9])[2:] == ["INFO " + "x" * 45, "y" * 9]
    assert joined_of([*full, "INFO " + "x" * 45, "y" * 10 + " z"])[2:] == ["INFO " + "x" * 45 + " " + "y" * 10 + " z"]
    assert joined_of([*full, "", "y" * 60])[2:] == ["", "y" * 60]


def test_words_are_cut_where_most_lines_are_as_long_as_the_width():
    cut = broken(2, 60, "ab cd")
    assert joined_of(cut)[0] == cut[0] + "ab cd"
    # of two one is shorter: then lines are broken between words
    between = [cut[0], "  ab cd", "INFO " + "x" * 54, "ab cd", "INFO y"]
    assert joined_of(between)[0] == cut[0] + " ab cd"
    # cut at the width, and one that ends below it, which stands for a space that was there
    mixed = [*cut, "INFO " + "x" * 54, "ab cd"]
    assert joined_of(mixed)[2] == "INFO " + "x" * 54 + " ab cd"


def test_no_record_is_longer_than_16384():
    # 273 lines of 60 are 16,380: one more goes on; 274 are 16,440
    lines = broken(2, 60) + ["INFO " + "x" * 55] + ["y" * 60] * 300
    third = joined_of(lines)[2]
    assert len(third) == 274 * 60


# What people write beside


@pytest.mark.parametrize(
    ("line", "ids"),
    [
        ("a 4090", []), ("two 4090", [("rtx-4090",)]), ("RTX 4090", [("rtx-4090",)]), ("2 x 3090s", [("rtx-3090",)]),
        ("h100", []), ("NVIDIA h200", [("h200",)]), ("DGX Spark", [("gb10",)]), ("RTX 4090 SUPER", [("rtx-4090",)]),
        ("L40S and L4", [("l40s",), ("l4",)]), ("X99", []),
    ],
)  # fmt: skip
def test_cards_that_a_line_names(line, ids):
    assert list(cards(line)) == ids


def prose_of(*lines):
    found = Prose()
    for line in lines:
        found.take(line)
    return found


def test_what_people_write_is_taken_within_bounds():
    assert prose_of(*["x"] * 1_999, "TP=2").ranks == {2: None}
    assert prose_of(*["x"] * 2_000, "TP=2").ranks == {}
    assert prose_of("Avg prompt throughput: 5", "TP=2").ranks == {}  # a server runs: no more is written
    assert prose_of(" " * 1_996 + "TP=2").ranks == {2: None}
    assert prose_of(" " * 1_997 + "TP=2").ranks == {}
    assert prose_of(" " * 1_995 + "TP=2", " " * 1_995 + "L40S").devices == {("l40s",): None}
    words = [f"name{i}x" for i in range(401)]
    assert list(prose_of(*words).words) == words[:400]
    assert prose_of("INFO TP=2 L40S vllm 0.9.2").stated("vllm") == {}
    assert list(prose_of("vllm-qwen3-8b  | INFO TP=2").words) == ["vllm-qwen3-8b"]
    assert list(prose_of("see scripts/run-qwen3-8b.sh, noword and Qwen3-8B.").words) == ["run-qwen3-8b", "Qwen3-8B"]


@pytest.mark.parametrize(
    ("text", "engine", "stated"),
    [
        ("vLLM 0.9.2, TP=4", "vllm", {"engine_version": "0.9.2", "tensor_parallel_size": 4}),
        ("tp 4 or tp 8", "vllm", {}), ("vllm 0.9.2 or vllm 0.9.1", "vllm", {}), ("sglang v0.5.3", "vllm", {}),
        ("TensorRT-LLM version: 1.2.0.", "tensorrt-llm", {"engine_version": "1.2.0"}),
        ("TensorRTLLM v1.2.0", "tensorrt-llm", {"engine_version": "1.2.0"}),
    ],
)  # fmt: skip
def test_what_the_text_states_where_it_states_one_thing(text, engine, stated):
    assert prose_of(text).stated(engine) == stated


def test_escapes_go_and_tabs_are_spaces():
    assert clean("a\tb\x1b[31mc\x00") == "a bc"


def test_what_is_no_log_says_what_one_line_would_be():
    with pytest.raises(CalculatorError, match="GPU KV cache size: 157,584 tokens"):
        read_log("nothing")
