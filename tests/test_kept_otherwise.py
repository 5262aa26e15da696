"""What vLLM keeps of some types otherwise than their architecture does, and types that keep nothing or compress."""

import pytest
from small_config import CONFIG

import calculator

GIB = 2**30
BERT = {
    "model_type": "bert", "architectures": ["BertModel"], "hidden_size": 384, "intermediate_size": 1536,
    "num_hidden_layers": 6, "num_attention_heads": 12, "vocab_size": 30522, "max_position_embeddings": 512,
}  # fmt: skip
DEEPSEEK_V4 = {
    "model_type": "deepseek_v4", "hidden_size": 4096, "num_hidden_layers": 43, "num_attention_heads": 64,
    "num_key_value_heads": 1, "head_dim": 512, "vocab_size": 129280, "moe_intermediate_size": 2048,
    "n_routed_experts": 256, "num_experts_per_tok": 6, "n_shared_experts": 1, "q_lora_rank": 1024, "o_groups": 8,
    "o_lora_rank": 1024, "qk_rope_head_dim": 64, "index_head_dim": 128, "index_n_heads": 64, "sliding_window": 128,
    "hc_mult": 4, "max_position_embeddings": 1048576, "num_nextn_predict_layers": 1,
    "compress_ratios": [0, 0, *[4, 128] * 20, 4, 0],
}  # fmt: skip


def pool(config, **asked):
    asked = {"gpu": "h100-sxm", "weight_dtype": "bf16", "kv_cache_memory_bytes": 20 * GIB} | asked
    return calculator.plan(calculator.model_from_hf_config(config), engine_version="0.33.0", **asked)


@pytest.mark.parametrize(
    ("seq_len", "batch", "ahead", "concurrency"),
    # vLLM 0.33.0's own planner with 20 GiB for KV: 21,426 blocks, whatever the length and the ranks
    [
        (8_192, 8_192, True, 6.369203329369798), (8_192, 2_048, False, 24.074157303370786),
        (32_768, 8_192, True, 3.1462555066079294), (32_768, 2_048, False, 21.73022312373225),
    ],
)  # fmt: skip
def test_compressed_attention_is_packed_as_vllm_packs_it(seq_len, batch, ahead, concurrency):
    asked = {"seq_len": seq_len, "max_num_batched_tokens": batch, "async_scheduling": ahead}
    plan = pool(DEEPSEEK_V4, **asked)
    assert (plan.num_blocks, plan.max_concurrency) == (21_426, pytest.approx(concurrency, rel=1e-12))
    # transformers 5.23.0, counted on the meta device
    assert plan.model.num_parameters == 284_332_230_231


def test_compressed_attention_is_refused_by_an_engine_that_does_not_have_it():
    model = calculator.model_from_hf_config(DEEPSEEK_V4)
    with pytest.raises(calculator.UnsupportedError, match="keeps rows of the last tokens, before they are compressed"):
        calculator.plan(model, gpu="h100-sxm", engine="llama.cpp")
    with pytest.raises(calculator.UnsupportedError, match=r"keeps no rows for several tokens before 0\.20"):
        calculator.plan(model, gpu="h100-sxm", engine_version="0.18")


def test_bytes_of_a_compressed_sequence():
    model = calculator.model_from_hf_config(DEEPSEEK_V4)
    # 448 + 2 x 64 + 8 = 584 bytes a row and 128 + 4 an index key; 43 windows of 128 rows; 21 layers keep 4 tokens to a
    # row with its key, 20 keep 128; what is compressed, twice in 32 bit: 8 tokens of 2 x 512 and of 2 x 128 elements,
    # and 128 tokens of 512
    tokens = 4_096
    windows = 43 * 128 * 584
    rows = 21 * tokens // 4 * (584 + 132) + 20 * tokens // 128 * 584
    passing = 21 * 8 * 2 * 4 * (1_024 + 256) + 20 * 128 * 2 * 4 * 512
    assert calculator.kv_cache_bytes(model, tokens, 1) == windows + rows + passing


def test_an_encoder_keeps_nothing():
    model = calculator.model_from_hf_config(BERT)
    # by hand: a layer has 4 x (384 + 1) x 384, 2 x 384 x 1,536 + 1,536 + 384 and two norms of 768; embeddings of 30,522
    # tokens, 512 positions and 2 kinds, their norm; the head's dense layer, its norm and the bias of the vocabulary
    layer = 4 * 385 * 384 + 2 * 384 * 1_536 + 1_536 + 384 + 2 * 768
    assert model.num_parameters == 6 * layer + (30_522 + 512 + 2) * 384 + 768 + 385 * 384 + 768 + 30_522
    plan = pool(BERT, seq_len=512)
    assert (plan.kv_bytes_per_sequence, model.kv_bytes_per_token(), plan.fits) == (0, 0, True)
    assert plan.per_gpu.weights_bytes == 2 * model.num_parameters
    assert plan.per_gpu.activation_bytes > 100_000_000
    assert model.tensor_parallel_degrees == (1, 2, 3, 4, 6, 12)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_passes_limit_the_sequences_of_an_encoder(engine):
    model = calculator.model_from_hf_config(BERT)
    # a pass of 8,192 tokens reads 8,192 / 512 = 16 texts of 512 tokens whole, 8,192 / 8 = 1,024 short ones
    asked = {"gpu": "h100-sxm", "engine": engine, "max_num_batched_tokens": 8_192, "max_num_seqs": 256}
    for tokens, held in ((512, 16), (8, 256)):
        plan = calculator.plan(model, seq_len=tokens, batch_size=held, **asked)
        assert (plan.max_batch_size_low, plan.max_batch_size, plan.max_batch_size_high) == (held, held, held)
        assert plan.fits
    frame = calculator.sweep(model, seq_len=[8, 512], **asked)
    assert frame["max_batch_size"].tolist() == [256, 16]
    more = calculator.plan(model, seq_len=512, batch_size=17, **asked)
    assert not more.fits
    assert "a pass of 8,192 tokens reads 16 sequences of 512 tokens at once, 256 at most" in more.notes[0]


