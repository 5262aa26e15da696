"""The page of KV heads: its answer, its charts, every state by link; what cannot be is said and loses nothing else."""

import json

import pytest
from cases import CONFIGS
from pages import (
    OPENING,
    change,
    checked,
    everything_said,
    headline,
    open_page,
    packed,
    turn_to,
    unescaped,
    warnings,
    widget,
)  # fmt: skip

import calculator
from calculator.charts import heads
from calculator.planning.heads.variants import divisors
from calculator.views.heads import answer, chosen, ratios
from dashboard import state
from dashboard.downloads import _page, csv_of
from dashboard.link.heads_parameters import HEADS

SMALL = ("memory_chart", "batch_chart", "speed_chart", "quality_chart")
TOKENS = 15 * 10**12
PAIRS = "Published pairs: a model with MHA before, and the same otherwise"


def open_heads(**link):
    return open_page("heads", **link)


def study_of(**changes):
    return calculator.head_study(**{**OPENING, **changes})


def states(page, study, name=None):
    """The page states the answer of this row, and draws it."""
    row = chosen.row_of(study, name)
    assert headline(page) == answer.headline(study, row)
    assert answer.verdict(study, row) in everything_said(page)
    drawn = [json.loads(chart.proto.spec)["data"] for chart in page.get("plotly_chart")][:4]
    made = [json.loads(getattr(heads, one)(study, row).to_json())["data"] for one in SMALL]
    assert drawn == made
    return row


def said_in_alerts(page):
    return [unescaped(element.value) for kind in (page.error, page.info) for element in kind]


# The answer


def test_it_opens_on_the_model_as_it_is():
    page = open_heads()
    row = states(page, study_of())
    assert row.num_key_value_heads == 8
    # 117, 58 and 6 are the plans of 1, 8 and 64 KV heads, one at a time
    held = [
        calculator.plan(
            **{**OPENING, "model": calculator.load_model("llama-3-70b").with_kv_heads(count)}
        ).max_batch_size
        for count in (1, 8, 64)
    ]
    assert f"{held[1]} users, 8 × less KV than MHA" in headline(page)
    assert f"With MHA it would hold {held[2]}, with MQA {held[0]}." in everything_said(page)
    assert list(page.sidebar.children) == []


def test_the_slider_has_every_legal_number_and_latent_attention_and_moves_all_charts():
    page = open_heads()
    slider = widget(page, "_kv_heads")
    assert slider.options == ["1", "2", "4", "8", "16", "32", "64", "MLA"]
    change(page, "_kv_heads", "32")
    states(page, study_of(), "32")
    assert page.query_params["kv_heads"] == "32"
    states(open_heads(**page.query_params), study_of(), "32")


@pytest.mark.parametrize("name", ["1", "64", "mla"])
def test_a_number_by_link(name):
    page = open_heads(kv_heads=name)
    row = states(page, study_of(), name)
    assert page.query_params["kv_heads"] == name
    assert (row.kind == "mla") is any("MLA is an assumption" in caption.value for caption in page.caption)


def test_a_number_that_the_model_cannot_have_is_replaced_by_the_nearest_and_said():
    page = open_heads(kv_heads=7)
    (said,) = warnings(page)
    assert "LLaMA 3 70B cannot have 7 KV heads here: there are 1, 2, 4, 8" in said
    assert said.endswith("the nearest is 8; that is used.")
    states(page, study_of(), "8")


def test_another_model_keeps_a_number_that_it_can_have_and_says_where_it_cannot():
    page = change(open_heads(kv_heads=16), "model", "llama-3-8b")
    states(page, study_of(model="llama-3-8b"), "16")
    page = change(open_heads(kv_heads=64), "model", "llama-3-8b")
    assert "the nearest is 32; that is used." in warnings(page)[0]


