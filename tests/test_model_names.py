"""What models are called: repositories of a preset's layers, times a closed list of formats."""

import re
from pathlib import Path

import pytest

import calculator
from calculator.catalogue.presets import data_file, model_names
from calculator.cli.main import main

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "preset", "context", "weights"),
    # contexts: max_position_embeddings of each config.json; formats: what each repository holds
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b", 131_072, None),
        ("META-LLAMA/LLAMA-3.1-8B", "llama-3.1-8b", 131_072, None),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507", "qwen3-235b-a22b", 262_144, None),
        ("Qwen/Qwen3-235B-A22B-Instruct-2507-FP8", "qwen3-235b-a22b", 262_144, "fp8-block"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "qwen2.5-7b", 32_768, "awq-int4"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "qwen2.5-7b", 32_768, "gptq-int4"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-70B", "llama-3.3-70b", 131_072, None),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-r1", 163_840, "fp8-block"),
        ("RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic", "llama-3.3-70b", 131_072, "fp8"),
        ("anyone/Qwen3-8B-FP8-dynamic", "qwen3-8b", 40_960, "fp8"),
        ("neuralmagic/Meta-Llama-3.1-70B-Instruct-quantized.w8a8", "llama-3.1-70b", 131_072, "int8"),
        ("unsloth/meta-llama-3.1-8b-instruct-bnb-4bit", "llama-3.1-8b", 131_072, "nf4"),
        ("nvidia/Llama-3.1-8B-Instruct-NVFP4", "llama-3.1-8b", 131_072, "nvfp4"),
        ("cyankiwi/gemma-4-26B-A4B-it-qat-AWQ-INT4", "gemma-4-26b-a4b", 262_144, "awq-int4"),
        ("Meta-Llama-3.1-8B-Instruct-Q4_K_M-00001-of-00002.gguf", "llama-3.1-8b", 131_072, "q4_k_m"),
        ("Qwen3-0.6B-Q8_0-GGUF", "qwen3-0.6b", 40_960, "q8_0"),
        ("/data/huggingface/hub/models--Qwen--Qwen3-8B/snapshots/b968826d", "qwen3-8b", 40_960, None),
        ("Mistral Nemo Instruct 2407", "mistral-nemo-12b", 131_072, None),
        ("Qwen 2.5 7B", "qwen2.5-7b", 131_072, None),
        ("qwen3-8b-awq", "qwen3-8b", 40_960, "awq-int4"),
        ("Intel/Qwen3-8B-int4-AutoRound", "qwen3-8b", 40_960, "gptq-int4"),
        ("google/gemma-4-26B-A4B-it-qat-q4_0-unquantized", "gemma-4-26b-a4b", 262_144, None),
        # tags of ollama and places of repositories
        ("llama3.1:70b-instruct-q4_K_M", "llama-3.1-70b", 131_072, "q4_k_m"),
        ("ollama/qwen2.5:7b-instruct-q8_0", "qwen2.5-7b", 32_768, "q8_0"),
        ("qwen3:8b-fp16", "qwen3-8b", 40_960, "fp16"),
        ("hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", "llama-3.2-3b", 131_072, "q4_k_m"),
        ("https://huggingface.co/zai-org/GLM-4.6", "glm-4.5", 202_752, None),
    ],
)
def test_a_name_is_a_preset_a_context_and_a_format(name, preset, context, weights):
    model = calculator.load_model(name)
    assert (model.id, model.max_position_embeddings, model.weight_dtype) == (preset, context, weights)
    assert model.layers == calculator.load_model(preset).layers


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("foo/Llama-3.1-8B-Instruct-LoRA-x", "llama-3.1-8b"),
        ("someone/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("Qwen/Qwen3-8B-Instruct-2507", "qwen3-8b"),
        ("llama-3.1", "llama-3.1-8b"),
        ("Qwen/Qwen3-8B-FP8-merged", "qwen3-8b"),
        ("qwen3:latest", "qwen3-8b"),
        ("meta-llama/Llama-3.1-8B-Instruct/", None),
    ],
)
def test_nothing_else_is_left_out_of_a_name(name, nearest):
    if nearest is None:
        assert calculator.load_model(name).id == "llama-3.1-8b"
        return
    with pytest.raises(calculator.UnknownNameError, match=f"unknown model '{re.escape(name)}': did you mean") as error:
        calculator.load_model(name)
    assert error.value.nearest == nearest


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Qwen/Qwen2.5-7B-Instruct-AWQ-8bit", "8 bit integers of AWQ"),
        ("qwen3:32b", "GGUF of a type that the name does not say"),
        ("unsloth/Qwen3-30B-A3B-GGUF", "GGUF of a type that the name does not say"),
        ("DeepSeek-R1-0528-UD-Q2_K_XL-00001-of-00006.gguf", "GGUF type Q2_K_XL"),
        # FBGEMM: its modules_to_not_convert has every attention and two of the MLPs
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", "fp8 and 16 bit by a list that its config.json has"),
    ],
)
def test_a_format_that_is_not_known_is_not_guessed(name, said):
    with pytest.raises(calculator.UnsupportedError, match=f"stored as {said}, which is not understood"):
        calculator.plan(name, gpu="h200")
    assert calculator.plan(name, gpu="h200", tensor_parallel_size=2, weight_dtype="fp8").model.repository == name


