"""What may be given and what is read, met exactly and passed by one; what formats take of rows that tell them apart."""

import io
import json
from fractions import Fraction
from types import SimpleNamespace

import pytest

import calculator
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.catalogue.model_names import read_names
from calculator.formats.kv import FORMATS as KV_FORMATS
from calculator.formats.kv import storage_format
from calculator.formats.weights import COMPUTES_IN, FORMATS, PACKED, weight_format
from calculator.hardware import Accelerator, is_unified, program_memory
from calculator.reading import strict_csv
from calculator.reading.by_layer import is_by_layer, parse_by_layer, write_by_layer
from calculator.reading.fields import Between, Count, NotPlain, Number, Text
from calculator.reading.json_lines import read_objects
from calculator.reading.strict_json import bounded, parse_config
from calculator.request.calibration import Calibration, LoggedLine, calibration_of

GIB = 2**30

# Formats of weights: bits of a weight, of what is kept for so many of a row, bytes of an output and of a matrix

LAYOUTS = {
    "fp32": (32, 0, 1, 0, 0), "fp16": (16, 0, 1, 0, 0), "bf16": (16, 0, 1, 0, 0), "fp8": (8, 0, 1, 0, 4),
    "int8": (8, 0, 1, 2, 0), "awq-int4": (4, 16 + 4, 128, 0, 0), "gptq-int4": (4, 16 + 4, 128, 0, 0),
    "gptq-int8": (8, 16 + 8, 128, 0, 0), "mxfp4": (4, 8, 32, 0, 0), "nvfp4": (4, 8, 16, 0, 4),
    "awq-int4-g32": (4, 20, 32, 0, 0), "gptq-int8-g64": (8, 24, 64, 0, 0), "gptq-int4-g99999": (4, 20, 99_999, 0, 0),
}  # fmt: skip
# ggml-common.h: 34 bytes for 32 and 210 for 256; llama.cpp tools/quantize/README.md, bits of Llama 3.1 8B; bitsandbytes
# keeps a byte for 64 weights, and a float32 for 256 of these: 4 + 8 / 64 + 32 / 64 / 256
MEANS = {
    "q8_0": Fraction(34 * 8, 32), "q6_k": Fraction(210 * 8, 256), "q5_k_m": Fraction("5.7036"),
    "q4_k_m": Fraction("4.8944"), "q3_k_m": Fraction("3.9960"), "q2_k": Fraction("3.1593"), "nf4": Fraction("4.127"),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_bytes_of_matrices_that_groups_divide_and_do_not(name):
    bits, kept, group, of_output, of_matrix = LAYOUTS[name]
    form = weight_format(name)
    for outputs, inputs in ((3, 256), (5, 4_224), (1, 100), (7, 131)):
        groups = outputs * -(-inputs // group)
        expected = -(-(outputs * inputs * bits + groups * kept) // 8) + outputs * of_output + of_matrix
        assert form.bytes_of(outputs, inputs) == expected, (outputs, inputs)
    assert form.is_plain is (name in ("fp32", "fp16", "bf16"))


@pytest.mark.parametrize("name", MEANS)
def test_bytes_of_matrices_of_mixed_types(name):
    for outputs, inputs in ((3, 256), (1000, 4_096)):
        assert weight_format(name).bytes_of(outputs, inputs) == -(-outputs * inputs * MEANS[name] // 8)
    # 2^20 x 2^20 weights: a ten thousandth of a bit shows
    assert weight_format(name).bytes_of(2**20, 2**20) == -(-(2**40) * MEANS[name] // 8)


def test_what_formats_apply_to_and_are_multiplied_in():
    assert set(LAYOUTS) | set(MEANS) | {"fp8-block"} >= set(FORMATS) | set(PACKED)
    assert {name for name, form in FORMATS.items() if form.everything} == set(MEANS) - {"nf4"}
    assert FORMATS["mxfp4"].parts == ("experts",)
    assert not any(form.parts for name, form in FORMATS.items() if name != "mxfp4")
    assert {name: form.unquantised_bytes for name, form in FORMATS.items() if form.unquantised_bytes != 2} == {
        "fp32": 4
    }
    assert {name: form.group_size for name, form in FORMATS.items() if form.group_size} == {
        "awq-int4": 128, "gptq-int4": 128, "mxfp4": 32, "nvfp4": 16,
    }  # fmt: skip
    # GGUF's types are of every matrix, of two columns too, and of no vector; mxfp4 of experts alone
    for inputs, applies in ((1, False), (2, True)):
        table = WeightMatrix("embedding", 8, inputs, 1, 1, Sharding.COPIED, quantised=False)
        assert [FORMATS[name].applies_to(table) for name in ("q8_0", "fp8")] == [applies, False]
    parts = ("experts", "attention")
    linear = [WeightMatrix(part, 8, 8, 1, 1, Sharding.COPIED) for part in parts]
    assert [FORMATS["mxfp4"].applies_to(each) for each in linear] == [True, False]
    assert FORMATS["fp8-block"].bytes_of(129, 257) == 129 * 257 + 2 * 3 * 4
    # by the device's peak: 8 bit in 8, 4 bit floats in 4, integers of 4 bit unpacked to 16
    assert COMPUTES_IN == {"fp8": "fp8", "fp8-block": "fp8", "int8": "fp8", "mxfp4": "fp4", "nvfp4": "fp4"}
    named = {"fp32": "float32", "fp16": "float16 half", "bf16": "bfloat16"}
    for ours, others in named.items():
        assert {weight_format(other).name for other in others.split()} == {ours}
    for name in ("awq-int4-g0", "awq-int4-g100000", "fp8-g128", 7):
        with pytest.raises(calculator.CalculatorError):
            weight_format(name)


# a row of 96 values, by blocks of the format's own size: ggml-common.h and vLLM 0.33.0
ROW_OF_96 = {
    "fp32": 384, "fp16": 192, "bf16": 192, "fp8_e4m3": 96, "fp8_e5m2": 96, "int8_per_token_head": 96 + 4,
    "fp8_per_token_head": 96 + 4, "int4_per_token_head": 48 + 4, "nvfp4": 48 + 6, "q8_0": 3 * (32 + 2),
    "q5_1": 3 * (20 + 4), "q5_0": 3 * (20 + 2), "q4_1": 3 * (16 + 4), "q4_0": 3 * (16 + 2), "iq4_nl": 3 * (16 + 2),
}  # fmt: skip


def test_rows_of_every_format_of_the_cache():
    assert {*ROW_OF_96, "fp8_ds_mla"} == set(KV_FORMATS)
    for name, size in ROW_OF_96.items():
        assert storage_format(name).row_bytes(96) == size, name
        scale = 4 if name.endswith("per_token_head") else 0
        assert storage_format(name).bits_per_value == 8 * (size - scale) / 96, name
    assert {name for name, form in KV_FORMATS.items() if form.is_fp8} == {"fp8_e4m3", "fp8_e5m2"}
    assert {name for name, form in KV_FORMATS.items() if form.packs_latents} == {"fp8_ds_mla"}
    for name, said in (("auto", "is resolved with a model"), (7, "such as fp16, not 7"), ("a format", "asks for a KV")):
        with pytest.raises(calculator.CalculatorError, match=said):
            storage_format(name)


@pytest.mark.parametrize(
    "name",
    # vLLM 0.33.0 config/cache.py, CacheDType
    ["turboquant_k8v4", "turboquant_4bit_nc", "turboquant_k3v4_nc", "turboquant_3bit_nc", "octave_k3v4", "octave_k3v3",
     "octave_k3v3_compact", "ultraquant_4bit", "nvfp4_4over6", "nvfp4_ds_mla"],
)  # fmt: skip
def test_formats_of_vllm_that_are_not_computed(name):
    with pytest.raises(calculator.UnsupportedError, match=f"{name} .* is not known here") as caught:
        storage_format(name)
    assert (caught.value.what, caught.value.nearest) == ("kv_cache_dtype", "int4_per_token_head")


# Fields


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        (Count(most=8), (1, 8), (0, 9, True, 2.0)), (Count(least=0, most=8), (0, 8), (-1, 9)),
        (Number(most=2), (0.001, 2, 2.0), (0, 2.001, -1, True)), (Number(above=-1, most=2), (0, -0.5), (-1, 3)),
        (Between(least=0, most=1), (0, 1, 0.5), (-0.001, 1.001)), (Text(), ("a", "a" * 400), ("", "a" * 401, 7)),
        (Text(least=0, most=2), ("", "ab"), ("abc", "\ud800")),
    ],
)  # fmt: skip
def test_bounds_of_a_field_are_among_what_it_takes(field, taken, refused):
    for value in taken:
        assert field.take(value) == value
    for value in refused:
        with pytest.raises(NotPlain):
            field.take(value)


# Devices


def test_what_a_device_says_of_its_memory_and_links():
    assert program_memory(("79.0", "79.2"), 81_559, estimated=False) == (
        (round(79.0 * GIB) + round(79.2 * GIB)) // 2, "the middle of what programs reported", True,
    )  # fmt: skip
    assert program_memory(("79.0", "79.0"), None, estimated=False)[1:] == ("as programs reported", True)
    assert program_memory(("79.0", "79.2"), None, estimated=True)[1:] == ("estimated", False)
    assert program_memory(None, 81_559, estimated=False)[0::2] == (81_559 * 2**20, False)
    assert [is_unified(name) for name in ("gb10", "NVIDIA GB10", "gb200", "x")] == [True, True, False, False]

    def device(**more):
        return Accelerator(
            "a", "A", "", **{"memory_bytes": 8 * GIB, "memory_source": "x", "memory_verified": True} | more
        )

    # PCIe 5.0 x16 moves 128 GB/s both ways: what is faster is a link of its own
    assert [device(link_gb_per_s=speed).has_fast_link for speed in (None, 128, 128.1)] == [True, False, True]
    assert (device().gpus_per_node, device().price_usd_per_hour, device().unverified) == (8, None, ())
    assert device().memory_note == "8.00 GiB seen by a program (x)"
    said = device(reported_mib=8_188, label_gb=8, memory_verified=False).memory_note
    assert said == "8.00 GiB seen by a program (x), 8,188 MiB in nvidia-smi and its like, sold as 8 GB; not verified"
    bounds = {
        "memory_bytes": (2**53, 2**53 + 1), "label_gb": (100_000, 100_001), "reported_mib": (10**8, 10**8 + 1),
        "bandwidth_gb_per_s": (10**6, 10**6 + 1), "gpus_per_node": (1024, 1025), "price_quotes": (1_000, 1_001),
        "price_usd_per_hour": ((1.0, 10**5), (1.0, 10**5 + 1)), "name": ("n" * 80, "n" * 81),
        "id": ("i" * 80, "i" * 81),
        "program_gib": (("1", "2"), ("1", "2" * 21)), "generation": ("g" * 20, "g" * 21),
        "sources": ("s" * 2_000, "s" * 2_001), "memory_source": ("s" * 200, "s" * 201), "vendor": ("v" * 40, "v" * 41),
        "price_date": ("d" * 80, "d" * 81), "fp4_tflops": (10**6, 0), "link_gb_per_s": (10**6, 10**6 + 1),
    }  # fmt: skip
    plain = {"id": "a", "name": "A", "vendor": "", "memory_bytes": GIB, "memory_source": "x", "memory_verified": True}
    for name, (most, more) in bounds.items():
        assert getattr(Accelerator(**plain | {name: most}), name) == most
        with pytest.raises(calculator.InvalidValueError, match=name):
            Accelerator(**plain | {name: more})


# Calibrations


def test_a_calibration_is_of_about_the_same_memory():
    device = calculator.load_gpu("h100-sxm")
    of = {"engine": "vllm", "engine_version": "0.33", "non_torch_bytes": 0}
    whole, tenth = device.memory_bytes, device.memory_bytes // 10
    for memory, is_taken in (
        (whole + tenth, True), (whole - tenth, True), (whole + tenth + 1, False), (whole - tenth - 1, False),
    ):  # fmt: skip
        made = Calibration(**of, gpu_memory_bytes=memory)
        if is_taken:
            made.check("vllm", device)
        else:
            with pytest.raises(calculator.InvalidValueError, match="it is of a GPU of") as caught:
                made.check("vllm", device)
            assert (caught.value.asked, caught.value.nearest) == (memory, device.memory_bytes)
    # of a tenth exactly
    ten = SimpleNamespace(memory_bytes=1_000, id="", name="x")
    Calibration(**of, gpu_memory_bytes=1_100).check("vllm", ten)
    Calibration(**of, gpu_memory_bytes=900).check("vllm", ten)
    assert Calibration(**of).grown_bytes == 0
    assert Calibration(**{**of, "non_torch_bytes": 7}, in_use_bytes=5).grown_bytes == 2
    assert Calibration(**of).lines == ()
    assert str(Calibration(**of)) == "by a log of vllm 0.33"


@pytest.mark.parametrize(
    ("key", "most", "more"),
    [
        ("non_torch_bytes", 2**53, 2**53 + 1), ("non_torch_bytes", 0, -1), ("gpu_memory_bytes", 2**53, 2**53 + 1),
        ("gpu_memory_bytes", 2**53, 0), ("tensor_parallel_size", 4_096, 4_097), ("tensor_parallel_size", 1, 0),
        ("in_use_bytes", 0, -1), ("in_use_bytes", 2**53, 2**53 + 1), ("gpu", "h100-sxm", "g" * 81),
        ("model", "m" * 200, "m" * 201), ("engine_version", "0.33", "0" * 41),
    ],
)  # fmt: skip
def test_figures_of_a_calibration_file_have_bounds(tmp_path, key, most, more):
    of = {"engine": "vllm", "engine_version": "0.33", "non_torch_bytes": 2**53, "in_use_bytes": 0}
    of = of if key != "non_torch_bytes" else {name: value for name, value in of.items() if name != "in_use_bytes"}
    path = tmp_path / "c.json"
    path.write_text(json.dumps({**of, key: most}))
    assert getattr(calibration_of(path), key) == most
    path.write_text(json.dumps({**of, key: more}))
    with pytest.raises(calculator.CalculatorError, match=key):
        calibration_of(path)


def test_lines_of_a_calibration_file(tmp_path):
    path, of = tmp_path / "c.json", {"engine": "vllm", "engine_version": "0.33", "non_torch_bytes": 1}

    def read(lines):
        path.write_text(json.dumps({**of, "gpu_memory_bytes": 1_000, "lines": lines}))
        return calibration_of(path)

    def line(key="a", size=0, **more):
        return {"key": key, "bytes": size, "usual_bytes": 0, "unsure_bytes": 0, **more}

    many = [line(f"k{place}") for place in range(33)]
    assert read(many[:32]).lines[31] == LoggedLine("k31", 0, 0, 0)
    # a tenth more than the memory is the most that a line, what was expected of it or all together can be
    for name in ("bytes", "usual_bytes", "unsure_bytes"):
        assert getattr(read([line(**{name: 1_100})]).lines[0], name) == 1_100
        with pytest.raises(calculator.InvalidValueError, match=rf"lines\.a\.{name} is"):
            read([line(**{name: 1_101})])
    assert len(read([line("a", 600), line("b", 500)]).lines) == 2
    for lines, said in (
        (many, "32"), ([line(), line()], "the line a stands there twice"), ([line("k" * 41)], "key"),
        ([line("a", 600), line("b", 501)], "the sum of the lines is"), ([line(size=-1)], "bytes"),
    ):  # fmt: skip
        with pytest.raises(calculator.InvalidValueError, match=said):
            read(lines)
    path.write_text(json.dumps(of).ljust(65_536))
    assert calibration_of(path).non_torch_bytes == 1
    path.write_text(json.dumps(of).ljust(65_537))
    with pytest.raises(calculator.FileFormatError, match="longer than 65,536 bytes"):
        calibration_of(path)


# Text of others


def nested(depth):
    found = {}
    for _ in range(depth - 1):
        found = {"a": found}
    return found


def test_a_config_is_twelve_deep_and_has_200000_entries():
    assert bounded(nested(12))
    with pytest.raises(calculator.InvalidValueError, match="nested more than 12 levels deep"):
        bounded(nested(13))
    assert bounded({"a": [0] * 199_999})
    with pytest.raises(calculator.InvalidValueError, match="more than 200,000 entries"):
        bounded({"a": [0] * 200_000})
    assert bounded({"a": float("inf"), "b": [-float("inf"), (1.5, None, True, "x")]}) == {
        "a": {"__float__": "Infinity"}, "b": [{"__float__": "-Infinity"}, [1.5, None, True, "x"]],
    }  # fmt: skip
    for bad in ({"a": float("nan")}, {"a": b"x"}, {1: 2}, {"a": "\ud800"}, {"a": {1}}, [1]):
        with pytest.raises(calculator.InvalidValueError):
            bounded(bad)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "f: duplicate key 'a'"), ('{"a": NaN}', "f: NaN is not a number"),
        ('{"a": 1,\n}', "f:2: not valid JSON"), ('{"a": "\\ud800"}', "f: holds half a character"),
        ("[" * 100_000, "f: nested too deeply"), (f'{{"a": 1{"0" * 5_000}}}', "f: nested too deeply, or a number"),
    ],
)  # fmt: skip
def test_what_is_no_strict_json(text, said):
    with pytest.raises(calculator.FileFormatError, match=said):
        parse_config(text, "f")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("8", [8]), ("8x3", [8] * 3), ("8 x 2, 4*1,1×1", [8, 8, 4, 1]), ("[1, 2]", [1, 2]), ("1X10000", [1] * 10_000),
        ("999999999", [999_999_999]), ("1" + ",1" * 1_999, [1] * 2_000),
    ],
)  # fmt: skip
def test_values_by_layer(text, values):
    assert parse_by_layer(text, "heads") == values
    assert parse_by_layer(write_by_layer(values), "heads") == values
    assert is_by_layer(text) is (len(text) > 1 and text != "999999999")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1x10001", "gives 10,001 layers; give 1 to 10,000"), ("1x9999,1,1", "gives 10,001 layers"),
        ("1x0", "gives 0 layers"),
        ("1,,2", "of layer 1: '' is not a number"), ("none", "of layer 0: 'none'"), ("1000000000", "is not a number"),
        ("1" * 4_001, "longer than 4,000 characters"), ("1,2,x", "of layer 2: 'x'"),
    ],
)  # fmt: skip
def test_what_is_no_list_by_layer(text, said):
    with pytest.raises(calculator.InvalidValueError, match=said):
        parse_by_layer(text, "heads")


