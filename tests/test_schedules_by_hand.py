"""Schedules, lists of layers and which layers are experts or share what others keep: each rule by itself, by hand.

A letter is a layer: ``f`` full attention, ``w`` a window, ``c`` a chunk, ``s`` a state, ``i`` indexed,
``h`` and
``v`` convolutions beside full attention and beside a window, ``m`` an MLP, ``e`` experts.
"""

import pytest

import calculator
from calculator.configs.blocks.experts import sparse_layers
from calculator.configs.blocks.heads import Heads, checked, head_size, listed_heads, shared_caches, shared_indexers
from calculator.configs.family import Family
from calculator.configs.keys import Keys
from calculator.configs.schedules import rules
from calculator.configs.schedules.listed import LAYER_TYPES, PATTERN_LETTERS, listed_kinds, pattern_length
from calculator.configs.schedules.schedule import Schedule, every, listed
from calculator.configs.traits import Experts

INVALID, UNSUPPORTED = calculator.InvalidValueError, calculator.UnsupportedError
KINDS = {
    "full_attention": "f", "sliding_attention": "w", "chunked_attention": "c", "linear_attention": "s", "indexed": "i",
    "hybrid": "h", "hybrid_sliding": "v", "mlp": "m", "moe": "e",
}  # fmt: skip


def keys(**given):
    return Keys(given, {})


def letters(kinds):
    return "".join(KINDS[kind] for kind in kinds)


W, USED = {"sliding_window": 64}, {"use_sliding_window": True, "sliding_window": 64}
LINEAR = {"linear_attn_config": {"full_attn_layers": [3, 1], "kda_layers": [2, 4]}}


