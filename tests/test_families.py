"""The rows of model types: each says where it was read, none is named twice, and general code knows no type."""

import ast
import re
from collections import Counter

import pytest
from golden import ROOT
from small_config import CONFIG
from test_imports import python

import calculator
from calculator.configs import families
from calculator.configs.families.refused import REASONS
from calculator.configs.reference import defaults_of

CONFIGS = ROOT / "calculator" / "configs"
ROWS = {name: families.find(name)[1] for name in families.names()}


def test_every_module_of_the_folder_is_looked_in():
    here = CONFIGS / "families"
    files = (path.relative_to(here).with_suffix("") for path in here.rglob("*.py") if path.stem != "__init__")
    modules = {".".join(file.parts) for file in files} - {"refused"}
    assert modules == set(families.MAKERS)


def test_a_name_belongs_to_one_type():
    named = Counter([*families.names(), *(alias for row in ROWS.values() for alias in row.aliases)])
    assert [name for name, times in named.items() if times > 1] == []


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_says_where_and_when_it_was_read(kind):
    source = ROWS[kind].source
    assert re.fullmatch(r"20\d\d-\d\d", source.checked)
    # the work, its version, and either its file or what stands in its place
    assert re.search(r"\d+\.\d+\.\d+", source.text)
    if source.text.startswith("transformers"):
        others = [name for name, row in ROWS.items() if row.source == source and name != kind]
        assert others == [], "a row that begins as another must name its own source"


@pytest.mark.parametrize("kind", ROWS)
def test_a_row_repeats_nothing_that_its_class_has(kind):
    """What the class of a type, or of each of its other names, has would never be read from the row."""
    classes = [
        of_class for name in (kind, *ROWS[kind].aliases) if "num_hidden_layers" in (of_class := defaults_of(name))
    ]
    never = {key for key in ROWS[kind].defaults if classes and all(one.get(key) is not None for one in classes)}
    assert never == set()


def test_an_alias_is_answered_as_its_type():
    phi3, alias = ({**CONFIG, "model_type": kind} for kind in ("phi3", "phi4mm"))
    assert calculator.model_from_hf_config(alias).model_type == "phi3"
    assert calculator.model_from_hf_config(alias).layers == calculator.model_from_hf_config(phi3).layers


def test_a_row_is_found_without_reading_all():
    code = "import sys; from calculator.configs import families; families.find('llama')"
    assert python(f"{code}; print('calculator.configs.families.zhipu' in sys.modules)") == "False"


GENERAL = [path for path in sorted(CONFIGS.rglob("*.py")) if not {"families", "hooks"} & set(path.parts)]


@pytest.mark.parametrize("path", GENERAL, ids=lambda path: path.stem)
def test_general_code_compares_no_type(path):
    """Nor does it import a hook, but for the encoder-decoders, which are told by a trait."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    compared = [
        leaf.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for leaf in ast.walk(node)
        if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)
    ]
    assert set(compared).isdisjoint(ROWS)
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert {name for name in imported if ".hooks." in name} <= {"calculator.configs.hooks.encoders.with_decoder"}


# transformers 5.23.0, models/auto/configuration_auto.py, and configs that bring their own code: types whose caches
# differ from those of any row (states, shared or repeated layers, windows of their own, second decoders)
NOT_READ = """
glm5_next glm5_next_text qwen4_exp qwen4_exp_text inkling2 inkling2_text mistral_large4 mistral_large4_text dots3_note
dots3_note_text muse_spark muse_spark_text muse_glimmer muse_glimmer_text diffusion_gemma diffusion_gemma_text hrm_text
mllama mllama_text_model recurrent_gemma rwkv xlstm zamba step5 step5_vl unlimited_ocr unlimited_ocr_text dory
iquestloopcoder domyn_edge alice_ai gemma4_assistant gemma4_unified_assistant bigbird_pegasus prophetnet cpmant git
trocr xlm zaya reformer xlnet speech-encoder-decoder vision-encoder-decoder encoder-decoder blt moshi
kyutai_speech_to_text musicgen musicgen_melody
"""


def test_types_that_are_known_and_not_read_are_refused_whatever_is_assumed():
    assert set(NOT_READ.split()) == set(REASONS)
    for kind in NOT_READ.split():
        for config in (CONFIG, {"text_config": CONFIG}, {"decoder": CONFIG}):
            with pytest.raises(calculator.UnsupportedError, match=f"model_type '{kind}' is known and not read: it ha"):
                calculator.model_from_hf_config({**config, "model_type": kind}, assume_full_attention=True)


LISTED = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 64}


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("qwen2", {"use_sliding_window": True, "max_window_layers": 1}),
        ("smollm3", {"use_sliding_window": True, "max_window_layers": 1, "no_rope_layers": [1, 1]}),
        ("gemma3_text", {"sliding_window_pattern": 6}),
        ("afmoe", {"global_attn_every_n_layers": 4}),
    ],
)
def test_a_list_of_kinds_overrules_the_keys_of_the_schedule(kind, keys):
    config = {**CONFIG, "model_type": kind, "head_dim": 64, "num_experts": 4, "num_experts_per_tok": 2, **LISTED}
    config = config if kind == "afmoe" else {k: v for k, v in config.items() if "experts" not in k}
    with_keys = calculator.model_from_hf_config({**config, **keys})
    assert with_keys.layers == calculator.model_from_hf_config(config).layers
    assert with_keys.ignored_keys == ()


def test_a_key_of_another_schedule_is_refused_beside_a_list():
    config = {**CONFIG, "model_type": "gpt_oss", **LISTED, "num_experts": 4, "use_sliding_window": True}
    with pytest.raises(calculator.UnsupportedError, match="'use_sliding_window' bears on the cache") as caught:
        calculator.model_from_hf_config(config)
    assert (caught.value.what, caught.value.asked) == ("use_sliding_window", True)


def test_a_refusal_names_the_key_and_the_bounds():
    with pytest.raises(calculator.InvalidValueError, match="num_hidden_layers must lie between 1 and 10,000") as caught:
        calculator.model_from_hf_config({**CONFIG, "num_hidden_layers": 20_000})
    error = caught.value
    assert (error.what, error.asked, error.allowed, error.nearest) == (
        "num_hidden_layers", 20_000, (1, 10_000), 10_000,
    )  # fmt: skip


def test_what_is_assumed_knows_its_key_and_values():
    config = {key: value for key, value in CONFIG.items() if key != "tie_word_embeddings"}
    said = {text.values["name"]: text for text in calculator.model_from_hf_config(config).assumed}
    assert said["tie_word_embeddings"] == "tie_word_embeddings False"
    assert said["tie_word_embeddings"].key == "configs.default"
    unknown = calculator.model_from_hf_config({**CONFIG, "model_type": "zzz"}, assume_full_attention=True)
    assert unknown.assumed[-1].key == unknown.unverified.key == "configs.guess"
