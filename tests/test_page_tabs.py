"""The tabs: each view with its chart, table and downloads, one at a time; what cannot be computed is said."""

import pytest
from pages import agrees, change, checked, everything_said, expected, open_page, packed, unescaped, widget

from calculator import views
from calculator.configs.reader import model_from_hf_config

# Tabs


def test_the_tabs_in_the_order_in_which_a_person_asks():
    page = open_page()
    assert [tab.label for tab in page.tabs] == [
        "Sequence length",
        "KV heads",
        "Tensor parallel",
        "Load",
        "Engines",
        "KV in use",
        "Ways to split",
        "Memory table",
        "Reconcile",
        "About",
    ]


@pytest.mark.parametrize(
    ("view", "index", "finding"),
    [
        ("sequence-length", 0, "16 sequences at once take 10.00 GiB of one GPU"),
        ("kv-heads", 1, "87.5 % less KV cache than 64 (MHA) would take"),
        ("tensor-parallel", 2, "KV memory per GPU falls until TP 8, the number of KV heads"),
        ("load", 3, "requests of this traffic fit at a risk of 1 %"),
        ("engines", 4, "llama.cpp holds the most"),
        ("kv-in-use", 5, "One sequence of 8,192 tokens keeps 640.00 MiB of one GPU by its layers"),
        ("parallelism", 6, "On 4 × A100 80GB SXM, TP 4, DP 1 holds the most"),
        ("memory", 7, "of one GPU, of one replica and of all GPUs"),
        ("reconcile", 8, "Paste what vLLM, SGLang, TensorRT-LLM or llama.cpp printed at start-up"),
        ("about", 9, "public start-up logs report a KV pool within"),
    ],
)
def test_the_tab_is_in_the_link_and_only_the_open_one_is_computed(view, index, finding):
    page = open_page(view=view)
    full = [number for number, tab in enumerate(page.tabs) if list(tab.children)]
    assert full == [index]
    assert finding in unescaped(page.tabs[index].markdown[0].value)
    assert page.query_params["view"] == view


@pytest.mark.parametrize("view", [name for name, question in views.VIEWS.items() if not question.part_of])
def test_each_view_has_its_table_and_its_downloads(view):
    page = open_page(view=view)
    (tab,) = [tab for tab in page.tabs if list(tab.children)]
    assert [button.label for button in tab.get("download_button")] == ["CSV", "Chart as HTML"]
    (table,) = tab.dataframe
    made = views.VIEWS[view](expected())
    assert table.value.to_dict("records") == made.frame().to_dict("records")


def test_a_chart_has_its_finding_as_text_for_screen_readers():
    page = open_page(view="kv-heads")
    bar, chart = (element.proto for element in page.get("plotly_chart"))
    assert chart.alt == views.kv_head_view(expected()).finding
    assert bar.alt.startswith("Memory of one GPU: ")
    assert bar.alt.endswith("together the 79.23 GiB that a program sees")
    assert "Weights 32.86 GiB" in bar.alt  # 141,107,412,992 bytes / 4 ranks


def test_what_tensor_parallelism_forbids_is_said_below_the_chart():
    page = open_page(model="qwen2.5-14b", view="tensor-parallel")  # 40 query heads, 8 KV heads
    said = everything_said(page)
    assert "TP 3: 40 query heads do not divide by 3" in said
    assert "TP 5: 8 KV heads do not divide by 5" in said


def test_logarithmic_length_is_drawn_and_in_the_link():
    page = open_page()
    assert '"type":"log"' not in page.get("plotly_chart")[1].proto.spec.replace(" ", "")
    change(page, "_log_x", True)
    assert '"type":"log"' in page.get("plotly_chart")[1].proto.spec.replace(" ", "")
    assert page.query_params["log_x"] == "true"


def test_the_logarithmic_axis_outlives_a_look_at_another_tab():
    page = open_page(log_x="true")
    page.session_state["view"] = "kv-heads"
    checked(page.run())
    assert list(page.main.toggle) == []
    assert page.query_params["log_x"] == "true"
    page.session_state["view"] = "sequence-length"
    checked(page.run())
    assert '"type":"log"' in page.get("plotly_chart")[1].proto.spec.replace(" ", "")
    assert widget(page, "_log_x").value is True
    assert page.query_params["log_x"] == "true"


def test_memory_table_names_the_scope_of_every_figure():
    page = open_page(view="memory", data_parallel_size=2)
    (table,) = [table.value for table in page.dataframe if "Memory" in table.value.columns]
    assert list(table.columns) == ["Memory", "One GPU", "One replica (4 GPUs)", "All 8 GPUs"]
    plan = expected(data_parallel_size=2)
    found = {name: cells for name, *cells in table.itertuples(index=False)}
    assert found.keys() == {
        "Weights",
        "Activations",
        "Outside the allocator",
        "CUDA graphs",
        "KV pool",
        "Budget",
        "Seen by programs",
    }
    for name, number in (
        ("Weights", plan.per_gpu.weights_bytes),
        ("KV pool", plan.per_gpu.kv_pool_bytes),
        ("Seen by programs", plan.per_gpu.total_bytes),
    ):
        assert found[name] == [f"{factor * number:,}" for factor in (1, 4, 8)]


# Views that cannot be computed


def nas_block(query_heads_per_kv_head):
    """A block as the configs of Nemotron-NAS write it."""
    return {
        "attention": {"n_heads_in_group": query_heads_per_kv_head, "no_op": False, "replace_with_linear": False},
        "ffn": {"ffn_mult": 1.0, "no_op": False, "replace_with_linear": False},
    }


UNEVEN = {
    "model_type": "nemotron-nas",
    "num_hidden_layers": 2,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "torch_dtype": "bfloat16",
    "tie_word_embeddings": False,
    "hidden_act": "silu",
    "block_configs": [nas_block(2), nas_block(4)],
}


def test_a_view_that_cannot_be_computed_says_why_and_leaves_the_rest():
    # Two kinds of layers with another number of KV heads each: no axis of KV heads.
    page = open_page(model="config", config_json=packed(UNEVEN), seq_len=1024, view="kv-heads", tensor_parallel_size=1)
    plan = expected(model=model_from_hf_config(UNEVEN), seq_len=1024, tensor_parallel_size=1)
    agrees(page, plan)
    (tab,) = [tab for tab in page.tabs if list(tab.children)]
    (said,) = tab.info
    assert unescaped(said.value) == "KV heads can be varied where all layers have the same number of them."
    assert list(page.error) == []
    assert [heading.value for heading in page.header][1:] == ["What would change it", "The formula, with its numbers"]
    page.session_state["view"] = "tensor-parallel"
    checked(page.run())
    assert [unescaped(text.value) for text in page.markdown if "KV memory per GPU" in text.value] != []
    assert list(page.info) == []