@pytest.mark.parametrize(
    ("schedule", "given", "num_layers", "expected"),
    [
        ("FULL", {}, 2, "ff"), ("STATES", {}, 2, "ss"), ("HYBRID", {}, 2, "hh"), ("KEPT_WHOLE", {}, 2, "ff"),
        ("WINDOWS", W, 2, "ww"), ("WINDOWS", {}, 2, "ff"), ("WINDOWS_LISTED", W, 2, "ff"),
        ("KEPT_WHOLE", {"layer_types": ["odd"], "interleaved_sliding_window": 7}, 2, "ff"),
        # of Llama 4 each fourth has no rotary embedding; a list or another interval says otherwise
        ("CHUNKS_WITH_ROPE", {"attention_chunk_size": 8}, 9, "cccfcccfc"), ("CHUNKS_WITH_ROPE", {}, 5, "fffff"),
        ("CHUNKS_WITH_ROPE", {"attention_chunk_size": 8, "no_rope_layer_interval": 2}, 5, "cfcfc"),
        ("CHUNKS_WITH_ROPE", {"attention_chunk_size": 8, "no_rope_layers": [0, 1, 1]}, 3, "fcc"),
        ("CHUNKS_WITH_ROPE", {"attention_chunk_size": 8, "no_rope_layers": []}, 4, "cccf"),
        # of SmolLM 3 those without have a window, where windows are used
        ("WINDOWS_WITHOUT_ROPE", USED, 9, "fffwfffwf"), ("WINDOWS_WITHOUT_ROPE", W, 4, "ffff"),
        ("WINDOWS_WITHOUT_ROPE", {"use_sliding_window": True}, 4, "ffff"),
        ("WINDOWS_WITHOUT_ROPE", {**USED, "no_rope_layers": [0, 1, 1]}, 3, "wff"),
        # of Qwen 2 those from max_window_layers on
        ("WINDOWS_FROM_A_LAYER", {**USED, "max_window_layers": 2}, 4, "ffww"),
        ("WINDOWS_FROM_A_LAYER", {**USED, "max_window_layers": 0}, 3, "www"),
        ("WINDOWS_FROM_A_LAYER", {**USED, "max_window_layers": 9}, 3, "fff"), ("WINDOWS_FROM_A_LAYER", USED, 3, "fff"),
        ("WINDOWS_FROM_A_LAYER", {**W, "max_window_layers": 1}, 3, "fff"),
        ("WINDOWS_FROM_A_LAYER", {"use_sliding_window": True, "sliding_window": 0, "max_window_layers": 1}, 3, "fff"),
        ("WINDOWS_IF_USED", {**USED, "max_window_layers": 2}, 3, "www"), ("WINDOWS_IF_USED", W, 3, "fff"),
        ("WINDOWS_REFUSED", {"sliding_window": 64, "max_window_layers": 2, "use_sliding_window": False}, 3, "fff"),
        # of GPT-Neo pairs and how often they stand
        ("WINDOWS_BY_REPEATS", W, 4, "fwfw"),
        ("WINDOWS_BY_REPEATS", {**W, "attention_types": [[["global", "local", "local"], 1], [["local"], 2]]}, 5,
         "fwwww"),
        ("WINDOWS_BY_REPEATS", {**W, "attention_types": [[["global"], 0], [["local"], 3]]}, 3, "www"),
        ("WINDOWS_BY_REPEATS", {**W, "attention_types": [[["global"], 3]]}, 3, "fff"),
        # of Jamba one in eight, from the fourth on
        ("STATES_BETWEEN", {"attn_layer_period": 8, "attn_layer_offset": 4}, 14, "ssssfsssssssfs"),
        ("STATES_BETWEEN", {"attn_layer_period": 2, "attn_layer_offset": 0}, 3, "fsf"),
        ("STATES_BY_TURNS", {}, 5, "fsfsf"), ("STATES_BY_LISTS", LINEAR, 4, "fsfs"),
        ("STATES_BY_LISTS", {}, 10, "ssssfsssfs"), ("STATES_BY_LISTS", {"linear_attn_config": {}}, 6, "ssssfs"),
        ("STATES_BY_LISTS", {"linear_attn_config": {"full_attn_layers": [1]}}, 5, "ssssf"),
        # of LFM 3 windows and full attention by turns between convolutions, none first
        ("CONVOLUTIONS_BY_FOURS", W, 10, "ssfswsfsws"),
        ("CONVOLVED_WINDOWS", {}, 13, "vvvvvhvvvvvhv"), ("CONVOLVED_WINDOWS", {"local_layer_ids": [1]}, 3, "hvh"),
        ("CONVOLVED_WINDOWS", {"local_layer_ids": []}, 2, "hh"),
        ("INDEXED_BY_LIST", {"sparse_attention_config": {"sparse_attention_freq": [0, 1, 1]}}, 3, "fii"),
        ("INDEXED_BY_LIST", {"sparse_attention_config": {}}, 2, "ff"), ("INDEXED_BY_LIST", {}, 2, "ff"),
        # a period over the dense layers, and another that starts anew
        ("WINDOWS_AFTER_DENSE", {**W, "first_k_dense_replace": 3, "prefix_dense_sliding_window_pattern": 2,
                                 "sliding_window_pattern": 4}, 9, "wfwwwwfww"),
        ("WINDOWS_AFTER_DENSE", {**W, "first_k_dense_replace": 5, "prefix_dense_sliding_window_pattern": 2,
                                 "sliding_window_pattern": 4}, 3, "wfw"),
        ("WINDOWS_AFTER_DENSE", {**W, "first_k_dense_replace": 0, "prefix_dense_sliding_window_pattern": 2,
                                 "sliding_window_pattern": 3}, 4, "wwfw"),
    ],
)  # fmt: skip
def test_rules_of_types(schedule, given, num_layers, expected):
    found = keys(**given)
    assert letters(getattr(rules, schedule).of(found, num_layers, has_state=False)) == expected
    if "w" in expected:  # read where the layer is built
        assert found.optional_count("sliding_window") == 64
    assert found.ignored() == ()