def test_latent_attention_of_its_own_and_layers_that_differ():
    asked = {"model": "deepseek-v3", "gpu": "h200", "tensor_parallel_size": 8}
    page = open_heads(**asked)
    assert states(page, study_of(**asked)).kind == "mla"
    mixed = next(name for name in calculator.model_ids() if _differs(calculator.load_model(name)))
    asked = {"model": mixed, "gpu": "mi300x", "tensor_parallel_size": 1, "seq_len": 512}
    page = open_heads(**asked)
    assert states(page, study_of(**asked)).kind == "mixed"
    assert "as it is" in widget(page, "_kv_heads").options


def _differs(model):
    counts = {count for count in model.kv_heads_by_layer if count}
    return len(counts) > 1 and not model.needs_encoder


def test_copies_beyond_the_heads_are_said():
    page = open_heads(tensor_parallel_size=16)
    states(page, study_of(tensor_parallel_size=16))
    assert "Each KV head is kept on 2 GPUs." in everything_said(page)  # 8 heads on 16 GPUs


# Links


LINKS = [
    ("constant_parameters", "true", "Parameters kept"),
    ("min_batch_size", "40", "Goals. 1 to 8 KV heads meet the goals. With 16 it holds 28 sequences, fewer than 40."),
    ("min_output_tokens_per_second", "1.0", "Goals. 1 to 64 KV heads meet the goals."),
    ("max_tpot_s", "0.001", "Goals. No number of KV heads meets the goals"),
    ("without_copies", "true", "Goals. 4 to 64 KV heads meet the goals."),
    ("seen", "34.36 GB", "64 layers (its query heads) in place of 80"),
    ("claim", "transmla", "There is no mature way from MHA to MLA."),
    ("training_tokens", f"{TOKENS}", ""),
    ("share", "0.1", ""),
    ("panel", "prefill", "A prompt of 8,192 tokens computed whole holds"),
    ("heads_by_layer", "4x40, 16x40", "By layer: a list"),
    ("windows_by_layer", "none x 40, 1024 x 40", "By layer: a list"),
    ("to_kv_heads", "2", ""),
]


@pytest.mark.parametrize(("name", "value", "says"), LINKS, ids=[name for name, *_ in LINKS])
def test_every_state_is_in_the_link_and_opens_by_it(name, value, says):
    page = open_heads(**{name: value})
    assert warnings(page) == []
    assert page.query_params[name] == value.removesuffix(".0")
    labels = [unescaped(one.proto.popover.label) for one in page.get("popover")]
    assert says in everything_said(page).replace("**", "") + " ".join(labels)
    assert everything_said(open_heads(**page.query_params)) == everything_said(page)


def test_every_parameter_of_the_page_is_tried():
    assert {name for name, *_ in LINKS} == set(HEADS) - {"kv_heads", "seen_of"}


def test_a_link_of_before_says_nothing_of_this_page():
    before = dict(open_page().query_params)
    assert set(before) & set(HEADS) == set()
    assert open_heads(**before).title[0].value == open_heads().title[0].value


def test_what_was_asked_is_kept_when_the_page_is_turned_and_turned_back():
    page = change(open_page(), "batch_size", 40)
    for address in ("heads", ""):
        turn_to(page, address)
        page.query_params.clear()  # a turned page comes with a bare address
        checked(page.run())
        assert page.query_params["batch_size"] == "40"
        if address:
            assert widget(page, "batch_size").value == 40
            change(page, "_kv_heads", "4")
    turn_to(page, "heads")
    page.query_params.clear()
    checked(page.run())
    states(page, study_of(batch_size=40), "4")


def test_a_switch_is_in_the_link_only_where_it_is_on():
    page = change(open_heads(), "_without_copies", True)
    assert page.query_params["without_copies"] == "true"
    change(page, "_without_copies", False)
    assert "without_copies" not in page.query_params
    assert "Goals." not in everything_said(page)


def test_with_the_parameters_kept_the_study_is_that():
    page = change(open_heads(kv_heads=64), "_constant_parameters", True)
    states(page, study_of(constant_parameters=True), "64")