@pytest.mark.parametrize(
    ("name", "least", "most"),
    # whole parameters of the published models: 671,026,419,200 (experts 654 × 10⁹), 20,914,757,184
    [
        ("unsloth/DeepSeek-R1-BF16", 2, 2.001),
        ("nvidia/DeepSeek-R1-FP4", 0.5625, 0.60),  # 4 bit and a byte for 16; embeddings and head in 16 bit
        ("cognitivecomputations/DeepSeek-V3-AWQ", 0.5156, 0.56),
        ("openai/gpt-oss-20b-BF16", 2, 2.001),
    ],
)
def test_a_format_of_a_name_takes_the_place_of_what_the_preset_stores(name, least, most):
    answer = calculator.plan(name, gpu="b300", tensor_parallel_size=8, seq_len=1024)
    each = answer.model.num_parameters / 8
    assert (answer.weights_from, answer.model.stored_as) == ("format", "")
    # what every rank holds a copy of (norms, router, down projections of latent attention) is below 1.5 % of it
    assert least * each <= answer.per_gpu.weights_bytes <= most * 1.015 * each


def test_what_was_taken_is_noted_and_written():
    answer = calculator.plan("RedHatAI/Qwen3-8B-FP8-dynamic", gpu="NVIDIA H200")
    taken = "RedHatAI/Qwen3-8B-FP8-dynamic is taken as the preset qwen3-8b, of the same layers"
    assert answer.notes[0] == f"{taken}; weights in fp8, by its name alone"
    assert answer.notes[1] == "NVIDIA H200 is taken as h200, of 139.80 GiB"
    assert answer.request.model == "RedHatAI/Qwen3-8B-FP8-dynamic"
    assert (
        answer.per_gpu.weights_bytes
        == calculator.plan("qwen3-8b", gpu="h200", weight_dtype="fp8").per_gpu.weights_bytes
    )
    assert calculator.serve_command(answer).startswith("vllm serve RedHatAI/Qwen3-8B-FP8-dynamic --max-model-len 40960")
    assert "model: RedHatAI/Qwen3-8B-FP8-dynamic" in calculator.write_plan_file(answer, "a")
    plain = calculator.plan("meta-llama/Llama-3.1-8B-Instruct", gpu="h200")
    assert plain.request.model == "llama-3.1-8b"
    assert calculator.serve_command(plain).startswith("vllm serve meta-llama/Llama-3.1-8B-Instruct ")
    assert calculator.plan("Qwen/Qwen3-8B", gpu="h200").notes == calculator.plan("qwen3-8b", gpu="h200").notes


def test_every_row_is_of_a_preset_and_of_no_preset_itself():
    presets = set(calculator.model_ids())
    rows = [line.split(",") for line in data_file("model_names.csv").read_text().splitlines()[1:]]
    own = {calculator.load_model(key).huggingface_id.lower() for key in presets}
    for repository, preset, context, *_ in rows:
        assert preset in presets
        assert repository.lower() not in own | presets or context
        assert not context or int(context) != calculator.load_model(preset).max_position_embeddings
    assert len(model_names()) >= len(rows) + len(presets)


@pytest.mark.parametrize(
    ("parameter", "said", "read"),
    [
        ("model", "meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("model", "DeepSeek-V3", "deepseek-v3"),
        ("gpu", "NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("gpu", "a100-40gb-mig-3g.20gb", "a100-40gb-mig-3g.20gb"),
    ],
)
def test_a_link_says_a_model_or_a_gpu_by_another_name(parameter, said, read):
    state = pytest.importorskip("dashboard.state")
    assert state.PARAMETERS[parameter].read(said) == read


# what a name says beside the layers has no place in a link, and a path is no name
@pytest.mark.parametrize("said", ["Qwen/Qwen3-8B-FP8", "Qwen/Qwen3-235B-A22B-Instruct-2507", "/etc/x.json"])
def test_a_link_does_not_drop_what_a_name_says(said):
    state = pytest.importorskip("dashboard.state")
    with pytest.raises(calculator.UnknownNameError, match="unknown model"):
        state.PARAMETERS["model"].read(said)


@pytest.mark.parametrize("typed", ["deepseek-v3", "qwen 2.5", "llama-3.1", "meta-llama/Llama-3.1-8B"])
def test_the_list_of_models_is_searched_by_name_id_and_repository(typed):
    inputs = pytest.importorskip("dashboard.inputs.model")
    assert any(inputs._is_found(typed, inputs._model_name(key)) for key in calculator.model_ids())
    assert all(inputs._is_found(key, inputs._model_name(key)) for key in calculator.model_ids())


def test_the_page_of_presets_is_up_to_date(capsys):
    assert main(["models", "--format", "markdown"]) == 0
    page = capsys.readouterr().out
    assert page == (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
    table = [row.split("|") for row in page.splitlines() if row.startswith("| `")]
    rows = {row[1].strip(" `"): [cell.strip() for cell in row] for row in table}
    assert list(rows) == list(calculator.model_ids())
    # 64 query heads, 8 KV heads: 1 - 8/64; DeepSeek-V3: 576 of 128 x (192 + 128) elements a layer, 1 - 576/40,960
    assert rows["llama-3-70b"][4:9] == ["64", "8", "8 : 1", "320.00 KiB", "87.5%"]
    assert rows["deepseek-v3"][5:9] == ["latent", "latent", "68.62 KiB", "98.6%"]
    # Gemma 4 31B: 50 x 16 x 256 + 10 x 4 x 512 of 50 x 32 x 256 + 10 x 32 x 512 elements
    assert rows["gemma-4-31b"][8] == f"{1 - (50 * 16 * 256 + 10 * 4 * 512) / (50 * 32 * 256 + 10 * 32 * 512):.1%}"