SCHEDULES = [
    # all but each n-th are of a kind; at says which of a period is not, the last by default
    (every("sliding_attention", 3), W, 7, "wwfwwfw"), (every("sliding_attention", 3, at=0), W, 7, "fwwfwwf"),
    (every("sliding_attention", 3, at=1), W, 5, "wfwwf"), (every("sliding_attention", 3, first=2), W, 7, "fffwwfw"),
    (every("sliding_attention", 3), {}, 4, "ffff"), (every("chunked_attention", 2), W, 4, "cfcf"),
    (every("linear_attention", 3), {}, 4, "ssfs"),
    (every("linear_attention", 1, "full_attention_interval"), {"full_attention_interval": 2}, 5, "sfsfs"),
    (every("sliding_attention", 9, one_full=True), W, 3, "wwf"),
    (every("sliding_attention", 2, one_full=True), W, 3, "wfw"),
    (every("sliding_attention", 2, last_full=True), W, 3, "wff"),
    (every("sliding_attention", 2, ends_full=True), W, 3, "wff"),
    # the last whatever a list says, or by the rule alone
    (every("sliding_attention", 2, ends_full=True), {**W, "layer_types": ["sliding_attention"] * 2}, 2, "wf"),
    (every("sliding_attention", 2, last_full=True), {**W, "layer_types": ["sliding_attention"] * 2}, 2, "ww"),
    # a list overrules the keys of the rule
    (every("sliding_attention", 2), {**W, "layer_types": ["full", "local"], "sliding_window_pattern": 2}, 2, "fw"),
    (every("linear_attention", 2, "full_attention_interval"), {"full_attention_interval": 2,
                                                              "layer_types": ["full"] * 2}, 2, "ff"),
    (every("sliding_attention", 1, "own_window_pattern"), {**W, "own_window_pattern": 2, "layer_types": ["full"] * 2},
     2, "ff"),
    (listed("hybrid"), {"layers_block_type": ["hybrid", "attention"]}, 2, "hf"),
    (Schedule(lambda _, n: ["hybrid"] * n), {}, 2, "hh"),
    # without windows the size of one says nothing
    (listed("sliding_attention"), {**W, "layer_types": ["full"]}, 1, "f"),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "given", "num_layers", "expected"), SCHEDULES)
def test_schedules(schedule, given, num_layers, expected):
    found = keys(**given)
    assert letters(schedule.of(found, num_layers, has_state=False)) == expected
    if "w" not in expected:
        assert found.ignored() == ()


LISTS = [
    # each list in use, and all names of kinds: of Qwen, Zamba, GPT-OSS, Llama 4, LFM, RecurrentGemma and so on
    ({"layer_types": ["full_attention", "attention", "full", "global", "indexed_attention",
       "deepseek_sparse_attention"]},
     "ffffff"),
    ({"layers_block_type": ["minimax_m3_sparse", "sliding_attention", "local", "chunked_attention"]}, "iwwc"),
    ({"attention_layers": ["linear_attention", "mamba", "recurrent", "conv"]}, "ssss"),
    ({"layer_types": ["hybrid", "hybrid_sliding", "mlp", "moe"]}, "hvme"),
    ({"hybrid_override_pattern": "M*-E"}, "sfme"),
    ({"attn_type_list": [1, 0, 0]}, "fss"), ({"hybrid_layer_pattern": [1, 0, 0]}, "wff"),
    ({"interleaved_sliding_window": [None, 64, 64], "sliding_window": 64}, "fww"),
    ({"interleaved_sliding_window": [None, None]}, "ff"), ({"attn_layer_indices": [2, 0]}, "fsf"),
    ({"full_attn_idxs": [1]}, "sf"), ({"full_attn_idxs": [], "num_hidden_layers": 2}, "ss"),
    ({"full_attn_idxs": [1], "layer_types": ["conv", "full"]}, "sf"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), LISTS)
def test_lists_of_layers(given, expected):
    assert letters(listed_kinds(keys(**given), len(expected))) == expected