# What cannot be


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ({"model": "config"}, "No config.json is read yet"),
        ({"pipeline_parallel_size": 81}, "80 layers"),
    ],
)
def test_a_refusal_is_said_and_nothing_else_is_lost(link, says):
    page = open_heads(kv_heads=16, **link)
    assert headline(page) == "This cannot be planned"
    assert says in said_in_alerts(page)[0]
    assert page.get("plotly_chart") == []
    assert page.query_params["kv_heads"] == "16"
    for name, value in link.items():
        assert page.query_params[name] == str(value)
    assert (widget(page, "batch_size").value, widget(page, "seq_len").value) == (16, "8,192")


# Layer by layer


def test_a_list_by_link_is_a_row_of_its_own_and_chosen():
    page = open_heads(kv_heads="4x40,16x40")
    listed = [*divisors(calculator.load_model("llama-3-70b")), [4] * 40 + [16] * 40]
    row = states(page, study_of(kv_heads=listed), "list")
    # 40 layers of 4 heads and 40 of 16, K and V of 128 elements of 2 bytes
    assert row.kv_bytes_per_token == (40 * 4 + 40 * 16) * 2 * 128 * 2
    assert (page.query_params["kv_heads"], page.query_params["heads_by_layer"]) == ("list", "4x40,16x40")
    assert widget(page, "_kv_heads").options[-2:] == ["by layer", "MLA"]
    change(page, "_kv_heads", "8")
    assert page.query_params["heads_by_layer"] == "4x40,16x40"
    states(page, study_of(kv_heads=listed), "8")


def test_windows_by_layer_hold_for_every_row():
    page = open_heads(windows_by_layer="none x 40, 1024 x 40")
    row = states(page, study_of(sliding_window=[None] * 40 + [1024] * 40))
    assert row.kv_bytes_per_sequence == 40 * (8192 + 1024) * 8 * 2 * 128 * 2


@pytest.mark.parametrize(
    ("link", "says"),
    [
        (
            {"heads_by_layer": "8x79"},
            "lists 79 layers, and there are 80: give one entry a layer; the list is left out.",
        ),
        ({"heads_by_layer": "8x79,5"}, "of layer 79: 5 is not possible: 64 query heads do not divide by it"),
        (
            {"windows_by_layer": "128x3"},
            "lists 3 layers, and there are 80: give one entry a layer; the windows are left",
        ),
        ({"kv_heads": "4x40,y"}, "KV heads of layer 40: 'y' is not a number"),
    ],
)
def test_a_list_that_the_model_cannot_have_is_left_out_and_said(link, says):
    page = open_heads(**link)
    (said,) = warnings(page)
    assert says in said
    states(page, study_of())


def test_a_list_typed_in_is_chosen_and_one_of_equal_numbers_is_the_number():
    page = change(open_heads(), "_heads_by_layer", "4x80")
    states(page, study_of(), "4")
    page = change(page, "_heads_by_layer", "1x79, 64")
    assert page.query_params["kv_heads"] == "list"
    change(page, "_heads_by_layer", "")
    assert "heads_by_layer" not in page.query_params
    states(page, study_of())


def test_a_model_without_heads_is_refused_in_words():
    page = open_heads(model="config", config_json=packed(CONFIGS["mamba 2 alone"]), tensor_parallel_size=1)
    assert headline(page) == "This cannot be planned"
    assert "has no attention heads to vary" in said_in_alerts(page)[0]
    assert page.query_params["model"] == "config"


def test_what_does_not_fit_is_an_answer():
    page = open_heads(batch_size=59)
    states(page, study_of(batch_size=59))
    assert "does not fit" in everything_said(page)
    assert said_in_alerts(page) == []


# Presets, evidence, numbers and claims


