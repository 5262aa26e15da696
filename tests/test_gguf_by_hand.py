"""The tables of GGUF: types as ggml lays them out, tensors and architectures as llama.cpp names them."""

import pytest

import calculator
from calculator.configs.checkpoints.gguf.header import NUMBERS, TYPES, Header
from calculator.configs.checkpoints.gguf.metadata import config_of
from calculator.configs.checkpoints.gguf.reader import ENDS, IN_DELTA_NETS, MODULES, OURS, PLAIN
from calculator.configs.checkpoints.gguf.rows import ARCHITECTURES

# ggml.h: numbers of types; ggml-common.h: values of a block, and the bytes of its members one by one
LAID_OUT = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 2 + 16), 3: ("Q4_1", 32, 4 + 16), 6: ("Q5_0", 32, 2 + 4 + 16),
    7: ("Q5_1", 32, 4 + 4 + 16), 8: ("Q8_0", 32, 2 + 32), 10: ("Q2_K", 256, 16 + 64 + 4),
    9: ("Q8_1", 32, 4 + 4 + 32),  # two float32, as gguf's constants have it
    11: ("Q3_K", 256, 32 + 64 + 12 + 2), 12: ("Q4_K", 256, 4 + 12 + 128), 13: ("Q5_K", 256, 4 + 12 + 32 + 128),
    14: ("Q6_K", 256, 128 + 64 + 16 + 2), 15: ("Q8_K", 256, 4 + 256 + 32), 16: ("IQ2_XXS", 256, 2 + 64),
    17: ("IQ2_XS", 256, 2 + 64 + 8), 18: ("IQ3_XXS", 256, 2 + 64 + 32), 19: ("IQ1_S", 256, 2 + 32 + 16),
    20: ("IQ4_NL", 32, 2 + 16), 21: ("IQ3_S", 256, 2 + 64 + 8 + 32 + 4), 22: ("IQ2_S", 256, 2 + 64 + 8 + 8),
    23: ("IQ4_XS", 256, 2 + 2 + 4 + 128), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8),
    28: ("F64", 1, 8), 29: ("IQ1_M", 256, 32 + 16 + 8), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 48 + 4 + 2),
    35: ("TQ2_0", 256, 64 + 2), 39: ("MXFP4", 32, 1 + 16), 40: ("NVFP4", 64, 4 + 32),
}  # fmt: skip


def test_types_are_laid_out_as_ggml_does():
    assert dict(TYPES) == LAID_OUT


def test_numbers_of_metadata_are_those_of_the_format():
    # docs/gguf.md: uint8, int8, uint16, int16, uint32, int32, float32, bool; 8 is a text, 9 a list; then
    # uint64, int64, float64
    assert dict(NUMBERS) == {**dict(zip(range(8), ("<B", "<b", "<H", "<h", "<I", "<i", "<f", "<?"), strict=True)),
                       10: "<Q", 11: "<q", 12: "<d"}  # fmt: skip


def test_a_type_is_named_by_its_bits():
    quantised = [name for name, _, _ in LAID_OUT.values() if not name.startswith(("F", "BF", "I1", "I3", "I6", "I8"))]
    next_to = {"8": "q8_0", "6": "q6_k", "5": "q5_k_m", "4": "q4_k_m", "3": "q3_k_m", "2": "q2_k", "1": "q2_k"}
    own = {"MXFP4": "mxfp4", "NVFP4": "nvfp4"}
    expected = {name: own.get(name) or next_to[name.lstrip("ITQ")[0]] for name in quantised}
    assert dict(OURS) == expected
    assert set(PLAIN) == {"F32", "F16", "BF16", "F64"}