def test_without_a_list_there_is_none():
    assert listed_kinds(keys(layer_types=None), 2) is None
    assert set(LAYER_TYPES.values()) == set(KINDS)
    assert PATTERN_LETTERS == {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}
    assert pattern_length(keys()) is None
    for name, value in (
        ("hybrid_override_pattern", "M*M"),
        ("layers_block_type", ["mamba"] * 3),
        ("layer_types", ["full"] * 3),
    ):
        assert pattern_length(keys(**{name: value})) == 3
    assert pattern_length(keys(hybrid_override_pattern="", layer_types=["full"])) == 1
    assert pattern_length(keys(hybrid_override_pattern=5)) is None


REFUSED = [
    ({"layer_types": ["full", "odd", "even"]}, UNSUPPORTED, "layer_types names 'even', a kind of layer", "even"),
    ({"layers_block_type": ["odd"] * 3}, UNSUPPORTED, "layers_block_type names 'odd'", "odd"),
    *(({name: numbers}, INVALID, f"{name} must list 0 or 1 for each of the 3 layers", None)
      for name in ("attn_type_list", "hybrid_layer_pattern") for numbers in ([0, 1], [0, 1, 2], [0] * 4)),
    *(({name: [0, 3]}, INVALID, f"{name} names a layer beyond the 3 there are", 3)
      for name in ("attn_layer_indices", "full_attn_idxs")),
    ({"attn_type_list": [1, 1, 0], "layer_types": ["full"] * 3}, INVALID,
     "contradictory: layer_types and attn_type_list give different", None),
    *(({"interleaved_sliding_window": wrong}, INVALID, "must list a window or null for each of the 3 layers", wrong)
      for wrong in ([64], 64, "x", [None] * 4)),
    *(({"interleaved_sliding_window": [None, wrong, 64], "sliding_window": 64}, UNSUPPORTED,
      "where sliding_window is 64", wrong)
      for wrong in (32, 64.0, True)),
    ({"interleaved_sliding_window": [None, 64, 64]}, UNSUPPORTED, "where sliding_window is None", 64),
    ({"hybrid_override_pattern": "M*X"}, INVALID, r"must be a text of the letters M \* - E, not 'M\*X'", "M*X"),
    ({"hybrid_override_pattern": ["M"] * 3}, INVALID, "must be a text of the letters", ["M"] * 3),
    ({"hybrid_override_pattern": "M*"}, INVALID, "has 2 letters for 3 layers", 2),
    ({"layer_types": ["full"] * 4}, INVALID, "layer_types has 4 entries for 3 layers", None),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "text", "asked"), REFUSED)
def test_lists_that_cannot_be(given, error, text, asked):
    with pytest.raises(error, match=text) as caught:
        listed_kinds(keys(**given), 3)
    if asked is not None:
        assert caught.value.asked == asked
    assert caught.value.what in (*given, "attn_type_list")


WRONG_RULES = [
    ("WINDOWS_REFUSED", {"use_sliding_window": True}, UNSUPPORTED, "use_sliding_window true is not understood"),
    ("WINDOWS_WITHOUT_ROPE", {**USED, "no_rope_layers": [1, 1]}, INVALID, "no_rope_layers has 2 entries for 3 layers"),
    ("INDEXED_BY_LIST", {"sparse_attention_config": {"sparse_attention_freq": [0]}}, INVALID,
     "has 1 entries for 3 layers"),
    ("STATES_BY_LISTS", {"linear_attn_config": {"full_attn_layers": [1], "kda_layers": [2]}}, INVALID, "1 to 3 once"),
    ("STATES_BY_LISTS", {"linear_attn_config": {"full_attn_layers": [0], "kda_layers": [1, 2]}}, INVALID,
     "1 to 3 once"),
    *(("WINDOWS_BY_REPEATS", {**W, "attention_types": wrong}, INVALID, "must list kinds and their repeats")
      for wrong in ([[["global"], 4]], [[["global"], -1]], [[["global"], True]], [[["odd"], 3]], [["global", 3]],
                    [[["global"]]], [5], 5, [[["global"], 3, 1]])),
    ("WINDOWS_BY_REPEATS", {**W, "attention_types": [[["global"], 2]]}, INVALID, "gives 2 layers, not the 3 there are"),
    ("WINDOWS_BY_REPEATS", W, INVALID, "gives 2 layers, not the 3 there are"),
    ("FULL", {"layer_types": ["local"] * 3}, UNSUPPORTED,
     "names sliding_attention, which this model type does not have"),
    ("FULL", {"layer_types": ["mamba"] * 3}, UNSUPPORTED,
     "names linear_attention, which this model type does not have"),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "given", "error", "text"), WRONG_RULES)