def test_none_in_a_layer_where_it_may_be():
    assert parse_by_layer("none x 2, 128, None", "windows", may_be_none=True) == [None, None, 128, None]
    assert write_by_layer([None, None, 128]) == "none x 2, 128 x 1"
    with pytest.raises(calculator.InvalidValueError, match="such as 8x40 or none"):
        parse_by_layer("x", "windows", may_be_none=True)


def read_csv(content, **bounds):
    return strict_csv.read_numbers(io.BytesIO(content), "t", lambda header: {"a": header.index("a")}, **bounds)["a"]


def test_a_table_is_read_line_by_line():
    long = b"a\n" + b"1".rjust(64 * 2**10 - 1) + b"\n2\n"
    assert list(read_csv(long)) == [1, 2]
    with pytest.raises(calculator.FileFormatError, match="line 2: longer than 65,536 bytes"):
        read_csv(b"a\n" + b"1".rjust(64 * 2**10) + b"\n")
    assert list(read_csv(b"\xef\xbb\xbfa,b\n# no row\n\n1,x\n-2.5e3,y\n")) == [1, -2500]
    for content, said in (
        (b"a\n1\n\xff\n", "line 3: not UTF-8"), (b"a\n1\nx\n", "row 2, a: must be a number, not 'x'"),
        (b"b,a\n1\n", "row 1, a: is missing"), (b"a,b\n1,2\n1\n", "row 2 has 1 cell, the header has 2"),
        (b"a,b\n ,2\n", "row 1, a: is missing"),
    ):  # fmt: skip
        with pytest.raises(calculator.CalculatorError, match=said):
            read_csv(content)