def test_presets_are_counted_and_the_chosen_ratio_is_marked():
    page = open_heads(kv_heads=16)
    view = ratios.ratio_view(study_of(), chosen.row_of(study_of(), "16"))
    presets = [calculator.load_model(name) for name in calculator.model_ids()]
    of_four = [one for one in presets if one.is_uniform and one.num_attention_heads == 4 * one.num_key_value_heads]
    (marked,) = [row for row in view.rows if row.chosen]
    assert marked.query_heads_per_kv_head == 4
    assert marked.num_models >= len(of_four) > 0  # windows beside them are not uniform, and count
    assert sum(row.num_models for row in view.rows) == len(presets)
    assert view.finding in [unescaped(each.value) for each in page.subheader]


def test_evidence_is_a_table_as_printed_and_none_is_said():
    page = open_heads()
    table = next(one for one in page.dataframe if one.proto.alt == PAIRS)
    row = table.value[table.value["Test"] == "average of 7 tasks"].iloc[0]
    assert (row["Before"], row["After"], row["Change"]) == (47.2, 47.1, -0.1)  # arXiv 2305.13245, table 1
    page = open_heads(kv_heads=16)
    assert "Nothing is published for 4 query heads a KV head" in everything_said(page)
    assert not any(one.proto.alt == PAIRS for one in page.dataframe)


def test_a_number_that_is_right_and_one_that_has_a_mistake():
    # 2 x 8 x 128 x 80 x 8,192 x 16 x 2 bytes = 42.95 GB; with 64 layers 34.36
    page = open_heads(seen="42.95 GB")
    assert ":green-badge[:material/check: right]" in everything_said(page)
    page = change(page, "seen", "34.36 GB")
    said = everything_said(page)
    assert ":red-badge[:material/close: not this model]" in said
    assert "34.36 GB is not right for LLaMA 3 70B: 42.9497 GB is" in said
    # the claim that says it, whole
    assert "It circulates:" in said
    assert said.count("LLaMA 3 70B, 8,192 tokens, 16 sequences: 34.36 GB.") == 1
    assert page.query_params["seen"] == "34.36 GB"


def test_what_a_number_is_said_of():
    page = change(open_heads(seen="141.1 GB"), "_seen_of", "weights")
    assert "141.1 GB is right for LLaMA 3 70B" in everything_said(page)  # 70.55 billion parameters of 2 bytes
    assert page.query_params["seen_of"] == "weights"
    assert "141.1 GB is right" in everything_said(open_heads(**page.query_params))


@pytest.mark.parametrize(("text", "says"), [("lots", "Value must be a number"), ("5 G", "unknown unit")])
def test_a_number_that_is_none_is_said_at_the_field_and_the_answer_stays(text, says):
    page = open_heads(seen=text)
    (said,) = said_in_alerts(page)
    assert says.casefold() in said.casefold()
    states(page, study_of())


def test_markup_in_a_number_stays_text():
    page = open_heads(seen="[x](https://example.com) GB")
    assert "](https" not in page.error[0].value


def test_claims_are_found_by_words_and_four_stand_in_front():
    page = open_heads(claim="34.36")
    every = calculator.circulating_claims()
    found = [claim for claim in every if "34.36" in f"{claim.says} {claim.holds}"]
    said = everything_said(page)
    assert f"{len(found)} of {len(every)}" in said
    for claim in found:
        assert claim.says in said
    leading = "\n".join(unescaped(one.value) for one in open_heads().markdown)
    assert leading.count("”") == 4


# Panels


def test_converting_needs_the_tokens_and_then_says_what_it_takes():
    page = open_heads(panel="uptraining", kv_heads=2)
    assert "Give the tokens that LLaMA 3 70B was trained on" in said_in_alerts(page)[0]
    change(page, "training_tokens", TOKENS)
    # its table and its chart can be taken away
    assert [button.label for button in page.get("download_button")][-2:] == ["CSV", "Chart as HTML"]
    made = calculator.uptraining(
        "llama-3-70b", 2, training_tokens=TOKENS, gpu="a100-80gb-sxm", seq_len=8192, tensor_parallel_size=4
    )
    assert made.tokens == TOKENS // 20  # 5 %
    assert made.finding in everything_said(page)
    change(page, "share", 0.1)
    (tokens,) = [one.value for one in page.metric if one.label == "Tokens to train on"]
    assert tokens == f"{TOKENS // 10:,}"


