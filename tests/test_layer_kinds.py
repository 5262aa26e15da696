"""Which layers keep a window, a chunk, a state or every token, by the rule of each type and by each kind of list."""

import json
from pathlib import Path

import pytest

import calculator
from calculator.formats.kv import storage_format
from calculator.formats.names import format_in_name, format_of_gguf
from calculator.formats.weights import weight_format

LINES = (Path(__file__).parent / "data" / "reference_parameters.jsonl").read_text(encoding="utf-8").splitlines()
CASES = {case["case"]: case["config"] for case in map(json.loads, LINES)}
PLAIN = {
    "hidden_size": 256, "intermediate_size": 512, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32,
    "vocab_size": 1_000, "max_position_embeddings": 4_096, "tie_word_embeddings": True,
}  # fmt: skip
A_TOKEN = 2 * 2 * 32 * 2  # bytes of a layer: keys and values of 2 heads of 32 in 16 bit
WINDOW = 64


def kinds(config, layers):
    """Return the letters of each kind: how many layers keep every token, only a window of 64, and a state."""
    model = calculator.model_from_hf_config({**PLAIN, "num_hidden_layers": layers, **config})
    full = sum(group.count for group in model.groups if group.spec.grows_until > 10**9)
    windows = sum(group.count for group in model.groups if group.spec.grows_until == WINDOW)
    states = sum(group.count for group in model.groups if group.spec.state_bytes(1))
    assert calculator.kv_cache_bytes(model, 1_000, 1, "fp16") >= A_TOKEN * (1_000 * full + WINDOW * windows)
    return full, windows, states


USED = {"use_sliding_window": True, "sliding_window": WINDOW}


