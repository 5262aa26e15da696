"""An architecture and a GPU of one's own, on the page."""

import re

import pytest
from pages import (
    GIB,
    agrees,
    at_field,
    change,
    checked,
    everything_said,
    expected,
    headline,
    metric,
    open_page,
    unescaped,
    warnings,
    widget,
)

import calculator
from calculator.views import words
from dashboard.inputs.own import field_key

# Own architecture and own GPU

OWN = {
    "num_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}


def send(page, **fields):
    """Fill the form in, and send it."""
    for name, value in fields.items():
        widget(page, field_key(name)).set_value(value)
    (button,) = [button for button in page.button if button.label == "Use this architecture"]
    return checked(button.click().run())


def test_own_architecture_starts_from_the_model_before():
    page = open_page()
    change(page, "model", "custom")
    assert {name: widget(page, field_key(name)).value for name in OWN} == {
        "num_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "vocab_size": 128256,
        "max_position_embeddings": 8192,
    }
    assert headline(page) == words.headline(expected()).replace("LLaMA 3 70B", "Own architecture")


def test_own_architecture_typed_by_hand_is_the_librarys():
    page = open_page()
    change(page, "model", "custom")
    send(page, **OWN)  # all at once: one by one they would not divide
    model = calculator.custom_model(**OWN, tie_word_embeddings=False)
    agrees(page, expected(model=model))
    # LLaMA 3 8B is 32 x 8 x 128, 131,072 bytes a token.
    assert metric(page, "KV cache of one user") == "1.00 GiB"
    assert page.query_params.items() >= {name: str(value) for name, value in OWN.items()}.items()


def test_own_architecture_by_link():
    page = open_page(model="custom", tie_word_embeddings="false", **OWN)
    agrees(page, expected(model=calculator.custom_model(**OWN, tie_word_embeddings=False)))
    assert warnings(page) == []
    agrees(open_page(**page.query_params), expected(model=calculator.custom_model(**OWN, tie_word_embeddings=False)))


def test_a_link_with_part_of_an_architecture_is_completed_from_llama_3_70b_and_that_is_said():
    page = open_page(model="custom", num_layers=40)
    # The config of LLaMA 3 70B.
    fields = {
        "num_layers": 40,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "vocab_size": 128256,
        "max_position_embeddings": 8192,
    }
    assert {name: widget(page, field_key(name)).value for name in fields} == fields
    agrees(page, expected(model=calculator.custom_model(**fields, tie_word_embeddings=False)))
    (said,) = warnings(page)
    assert said.startswith("An own architecture needs more than was given; taken from LLaMA 3 70B: ")
    for name in (*fields, "tie_word_embeddings"):
        assert (name in said) == (name != "num_layers"), name
    assert "head_dim 128" in said


def test_an_own_architecture_emptied_in_part_is_completed_from_the_preset_before_and_that_is_said():
    page = open_page(model="llama-3-8b")
    change(page, "model", "custom")
    send(page, num_layers=16, vocab_size=None)
    (said,) = warnings(page)
    assert "taken from LLaMA 3 8B: vocab_size 128256." in said
    assert widget(page, field_key("vocab_size")).value == 128256
    assert widget(page, field_key("num_layers")).value == 16


def test_a_link_to_an_own_architecture_without_numbers_opens():
    page = open_page(model="custom")
    assert re.match(r"Own architecture on 4 × A100 80GB SXM: \d+ users of 8,192 tokens", headline(page))


def test_what_is_typed_into_the_form_and_not_sent_stays_when_another_control_changes():
    page = open_page(model="custom", tie_word_embeddings="false", **OWN)
    change(page, "_users", 5)
    # A value that the server sets is shown in place of what the reader typed.
    assert [name for name in OWN if widget(page, field_key(name)).proto.set_value] == []
    agrees(page, expected(model=calculator.custom_model(**OWN, tie_word_embeddings=False), batch_size=5))


def test_heads_that_do_not_divide_are_refused_and_nothing_else_is_lost():
    page = open_page(seq_len=4096, batch_size=3, kv_cache_dtype="fp8_e4m3")
    change(page, "model", "custom")
    answered = headline(page)
    send(page, num_key_value_heads=7)
    (said,) = at_field(page)
    assert "num_key_value_heads 7 is not possible: 64 query heads do not divide by it" in said
    assert "the nearest is 8" in said
    assert headline(page) == f":gray[{answered}]"
    (button,) = [button for button in page.button if button.label == "8 KV heads"]
    checked(button.click().run())
    assert headline(page) == answered
    kept = page.query_params
    assert kept.items() >= {"seq_len": "4096", "batch_size": "3", "kv_cache_dtype": "fp8_e4m3"}.items()


def test_own_gpu():
    page = open_page()
    change(page, "gpu", "custom")
    change(page, "gpu_memory_gib", 100.0)
    agrees(page, expected(gpu=None, gpu_memory_bytes=100 * GIB))
    assert page.query_params["gpu"] == "custom"
    agrees(open_page(**page.query_params), expected(gpu=None, gpu_memory_bytes=100 * GIB))


def test_a_preset_gpu_does_not_keep_the_memory_of_the_own_one():
    page = open_page()
    change(page, "gpu", "custom")
    change(page, "gpu_memory_gib", 100.0)
    change(page, "gpu", "h100-sxm")
    agrees(page, expected(gpu="h100-sxm"))


def test_another_gpu_forgets_a_memory_typed_by_hand():
    page = open_page(gpu_memory_gib=64)
    agrees(page, expected(gpu_memory_bytes=64 * GIB))
    change(page, "gpu", "h100-sxm")
    assert widget(page, "gpu_memory_gib").value is None
    agrees(page, expected(gpu="h100-sxm"))
    assert "gpu_memory_gib" not in page.query_params


def test_chips_say_what_is_set():
    given = {"gpu_memory_gib": 60, "activation_gib": 3, "non_torch_gib": 3, "cuda_graph_gib": 3}
    given |= {"kv_cache_memory_gib": 20, "pipeline_parallel_size": 2}
    page = open_page(engine_version="0.19", prices="a100-80gb-sxm=1.5", **given)
    chips = [chip.proto.popover for chip in page.get("popover")]
    labels = {unescaped(chip.label).removeprefix(":blue[**").removesuffix("**]"): chip for chip in chips}
    for label in (
        "vLLM 0.19", "TP 4 · PP 2 · 1 replica", "Weights bf16", "KV bf16", "KV pool of 20 GiB", "$12 / h",
        "More settings: 3 set",
    ):  # fmt: skip
        assert label in labels, labels
        is_default = label in ("Weights bf16", "KV bf16")
        assert labels[label].label.startswith(":blue[**") != is_default, label
        assert labels[label].help == ("" if is_default else "Other than by default")
    assert metric(page, "Price an hour") == "$12"  # 8 x $1.5


def test_one_token_is_singular():
    page = open_page(seq_len=1)
    agrees(page, expected(seq_len=1))
    assert re.search(r": [\d,]+ users of 1 token$", headline(page))


def test_sections_are_headings_below_the_answer():
    page = open_page()
    assert len(page.title) == 1
    assert [(heading.tag, heading.value) for heading in page.header] == [
        ("h2", "What would change it"),
        ("h2", "Why 2.50 GiB a user"),
    ]
    assert list(page.subheader) == []


@pytest.mark.parametrize(("model", "seq_len", "size"), [("falcon-7b", 2048, "16.00 MiB"), ("falcon-7b", 1, "8.00 KiB")])
def test_sizes_have_the_unit_that_suits_them(model, seq_len, size):
    # Falcon 7B keeps 2 x 64 x 32 layers x 2 bytes = 8,192 bytes a token.
    page = open_page(model=model, tensor_parallel_size=1, seq_len=seq_len)
    assert metric(page, "KV cache of one user") == size


def test_what_is_not_verified_of_a_gpu_is_said():
    unverified = [gpu for gpu in calculator.gpu_ids() if not calculator.load_gpu(gpu).memory_verified]
    page = open_page(gpu=unverified[0])
    assert "not verified" in everything_said(page)