# gguf constants.py TENSOR_NAMES, beside what transformers calls the same module; experts are stored as one tensor
TENSORS = """
attn_q self_attn.q_proj, attn_k self_attn.k_proj, attn_v self_attn.v_proj, attn_qkv self_attn.qkv_proj,
attn_output self_attn.o_proj, attn_q_a self_attn.q_a_proj, attn_q_b self_attn.q_b_proj,
attn_kv_a_mqa self_attn.kv_a_proj_with_mqa, attn_kv_b self_attn.kv_b_proj, attn_k_b self_attn.kv_b_proj,
attn_v_b self_attn.kv_b_proj, ffn_gate mlp.gate_proj, ffn_up mlp.up_proj, ffn_down mlp.down_proj,
ffn_gate_exps mlp.experts.*.gate_proj, ffn_up_exps mlp.experts.*.up_proj, ffn_down_exps mlp.experts.*.down_proj,
ffn_gate_up_exps mlp.experts.gate_up_proj, ffn_gate_shexp mlp.shared_experts.gate_proj,
ffn_up_shexp mlp.shared_experts.up_proj, ffn_down_shexp mlp.shared_experts.down_proj, ffn_gate_inp mlp.gate,
ffn_gate_inp_shexp mlp.shared_expert_gate, ssm_in mixer.in_proj, ssm_out mixer.out_proj, ssm_x mixer.x_proj,
ssm_dt mixer.dt_proj, ssm_conv1d mixer.conv1d, ssm_ba linear_attn.in_proj_ba, ssm_alpha linear_attn.in_proj_ba,
ssm_beta linear_attn.in_proj_ba
"""
DELTA_NETS = """
attn_qkv linear_attn.in_proj_qkvz, attn_gate linear_attn.in_proj_qkvz, ssm_in linear_attn.in_proj_qkvz,
ssm_out linear_attn.out_proj, ssm_conv1d linear_attn.conv1d
"""


@pytest.mark.parametrize(
    ("table", "listed"),
    [(MODULES, TENSORS), (IN_DELTA_NETS, DELTA_NETS), (ENDS, "token_embd embed_tokens, output lm_head")],
)
def test_tensors_go_by_the_names_of_the_format(table, listed):
    assert dict(table) == dict(pair.split() for pair in listed.replace("\n", " ").split(", "))


# gguf constants.py MODEL_ARCH_NAMES, beside the model type whose config convert_hf_to_gguf.py reads
TYPES_OF = """
llama llama, mistral3 ministral3, qwen2 qwen2, qwen2vl qwen2, qwen2moe qwen2_moe, qwen3 qwen3, qwen3vl qwen3,
qwen3moe qwen3_moe, qwen3vlmoe qwen3_moe, qwen3next qwen3_next, qwen35 qwen3_5_text, qwen35moe qwen3_5_moe_text,
gemma gemma, gemma2 gemma2, gemma3 gemma3_text, phi3 phi3, command-r cohere, cohere2 cohere2, deepseek2 deepseek_v3,
glm4 glm4, glm4moe glm4_moe, gpt-oss gpt_oss, granite granite, granitemoe granitemoe, falcon falcon,
starcoder2 starcoder2, stablelm stablelm, olmo2 olmo2, smollm3 smollm3, seed_oss seed_oss, minimax-m2 minimax_m2,
ernie4_5 ernie4_5, hunyuan-dense hunyuan_v1_dense, exaone exaone, mamba mamba
"""
COMMON = {
    "context_length": "max_position_embeddings", "embedding_length": "hidden_size", "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size", "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads", "attention.key_length": "head_dim", "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok", "expert_feed_forward_length": "moe_intermediate_size",
}  # fmt: skip
DELTA = {
    "ssm.conv_kernel": "linear_conv_kernel_dim", "ssm.state_size": "linear_key_head_dim",
    "ssm.group_count": "linear_num_key_heads", "ssm.time_step_rank": "linear_num_value_heads",
    "full_attention_interval": "full_attention_interval",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
}  # fmt: skip
WINDOWS = {"attention.sliding_window": "sliding_window"}
OWN = {
    "qwen2moe": {"expert_shared_feed_forward_length": "shared_expert_intermediate_size"}, "qwen3next": DELTA,
    "qwen35": DELTA, "qwen35moe": DELTA, "gemma2": WINDOWS, "gemma3": WINDOWS, "cohere2": WINDOWS, "gpt-oss": WINDOWS,
    "glm4moe": {"expert_shared_count": "n_shared_experts", "leading_dense_block_count": "first_k_dense_replace"},
    "mamba": {"ssm.conv_kernel": "conv_kernel", "ssm.inner_size": "intermediate_size", "ssm.state_size": "state_size",
              "ssm.time_step_rank": "time_step_rank"},
}  # fmt: skip