def test_objects_of_numbers_are_read_row_by_row():
    def read(content):
        return read_objects(io.BytesIO(content), "t", ("a", "b"), lambda *_: None, ("c",))

    rows = ('{"a": 1, "c": "x"}', '{"a": 9007199254740992, "c": 2, "b": 1}', '{"a": -9007199254740993, "c": null}')
    found = read("\n".join(rows).encode())
    assert (found["a"].tolist(), found["c"], "b" in found) == ([1, 2**53, float("inf")], ["x", 2, None], False)
    for content, said in (
        (b'{"a": 1}\n{"b": 1}\n', "row 2, a: is missing"), (b'{"a": true}', "row 1, a: must be a number, not True"),
        (b'{"a": NaN}', "row 1 is not a JSON object"), (b"[1]", "row 1 is not a JSON object, but"),
    ):  # fmt: skip
        with pytest.raises(calculator.CalculatorError, match=said):
            read(content)


# The shipped table of names


@pytest.mark.parametrize(
    "row", ["", ",llama,1,x", "a,,1,x", "a,b,1,", "a,b,1", "a,b,1,x,y", "A/b,c,,x\na/B,c,,x", "q,p,1,s\nQ,p,1,s"]
)
def test_a_row_of_names_says_all(tmp_path, row):
    path = tmp_path / "n.csv"
    head = "repository,preset,max_position_embeddings,source\n"
    path.write_text(f"{head}Org/Name,p,4096,s\norg/other,p,,s\n")
    found = read_names(path)
    assert {name: (one.preset, one.max_position_embeddings, one.weight_dtype) for name, one in found.items()} == {
        "org/name": ("p", 4096, None), "org/other": ("p", None, None),
    }  # fmt: skip
    path.write_text(f"{head}{row}\n")
    if row:
        with pytest.raises(calculator.FileFormatError, match=r"n\.csv:[23]: cannot be"):
            read_names(path)
    path.write_text("a,b\n")
    with pytest.raises(calculator.FileFormatError, match=r"n\.csv:1: the columns must be repository, preset, max"):
        read_names(path)