def test_rules_that_cannot_be(schedule, given, error, text):
    with pytest.raises(error, match=text):
        getattr(rules, schedule).of(keys(**given), 3, has_state=False)


def test_a_type_with_states_may_list_them_and_one_without_a_rule_must_list_its_layers():
    assert letters(rules.FULL.of(keys(layer_types=["mamba", "full"]), 2, has_state=True)) == "sf"
    with pytest.raises(INVALID, match=r"layer_types .* is missing") as caught:
        listed("mlp").of(keys(), 2, has_state=True)
    assert caught.value.what == "layer_types"
    with pytest.raises(INVALID, match="sliding_window_pattern is missing"):
        every("sliding_attention", key="sliding_window_pattern").of(keys(**W), 2, has_state=False)


# Which layers have experts


def sparse(dense, num_layers, dense_key="first_k_dense_replace", **given):
    family = Family(experts=Experts(dense=dense, dense_key=dense_key))
    return "".join("e" if one else "-" for one in sparse_layers(keys(**given), family, num_layers))


@pytest.mark.parametrize(
    ("dense", "given", "expected"),
    [
        ("none", {}, "eee"), ("listed", {}, "eee"), ("listed", {"moe_layer_freq": [0, 1, 0], "num_experts": 4}, "-e-"),
        ("listed", {"moe_layer_freq": 2, "num_experts": 4}, "e-e"), ("any", {"num_experts": 1}, "ee"),
        ("any", {}, "--"),
        ("any", {"num_experts": 0}, "--"), ("switch", {"enable_moe_block": True}, "ee"), ("switch", {}, "--"),
        ("first", {"first_k_dense_replace": 2, "num_experts": 4}, "--ee"),
        ("first", {"first_k_dense_replace": 0, "num_experts": 4}, "ee"), ("first", {"first_k_dense_replace": 1}, "---"),
        ("first", {"first_k_dense_replace": 1, "num_experts": 0}, "---"),
        ("first", {"first_k_dense_replace": 1, "num_experts": 4, "moe_layer_freq": 2}, "--e-e"),
        ("first", {"first_k_dense_replace": 9, "num_experts": 4, "moe_layer_freq": [1, 0]}, "e-"),
        ("enumerated", {"moe_layers_enum": "0, 2"}, "e-e"), ("enumerated", {"moe_layers_enum": [1]}, "-e-"),
        ("enumerated", {"moe_layers_enum": ["1"]}, "-e-"), ("enumerated", {"moe_layers_enum": []}, "--"),
        ("enumerated", {"first_k_dense_replace": 1, "num_experts": 2}, "-ee"),
        ("step", {"decoder_sparse_step": 2, "num_experts": 2}, "-e-e-"),
        ("step", {"decoder_sparse_step": 1, "num_experts": 2, "mlp_only_layers": [1]}, "e-e"),
        ("step", {"decoder_sparse_step": 1, "num_experts": 0}, "---"), ("step", {"decoder_sparse_step": 1}, "---"),
        ("interleave", {"interleave_moe_layer_step": 3}, "--e--e-"),
        ("interleave", {"interleave_moe_layer_step": 0}, "---"),
        ("interleave", {"interleave_moe_layer_step": 0, "moe_layers": [1]}, "-e-"),
        ("interleave", {"interleave_moe_layer_step": 1, "moe_layers": []}, "---"),
        ("period", {"expert_layer_period": 3, "expert_layer_offset": 1, "num_experts": 2}, "-e--e"),
        ("period", {"expert_layer_period": 1, "expert_layer_offset": 0, "num_experts": 1}, "---"),
        ("range", {"moe_layer_start_index": 1, "moe_layer_interval": 1}, "-ee"),
        ("range", {"moe_layer_start_index": 1, "moe_layer_interval": 2, "moe_layer_end_index": -1}, "-e-e-"),
        ("range", {"moe_layer_start_index": 0, "moe_layer_interval": 1, "moe_layer_end_index": 1}, "ee--"),
        ("range", {"moe_layer_start_index": 0, "moe_layer_interval": 1, "moe_layer_end_index": 0}, "e--"),
        # a list of kinds says it outright
        ("first", {"mlp_layer_types": ["sparse", "dense"], "first_k_dense_replace": 2, "moe_layer_freq": 3}, "e-"),
    ],
)  # fmt: skip
def test_layers_of_experts(dense, given, expected):
    assert sparse(dense, len(expected), **given) == expected