@pytest.mark.parametrize(
    ("config", "layers", "expected"),
    [
        # configuration_qwen2.py: windows from max_window_layers on, where they are used at all
        ({"model_type": "qwen2", **USED, "max_window_layers": 4}, 6, (4, 2, 0)),
        ({"model_type": "qwen2", **USED, "max_window_layers": 0}, 6, (0, 6, 0)),
        ({"model_type": "qwen2", **USED, "max_window_layers": 6}, 6, (6, 0, 0)),
        ({"model_type": "qwen2", **USED, "use_sliding_window": False, "max_window_layers": 4}, 6, (6, 0, 0)),
        ({"model_type": "qwen2", "use_sliding_window": True, "sliding_window": None}, 6, (6, 0, 0)),
        # modeling_mistral.py: every layer, where there is a window
        ({"model_type": "mistral", "sliding_window": WINDOW}, 6, (0, 6, 0)),
        ({"model_type": "mistral", "sliding_window": None}, 6, (6, 0, 0)),
        # configuration_gemma2.py: sliding_attention if (i + 1) % 2 else full_attention
        ({"model_type": "gemma2", "sliding_window": WINDOW}, 5, (2, 3, 0)),
        ({"model_type": "gemma2", "sliding_window": WINDOW}, 6, (3, 3, 0)),
        # configuration_gemma3.py: (i + 1) % sliding_window_pattern, 6 by default
        ({"model_type": "gemma3_text", "sliding_window": WINDOW}, 13, (2, 11, 0)),
        ({"model_type": "gemma3_text", "sliding_window": WINDOW, "sliding_window_pattern": 4}, 13, (3, 10, 0)),
        # configuration_gpt_oss.py: sliding_attention if (i + 1) % 2
        ({"model_type": "gpt_oss", "sliding_window": WINDOW, "num_local_experts": 4}, 5, (2, 3, 0)),
        # configuration_olmo3.py: (i + 1) % 4
        ({"model_type": "olmo3", "sliding_window": WINDOW}, 9, (2, 7, 0)),
        # configuration_cohere2.py: (i + 1) % sliding_window_pattern, 4 by default
        ({"model_type": "cohere2", "sliding_window": WINDOW}, 9, (2, 7, 0)),
        ({"model_type": "cohere2", "sliding_window": WINDOW, "sliding_window_pattern": 3}, 9, (3, 6, 0)),
        # configuration_gpt_neo.py: kinds and how often they are repeated
        ({"model_type": "gpt_neo", "window_size": WINDOW, "attention_types": [[["global", "local"], 3]]}, 6, (3, 3, 0)),
        ({"model_type": "gpt_neo", "window_size": WINDOW, "attention_types": [[["global"], 4], [["local"], 2]]}, 6,
         (4, 2, 0)),
        ({"model_type": "gpt_neo", "window_size": WINDOW}, 6, (3, 3, 0)),
        # configuration_smollm3.py: windows, where used, on the layers without rotary embeddings, each fourth
        ({"model_type": "smollm3", **USED}, 9, (7, 2, 0)),
        ({"model_type": "smollm3", **USED, "no_rope_layer_interval": 2}, 9, (5, 4, 0)),
        ({"model_type": "smollm3", **USED, "no_rope_layers": [1, 1, 0, 1]}, 4, (3, 1, 0)),
        ({"model_type": "smollm3", "use_sliding_window": False, "sliding_window": WINDOW}, 9, (9, 0, 0)),
        # configuration_llama4.py: chunks where there are rotary embeddings
        ({"model_type": "llama4_text", "attention_chunk_size": WINDOW, "num_local_experts": 2}, 9, (2, 7, 0)),
        ({"model_type": "llama4_text", "attention_chunk_size": None, "num_local_experts": 2}, 9, (9, 0, 0)),
        ({"model_type": "llama4_text", "attention_chunk_size": WINDOW, "num_local_experts": 2,
          "no_rope_layers": [0, 1, 0, 0]}, 4, (3, 1, 0)),
        # lists overrule the rule
        ({"model_type": "gemma3_text", "sliding_window": WINDOW,
          "layer_types": ["full_attention", "sliding_attention", "full_attention"]}, 3, (2, 1, 0)),
        ({"model_type": "qwen2", **USED, "layer_types": ["sliding_attention"] * 2 + ["full_attention"]}, 3, (1, 2, 0)),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else None,
)  # fmt: skip
def test_the_rule_of_a_type(config, layers, expected):
    assert kinds(config, layers) == expected


def real(case, **more):
    """Return a real config of transformers with other layers; what does not bear on their kinds stays."""
    config = {key: value for key, value in CASES[case].items() if key not in ("layer_types", "layers_block_type")}
    model = calculator.model_from_hf_config({**config, **more})
    full = sum(group.count for group in model.groups if group.spec.grows_until > 10**9)
    states = sum(group.count for group in model.groups if group.spec.state_bytes(1))
    return full, states


def cases_of(kind):
    return next(case for case, config in CASES.items() if config["model_type"] == kind)


@pytest.mark.parametrize(
    ("kind", "keys", "expected"),
    [
        # configuration_jamba.py: attention where i % attn_layer_period == attn_layer_offset, 8 and 4 by default
        ("jamba", {"num_hidden_layers": 12, "attn_layer_period": 8, "attn_layer_offset": 4}, (1, 11)),
        ("jamba", {"num_hidden_layers": 13, "attn_layer_period": 8, "attn_layer_offset": 4}, (2, 11)),
        ("jamba", {"num_hidden_layers": 12, "attn_layer_period": 3, "attn_layer_offset": 0}, (4, 8)),
        # configuration_qwen3_next.py: full attention where (i + 1) % full_attention_interval == 0
        ("qwen3_next", {"num_hidden_layers": 9, "full_attention_interval": 4}, (2, 7)),
        ("qwen3_next", {"num_hidden_layers": 9, "full_attention_interval": 3}, (3, 6)),
        # nemotron_h: a letter a layer, M a state, * attention, - an MLP
        ("nemotron_h", {"num_hidden_layers": 7, "hybrid_override_pattern": "M-M*M-*"}, (2, 3)),
    ],
)  # fmt: skip
def test_layers_with_states_between_attention(kind, keys, expected):
    assert real(cases_of(kind), **keys) == expected


@pytest.mark.parametrize(
    ("config", "error", "text"),
    [
        ({"model_type": "qwen2", "layer_types": ["full_attention", "odd"]}, calculator.UnsupportedError,
         "layer_types names 'odd', a kind of layer that is not understood"),
        ({"model_type": "llama", "layer_types": ["full_attention", "sliding_attention"]}, calculator.UnsupportedError,
         "names sliding_attention, which this model type does not have"),
        ({"model_type": "llama", "layer_types": ["full_attention", "mamba"]}, calculator.UnsupportedError,
         "names linear_attention, which this model type does not have"),
        ({"model_type": "smollm3", **USED, "no_rope_layers": [1]}, calculator.InvalidValueError,
         "no_rope_layers has 1 entries for 2 layers"),
        ({"model_type": "gpt_neo", "attention_types": [[["global"], 1]]}, calculator.InvalidValueError,
         "attention_types gives 1 layers, not the 2 there are"),
        ({"model_type": "gpt_neo", "attention_types": [[["global"], 3]]}, calculator.InvalidValueError,
         "attention_types must list kinds and their repeats"),
        ({"model_type": "gpt_neo", "attention_types": [[["odd"], 2]]}, calculator.InvalidValueError,
         "attention_types must list kinds and their repeats"),
        ({"model_type": "gpt_neo", "attention_types": [[["global"], 2, 1]]}, calculator.InvalidValueError,
         "attention_types must list kinds and their repeats"),
        ({"model_type": "gpt_neo", "attention_types": "global"}, calculator.InvalidValueError,
         "attention_types must list kinds and their repeats"),
        ({"model_type": "qwen2_moe", "num_experts": 2, "num_experts_per_tok": 1, "use_sliding_window": True},
         calculator.UnsupportedError, "use_sliding_window true is not understood for this model type"),
        ({"model_type": "minimax", "attn_type_list": [0, 2]}, calculator.InvalidValueError,
         "attn_type_list must list 0 or 1 for each of the 2 layers"),
        ({"model_type": "minimax", "attn_type_list": [0]}, calculator.InvalidValueError,
         "attn_type_list must list 0 or 1 for each of the 2 layers"),
        ({"model_type": "lfm2", "full_attn_idxs": [2]}, calculator.InvalidValueError,
         "full_attn_idxs names a layer beyond the 2 there are"),
        ({"model_type": "lfm2", "full_attn_idxs": [1], "layer_types": ["full_attention", "conv"]},
         calculator.InvalidValueError, "contradictory: layer_types and full_attn_idxs give different kinds of layers"),
        ({"model_type": "nemotron_h", "hybrid_override_pattern": "MX", "tie_word_embeddings": False},
         calculator.InvalidValueError, "must be a text of the letters"),
    ],
)  # fmt: skip
def test_lists_of_layers_that_cannot_be_are_refused(config, error, text):
    with pytest.raises(error, match=text):
        calculator.model_from_hf_config({**PLAIN, "num_hidden_layers": 2, **config})


# States by hand: the shapes of vLLM 0.33.0's model_executor/layers/mamba/mamba_utils.py


def state_of(kind, **more):
    return calculator.model_from_hf_config({**CASES[cases_of(kind)], **more}).state_bytes_per_sequence()


def test_the_state_of_mamba_1():
    # conv (d_conv - 1) x inner and inner x d_state in 16 bit: hidden 128 twice, 3 columns, 16 elements, 2 layers
    config = {
        "model_type": "mamba", "num_hidden_layers": 2, "hidden_size": 128, "state_size": 16, "conv_kernel": 4,
        "expand": 2, "vocab_size": 1_000,
    }  # fmt: skip
    assert calculator.model_from_hf_config(config).state_bytes_per_sequence() == 2 * 256 * (3 + 16) * 2
    wider = {**config, "intermediate_size": 384}
    assert calculator.model_from_hf_config(wider).state_bytes_per_sequence() == 2 * 384 * (3 + 16) * 2
    # dt, of rank 128 / 16 = 8 by default, adds 2 x 8 x inner and B, C 2 x 16 x inner to the weights
    auto, given = (calculator.model_from_hf_config({**config, "time_step_rank": rank}) for rank in ("auto", 8))
    assert auto.num_parameters == given.num_parameters
    more = calculator.model_from_hf_config({**config, "time_step_rank": 9}).num_parameters
    assert more - given.num_parameters == 2 * 2 * 256


def test_the_state_of_mamba_2():
    # conv (d_conv - 1) x (inner + 2 groups x d_state), and heads x head_dim x d_state, 16 bit
    config = {
        "model_type": "mamba2", "num_hidden_layers": 2, "hidden_size": 128, "num_heads": 8, "head_dim": 32,
        "expand": 2, "state_size": 16, "n_groups": 2, "conv_kernel": 4, "vocab_size": 1_000,
    }  # fmt: skip
    expected = 2 * 2 * (3 * (256 + 2 * 2 * 16) + 8 * 32 * 16)
    assert calculator.model_from_hf_config(config).state_bytes_per_sequence() == expected
    for keys, text in (
        ({"head_dim": 31}, "do not make the state layers' inner width 256"),
        ({"n_groups": 3}, "num_heads 8 does not divide by n_groups 3"),
    ):
        with pytest.raises(calculator.InvalidValueError, match=text):
            calculator.model_from_hf_config({**config, **keys})


def test_the_state_of_a_gated_delta_net():
    # conv 3 x (2 x 4 x 64 + 8 x 32) and 8 x 64 x 32, of 3 of 4 layers, 16 bit
    config = {
        "model_type": "qwen3_next", "num_hidden_layers": 4, "linear_num_key_heads": 4, "linear_num_value_heads": 8,
        "linear_key_head_dim": 64, "linear_value_head_dim": 32, "linear_conv_kernel_dim": 4, "num_experts": 2,
        "num_experts_per_tok": 1, "moe_intermediate_size": 64, "shared_expert_intermediate_size": 64,
    }  # fmt: skip
    model = calculator.model_from_hf_config({**PLAIN, **config})
    assert model.state_bytes_per_sequence() == 3 * 2 * (3 * (2 * 4 * 64 + 8 * 32) + 8 * 64 * 32)
    with pytest.raises(
        calculator.InvalidValueError, match="linear_num_value_heads 6 does not divide by linear_num_key"
    ):
        calculator.model_from_hf_config({**PLAIN, **config, "linear_num_value_heads": 6})


def test_a_short_convolution_is_as_wide_as_the_model():
    with pytest.raises(calculator.UnsupportedError, match="conv_dim 128 other than hidden_size"):
        state_of("lfm2", conv_dim=128)


@pytest.mark.parametrize("value", ["float8", 7, ["bfloat16"]])
def test_a_state_in_a_format_that_is_none_is_refused(value):
    with pytest.raises(calculator.UnsupportedError, match="must be one of auto, bfloat16, float16, float32, not"):
        state_of("nemotron_h", mamba_ssm_cache_dtype=value)


# Heads


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"num_key_value_heads": 3}, "num_attention_heads 8 does not divide by num_key_value_heads 3"),
        ({"head_dim": None, "hidden_size": 255}, "hidden_size 255 does not divide by num_attention_heads 8"),
        ({"head_dim": None, "hidden_size": 4}, "hidden_size 4"),
    ],
)
def test_heads_that_cannot_be_are_refused(keys, text):
    with pytest.raises(calculator.InvalidValueError, match=text):
        calculator.model_from_hf_config({**PLAIN, "model_type": "llama", "num_hidden_layers": 2, **keys})