def test_the_model_as_it_is_opens_on_the_nearest_conversion_and_another_can_be_chosen():
    page = open_heads(panel="uptraining", training_tokens=TOKENS)
    assert "as it is needs no conversion: shown is one to 4 KV heads." in said_in_alerts(page)[0]
    assert "Converting LLaMA 3 70B to 4 KV heads takes" in everything_said(page)
    assert widget(page, "_to_kv_heads").options == ["1", "2", "4", "MLA"]
    change(page, "_to_kv_heads", "mla")
    assert (said_in_alerts(page), page.query_params["to_kv_heads"]) == ([], "mla")
    assert "Converting LLaMA 3 70B to latent attention takes" in everything_said(page)


def test_what_cannot_be_converted_is_said_in_the_panel_alone():
    page = open_heads(panel="uptraining", kv_heads=16, training_tokens=TOKENS)
    (said,) = said_in_alerts(page)
    assert said.startswith("To_kv_heads 16 is not possible") or said.startswith("to_kv_heads 16 is not possible")
    states(page, study_of(), "16")


def test_prefill_and_pages_are_tables():
    page = open_heads(panel="prefill", kv_heads=64)
    tables = {one.proto.alt.split()[0]: one.value for one in page.dataframe}
    # 64 heads x 8,192 x 8,192 x 2 bytes = 8 GiB of scores; Q, K, V and output of 64 heads of 128: 512 MiB
    assert tables["Memory"]["With scores"].iloc[0] == "8.50 GiB"
    assert tables["Memory"]["FlashAttention"].iloc[0] == "512.00 MiB"
    # a block of 16 tokens on one of 4 GPUs: 16 x 2 heads x 2 x 128 x 80 x 2 bytes at G = 8
    assert dict(zip(tables["Blocks"]["KV heads"], tables["Blocks"]["Block"], strict=True))["8"] == "1.25 MiB"


def test_why_says_what_is_kept_and_draws_who_shares_which_head():
    page = open_heads()
    said = everything_said(page)
    # 64 x 128 x 2 bytes, and 2 x 8 x 128 x 2
    assert "Q of a token takes 16.00 KiB a layer and is gone after its step. K and V take 4.00 KiB a layer" in said
    pictures = [chart.proto.alt for chart in page.get("plotly_chart")][5:]
    assert [alt.split(":")[0] for alt in pictures] == ["MHA, 64 KV heads", "GQA, 8 KV heads", "MQA, 1 KV head"]


# What is taken away


def test_downloads():
    page = open_heads()
    labels = [button.label for button in page.get("download_button")]
    assert labels[:3] == ["CSV", "Charts as HTML", "CSV"]
    study = study_of()
    lines = csv_of(study).splitlines()
    assert len(lines) == 1 + len(study.rows)
    assert lines[0].split(",")[:3] == ["kind", "num_key_value_heads", "label"]


def test_charts_of_one_page_are_all_in_it_and_need_no_network():
    study = study_of()
    page = _page({name: lambda name=name: getattr(heads, name)(study) for name in ("memory_chart", "batch_chart")})
    assert page.count("Plotly.newPlot(") == 2
    assert page.count("</html>") == 1
    assert 'src="http' not in page
    assert page.index("memory_chart") < page.index("batch_chart")


def test_the_page_reads_no_parameter_that_links_do_not_have():
    assert set(HEADS) <= set(state.PARAMETERS)


def test_what_is_no_length_keeps_the_last_answer_dimmed():
    page = open_page("heads")
    before = headline(page)
    change(page, "seq_len", "8 kilo")
    assert headline(page) == f":gray[Before: {before}]"
    assert len(page.get("plotly_chart")) == 4
    assert page.error.len == 0
    change(page, "seq_len", "16K")
    study = calculator.head_study(**{**OPENING, "seq_len": 16384})
    assert headline(page) == answer.headline(study, chosen.row_of(study))
