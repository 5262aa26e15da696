"""Keys of a config one by one: names, bounds, defaults; traits, parts of wrappers, and how formats lay out a matrix."""

import pytest

import calculator
from calculator.architecture.limits import MAX_HEADS, MAX_LAYERS, MAX_TOKENS, MAX_WIDTH
from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.configs.keys import LIMITS, SYNONYMS, Keys
from calculator.configs.quantisation import layouts
from calculator.configs.quantisation.places import CONTAINERS, EMBEDDING, LEAVES, PREFIXES, Places
from calculator.configs.text_part import must_be_said, text_part, towers_of
from calculator.configs.traits import one_of, trait

INVALID, UNSUPPORTED = calculator.InvalidValueError, calculator.UnsupportedError

# Names of the classes of transformers 5.23.0 and of the remote code of the types that have none
NAMES = """
num_hidden_layers n_layer n_layers num_layers num_decoder_layers decoder_layers num_transformer_layers
num_attention_heads n_head n_heads num_heads decoder_attention_heads attention_heads
num_key_value_heads num_kv_heads n_head_kv num_query_groups num_attention_groups multi_query_group_num kv_n_heads
head_dim kv_channels attention_head_dim d_kv head_size
v_head_dim v_channels
hidden_size n_embd d_model model_dim
intermediate_size n_inner dff ffn_dim d_ff ffn_hidden_size decoder_ffn_dim
vocab_size padded_vocab_size
max_position_embeddings n_positions max_seq_len seq_length max_sequence_length max_target_positions max_context_length
num_experts num_local_experts n_routed_experts moe_num_experts
num_experts_per_tok experts_per_token moe_topk moe_k moe_top_k num_experts_per_token top_k_experts
moe_intermediate_size expert_ffn_hidden_size
share_expert_dim share_expert_dims
n_shared_experts num_shared_experts moe_num_shared_experts num_shared_expert
sliding_window sliding_window_size window_size
sliding_window_pattern _sliding_window_pattern
linear_conv_kernel_dim short_conv_kernel_size
"""


@pytest.mark.parametrize("row", NAMES.strip().splitlines())
def test_names_of_a_size(row):
    name, *others = row.split()
    assert Keys({name: 7}, {}).count(name) == 7
    for other in others:
        found = Keys({other: 7}, {name: 9})
        assert (found.count(name), found.has(name), found.ignored(), found.assumed) == (7, True, (), ())
        ignored = Keys({other: 7}, {})
        ignored.ignore(name)
        assert ignored.ignored() == ()
        settled = Keys({other: [1, 2]}, {})
        settled.settle(name, 5)
        assert (settled.count(name), settled.ignored()) == (5, ())
        if name != "max_position_embeddings":
            with pytest.raises(INVALID, match=f"contradictory: {name} 7, {other} 8 are names of the same") as caught:
                Keys({name: 7, other: 8}, {}).value(name)
            assert (caught.value.what, caught.value.asked) == (name, {name: 7, other: 8})
    assert set(SYNONYMS) == {each.split()[0] for each in NAMES.strip().splitlines()} | {
        "tie_word_embeddings",
        "torch_dtype",
    }


WIDE = "vocab_size hidden_size intermediate_size moe_intermediate_size vocab_size_per_layer_input"
LONG = """max_position_embeddings model_max_length sliding_window attention_chunk_size n_positions max_target_positions
max_source_positions"""


def test_numbers_have_bounds():
    assert (MAX_LAYERS, MAX_HEADS, MAX_WIDTH, MAX_TOKENS) == (10_000, 65_536, 2**24, 10**9)
    bounds = {"num_hidden_layers": 10_000, "num_attention_heads": 65_536, "anything": 65_536}
    bounds |= dict.fromkeys(WIDE.split(), 2**24) | dict.fromkeys(LONG.split(), 10**9)
    assert set(LIMITS) <= set(bounds)
    for name, most in bounds.items():
        assert Keys({name: most}, {}).count(name) == most
        assert Keys({name: 1}, {}).count(name) == 1
        assert Keys({name: 0}, {}).count(name, minimum=0) == 0
        assert Keys({name: 3}, {}).optional_count(name, minimum=3) == 3
        for given, minimum, nearest in ((most + 1, 1, most), (0, 1, 1), (-5, 0, 0), (2, 3, 3)):
            with pytest.raises(INVALID, match=f"{name} must lie between {minimum} and {most:,}, not {given}") as caught:
                Keys({name: given}, {}).count(name, minimum)
            assert (caught.value.what, caught.value.asked, caught.value.nearest) == (name, given, nearest)
            assert caught.value.allowed == (minimum, most)


