"""The charts of a study of KV heads: what they draw is what the rows say, in the colours of all charts."""

import json
import math
from collections import Counter

import pytest
from charting import colours_of, texts

import calculator
from calculator.charts import base, heads
from calculator.planning.heads.presets import preset_heads
from calculator.views.heads import chosen, converting, quality, ratios

LABELS = ["1", "2", "4", "8", "16", "32", "64", "MLA"]
SMALL = (heads.memory_chart, heads.batch_chart, heads.speed_chart, heads.quality_chart)
GIB = 2**30
HEAD = 8192 * 2 * 128 * 80 * 2  # one KV head of a sequence: K and V of 128 elements, 80 layers, 2 bytes [bytes]


@pytest.fixture(scope="module")
def study():
    return calculator.head_study(
        "llama-3-70b", gpu="a100-80gb-sxm", tensor_parallel_size=4, seq_len=8192, batch_size=16
    )


def figures(study):
    row = chosen.row_of(study, "16")
    yield from (draw(study, row) for draw in SMALL)
    yield heads.converting_chart(converting.converting_view(study, "2", 10**12))
    yield heads.sharing_chart(calculator.head_sharing("llama-3-70b", 2, 4))


def test_no_placeholder_colour_and_only_colours_of_all_charts(study):
    import streamlit  # noqa: F401  its import sets placeholder colours such as #000001 as Plotly's default

    for figure in figures(study):
        written = json.loads(figure.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in a figure"))
        assert [colour for colour in colours_of(written) if colour.startswith("#00000")] == []
        for colour in colours_of(written["data"]) - {base.KV, base.KV_FAINT}:
            red, green, blue = (
                (int(colour[at : at + 2], 16) for at in (1, 3, 5)) if colour.startswith("#")
                else (int(part) for part in colour[5:].split(",")[:3])
            )  # fmt: skip
            assert max(red, green, blue) - min(red, green, blue) < 40, colour  # a grey


def test_memory_of_one_gpu_is_what_it_keeps_once_and_its_copies(study):
    once, copies, _ = heads.memory_chart(study).data
    assert list(once.x) == list(copies.x) == LABELS
    # 4 GPUs: 1 and 2 heads are kept on 4 and 2 of them, from 4 on each GPU has heads of its own
    assert [height * GIB for height in once.y][:7] == [HEAD * count / 4 for count in (1, 2, 4, 8, 16, 32, 64)]
    assert [height * GIB for height in copies.y][:7] == [HEAD * 3 / 4, HEAD / 2, 0, 0, 0, 0, 0]
    # a vector of 512 + 64 elements of 2 bytes in each of 80 layers, whole on every GPU
    latent = 8192 * 576 * 2 * 80
    assert (once.y[7] + copies.y[7]) * GIB == latent
    assert copies.y[7] * GIB == latent * 3 / 4
    assert (copies.marker.pattern.shape, once.marker.pattern.shape) == ("/", ("",) * 7 + (".",))
    assert "on 4 GPUs the same" in once.customdata[0]


def test_users_and_speed_are_the_rows_with_their_ranges(study):
    for draw, name in ((heads.batch_chart, "max_batch_size"), (heads.speed_chart, "full_output_tokens_per_second")):
        bars, _ = draw(study).data
        assert list(bars.x) == LABELS
        assert list(bars.y) == [getattr(row, name) for row in study.rows]
        ends = zip(bars.y, bars.error_y.array, bars.error_y.arrayminus, study.rows, strict=True)
        for middle, above, below, row in ends:
            assert middle + above == pytest.approx(getattr(row, f"{name}_high"))
            assert middle - below == pytest.approx(getattr(row, f"{name}_low"))


@pytest.mark.parametrize("draw", SMALL[:3])
def test_the_chosen_row_alone_has_the_full_colour_and_by_default_it_is_the_model(study, draw):
    colours = draw(study, chosen.row_of(study, "mla")).data[0].marker.color
    assert [label for label, colour in zip(LABELS, colours, strict=True) if colour == base.KV] == ["MLA"]
    colours = draw(study).data[0].marker.color
    assert [label for label, colour in zip(LABELS, colours, strict=True) if colour == base.KV] == ["8"]


def test_quality_is_a_dot_a_pair_and_no_data_where_nothing_is_published(study):
    figure = heads.quality_chart(study)
    dots, _ = figure.data
    rows = quality.quality_view(study).rows
    assert list(zip(dots.x, dots.y, strict=True)) == [(row.label, row.change_points) for row in rows]
    assert dots.mode == "markers"  # nothing between them
    assert set(dots.x) == {"1", "8", "MLA"}
    # arXiv 2305.13245, table 1: 47.2, and 47.1 and 46.6 of GQA-8 and MQA
    for label, change in (("8", -0.1), ("1", -0.6)):
        assert (label, change) in zip(dots.x, dots.y, strict=True)
    assert sorted(texts(figure)) == ["MHA<br>= 0"] + ["no data"] * 4
    places = [each.x for each in figure.layout.annotations if each.text == "no data"]
    assert [LABELS[place] for place in places] == ["2", "4", "16", "32"]
    second_hand = [symbol.endswith("-open") for symbol in dots.marker.symbol]
    assert second_hand == [row.second_hand for row in rows]
    low, high = figure.layout.yaxis.range
    assert low < min(dots.y) < max(dots.y) < high


def test_rows_that_are_refused_are_said_where_they_would_stand():
    # 6 GPUs can share 3, 6 and 12 of 12 heads, and copy 1 and 2 of them; not 4
    fields = {"num_layers": 2, "num_attention_heads": 12, "num_key_value_heads": 12, "head_dim": 64, "hidden_size": 768,
              "intermediate_size": 1536, "vocab_size": 1000, "max_position_embeddings": 4096,
              "tie_word_embeddings": True}  # fmt: skip
    study = calculator.head_study(calculator.custom_model(**fields), gpu="l4", tensor_parallel_size=6, seq_len=512)
    refused = [index for index, row in enumerate(study.rows) if row.refused]
    assert [study.rows[index].label for index in refused] == ["4"]
    for draw in SMALL[:3]:
        figure = draw(study)
        assert [each.x for each in figure.layout.annotations if each.text == "not possible"] == refused
        assert "4" not in figure.data[0].x
        assert list(figure.layout.xaxis.categoryarray) == [row.label for row in study.rows]


def test_where_nothing_fits_no_speed_is_drawn():
    study = calculator.head_study("llama-3-70b", gpu="l4", seq_len=8192)
    figure = heads.speed_chart(study)
    assert list(figure.data[0].x) == []
    assert [each.text for each in figure.layout.annotations] == ["none"] * len(study.rows)


@pytest.mark.parametrize("draw", SMALL)
def test_presets_stand_on_the_axis_of_every_chart_and_add_up(study, draw):
    figure = draw(study)
    presets = figure.data[-1]
    # 64 query heads: a ratio of 8 is 8 KV heads, at index 3; 1 is 64, 6; 16 is 4, 2; 4 is 16, 4; 2 is 32, 5; MLA last
    by_place = dict(zip(presets.x, presets.text, strict=True))
    counts = Counter("MLA" if one.is_latent else one.query_heads_per_kv_head for one in preset_heads())
    for place, ratio in ((6, 1), (5, 2), (4, 4), (3, 8), (2, 16), (1, 32), (7, "MLA")):
        assert by_place[place] == f"{counts[ratio]}", ratio
    # a ratio of 5 is 12.8 KV heads: between 8 and 16 by the logarithm, log2(1.6) = 0.678 of the way, without a number
    assert [by_place[place] for place in presets.x if place == pytest.approx(3 + math.log2(1.6))] == [""]
    # a single KV head is MQA, however many share it: 71 query heads of Falcon 7B, 64 of DeepSeek V4 Flash, 128
    # of V4 Pro, 48 of PaLM
    single = [said for place, said in zip(presets.x, presets.customdata, strict=True) if place == 0]
    assert [each.split(" query")[0].split()[-1] for each in single] == ["48", "64", "71", "128"]
    assert (presets.xaxis, list(figure.layout.xaxis2.range)) == ("x2", list(figure.layout.xaxis.range))
    assert figure.layout.yaxis.domain[1] < figure.layout.yaxis2.domain[0]  # above the chart, not in it
    (chosen_one,) = [said for said, colour in zip(presets.customdata, presets.marker.color, strict=True)
                     if colour == base.KV]  # fmt: skip
    assert chosen_one.startswith(f"{counts[8.0]} presets have 8 query heads to a KV head:")


def test_every_preset_is_a_row_of_the_view(study):
    view = ratios.ratio_view(study, chosen.row_of(study))
    assert sum(row.num_models for row in view.rows) == len(calculator.model_ids())
    assert [row.label for row in view.rows][-2:] == ["MLA", "mixed"]
    assert view.rows[-1].place is None


def test_what_pays_a_conversion_back_is_drawn_or_said_to_be_unknown_or_never(study):
    view = converting.converting_view(study, "2", 10**12)
    figure = heads.converting_chart(view)
    (bars,) = figure.data
    drawn = [row for row in view.rows if row.served_tokens_to_pay]
    assert list(zip(bars.x, bars.y, strict=True)) == [(row.label, row.served_tokens_to_pay) for row in drawn]
    assert [row.label for row in view.rows] == ["1", "2", "4", "MLA"]
    assert [label for label, colour in zip(bars.x, bars.marker.color, strict=True) if colour == base.KV] == ["2"]
    # without the service on a device nothing is known of when it is paid back
    alone = calculator.head_study("llama-3-8b", gpu_memory_bytes=80 * GIB, seq_len=4096)
    assert texts(heads.converting_chart(converting.converting_view(alone, "4", 10**12))) == ["unknown"] * 4


@pytest.mark.parametrize(("count", "each", "copied"), [(1, 64, True), (2, 32, True), (8, 8, False), (64, 1, False)])
def test_each_kv_head_spans_the_query_heads_that_read_it(count, each, copied):
    queries, kept, gpus = heads.sharing_chart(calculator.head_sharing("llama-3-70b", count, 4)).data
    assert len(queries.base) == 64
    assert [round(start) for start in kept.base] == [head * each for head in range(count)]
    assert [round(width) for width in kept.x] == [each] * count
    assert set(kept.marker.pattern.shape) == {"/" if copied else ""}
    assert [round(start) for start in gpus.base] == [0, 16, 32, 48]
    assert gpus.customdata[0] == f"GPU 0: 16 query heads, {max(1, count // 4)} KV heads"
