"""What engines keep in 32 bits whatever the weights are in, and what takes bytes and is no parameter."""

import json

import pytest

import calculator
from calculator.architecture.weights import weight_bytes_per_rank
from tests.checkpoints import write_safetensors

# layers × values of vLLM 0.33.0's and SGLang 0.5.23's classes that are float32
WIDE = [
    # e_score_correction_bias of 256 experts in 58 layers, a buffer of transformers 5.23.0
    ("deepseek-v3", 0, 58 * 256),
    # beside it GateLinear(params_dtype=torch.float32): 45 layers of 128 experts × 4,096
    ("glm-4.5-air", 45 * 128 * 4096, 45 * 128),
    # 62 layers of 256 experts × 3,072
    ("minimax-m2.5", 62 * 256 * 3072, 62 * 256),
    # A_log of 32 heads in 36 of 48 layers
    ("qwen3-next-80b-a3b", 36 * 32, 0),
    ("mixtral-8x7b", 0, 0),
]


@pytest.mark.parametrize(("name", "parameters", "buffers"), WIDE, ids=[name for name, *_ in WIDE])
def test_values_of_32_bits_take_four_bytes_of_any_format(name, parameters, buffers):
    model = calculator.load_model(name)
    (size,) = weight_bytes_per_rank(model, "bf16", encoders=False)
    assert size == 2 * model.num_parameters + 2 * parameters + 4 * buffers
    assert weight_bytes_per_rank(model, "fp32", encoders=False) == (4 * (model.num_parameters + buffers),)


DEEPSEEK = {
    "model_type": "deepseek_v3", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 128, "moe_intermediate_size": 32, "n_routed_experts": 8, "num_experts_per_tok": 2,
    "n_shared_experts": 1, "first_k_dense_replace": 0, "kv_lora_rank": 16, "q_lora_rank": 16, "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8, "v_head_dim": 8, "vocab_size": 100, "max_position_embeddings": 1024,
}  # fmt: skip


@pytest.mark.parametrize(("said", "buffers"), [({}, 16), ({"topk_method": "noaux_tc"}, 16), ({"topk_method": "x"}, 0)])
def test_scores_are_corrected_by_one_way_to_choose_experts(said, buffers):
    # vLLM 0.33.0, deepseek_v2.py: topk_method noaux_tc; 8 experts in 2 layers
    model = calculator.model_from_hf_config({**DEEPSEEK, **said})
    assert weight_bytes_per_rank(model, "bf16") == (2 * model.num_parameters + 4 * buffers,)


@pytest.mark.parametrize(("name", "dtype"), [("mlp.gate.e_score_correction_bias", "F32"), ("mlp.expert_bias", "BF16")])
def test_headers_hold_a_correction_in_any_type(tmp_path, name, dtype):
    model = calculator.model_from_hf_config(DEEPSEEK)
    (tmp_path / "config.json").write_text(json.dumps(DEEPSEEK))
    tensors = {"model.embed_tokens.weight": ("BF16", (100, 64)), "lm_head.weight": ("BF16", (100, 64))}
    tensors["model.norm.weight"] = ("BF16", (64,))
    experts = (("gate_proj", (32, 64)), ("up_proj", (32, 64)), ("down_proj", (64, 32)))
    attention = {
        "q_a_proj": (16, 64), "q_a_layernorm": (16,), "q_b_proj": (64, 16), "kv_a_proj_with_mqa": (24, 64),
        "kv_a_layernorm": (16,), "kv_b_proj": (64, 16), "o_proj": (64, 32),
    }  # fmt: skip
    for layer in range(2):
        at = f"model.layers.{layer}"
        tensors |= {f"{at}.self_attn.{each}.weight": ("BF16", shape) for each, shape in attention.items()}
        holders = ["shared_experts", *(f"experts.{each}" for each in range(8))]
        tensors |= {f"{at}.mlp.{of}.{each}.weight": ("BF16", shape) for of in holders for each, shape in experts}
        tensors |= {f"{at}.{each}_layernorm.weight": ("BF16", (64,)) for each in ("input", "post_attention")}
        tensors |= {f"{at}.mlp.gate.weight": ("BF16", (8, 64)), f"{at}.{name}": (dtype, (8,))}
    write_safetensors(tmp_path / "model.safetensors", tensors)
    # loaded in 16 bit but for the correction of 8 experts in 2 layers, whatever its type
    loaded = weight_bytes_per_rank(calculator.load_model(str(tmp_path)), "auto")
    assert loaded == (2 * model.num_parameters + 4 * 16,)


def test_a_table_of_experts_by_token_is_no_parameter():
    model = calculator.load_model("deepseek-v4-flash")
    fields = {**model.fields, "num_hash_layers": 4}
    # one layer more whose experts a table tells: 6 of each of 129,280 tokens in int32, no correction of 256 scores
    (before,), (after,) = (
        weight_bytes_per_rank(each, "bf16") for each in (model, calculator.model_from_hf_config(fields))
    )
    assert after - before == 4 * 129_280 * 6 - 4 * 256