@pytest.mark.parametrize("wrong", [True, 1.0, "1", [1], {}])
def test_what_is_no_whole_number(wrong):
    with pytest.raises(INVALID, match="a must be a whole number, not"):
        Keys({"a": wrong}, {}).optional_count("a")


def test_one_number_that_is_repeated_is_that_number():
    for name in ("num_experts_per_tok", "n_shared_experts", "moe_intermediate_size"):
        assert Keys({name: [4, 4, 4]}, {}).count(name) == 4
        for wrong in ([4, 4, 5], [5, 4, 4], []):
            with pytest.raises(INVALID, match="must be a whole number"):
                Keys({name: wrong}, {}).count(name)
    with pytest.raises(INVALID, match="must be a whole number"):
        Keys({"num_experts": [4, 4]}, {}).count("num_experts")


def test_what_is_left_out_is_the_default_once_and_what_is_null_is_none():
    found = Keys({"b": None, "n_layer": None}, {"a": 5, "b": 6, "c": None, "num_hidden_layers": 3})
    assert [found.value(name) for name in "abc"] == [5, None, None]
    assert found.value("num_hidden_layers") is None
    found.value("a")
    assert found.assumed == ("a 5",)
    found.assume("a", "something else")
    assert found.assumed == ("a 5",)
    assert (found.has("a"), found.has("b"), Keys({"b": 0}, {}).has("b")) == (False, False, True)
    with pytest.raises(INVALID, match="d is missing") as caught:
        found.count("d")
    assert caught.value.what == "d"
    # the shortest of several lengths; what is no number is not compared
    assert Keys({"n_positions": 9, "max_seq_len": 7, "seq_length": 8}, {}).count("max_position_embeddings") == 7
    with pytest.raises(INVALID, match="contradictory"):
        Keys({"n_positions": 9, "max_seq_len": "7"}, {}).value("max_position_embeddings")
    with pytest.raises(INVALID, match="a is missing; what the reference has there, 5, decides too much") as caught:
        Keys({}, {"a": 5}, ("a",)).value("a")
    assert caught.value.what == "a"
    assert Keys({"a": 4}, {"a": 5}, ("a",)).value("a") == 4


def test_switches_lists_and_parts():
    found = Keys({"yes": True, "no": False, "list": ["a", "b"], "numbers": [0, 2**24], "part": {"x": 1}}, {})
    assert (found.flag("yes"), found.flag("no"), found.flag("none")) == (True, False, False)
    assert (found.names("list", 2), found.names("list", None), found.names("none", 2)) == (["a", "b"], ["a", "b"], None)
    assert (found.numbers("numbers"), found.numbers("none"), found.nested("none")) == ([0, 2**24], None, None)
    assert found.nested("part").all_names() == ("x",)
    assert found.all_names() == ("yes", "no", "list", "numbers", "part")
    for name, read, text in (
        ("list", found.flag, "list must be true or false, not"),
        ("yes", found.numbers, "must be a list of whole numbers"),
        ("yes", lambda name: found.names(name, 1), "must be a list of names"),
        ("list", found.nested, "must be a mapping"),
        ("numbers", lambda name: found.names(name, 2), "must be a list of names"),
        ("list", lambda name: found.names(name, 1), "list has 2 entries for 1 layers"),
        ("list", lambda name: found.names(name, 3), "list has 2 entries for 3 layers"),
    ):  # fmt: skip
        with pytest.raises(INVALID, match=text) as caught:
            read(name)
        assert caught.value.what == name
    for wrong in ([-1], [2**24 + 1], [True], [1.0], 3, "1"):
        with pytest.raises(INVALID, match="must be a list of whole numbers"):
            Keys({"a": wrong}, {}).numbers("a")
    with pytest.raises(INVALID, match="the names of keys must be texts"):
        Keys({1: 2}, {}).all_names()


def test_a_list_may_name_layers_for_drafts_behind_the_others():
    names = ["a", "b", "c"]
    assert Keys({"k": names, "num_nextn_predict_layers": 1}, {}).names("k", 2) == ["a", "b"]
    assert Keys({"k": names, "num_nextn_predict_layers": 1}, {}).names("k", 3) == names
    for drafts, length in ((2, 2), (0, 2), (None, 2), (1, 1), (1, 4)):
        with pytest.raises(INVALID, match="k has 3 entries"):
            Keys({"k": names, "num_nextn_predict_layers": drafts}, {}).names("k", length)