def test_layers_of_experts_by_another_key_and_without():
    assert sparse("first", 3, "num_dense_layers", num_dense_layers=1, num_experts=2) == "-ee"
    assert sparse("first", 2, "", num_experts=2) == "ee"
    assert sparse_layers(keys(num_experts=4), Family(), 2) == [False, False]
    found = keys(mlp_layer_types=["dense"], moe_layer_freq=3, first_k_dense_replace=1)
    sparse_layers(found, Family(experts=Experts(dense="any")), 1)
    assert found.ignored() == ()
    with pytest.raises(INVALID, match="first_k_dense_replace is missing"):
        sparse("first", 2, num_experts=2)


@pytest.mark.parametrize(
    ("dense", "given", "what"),
    [
        ("first", {"mlp_layer_types": ["sparse", "half"]}, "mlp_layer_types"),
        ("none", {"mlp_layer_types": ["sparse", "half"]}, "mlp_layer_types"),
        *(("listed", {"moe_layer_freq": wrong, "num_experts": 2}, "moe_layer_freq")
          for wrong in ([0], [0, 1, 0], [0, 2], [])),
        *(("enumerated", {"moe_layers_enum": wrong}, "moe_layers_enum") for wrong in ("0,x", "0,-1", [1.5], 5, {}, "")),
    ],
)  # fmt: skip
def test_layers_of_experts_that_cannot_be(dense, given, what):
    with pytest.raises(INVALID) as caught:
        sparse(dense, 2, **given)
    assert caught.value.what == what


# Heads


@pytest.mark.parametrize(
    ("query", "groups", "nearest"),
    # of the divisors of 8 and 12 the nearest, of two the smaller
    [(8, 3, 2), (8, 5, 4), (8, 6, 4), (8, 7, 8), (8, 16, 8), (12, 5, 4), (12, 9, 6)],
)
def test_query_heads_divide_into_kv_heads(query, groups, nearest):
    with pytest.raises(INVALID, match=f"nearest that it divides by is {nearest}") as caught:
        checked(Heads(query, groups, 16, 16), "some of layer 3,")
    assert (caught.value.what, caught.value.asked, caught.value.nearest) == ("some", groups, nearest)
    assert caught.value.allowed == tuple(n for n in range(1, query + 1) if query % n == 0)
    assert checked(Heads(query, nearest, 16, 16)).groups == nearest


def test_lists_of_heads():
    assert listed_heads(keys(a=[1, 65_536]), "a", 2, "heads") == [1, 65_536]
    for wrong, text in (
        (4, "a must list the heads of each of the 2 layers, not 4"), ([1], "a lists 1 layers, and there are 2"),
        ([1] * 3, "a lists 3 layers"), ([1, 0], "a of layer 1 must be a whole number from 1 to 65,536, not 0"),
        ([65_537, 1], "a of layer 0 must"), ([1, True], "a of layer 1 must"), ([1.0, 1], "a of layer 0 must"),
    ):  # fmt: skip
        with pytest.raises(INVALID, match=text) as caught:
            listed_heads(keys(a=wrong), "a", 2, "heads")
        assert caught.value.what == "a"