@pytest.mark.parametrize("said", [{"is_causal": False}, {"architectures": ["LlamaBidirectionalModel"]}])
def test_a_decoder_that_reads_a_text_as_a_whole_keeps_nothing(said):
    plain, whole = (calculator.model_from_hf_config({**CONFIG, **more}) for more in ({}, said))
    assert (whole.num_parameters, whole.kv_bytes_per_token()) == (plain.num_parameters, 0)


def test_full_attention_is_not_assumed_of_an_encoder():
    config = {**CONFIG, "model_type": "unheard-of", "architectures": ["UnheardOfForMaskedLM"]}
    with pytest.raises(calculator.UnsupportedError, match="unknown model_type 'unheard-of'"):
        calculator.model_from_hf_config(config, assume_full_attention=True)


def test_a_known_type_that_is_not_read_says_why():
    with pytest.raises(calculator.UnsupportedError, match="'rwkv' is known and not read: it has a recurrence"):
        calculator.model_from_hf_config({**CONFIG, "model_type": "rwkv"}, assume_full_attention=True)


@pytest.mark.parametrize(
    ("kind", "more", "version", "why"),
    [
        # 0.33.0 model_executor/models/registry.py: none now or before, and transformers' own does not lend itself
        ("gpt_neo", {"num_layers": 4, "attention_types": [[["global", "local"], 2]], "window_size": 64}, "0.10",
         "has no class of it"),
        ("mpt", {"d_model": 64, "n_heads": 4, "n_layers": 4, "max_seq_len": 512}, "0.29", "0.28.0 was the last"),
    ],
)  # fmt: skip
def test_types_that_vllm_has_no_class_of_are_refused_there(kind, more, version, why):
    sizes = {name: CONFIG[name] for name in ("vocab_size", "torch_dtype")}
    base = {} if kind == "mpt" else {name: CONFIG[name] for name in ("hidden_size", "num_attention_heads")}
    config = {**base, **sizes, "max_position_embeddings": 512, **more, "model_type": kind}
    model = calculator.model_from_hf_config(config)
    with pytest.raises(calculator.UnsupportedError, match=why):
        calculator.plan(model, gpu="h100-sxm", seq_len=256, engine_version=version)
    assert calculator.plan(model, gpu="h100-sxm", seq_len=256, engine="sglang").fits
    if kind == "mpt":
        assert calculator.plan(model, gpu="h100-sxm", seq_len=256, engine_version="0.28").fits


def test_an_unknown_wrapper_around_a_known_text_part_is_said():
    model = calculator.model_from_hf_config({"model_type": "unheard-of", "text_config": CONFIG})
    assert any("model_type 'unheard-of' is not known: its text part is read as llama" in said for said in model.assumed)


def test_windows_of_cohere_are_a_token_longer_in_vllm():
    # vLLM 0.33.0 model_executor/models/commandr.py: sliding_window + 1, which 0.27.1 does not have. 8 layers, each
    # fourth with every token: three groups of windows, which keep 4,097 - 1 tokens and those of one batch of 2,048
    config = {
        **CONFIG, "model_type": "cohere2", "num_hidden_layers": 8, "sliding_window": 4_097, "sliding_window_pattern": 4,
        "max_position_embeddings": 131_072,
    }  # fmt: skip
    asked = {"seq_len": 65_536, "max_num_batched_tokens": 2_048, "async_scheduling": False}
    taken = {version: _blocks(config, version, asked) for version in ("0.27.0", "0.33.0")}
    # 6,144 / 16 = 384 blocks and one more; a token more begins another
    assert taken == {"0.27.0": 65_536 // 16 + 3 * 385, "0.33.0": 65_536 // 16 + 3 * 386}


def _blocks(config, version, asked):
    plan = calculator.plan(calculator.model_from_hf_config(config), gpu="h100-sxm", engine_version=version, **asked)
    return plan.stage.geometry.pools[0].blocks(65_536)


def test_an_encoders_tokens_are_charged_by_the_pass_in_the_concurrency_that_vllm_prints():
    # vLLM 0.33.0's own planner with 20 GiB for KV: 404.54 = 218,453 blocks over 28 for 448 tokens and 512 for 8,192
    whisper = {
        "model_type": "whisper", "d_model": 384, "encoder_layers": 4, "decoder_layers": 4, "encoder_attention_heads": 6,
        "decoder_attention_heads": 6, "encoder_ffn_dim": 1536, "decoder_ffn_dim": 1536, "vocab_size": 51865,
        "num_mel_bins": 80, "max_source_positions": 1500, "max_target_positions": 448,
    }  # fmt: skip
    plan = pool(whisper, seq_len=448, encoder_seq_len=1_500, max_num_batched_tokens=8_192)
    assert (plan.num_blocks, plan.max_concurrency) == (218_453, pytest.approx(404.5425925925926))
    # what a request of 1,500 tokens really takes: 28 and 94 blocks, one of them held back
    assert plan.max_batch_size == 218_452 // (28 + 94)


def test_memory_is_not_said_to_hold_a_number_of_sequences_of_which_nothing_is_kept():
    notes = pool(BERT).notes
    assert any("memory does not limit how many run at once: max_num_seqs" in note for note in notes)
    assert not any("memory holds" in note for note in notes)