@pytest.mark.parametrize("value", [1, "x", True, [0], 0.5, "autox"])
def test_a_key_that_bears_on_the_cache_must_be_read(value):
    with pytest.raises(UNSUPPORTED, match="the key 'my_window' bears on the cache") as caught:
        Keys({"my_window": value, "b": 1, "a": 2}, {}).ignored()
    assert (caught.value.what, caught.value.asked) == ("my_window", value)
    read = Keys({"my_window": value, "b": 1, "a": 2}, {})
    read.value("my_window")
    assert read.ignored() == ("a", "b")


@pytest.mark.parametrize("value", [None, False, 0, "", "auto", [], {}])
def test_a_key_that_is_off_bears_on_nothing(value):
    assert Keys({"my_window": value}, {}).ignored() == ("my_window",)


# Traits


@pytest.mark.parametrize(
    ("given", "said", "expected"),
    [
        ({}, True, True), ({}, False, False), ({"a": True}, "a", True), ({"a": False}, "a", False), ({}, "a", False),
        ({"b": True}, "a or b", True), ({"a": True, "b": False}, "a or b", True), ({"a": False}, "a or b", False),
        ({"b": True}, "a|b", True), ({"a": True, "b": True}, "a|b", True), ({"b": False}, "a|b", False),
        ({"a": "x"}, "a=x", True), ({"a": "y"}, "a=x", False), ({}, "a=x", False), ({}, "a=x|", True),
        ({"a": "x"}, "a=x|", True), ({"a": "y"}, "a=x|", False), ({"a": ""}, "a=x|", True),
    ],
)  # fmt: skip
def test_a_trait_is_a_constant_or_follows_keys(given, said, expected):
    assert trait(Keys(given, {}), said) is expected


def test_either_of_two_reads_both():
    found = Keys({"my_window": False, "a": True}, {})
    assert trait(found, "a or my_window")
    assert found.ignored() == ()


def test_one_of_several_names():
    def read(names, **given):
        found = Keys(given, {"a": 3, "b": 4})
        return one_of(found, names, found.count)

    assert (read("a|b"), read("a|b", b=5), read("a|b", a=6), read("b|a"), read("a|b", a=5, b=5)) == (3, 5, 6, 4, 5)
    with pytest.raises(INVALID, match="contradictory: a 5, b 6 are names of the same thing") as caught:
        read("a|b", a=5, b=6)
    assert (caught.value.what, caught.value.asked) == ("a", {"a": 5, "b": 6})


# Parts of wrappers


@pytest.mark.parametrize("name", ["text_config", "llm_config", "language_config", "thinker_config"])
def test_the_text_part_of_a_wrapper(name):
    outer = {"model_type": "llava", name: {"model_type": "llama", "a": 1}, "quantization_config": {"q": 1},
             "compression_config": {"c": 2}, "b": 3}  # fmt: skip
    found = text_part(outer)
    assert (found.kind, found.wrapper, found.holder) == ("llama", "llava", outer)
    assert found.config == {
        "model_type": "llama",
        "a": 1,
        "quantization_config": {"q": 1},
        "compression_config": {"c": 2},
    } | {key: found.config[key] for key in ("tie_word_embeddings",) if key in found.config}
    # the part's own stands before it
    inner = text_part({**outer, name: {"model_type": "llama", "quantization_config": {"q": 5}}})
    assert inner.config["quantization_config"] == {"q": 5}
    assert text_part({"model_type": "llama", name: {}}) == (
        {"model_type": "llama", name: {}},
        "llama",
        {"model_type": "llama", name: {}},
        None,
    )
    assert text_part({"model_type": "llama", name: None}).wrapper is None
    # two wrappers, one in the other: what holds the text part is the inner one
    deep = text_part(
        {
            "model_type": "qwen2_5_omni",
            "thinker_config": {"model_type": "w", "text_config": {"a": 1, "model_type": "m"}},
        }
    )
    assert (deep.kind, deep.wrapper, deep.config["a"]) == ("m", "w", 1)
    assert deep.holder["model_type"] == "w"