@pytest.mark.parametrize(
    ("keys", "layers"),
    # configuration_hunyuan: cross-layer attention, each second or third layer keeps a cache where it is used
    [({"use_cla": True, "cla_share_factor": 2}, 3), ({"use_cla": True, "cla_share_factor": 3}, 2),
     ({"use_cla": True, "cla_share_factor": 1}, 6), ({"use_cla": False, "cla_share_factor": 2}, 6)],
)  # fmt: skip
def test_layers_that_share_a_cache(keys, layers):
    config = {
        **PLAIN, "model_type": "hunyuan_v1_moe", "num_hidden_layers": 6, "num_experts": 2, "moe_topk": 1,
        "moe_intermediate_size": 64, "num_shared_expert": 1,
    }  # fmt: skip
    model = calculator.model_from_hf_config({**config, **keys})
    assert model.kv_bytes_per_token("fp16") == layers * A_TOKEN


# Names of formats


@pytest.mark.parametrize(
    ("name", "ours"),
    [("float32", "fp32"), ("float16", "fp16"), ("half", "fp16"), ("bfloat16", "bf16"), ("fp16", "fp16")],
)
def test_a_format_goes_by_torch_s_name_too(name, ours):
    assert weight_format(name) is weight_format(ours)
    assert storage_format(name) is storage_format(ours)


