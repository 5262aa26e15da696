"""The preset tables: which there are, and their numbers against the published ones."""

import re
from decimal import Decimal

import pytest
from golden import GIB, PRESETS, rows

import calculator
from calculator.catalogue import presets
from calculator.catalogue.preset_file import Entries
from calculator.catalogue.presets import model_file, stated_name
from calculator.planning.files import checks
from calculator.reading import strict_yaml

PARAMETERS = {row["preset"]: int(row["num_parameters"]) for row in rows("engine_parameters.csv")}
GPUS = {row["gpu"]: row for row in rows("gpus.csv")}


def test_the_first_models_are_there_in_their_order():
    assert [preset for preset in calculator.model_ids() if preset in PRESETS] == PRESETS


def test_models_beyond_uniform_attention_are_there():
    wanted = {
        "mistral-7b-v0.1",
        "deepseek-v2-lite",
        "deepseek-v3",
        "deepseek-v3.2",
        "gemma-2-9b",
        "gemma-3-27b",
        "gpt-oss-20b",
        "gpt-oss-120b",
        "qwen3-next-80b-a3b",
        "kimi-k2",
        "phi-4",
        "glm-4.5-air",
        "llama-4-scout",
        "jamba-v0.1",
    }
    assert wanted <= set(calculator.model_ids())
    assert len(calculator.model_ids()) >= 80


@pytest.mark.parametrize("preset", PRESETS)
def test_parameters_are_those_that_the_engines_count(preset):
    assert calculator.load_model(preset).num_parameters == PARAMETERS[preset]


@pytest.mark.parametrize("preset", PRESETS)
def test_provenance_is_given(preset):
    model = calculator.load_model(preset)
    assert len(model.source) >= 20
    assert model.checked == "2026-11-22"
    assert model.max_position_embeddings >= 2048


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if calculator.load_model(preset).huggingface_id])
def test_the_hugging_face_id_names_the_same_preset(preset):
    model = calculator.load_model(preset)
    assert calculator.load_model(model.huggingface_id.upper()) is model


def test_an_empty_name_is_no_model():
    with pytest.raises(calculator.UnknownNameError, match="unknown model ''"):
        calculator.load_model("")


# Model cards: Mixtral "12.9B active", 8x22B "39B active"; Qwen3 names its own: A3B is 3.3B, A22B is 22B.
@pytest.mark.parametrize(
    ("preset", "billions"),
    [("mixtral-8x7b", 12.9), ("mixtral-8x22b", 39.1), ("qwen3-30b-a3b", 3.3), ("qwen3-235b-a22b", 22.2)],
)
def test_active_parameters_of_expert_models(preset, billions):
    assert calculator.load_model(preset).num_active_parameters / 1e9 == pytest.approx(billions, rel=0.02)


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if "x" not in preset and "-a" not in preset])
def test_dense_models_use_every_parameter(preset):
    model = calculator.load_model(preset)
    assert model.num_active_parameters == model.num_parameters


@pytest.mark.parametrize("preset", PRESETS)
def test_parts_sum_to_the_whole_and_ids_are_lower_case(preset):
    model = calculator.load_model(preset)
    assert model.id == preset == preset.lower()
    assert sum(model.parts.values()) == PARAMETERS[preset]
    stated = model_file().entries[preset]
    assert stated["num_parameters"] == PARAMETERS[preset]


def test_falcon_180b_and_nemo_have_heads_that_hidden_size_does_not_give():
    # Nemo: hidden 5,120, 32 heads, head_dim 128 (not 160); Qwen3 0.6B: 1,024, 16 heads, 128 (not 64)
    assert calculator.load_model("mistral-nemo-12b").layers[0].spec.head_dim == 128
    assert calculator.load_model("qwen3-0.6b").layers[0].spec.head_dim == 128


def test_exactly_the_41_devices_whose_memory_is_known_are_proposed():
    assert set(presets.proposed_gpu_ids()) == set(GPUS)
    assert calculator.gpu_ids()[: len(GPUS)] == presets.proposed_gpu_ids()
    assert len(GPUS) == 41