@pytest.mark.parametrize("row", TYPES_OF.replace("\n", " ").strip().split(", "))
def test_metadata_are_the_config_of_the_type(row):
    kind, model_type = row.split()
    assert kind in ARCHITECTURES
    if kind == "deepseek2":
        return
    keys = COMMON | OWN.get(kind, {})
    # a number of its own under each key
    given = {key: number for number, key in enumerate(sorted(keys), 32)}
    values = {f"{kind}.{key}": number for key, number in given.items()}
    config = config_of(Header({"general.architecture": kind, **values}), "a.gguf")
    expected = {keys[key]: number for key, number in given.items()}
    expected |= {"tie_word_embeddings": True, "torch_dtype": "float16"}
    expected["model_type"] = "mixtral" if kind == "llama" else model_type
    assert {name: config[name] for name in expected} == expected
    without = {key: number for key, number in values.items() if "expert" not in key}
    assert config_of(Header({"general.architecture": kind, **without}), "a.gguf")["model_type"] == model_type


def test_latent_heads_by_hand():
    # DeepSeek V3: keys of 192, 64 of them with rotary positions; heads are said of the latent vector, and left out
    said = {"block_count": 61, "embedding_length": 7168, "attention.q_lora_rank": 1536, "attention.kv_lora_rank": 512,
            "attention.key_length_mla": 192, "attention.value_length_mla": 128, "rope.dimension_count": 64,
            "attention.key_length": 576, "attention.head_count": 128, "attention.head_count_kv": 1,
            "expert_count": 256, "expert_shared_count": 1, "leading_dense_block_count": 3,
            "nextn_predict_layers": 1}  # fmt: skip
    values = {"general.architecture": "deepseek2", **{f"deepseek2.{key}": number for key, number in said.items()}}
    config = config_of(Header(values), "a.gguf")
    assert config == {
        "num_hidden_layers": 60, "hidden_size": 7168, "q_lora_rank": 1536, "kv_lora_rank": 512, "v_head_dim": 128,
        "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "num_attention_heads": 128, "num_experts": 256,
        "n_shared_experts": 1, "first_k_dense_replace": 3, "tie_word_embeddings": True, "torch_dtype": "float16",
        "model_type": "deepseek_v3",
    }  # fmt: skip
    del values["deepseek2.attention.q_lora_rank"]
    assert config_of(Header(values), "a.gguf")["q_lora_rank"] is None
    del values["deepseek2.attention.key_length_mla"]
    with pytest.raises(calculator.FileFormatError, match="do not say the sizes of latent heads"):
        config_of(Header(values), "a.gguf")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"qwen3.nextn_predict_layers": 4}, {"num_hidden_layers": 4}), ({"qwen3.vocab_size": 7}, {"vocab_size": 7}),
        ({"qwen3.nextn_predict_layers": 3}, {"num_hidden_layers": 1}),
        ({"#tokenizer.ggml.tokens": 9}, {"vocab_size": 9}), ({"qwen3.attention.head_count": [6, 6]},
                                                              {"num_attention_heads": 6, "num_key_value_heads": 6}),
        ({"qwen3.attention.head_count_kv": [2, 4]}, {"num_key_value_heads": [2, 4]}),
    ],
)  # fmt: skip
def test_what_follows_from_other_metadata(more, expected):
    values = {"general.architecture": "qwen3", "qwen3.block_count": 4, "qwen3.embedding_length": 64, **more}
    config = config_of(Header(values), "a.gguf")
    assert {name: config[name] for name in expected} == expected
    assert "attention_bias" not in config


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"qwen3.block_count": 4}, "do not say hidden_size"), ({"qwen3.embedding_length": 4}, "do not say num_hidden"),
        ({"qwen3.block_count": True}, "must be a whole number"), ({"qwen3.block_count": 4.0}, "must be a whole number"),
    ],
)  # fmt: skip
def test_metadata_that_are_no_config_are_refused(values, said):
    with pytest.raises(calculator.FileFormatError, match=said):
        config_of(Header({"general.architecture": "qwen3", **values}), "a.gguf")


def test_value_heads_of_a_delta_net():
    # 4,096 of all value heads over 32 of them
    values = {"qwen35.block_count": 4, "qwen35.embedding_length": 64, "qwen35.ssm.time_step_rank": 32}
    config = config_of(Header({"general.architecture": "qwen35", "qwen35.ssm.inner_size": 4096, **values}), "a.gguf")
    assert config["linear_value_head_dim"] == 128