def test_fp8_is_its_usual_kind():
    assert storage_format("fp8") is storage_format("fp8_e4m3")


@pytest.mark.parametrize(
    ("name", "form"),
    # repositories of the Hub
    [
        ("nvidia/Llama-3.3-70B-Instruct-NVFP4", "nvfp4"), ("amd/Llama-3.1-8B-MXFP4", "mxfp4"),
        ("RedHatAI/Qwen2.5-7B-quantized.w8a8", "int8"), ("Qwen/Qwen3-8B-AWQ", "awq-int4"),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4", "gptq-int4"), ("RedHatAI/gemma-3-27b-it-quantized.w4a16", "gptq-int4"),
        ("moonshotai/Kimi-K2-Int4", "awq-int4"), ("unsloth/llama-3-8b-bnb-4bit", "nf4"), ("Qwen/Qwen3-8B-FP8", "fp8"),
        ("Qwen/Qwen3-8B", None),
    ],
)  # fmt: skip
def test_the_format_that_a_repository_s_name_holds(name, form):
    assert format_in_name(name) == form


@pytest.mark.parametrize(
    ("name", "form"),
    # llama.cpp llama_model_ftype_name and file names of the Hub
    [
        ("Llama-3.1-8B-F16.gguf", "fp16"), ("x-bf16.gguf", "bf16"), ("Qwen3-8B-Q8_0.gguf", "q8_0"), ("Q6_K", "q6_k"),
        ("Q5_K - Medium", "q5_k_m"), ("m-Q5_K_M.gguf", "q5_k_m"), ("m.Q4_K_M.gguf", "q4_k_m"), ("m-Q3_K_M", "q3_k_m"),
        ("Q2_K", "q2_k"), ("Q2_K - Medium", "q2_k"), ("m-Q4_K_S.gguf", None), ("Q4_0", None), ("m-IQ4_NL", None),
        ("xq8_0", None), ("model.gguf", None),
    ],
)  # fmt: skip
def test_the_format_of_a_gguf_file(name, form):
    assert format_of_gguf(name) == form


# Biases by a switch

SWITCH = (True, False)


@pytest.mark.parametrize(
    ("kind", "output"),
    # modeling_*.py: q_proj, k_proj and v_proj with bias=config.attention_bias, and o_proj with it or without
    [
        ("llama", True), ("qwen3", True), ("gemma2", True), ("gemma3_text", True), ("cohere", True), ("cohere2", True),
        ("olmo2", True), ("olmo3", True), ("granite", True), ("smollm3", True), ("gpt_oss", True), ("glm4", False),
    ],
)  # fmt: skip
def test_biases_of_attention_by_their_switch(kind, output):
    config = {**PLAIN, "model_type": kind, "num_hidden_layers": 3}
    config |= {"num_local_experts": 2, "num_experts_per_tok": 1} if kind == "gpt_oss" else {}
    config |= {"tie_word_embeddings": False} if kind == "gpt_oss" else {}
    on, off = (calculator.model_from_hf_config({**config, "attention_bias": bias}).num_parameters for bias in SWITCH)
    # 8 + 2 + 2 heads of 32, and the hidden size of 256
    assert on - off == 3 * ((8 + 2 + 2) * 32 + (256 if output else 0))