@pytest.mark.parametrize("gpu", GPUS)
def test_memory_is_the_middle_of_what_programs_see(gpu):
    row, device = GPUS[gpu], calculator.load_gpu(gpu)
    if row["program_gib_low"]:
        middle = (Decimal(row["program_gib_low"]) + Decimal(row["program_gib_high"])) / 2 * GIB
        assert abs(device.memory_bytes - middle) <= 1
        assert device.memory_verified is (row["estimated"] == "false")
    else:
        assert device.memory_bytes == int(row["reported_mib"]) * 2**20
        assert device.memory_verified is False
    assert device.label_gb == int(row["label_gb"])
    assert device.reported_mib == (int(row["reported_mib"]) if row["reported_mib"] else None)


@pytest.mark.parametrize("gpu", GPUS)
def test_speed_links_and_price_are_the_tables(gpu):
    row, device = GPUS[gpu], calculator.load_gpu(gpu)

    def number(text):
        return float(text) if text else None

    shown = (device.bandwidth_gb_per_s, device.bf16_tflops, device.fp8_tflops, device.fp4_tflops, device.link_gb_per_s)
    assert shown == tuple(number(row[name]) for name in ("bandwidth", "bf16", "fp8", "fp4", "link"))
    assert device.gpus_per_node == int(row["node"])
    prices = [number(row[name]) for name in ("price_low", "price_high") if row[name]]
    assert device.price_usd_per_hour == ((prices[0], prices[-1]) if prices else None)
    assert device.price_date == row["price_date"]


# No engine here runs on Gaudi. Inferentia2 and Trainium2: only the driver's figure is known, the label in GiB.
@pytest.mark.parametrize("gpu", sorted(set(GPUS) - {"gaudi2", "inferentia2", "trainium2"}))
def test_a_label_is_never_what_a_plan_uses(gpu):
    device = calculator.load_gpu(gpu)
    assert calculator.plan("qwen2.5-0.5b", gpu=gpu).per_gpu.total_bytes == device.memory_bytes
    assert device.memory_bytes not in (device.label_gb * 10**9, device.label_gb * GIB)


@pytest.mark.parametrize("gpu", ["v100-32gb", "a30", "gb200", "inferentia2", "trainium2"])
def test_what_is_not_verified_is_said(gpu):
    name = calculator.load_gpu(gpu).name
    notes = calculator.plan("qwen2.5-0.5b", gpu=gpu).notes
    assert any(note.startswith(f"the memory of {name} is not verified") for note in notes)


def test_every_expectation_in_the_files_is_met():
    findings = checks.check_presets()
    assert [finding for finding in findings if not finding.ok] == []
    assert {finding.subject for finding in findings} == {*calculator.model_ids(), *calculator.gpu_ids()}


# Files: an entry is parsed by itself, and means what it means in the whole


@pytest.mark.parametrize("path", [presets.MODEL_FILE, presets.GPU_FILE], ids=["models", "gpus"])
def test_an_entry_by_itself_is_what_the_whole_file_says(path):
    section = "models" if path == presets.MODEL_FILE else "gpus"
    whole = strict_yaml.read(path)
    entries = Entries(strict_yaml.read_text(path), str(path), section)
    assert list(entries) == list(whole.data[section])
    for key in entries:
        assert entries[key] == whole.data[section][key]
        part = entries.document(key)
        fields = {place: line for place, line in whole.lines.items() if place[:2] == (section, key)}
        assert {place: part.line(place) for place in fields} == fields
    assert "whole" not in vars(entries)


