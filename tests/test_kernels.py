"""Which kernel of attention vLLM takes by what a layer is, the cache's format and the device, and what it raises."""

import pytest

import calculator

# vLLM 0.33.0. platforms/cuda.py: the order of kernels; of each, v1/attention/backends: formats, sizes of heads, sinks,
# images (mm_prefix), encoders; flash_attn.py: fp8 with FlashAttention 3 and 4 alone, ALiBi with 2 alone;
# flashinfer.py: heads of 64, 128, 256, 512, NVFP4 below and above SM100 neither of 64 nor with sinks;
# triton_attn.py, mla/triton_mla.py: fp8 from compute capability 8.9 on; mla: no e5m2, integers or NVFP4
HEADS_OF_80, LATENT = "phi-2", "deepseek-v2-lite"
CASES = [
    ("bloom", "h100-sxm", "fp8", "heads of 128, ALiBi it takes FlashAttention, which raises"),
    ("bloom", "h100-sxm", "fp8_e5m2", ""),
    ("bloom", "a100-80gb-sxm", "fp8", ""),
    ("bloom", "b200", "fp8", ""),
    (HEADS_OF_80, "a100-80gb-sxm", "fp8", "heads of 80 it takes Triton, which raises"),
    (HEADS_OF_80, "a100-80gb-sxm", "int8_per_token_head", ""),
    (HEADS_OF_80, "l40s", "fp8", ""),
    (HEADS_OF_80, "b200", "nvfp4", "no kernel of it serves heads of 80"),
    ("gpt-oss-20b", "a100-80gb-sxm", "fp8", "heads of 64, attention sinks it takes Triton"),
    ("gpt-oss-20b", "h100-sxm", "fp8", ""),
    ("gpt-oss-20b", "h100-sxm", "nvfp4", "no kernel of it serves heads of 64, attention sinks"),
    ("gpt-oss-20b", "b200", "nvfp4", ""),
    ("llama-3.2-1b", "rtx-5090", "nvfp4", "no kernel of it serves heads of 64"),
    ("llama-3.2-1b", "rtx-5090", "fp8", ""),
    ("gemma-3-27b", "rtx-3090", "fp8", "images seen whole it takes Triton, which raises"),
    ("gemma-3-27b", "h100-sxm", "fp8", ""),
    (LATENT, "a100-80gb-sxm", "fp8", "latent attention it takes Triton MLA, which raises"),
    (LATENT, "l40s", "fp8", ""),
    (LATENT, "h100-sxm", "fp8_e5m2", "no kernel of it serves latent attention"),
    (LATENT, "h100-sxm", "int8_per_token_head", "no kernel of it serves latent attention"),
    ("deepseek-v3.2", "l40s", "auto", "no kernel of it serves sparse latent attention; use another device"),
    ("deepseek-v3.2", "h100-sxm", "fp8", ""),
    ("deepseek-v3.2", "rtx-pro-6000-blackwell", "fp8_ds_mla", ""),
    ("whisper", "a100-80gb-sxm", "fp8", "an encoder's tokens it takes Triton, which raises"),
    ("llama-3-8b", "a100-80gb-sxm", "fp8", ""),
]
SIZES = {
    "d_model": 384,
    "encoder_ffn_dim": 1536,
    "decoder_ffn_dim": 1536,
    "max_target_positions": 448,
    "decoder_layers": 2,
    "encoder_layers": 2,
    "vocab_size": 51865,
}
CONFIGS = {
    "bloom": {"model_type": "bloom", "hidden_size": 4096, "n_layer": 2, "n_head": 32, "vocab_size": 1000},
    "whisper": {"model_type": "whisper", **SIZES, "encoder_attention_heads": 6, "decoder_attention_heads": 6},
}


def asked(name, gpu, kv_cache_dtype, **more):
    model = calculator.model_from_hf_config(CONFIGS[name]) if name in CONFIGS else calculator.load_model(name)
    more |= {"encoder_seq_len": 1500} if name == "whisper" else {}
    return calculator.plan(model, gpu=gpu, kv_cache_dtype=kv_cache_dtype, seq_len=256, **more)


@pytest.mark.parametrize(("name", "gpu", "kv_cache_dtype", "said"), CASES)
def test_what_no_kernel_serves_is_refused_and_nothing_else(name, gpu, kv_cache_dtype, said):
    if not said:
        assert asked(name, gpu, kv_cache_dtype).num_blocks >= 0
        return
    with pytest.raises(calculator.UnsupportedError, match=said) as caught:
        asked(name, gpu, kv_cache_dtype)
    # each format that is offered in its place is planned
    for other in caught.value.allowed:
        assert asked(name, gpu, other).num_blocks >= 0


def test_images_that_are_not_loaded_ask_for_no_kernel_of_their_own():
    assert asked("gemma-3-27b", "rtx-3090", "fp8", language_model_only=True).num_blocks >= 0


def test_kernels_are_those_of_the_versions_that_were_read():
    with pytest.raises(calculator.UnsupportedError, match=r"vLLM 0\.28 does not start Phi-2"):
        asked("phi-2", "a100-80gb-sxm", "fp8", engine_version="0.28")
    assert asked("phi-2", "a100-80gb-sxm", "fp8", engine_version="0.27").num_blocks >= 0
    # which models' images see all of themselves was read at 0.33 alone
    assert asked("gemma-3-27b", "rtx-3090", "fp8", engine_version="0.32").num_blocks >= 0