@pytest.mark.parametrize(
    ("outer", "inner", "tied"),
    # where a wrapper and its text part disagree, two tables are counted
    [(True, True, True), (True, False, False), (False, True, False), (False, False, False), (None, True, True),
     (None, False, False), (True, None, True), (False, None, False), (True, "x", "x"), ("x", None, "x")],
)  # fmt: skip
def test_tables_that_a_wrapper_and_its_part_tie(outer, inner, tied):
    said = {"tie_word_embeddings": outer} if outer is not None else {}
    part = {"model_type": "llama", "a": 1} | ({"tie_word_embeddings": inner} if inner is not None else {})
    assert text_part({"model_type": "unknown", "text_config": part, **said}).config["tie_word_embeddings"] == tied


def test_encoders_beside_a_text_part():
    other = {"model_type": "x"}
    holder = {
        "vision_config": {"a": 1}, "audio_config": {"a": 1}, "vision_tower_config": {"a": 1}, "speech_config": {"a": 1},
        "own_config": other, "plain_config": {"a": 1}, "empty_config": {}, "text_config": other, "llm_config": other,
        "language_config": other, "thinker_config": other, "quantization_config": other, "compression_config": other,
        "generation_config": other, "decoder_config": other, "own": other, "odd_config": {"model_type": 5},
        "list_config": [1],
    }  # fmt: skip
    assert towers_of(holder) == ("vision_config", "audio_config", "vision_tower_config", "speech_config", "own_config")
    assert towers_of({"vision_config": None, "audio_config": {}}) == ()


def test_how_many_experts_there_are_is_never_assumed():
    assert must_be_said({"num_experts": 8}) == ("num_experts",)
    assert must_be_said({"num_experts": 0}) == must_be_said({}) == must_be_said({"experts": 8}) == ()


# Names of modules


AT = "model.layers.3."
# bias_correction of DeepSeek, ERNIE, MiniMax, AFMoE, Laguna, LFM2, Nemotron, Step, dots: each model's own class
NAMED = {
    "mlp.gate.e_score_correction": "mlp.gate.e_score_correction mlp.moe_statics.e_score_correction mlp.expert "
    "moe.router block_sparse_moe.e_score_correction mlp.experts.e_score_correction feed_forward.expert "
    "mixer.gate.e_score_correction mlp.router.expert",
    "mlp.shared_experts.gate_proj": "mlp.shared_experts.gate_proj mlp.shared_expert.gate_proj shared_mlp.gate_proj "
    "feed_forward.shared_expert.gate_proj block_sparse_moe.shared_experts.w1 mlp.shared_mlp.gate_proj",
    "mlp.up_proj": "mlp.fc1 feed_forward.w3 ffn.up_proj",
    "linear_attn.out_proj": "linear_attn.out_proj self_attn.out_proj",
    "mixer.out_proj": "mixer.out_proj mamba.out_proj ssm.out_proj linear_attn.out_proj",
}  # fmt: skip


@pytest.mark.parametrize(("module", "names"), NAMED.items())
def test_modules_go_by_the_names_that_classes_have(module, names):
    matrix = WeightMatrix("router", 8, 64, 1, 1, Sharding.COPIED, module=module)
    for name in names.split():
        assert AT + name in Places([AT + name]).of(matrix, 3).names
    # only spellings that are used are tried, beside this project's own
    assert Places([]).of(matrix, 3).names == (AT + module,)


def test_where_layers_and_embeddings_stand():
    # Llama; Gemma 3 and Qwen 2.5 VL before and after transformers 4.52; LLaVA; OPT; BART; Nemotron-H; GPT-2; ChatGLM;
    # Mistral's own files
    assert PREFIXES == (
        "model.layers", "model.language_model.layers", "language_model.model.layers", "language_model.layers",
        "model.decoder.layers", "decoder.layers", "backbone.layers", "transformer.h", "transformer.layers", "layers",
    )  # fmt: skip
    assert (
        tuple(f"{prefix}.embed_tokens" for prefix in ("model", "model.language_model", "language_model.model"))
        == EMBEDDING
    )
    assert all(names[0] == own for table in (CONTAINERS, LEAVES) for own, names in table.items())


# How formats lay out a matrix: classes of vLLM 0.33.0, whose scales are float32, of packed integers 16 bit


def sizes(form):
    return form.row_bytes, form.matrix_bytes, form.module_bytes


