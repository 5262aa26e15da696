"""A decoder typed by hand: what each field adds in parameters, and the least and the most that each may be."""

import pytest

import calculator
from calculator.architecture.decoder import ARCHITECTURE_FIELDS

H, F, V, L, HEADS, KV, D = 64, 96, 100, 3, 4, 2, 16
PLAIN = {
    "num_layers": L, "num_attention_heads": HEADS, "num_key_value_heads": KV, "head_dim": D, "hidden_size": H,
    "intermediate_size": F, "vocab_size": V, "max_position_embeddings": 1_024, "tie_word_embeddings": True,
}  # fmt: skip
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
# queries and outputs of 4 heads, keys and values of 2; gate, up and down; two norms a layer, one behind; one table
WHOLE = L * (2 * H * HEADS * D + 2 * H * KV * D + 3 * H * F + 2 * H) + V * H + H


@pytest.mark.parametrize(
    ("fields", "more"),
    [
        ({}, 0), ({"tie_word_embeddings": False}, V * H), ({"gated_mlp": False}, -L * H * F),
        ({"qkv_bias": True}, L * (HEADS + 2 * KV) * D), ({"output_bias": True}, L * H),
        ({"mlp_bias": True}, L * (2 * F + H)), ({"mlp_bias": True, "gated_mlp": False}, L * (F + H) - L * H * F),
        ({"qk_norm": True}, L * 2 * D), ({"norms_per_layer": 4}, L * 2 * H), ({"norms_per_layer": 1}, -L * H),
        ({"norm_bias": True}, (2 * L + 1) * H), ({"learned_positions": 50}, 50 * H), ({"learned_positions": 0}, 0),
        ({"v_head_dim": 8}, -L * 8 * H * (KV + HEADS)), ({"sliding_window": 32}, 0), ({"sliding_window": None}, 0),
        (EXPERTS, L * (8 * H + 8 * 3 * H * 40 - 3 * H * F)),
        ({**EXPERTS, "mlp_bias": True}, L * (8 * H + 8 * (3 * H * 40 + 2 * 40 + H) - 3 * H * F)),
        ({**EXPERTS, "intermediate_size": 0}, L * (8 * H + 8 * 3 * H * 40 - 3 * H * F)),
        ({"torch_dtype": "float16"}, 0),
    ],
)  # fmt: skip
def test_parameters_that_a_field_adds(fields, more):
    model = calculator.custom_model(**PLAIN | fields)
    assert model.num_parameters == WHOLE + more == sum(model.parts.values())
    assert model.mlp_projections == (3 if fields.get("gated_mlp", True) else 2)
    assert model.tie_word_embeddings is fields.get("tie_word_embeddings", True)
    # of eight experts a token passes through two
    idle = 6 * L * (3 * H * 40 + (2 * 40 + H) * ("mlp_bias" in fields)) if "num_experts" in fields else 0
    assert model.num_active_parameters == model.num_parameters - idle
    assert (model.num_experts_per_tok, model.moe_intermediate_size) == ((2, 40) if idle else (0, 0))
    assert (model.torch_dtype, model.num_layers, model.kv_heads_by_layer) == (fields.get("torch_dtype"), L, [KV] * L)
    width = 2 * (D + fields.get("v_head_dim", D))
    kept = min(1_000, fields.get("sliding_window") or 1_000)
    assert calculator.kv_cache_bytes(model, 1_000, 1, "fp16") == L * KV * width * kept
    assert model.is_uniform is not bool(fields.get("sliding_window"))


HEADS_MOST, WIDTH_MOST, TOKENS_MOST = 2**16, 2**24, 10**9
BOUNDS = {
    "num_layers": (1, 10_000), "num_attention_heads": (2, HEADS_MOST), "num_key_value_heads": (1, None),
    "head_dim": (1, HEADS_MOST), "v_head_dim": (1, HEADS_MOST), "hidden_size": (1, WIDTH_MOST),
    "intermediate_size": (1, WIDTH_MOST), "vocab_size": (1, WIDTH_MOST), "max_position_embeddings": (1, TOKENS_MOST),
    "num_experts": (2, HEADS_MOST), "num_experts_per_tok": (1, 8), "moe_intermediate_size": (1, WIDTH_MOST),
    "norms_per_layer": (1, 8), "learned_positions": (0, TOKENS_MOST), "sliding_window": (1, TOKENS_MOST),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_of_a_field(name):
    least, most = BOUNDS[name]
    base = PLAIN | (EXPERTS if "exp" in name or "moe" in name else {})
    assert calculator.custom_model(**base | {name: least}).fields[name] == least
    with pytest.raises(calculator.InvalidValueError, match=name.replace("num_attention", "num_attention")):
        calculator.custom_model(**base | {name: 0 if least else -1})
    if most is not None:
        assert calculator.custom_model(**base | {name: most}).fields[name] == most
        with pytest.raises(calculator.CalculatorError, match=name):
            calculator.custom_model(**base | {name: most + 1})


def test_all_fields_are_here():
    switches = {"torch_dtype", "tie_word_embeddings", "gated_mlp", "qkv_bias", "output_bias", "mlp_bias", "qk_norm"}
    assert set(ARCHITECTURE_FIELDS) == set(BOUNDS) | switches | {"norm_bias"}
    for name in ARCHITECTURE_FIELDS:
        without = {key: value for key, value in PLAIN.items() if key != name}
        if name in PLAIN:
            with pytest.raises(calculator.InvalidValueError, match=name):
                calculator.custom_model(**without)
        else:
            assert calculator.custom_model(**without)
    for dtype in ("float16", "bfloat16", "float32"):
        assert calculator.custom_model(**PLAIN | {"torch_dtype": dtype}).torch_dtype == dtype


@pytest.mark.parametrize(
    ("fields", "said", "nearest"),
    [
        ({"num_experts": 8}, "given together or not at all", None),
        ({"num_experts": 8, "num_experts_per_tok": 2}, "given together", None),
        ({**EXPERTS, "num_experts_per_tok": 9}, "num_experts_per_tok 9 is more than the 8 experts", 8),
        ({"intermediate_size": 0}, "allowed only where every MLP is made of experts", None),
        ({"num_key_value_heads": 3}, "3", None), ({"torch_dtype": "int8"}, "torch_dtype", None),
    ],
)  # fmt: skip
def test_fields_that_contradict_one_another(fields, said, nearest):
    with pytest.raises(calculator.InvalidValueError, match=said) as caught:
        calculator.custom_model(**PLAIN | fields)
    if nearest is not None:
        assert caught.value.nearest == nearest