@pytest.mark.parametrize(
    ("given", "hidden", "heads", "floor", "size"),
    [
        ({"head_dim": 5}, 96, 7, False, 5), ({}, 96, 8, False, 12), ({}, 8, 8, False, 1), ({}, 100, 8, True, 12),
        ({"head_dim": 5}, 4, 8, False, 5), ({}, 100, 8, False, "does not divide by num_attention_heads 8"),
        ({}, 4, 8, True, "hidden_size 4 is less than num_attention_heads 8"),
    ],
)  # fmt: skip
def test_elements_of_a_head(given, hidden, heads, floor, size):
    family = Family(floor_head_dim=floor)
    if isinstance(size, int):
        assert head_size(keys(**given), family, hidden, heads) == size
        return
    with pytest.raises(INVALID, match=size) as caught:
        head_size(keys(**given), family, hidden, heads)
    assert (caught.value.what, caught.value.asked) == ("hidden_size", hidden)


def shares(family, given, kinds):
    names = {letter: kind for kind, letter in KINDS.items()}
    found = shared_caches(keys(**given), Family(shared_cache=family), [names[letter] for letter in kinds])
    return "".join("s" if one else "-" for one in found)


@pytest.mark.parametrize(
    ("family", "given", "kinds", "expected"),
    [
        ("", {}, "fff", "---"), ("num_kv_shared_layers", {}, "fff", "---"),
        ("num_kv_shared_layers", {"num_kv_shared_layers": 0}, "fwf", "---"),
        ("num_kv_shared_layers", {"num_kv_shared_layers": 2}, "fwwf", "--ss"),
        ("num_kv_shared_layers", {"num_kv_shared_layers": 2}, "fff", "-ss"), ("use_cla", {}, "fff", "---"),
        ("use_cla", {"use_cla": True, "cla_share_factor": 2}, "fffff", "-s-s-"),
        ("use_cla", {"use_cla": True}, "ff", "--"),
        ("use_cla", {"use_cla": False, "cla_share_factor": 2}, "ff", "--"),
    ],
)  # fmt: skip
def test_layers_that_share_a_cache(family, given, kinds, expected):
    assert shares(family, given, kinds) == expected


@pytest.mark.parametrize(("shared", "kinds"), [(3, "fff"), (4, "fff"), (1, "ffw"), (2, "fwf")])
def test_layers_without_a_cache_to_share(shared, kinds):
    with pytest.raises(INVALID, match=f"num_kv_shared_layers {shared} of 3 layers leaves") as caught:
        shares("num_kv_shared_layers", {"num_kv_shared_layers": shared}, kinds)
    assert caught.value.asked == shared


@pytest.mark.parametrize(
    ("given", "expected"),
    # every n-th layer from the offset on has an indexer of its own, and all before: 2 where nothing is said
    [
        ({}, "------"), ({"index_topk_freq": 0}, "------"), ({"index_topk_freq": 2}, "--s-s-"),
        ({"index_topk_freq": 3}, "--ss-s"),
        ({"index_topk_freq": 2, "index_skip_topk_offset": 0}, "s-s-s-"),
        ({"index_topk_freq": 2, "index_skip_topk_offset": 1}, "-s-s-s"),
        ({"index_topk_freq": 3, "index_skip_topk_offset": 4}, "----ss"),
        ({"index_topk_pattern": "FSSFSF"}, "-ss-s-"), ({"indexer_types": ["full", "shared"] * 3}, "-s-s-s"),
        ({"indexer_types": ["full"] * 6, "index_topk_pattern": "FSSSSS"}, "------"),
    ],
)  # fmt: skip
def test_layers_that_share_an_indexer(given, expected):
    found = shared_indexers(keys(**given), Family(indexer=True), 6)
    assert "".join("s" if one else "-" for one in found) == expected
    assert shared_indexers(keys(**given), Family(), 6) == [False] * 6