@pytest.mark.parametrize(
    ("form", "rows", "matrix", "module"),
    [
        (layouts.fp8(), 0, 4, 0), (layouts.fp8(static=True), 0, 8, 0), (layouts.fp8(per_tensor=False), 4, 0, 0),
        (layouts.fp8(per_tensor=False, static=True), 4, 4, 0), (layouts.int8(), 4, 0, 0),
        (layouts.int8(per_tensor=True), 0, 4, 0), (layouts.int8(static=True), 4, 4, 0),
        (layouts.int8(static=True, shifted=True), 4, 5, 0), (layouts.int8(shifted=True), 4, 0, 0),
        (layouts.int8(zero_points=True), 5, 0, 0), (layouts.int8(per_tensor=True, zero_points=True), 0, 5, 0),
        (layouts.int8(True, True, True, True), 0, 10, 0), (layouts.mxfp8(), 0, 0, 0), (layouts.nvfp4(3), 0, 12, 0),
        (layouts.one_input_scale(layouts.fp8(static=True)), 0, 8, 4), (layouts.unchanged(layouts.fp8()), 0, 4, 0),
        # experts of GPTQ have a bias an output, others none
        (layouts.with_biases(layouts.integers("gptq", 4, 128, True)), 2, 0, 0),
        (layouts.with_biases(layouts.integers("awq", 4, 128, True)), 0, 0, 0),
        (layouts.integers("gptq", 4, 128, False, matrix_bytes=16), 0, 16, 16),
        # a shape of two 16 bit numbers for gate and up, or the one scale that both share
        (layouts.with_shape(layouts.integers("gptq", 4, 128, False, matrix_bytes=16)), 0, 4, 4),
        (layouts.with_shape(layouts.fp8(static=True)), 0, 8, 4), (layouts.with_shape(layouts.fp8()), 0, 4, 0),
        (layouts.with_shape(layouts.fp8(False, True)), 4, 4, 4), (layouts.with_shape(layouts.fp8(False)), 4, 0, 0),
        (layouts.with_shape(layouts.int8(static=True)), 4, 4, 0), (layouts.with_shape(layouts.nvfp4(1)), 0, 4, 0),
    ],
)  # fmt: skip
def test_scales_of_a_matrix(form, rows, matrix, module):
    assert sizes(form) == (rows, matrix, module)


@pytest.mark.parametrize(
    ("bits", "group", "zeros", "more", "name", "size", "of_group"),
    [
        (4, 128, True, 0, "gptq-int4", 128, 20), (4, 128, False, 0, "gptq-int4", 128, 16),
        (4, 64, True, 0, "gptq-int4-g64", 64, 20), (4, -1, False, 0, "gptq-int4", 2**40, 16),
        (4, 2**40, False, 0, f"gptq-int4-g{2**40}", 2**40, 16), (8, 128, True, 0, "int8", 128, 24),
        (8, 64, False, 0, "int8", 64, 16), (4, 128, False, 16, "gptq-int4", 128, 32),
        (4, 1, False, 0, "gptq-int4-g1", 1, 16),
    ],
)  # fmt: skip
def test_packed_integers(bits, group, zeros, more, name, size, of_group):
    form = layouts.integers("gptq", bits, group, zeros, more_bits=more)
    assert (form.name, form.bits, form.group_size, form.group_bits) == (name, bits, size, of_group)
    assert sizes(form) == (0, 0, 0)
    # multiplied in 16 bit; only W8A8 is not
    assert form.source.startswith(layouts.weight_format("gptq-int8" if bits == 8 else "gptq-int4").source)


@pytest.mark.parametrize(
    ("bits", "group"), [(4, 0), (4, -2), (4, 2**40 + 1), (2, 128), (5, 128), (7, 64), (9, 64), (16, 128)]
)
def test_integers_that_are_not_packed_so(bits, group):
    assert layouts.integers("gptq", bits, group, zeros=True) is None


def test_blocks_and_groups_of_floats():
    assert (layouts.fp8_block().block, layouts.fp8_block().block_bytes) == ((128, 128), 4)
    assert layouts.fp8_block(64, 32).block == (64, 32)
    assert (layouts.mxfp8().block, layouts.mxfp8().block_bytes, layouts.mxfp8().bits) == ((1, 32), 1, 8)
    assert (layouts.mxfp4().parts, layouts.mxfp4().group_size, layouts.mxfp4().group_bits) == ((), 32, 8)
    assert (layouts.nvfp4(1).group_size, layouts.nvfp4(1, 32).group_size) == (16, 32)
    assert (layouts.SHAPE_BYTES, layouts.SHAPE_OF_EXPERTS, layouts.SCALE_BYTES) == (16, 4, 4)