@pytest.mark.parametrize(
    "content",
    [
        "models: {a: {x: 1}, b: {x: 2}}\n",
        "models:\n    a:\n        x: 1\n    b:\n        x: 2\n",
        "models:\n  a: {x: 1}\n  b: {x: 2}\n",
        'models:\n  "a":\n    x: 1\n  b:\n    x: 2\n',
        "# said before\nmodels:\n\n  # of a\n  a:\n    x: 1\n# of b\n  b:\n    x: 2\n",
        "models:\r\n  a:\r\n    x: 1\r\n  b:\r\n    x: 2\r\n",
        "models:\n  a:\n    x: 1\n  b:\n    x: 2\n...\n",
    ],
    ids=["flow", "wide", "flow entries", "quoted", "comments", "carriage returns", "end"],
)
def test_however_a_file_is_laid_out_it_means_the_same(content):
    assert dict(Entries(content, "f.yaml", "models")) == {"a": {"x": 1}, "b": {"x": 2}}


def test_text_that_looks_like_an_entry_is_none():
    content = 'models:\n  a:\n    x: "one\n  b:\n    two"\n'
    entries = Entries(content, "f.yaml", "models")
    assert entries["a"] == {"x": "one b: two"}
    assert list(entries) == ["a"]
    assert list(Entries("models:\n  a:b:\n    x: 1\n", "f.yaml", "models")) == ["a:b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("models:\n  a:\n    x: 1\n  a:\n    x: 2\n", "f.yaml:4: models: a: duplicate key, first given in line 2"),
        ("models:\n  a:\n    x: 1\n    x: 2\n", "f.yaml:4: models: a: x: duplicate key, first given in line 3"),
        ("models:\n  a:\n    x: &y 1\n", "f.yaml:3: anchors and aliases are not allowed"),
        ("models:\n", "f.yaml:1: must hold one mapping named models"),
        ("models:\n  a:\n    x: 1\ngpus:\n  a:\n    x: 1\n", "f.yaml:1: must hold one mapping named models"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(content, message):
    with pytest.raises(calculator.FileFormatError, match=message):
        Entries(content, "f.yaml", "models")["a"]


def test_check_reads_the_whole_file_strictly(tmp_path):
    path = tmp_path / "models.yaml"
    text = presets.MODEL_FILE.read_text(encoding="utf-8")
    path.write_text(text + "# nothing\n  last: &anchor {}\n", encoding="utf-8")
    assert calculator.catalogue.presets.model_file(path).get("llama-3-70b").num_layers == 80
    with pytest.raises(calculator.FileFormatError, match="anchors and aliases are not allowed"):
        checks.check_file(path)
    with pytest.raises(calculator.FileFormatError, match="anchors and aliases are not allowed"):
        checks.check_presets(path)


@pytest.mark.parametrize(
    ("with_images", "text"),
    [
        ("qwen3-vl-2b", "qwen3-1.7b"), ("qwen3-vl-4b", "qwen3-4b"), ("qwen3-vl-8b", "qwen3-8b"),
        ("qwen3-vl-32b", "qwen3-32b"), ("qwen3-vl-30b-a3b", "qwen3-30b-a3b"),
    ],
)  # fmt: skip
def test_the_text_part_of_a_model_of_images_has_the_layers_of_the_text_model(with_images, text):
    """Qwen3-VL is built on Qwen3 (arXiv 2511.21631), whose parameters transformers counts."""
    built_on, model = calculator.load_model(text), calculator.load_model(with_images)
    assert model.num_parameters == built_on.num_parameters
    assert model.kv_bytes_per_token("fp16") == built_on.kv_bytes_per_token("fp16")
    assert model.towers


def test_a_missing_preset_file_is_said_when_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(presets.files, "_PLACES", (tmp_path / "a", tmp_path / "b"))
    looked = re.escape(f"it is in neither {tmp_path / 'a'} nor {tmp_path / 'b'}")
    with pytest.raises(calculator.FileFormatError, match=f"gpu_presets.yaml is missing: {looked}"):
        presets.gpu_file.__wrapped__()
    with pytest.raises(calculator.FileFormatError, match=f"model_presets.yaml is missing: {looked}"):
        _ = presets.MODEL_FILE


@pytest.mark.parametrize("preset", PRESETS)
def test_the_file_states_the_name_that_the_model_has(preset):
    model = calculator.load_model(preset)
    assert stated_name(preset) == (model.name, model.huggingface_id)
