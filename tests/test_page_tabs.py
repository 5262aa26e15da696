"""The views: each with its chart, table and downloads, one at a time; what cannot be computed is said."""

import pytest
from pages import agrees, change, checked, everything_said, expected, open_page, packed, unescaped, unfold, widget

from calculator import views
from calculator.configs.reader import model_from_hf_config
from dashboard.link.tab_names import SHOWN


def finding(page):
    """What the chosen view says."""
    said = [unescaped(text.value) for text in page.markdown if text.value.startswith("**")]
    return said[-1].strip("*") if said else ""


# Views


@pytest.mark.parametrize(
    ("view", "chosen", "begins"),
    [
        ("sequence-length", "Length", "At 8,192 tokens, 16 sequences at once take 10.00 GiB of one GPU"),
        ("kv-heads", "KV heads", "LLaMA 3 70B keeps 8 KV heads for 64 query heads (GQA): 87.5 % less KV cache"),
        ("tensor-parallel", "Tensor parallel", "KV memory per GPU falls until TP 8, the number of KV heads"),
        ("parallelism", "Tensor parallel", "On 4 × A100 80GB SXM, TP 4, DP 1 holds the most"),
    ],
)
def test_the_view_is_in_the_link_and_only_the_chosen_one_is_made(view, chosen, begins):
    page = open_page(view=view)
    assert widget(page, "_view").options == list(SHOWN) == ["Length", "KV heads", "Tensor parallel", "Load"]
    assert widget(page, "_view").value == chosen
    assert finding(page).startswith(begins)
    assert len(page.get("plotly_chart")) == (3 if view == "parallelism" else 2)
    assert page.query_params["view"] == view


@pytest.mark.parametrize("view", ["memory", "kv-in-use"])
def test_a_link_to_what_stands_beside_the_formula_opens_it(view):
    page = open_page(view=view)
    assert page.query_params["view"] == view
    alts = [table.proto.alt for table in page.dataframe]
    charts = [chart.proto.alt for chart in page.get("plotly_chart")]
    if view == "memory":
        assert "Memory of one GPU, of one replica and of all GPUs, in bytes" in alts
    else:
        assert views.VIEWS[view](expected()).finding in charts


def test_a_link_to_engines_side_by_side_turns_to_the_page_that_compares():
    page = open_page(view="engines", seq_len=4096)
    title = unescaped(page.title[0].value)
    assert title.startswith("LLaMA 3 70B on 4 × A100 80GB SXM: ")
    assert "llama.cpp" in title
    assert page.query_params["seq_len"] == "4096"


@pytest.mark.parametrize("view", ["sequence-length", "kv-heads", "tensor-parallel"])
def test_each_view_has_its_table_and_its_downloads(view):
    page = open_page(view=view)
    unfold(page, f"fold-{view}")
    assert [button.label for button in page.get("download_button")] == ["CSV", "Chart as HTML"]
    made = views.VIEWS[view](expected())
    (table,) = [table for table in page.dataframe if table.proto.alt == f"Table of {made.title}"]
    assert table.value.to_dict("records") == made.frame().to_dict("records")
    chart = page.get("plotly_chart")[1].proto
    assert chart.alt == made.finding


def test_the_bar_says_to_screen_readers_what_it_shows():
    alt = open_page().get("plotly_chart")[0].proto.alt
    assert alt.startswith("Memory of one GPU: Weights 32.8")  # 141,107,412,992 bytes / 4 ranks: 32.855 GiB
    assert alt.endswith("together 79.23 GiB; the engine may use 72.90 of 79.23")  # 0.92 of 79.23 GiB


def test_the_legend_sums_to_what_a_program_sees():
    (line,) = [text.value for text in open_page().markdown if "Kept free" in text.value]
    shown = [float(part.split("**")[1].replace("\\", "")) for part in line.split("\u2003")[:-1]]
    assert round(sum(shown), 2) == 79.23


def test_what_tensor_parallelism_forbids_is_said_below_the_chart():
    page = open_page(model="qwen2.5-14b", view="tensor-parallel")  # 40 query heads, 8 KV heads
    said = everything_said(page)
    assert "TP 3: 40 query heads do not divide by 3" in said
    assert "TP 5: 8 KV heads do not divide by 5" in said


def test_the_logarithmic_axis_is_in_the_link_and_outlives_a_look_at_another_view():
    page = open_page()
    assert '"type":"log"' not in page.get("plotly_chart")[1].proto.spec.replace(" ", "")
    change(page, "_log_x", True)
    assert '"type":"log"' in page.get("plotly_chart")[1].proto.spec.replace(" ", "")
    change(page, "_view", "KV heads")
    assert list(page.main.toggle) == []
    assert page.query_params.items() >= {"log_x": "true", "view": "kv-heads"}.items()
    change(page, "_view", "Length")
    assert '"type":"log"' in page.get("plotly_chart")[1].proto.spec.replace(" ", "")
    assert widget(page, "_log_x").value is True


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
        "Counts of output tokens",
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
    (said,) = page.info
    assert unescaped(said.value) == "KV heads can be varied where all layers have the same number of them."
    assert list(page.error) == []
    assert page.header[0].value == "What would change it"
    page.session_state["view"] = "tensor-parallel"
    checked(page.run())
    assert "KV memory per GPU" in finding(page)
    assert list(page.info) == []
