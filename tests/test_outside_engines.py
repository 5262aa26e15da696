"""What each engine's own source says of blocks, slots and pools, worked by hand to the last block.

Every expectation is arithmetic on the cited function of the engine's package, or a figure that an engine printed.
"""

import pytest

import calculator
from calculator import plan

GIB = 2**30
LLAMA_BLOCK = 16 * 131_072  # 16 tokens x 32 layers x 8 heads x (128 + 128) x 2 bytes
PAGE_GPT_OSS = 16 * 2_048  # one layer: 16 tokens x 8 heads x (64 + 64) x 2 bytes


def given_pool(model, pool, **asked):
    """Return a plan with the KV pool given outright, so that weights and overheads do not matter."""
    return plan(model, gpu_memory_bytes=2**44, kv_cache_memory_bytes=pool, **asked)


# vLLM 0.33.0


@pytest.mark.parametrize(
    ("in_flight", "blocks"),
    # v1/kv_cache_interface.py SlidingWindowSpec.max_admission_blocks_per_request:
    # cdiv(min(window - 1 + in flight, longest), 16) + 1; 127 + 4,097 is 264 blocks to the token, one more is 265
    [(4_096, 264 + 1), (4_097, 264 + 1), (4_098, 265 + 1)],
)
def test_a_window_of_vllm_is_charged_to_the_token(in_flight, blocks):
    answer = given_pool(
        "gpt-oss-20b", 20 * GIB, seq_len=131_072, kv_cache_dtype="bf16", async_scheduling=False,
        max_num_batched_tokens=in_flight,
    )  # fmt: skip
    # 12 full layers of 131,072 / 16 blocks and 12 windowed ones, two groups that share blocks of 12 layers
    assert answer.allocated_bytes_per_sequence == (8_192 + blocks) * 12 * PAGE_GPT_OSS


@pytest.mark.parametrize(("in_flight", "blocks"), [(4_096, 768), (4_097, 769), (4_112, 769), (4_113, 770)])
def test_a_chunk_of_vllm_is_charged_to_the_token(in_flight, blocks):
    # ChunkedLocalAttentionSpec.max_admission_blocks_per_request: cdiv(8,192 + in flight, 16), none besides;
    # Llama 4 Scout: 12 layers of all tokens and 36 of a chunk, 8 heads of 128: groups of 12, so 3 of chunks
    answer = given_pool(
        "llama-4-scout", 20 * GIB, seq_len=131_072, kv_cache_dtype="bf16", async_scheduling=False,
        max_num_batched_tokens=in_flight,
    )  # fmt: skip
    assert answer.allocated_bytes_per_sequence == (8_192 + 3 * blocks) * 12 * 16 * 4_096


@pytest.mark.parametrize(("blocks", "held"), [(512, 0), (513, 1), (1_024, 1), (1_025, 2)])
def test_vllm_keeps_one_block_for_itself(blocks, held):
    # v1/core/block_pool.py BlockPool takes null_block off the free queue: 8,192 tokens take 512 of the others
    answer = given_pool("llama-3.1-8b", blocks * LLAMA_BLOCK, seq_len=8_192, kv_cache_dtype="bf16")
    assert (answer.num_blocks, answer.max_batch_size, answer.fits) == (blocks, held, held >= 1)
    assert answer.max_context_len == 16 * (blocks - 1)


@pytest.mark.parametrize(("blocks", "held"), [(777, 0), (778, 1), (1_554, 1), (1_555, 2)])
def test_vllm_keeps_one_block_of_groups_too(blocks, held):
    # 8,192 tokens: 512 blocks of full layers and cdiv(127 + 4,096, 16) + 1 = 265 of windows
    answer = given_pool(
        "gpt-oss-20b", blocks * 12 * PAGE_GPT_OSS, seq_len=8_192, kv_cache_dtype="bf16", async_scheduling=False,
        max_num_batched_tokens=4_096,
    )  # fmt: skip
    assert (answer.num_blocks, answer.max_batch_size) == (blocks, held)


@pytest.mark.parametrize(
    ("asked", "tokens", "sequences"),
    # engine/arg_utils.py get_batch_defaults, of the API server
    [
        ({"gpu_memory_bytes": 160 * GIB}, 16_384, 1_024), ({"gpu_memory_bytes": 160 * GIB - 1}, 8_192, 1_024),
        ({"gpu_memory_bytes": 70 * GIB}, 8_192, 1_024), ({"gpu_memory_bytes": 70 * GIB - 1}, 2_048, 256),
        ({"gpu": "a100-80gb-sxm"}, 2_048, 256), ({"gpu": "h100-sxm"}, 8_192, 1_024),
        ({"gpu_memory_bytes": 160 * GIB, "engine_version": "0.27"}, 8_192, 1_024),
        ({"gpu": "h100-sxm", "engine_version": "0.7"}, 8_192, 256),
    ],
)  # fmt: skip
def test_vllm_batches_by_the_memory_of_the_device(asked, tokens, sequences):
    request = plan("llama-3-8b", seq_len=8_192, **asked).request
    assert (request.max_num_batched_tokens, request.max_num_seqs) == (tokens, sequences)


@pytest.mark.parametrize(
    ("sequences", "sizes"),
    # config/vllm.py _set_cudagraph_sizes: 1, 2, 4, then steps of 8 below 256 and of 16 from there, up to
    # min(2 x max_num_seqs, 512): 512 gives 3 + 31 + 17
    [(1, 2), (2, 3), (3, 3), (4, 4), (64, 19), (127, 34), (128, 35), (135, 35), (136, 36), (256, 51), (1_024, 51)],
)
def test_vllm_captures_graphs_up_to_twice_its_sequences(sequences, sizes):
    answer = plan("llama-3-8b", gpu="h100-sxm", seq_len=8_192, max_num_seqs=sequences)
    assert answer.per_gpu.cuda_graph_bytes == -(-GIB * sizes // 51)


# SGLang 0.5.23


@pytest.mark.parametrize(
    ("mib", "asked", "reserved"),
    # arg_groups/memory_hook.py [MiB]: 512 + 1.5 x max(chunk, 2,048) + 1,024 x TP x PP / 8 + 2 x largest decode batch
    # + 8 x prompt sizes (generate_prefill_cuda_graph_batch_sizes: 42 up to 2,048 tokens, 50 to 4,096, 58 to 8,192, 74
    # to 16,384); by memory: below 20 GiB a chunk of 2,048 and a batch of 8, below 35 4,096 and 48 or, from TP 4 on,
    # 160, below 60 4,096 and 32 or 160, below 160 8,192 and 256 or 512, else 16,384 and 512
    [
        (16_000, {}, 512 + 3_072 + 128 + 16 + 336),
        (24_000, {}, 512 + 6_144 + 128 + 96 + 400),
        (24_000, {"tensor_parallel_size": 2}, 512 + 6_144 + 256 + 96 + 400),
        (24_000, {"tensor_parallel_size": 4}, 512 + 6_144 + 512 + 320 + 400),
        (24_000, {"max_num_seqs": 40}, 512 + 6_144 + 128 + 80 + 400),
        (24_000, {"max_num_batched_tokens": 1_000}, 512 + 3_072 + 128 + 96 + 8 * 37),
        # so little memory that the last prompt size, 8 MiB, shows: 1,592 / 15,000
        (15_000, {"max_num_batched_tokens": 8_192}, 512 + 12_288 + 128 + 16 + 464),
        (20_480, {}, 512 + 6_144 + 128 + 96 + 400), (20_479, {}, 512 + 3_072 + 128 + 16 + 336),
        (35_840, {}, 512 + 6_144 + 128 + 64 + 400), (35_839, {}, 512 + 6_144 + 128 + 96 + 400),
        (61_440, {}, 512 + 12_288 + 128 + 512 + 464), (61_439, {}, 512 + 6_144 + 128 + 64 + 400),
        (100_000, {"tensor_parallel_size": 8}, 512 + 12_288 + 1_024 + 1_024 + 464),
        # a floor of 10 GiB above 60 GiB
        (100_000, {"max_num_batched_tokens": 2_048, "max_num_seqs": 8}, 10_240),
        (61_439, {"max_num_batched_tokens": 2_048, "max_num_seqs": 8}, 512 + 3_072 + 128 + 16 + 336),
        (163_840, {}, 512 + 24_576 + 128 + 1_024 + 592), (163_839, {}, 512 + 12_288 + 128 + 512 + 464),
        # no graphs of prompts with pipeline stages, none at all when eager
        (24_000, {"pipeline_parallel_size": 2}, 512 + 6_144 + 256 + 96),
        (24_000, {"enforce_eager": True}, 512 + 6_144 + 128),
        # attention data parallelism: 3 x batch x ranks, and half of that again above 300
        (100_000, {"tensor_parallel_size": 8, "enable_attention_dp": True},
         512 + 12_288 + 1_024 + 1_024 + 464 + 3 * 512 * 8 + 3 * 512 * 8 // 2),
        (100_000, {"tensor_parallel_size": 8, "enable_attention_dp": True, "max_num_seqs": 300},
         512 + 12_288 + 1_024 + 600 + 464 + 3 * 300 * 8),
    ],
)  # fmt: skip
def test_sglang_reserves_what_its_source_adds_up(mib, asked, reserved):
    answer = plan("llama-3-8b", gpu_memory_bytes=mib * 2**20, engine="sglang", seq_len=8_192, **asked)
    assert answer.request.gpu_memory_utilization == round((mib - reserved) / mib, 3)


@pytest.mark.parametrize(
    ("version", "mib", "asked", "fraction"),
    [
        # 0.4.4 server_args.py:204: a table by TP
        ("0.4.4", 81_559, {}, 0.88), ("0.4.4", 81_559, {"tensor_parallel_size": 2}, 0.87),
        ("0.4.4", 81_559, {"tensor_parallel_size": 4}, 0.85), ("0.4.4", 81_559, {"tensor_parallel_size": 8}, 0.81),
        # 0.4.9 server_args.py:280, n = TP x PP: below 35 GiB 2.8 + n/10 GiB, below 90 9.5 + n/2, below 160 12 + n/2,
        # else 32; 4 GiB more with attention data parallelism
        ("0.4.9", 81_559, {}, round((81_559 - 10 * 1_024) / 81_559, 3)),
        ("0.5.1", 24_564, {"tensor_parallel_size": 2}, round((24_564 - 3_072) / 24_564, 3)),
        ("0.4.10.post2", 143_771, {"tensor_parallel_size": 4, "pipeline_parallel_size": 2},
         round((143_771 - 16 * 1_024) / 143_771, 3)),
        ("0.5.1", 183_359, {"tensor_parallel_size": 8}, round((183_359 - 32 * 1_024) / 183_359, 3)),
        ("0.4.9", 81_559, {"tensor_parallel_size": 8, "enable_attention_dp": True},
         round((81_559 - 17.5 * 1_024) / 81_559, 3)),
        # 0.5.5 server_args.py:785: 512 + 1.5 x 8,192 + 128 + 2 x 256, no graphs of prompts before 0.5.10
        ("0.5.5", 81_559, {}, round((81_559 - 13_440) / 81_559, 3)),
        ("0.5.8", 81_559, {"max_num_batched_tokens": 2_048}, round((81_559 - 10_240) / 81_559, 3)),
        # requests at once bound captured batches since 0.5.23 alone
        ("0.5.8", 81_559, {"max_num_seqs": 8}, round((81_559 - 13_440) / 81_559, 3)),
        # 0.5.10: 58 sizes of 8 MiB, none with attention data parallelism until 0.5.18
        ("0.5.10", 81_559, {}, round((81_559 - 13_904) / 81_559, 3)),
        # 512 + 12,288 + 1,024 + 1,024 + 3 x 512 x 8 + 1.5 x 512 x 8
        ("0.5.12", 100_000, {"tensor_parallel_size": 8, "enable_attention_dp": True},
         round((100_000 - 33_280) / 100_000, 3)),
        # below 35 GiB 2,048 tokens and batches of 24 up to 0.5.18: 512 + 3,072 + 128 + 48 + 8 x 42
        ("0.5.18", 24_564, {}, round((24_564 - 4_096) / 24_564, 3)),
    ],
)  # fmt: skip
def test_sglang_has_had_five_rules(version, mib, asked, fraction):
    memory = {"gpu_memory_bytes": mib * 2**20, "engine": "sglang", "engine_version": version, "seq_len": 8_192}
    answer = plan("llama-3-8b", **memory, **asked)
    assert answer.request.gpu_memory_utilization == fraction


@pytest.mark.parametrize(
    ("preset", "asked", "factor"),
    # 0.4.9 model_runner.py:470 to 0.5.23 attention_hook.py:244: aiter takes 0.15 of any fraction above 8,192 tokens;
    # model_runner.py:393: of latent attention only with 16 or 128 heads a rank
    [
        ("qwen3.5-27b", {"seq_len": 262_144}, 0.85), ("qwen3.5-27b", {"seq_len": 8_192}, 1),
        ("llama-3.1-8b", {"seq_len": 8_193, "engine_version": "0.4.9"}, 0.85),
        ("llama-3.1-8b", {"seq_len": 8_193, "engine_version": "0.4.4"}, 1),
        ("deepseek-r1", {"seq_len": 16_384, "tensor_parallel_size": 8}, 0.85),
        ("deepseek-r1", {"seq_len": 16_384, "tensor_parallel_size": 4}, 1),
    ],
)  # fmt: skip
def test_aiter_takes_of_the_fraction_of_a_long_context(preset, asked, factor):
    device = {"gpu": "mi355x", "engine": "sglang", "gpu_memory_utilization": 0.8, "non_torch_bytes": GIB}
    answer = plan(preset, **device, **asked)
    memory = answer.per_gpu
    free = memory.total_bytes - GIB
    assert memory.kv_pool_bytes == pytest.approx(free * 0.8 * factor - memory.weights_bytes, abs=2)
    assert any(note.key == "notes.fraction_used" for note in answer.notes) is (factor < 1)


@pytest.mark.parametrize(
    ("version", "asked", "slots", "kept"),
    # a state of Qwen3.5-27B: 48 layers of 48 heads of 128 x 128 in 32 bit, and 3 x 10,240 of a convolution in 16 bit
    [
        # server_args.py, model_runner.py: without a cache of prefixes as many as requests, else 512 until 0.5.8
        ("0.5.5", {"max_num_seqs": 32}, 32, 32),
        ("0.5.8", {}, 512, 512),
        # from 0.5.12 only requests that are asked for; 0.5.18 counts a slot of padding
        ("0.5.12", {"max_num_seqs": 32}, 32, 32),
        ("0.5.23", {"max_num_seqs": 32}, 32, 33),
    ],
)
def test_slots_of_states_without_a_cache_of_prefixes(version, asked, slots, kept):
    slot = 48 * (48 * 128 * 128 * 4 + 3 * 10_240 * 2)
    answer = given_pool(
        "qwen3.5-27b", 100 * GIB, engine="sglang", engine_version=version, seq_len=512, kv_cache_dtype="bf16",
        enable_prefix_caching=False, **asked,
    )  # fmt: skip
    assert answer.reported_kv_tokens == (100 * GIB - kept * slot) // 65_536
    assert answer.max_batch_size == slots


def test_the_ratio_of_states_before_slots_were_padded():
    # 0.5.12 handle_max_mamba_cache: int(0.9 / 1.9 of the rest // state), and the rest of it for tokens
    slot = 48 * (48 * 128 * 128 * 4 + 3 * 10_240 * 2)
    pool = 40 * GIB
    asked = {"engine": "sglang", "engine_version": "0.5.12", "seq_len": 1_024, "kv_cache_dtype": "bf16"}
    answer = given_pool("qwen3.5-27b", pool, **asked)
    slots = int(pool * 0.9 / 1.9 // slot)
    assert answer.reported_kv_tokens == (pool - slots * slot) // 65_536


@pytest.mark.parametrize(("version", "counted"), [("0.5.8", 708), ("0.5.12", 708), ("0.5.18", 788), ("0.5.23", 788)])
def test_rows_of_sparse_attention_are_counted_at_fewer_bytes_than_allocated(version, counted):
    # 512 + 64 elements in 8 bit and 132 of the indexer; allocated are 512 + 16 + 128 + 132 in each of 61 layers
    answer = given_pool(
        "deepseek-v3.2", 100 * GIB, engine="sglang", engine_version=version, seq_len=1_024, kv_cache_dtype="fp8_ds_mla"
    )
    assert answer.reported_kv_tokens == 100 * GIB // (61 * counted * 64) * 64
    assert answer.allocated_bytes_per_sequence == 1_024 * 61 * 788


@pytest.fixture
def hybrid():
    """The start of Qwen3.8-27B in fp8 on an H100 that a public log shows: 17.92 GiB of states and 20.16 of keys.

    python -m sglang.launch_server --model-path Qwen/Qwen3.8-27B-FP8 --mem-fraction-static 0.85
    Mamba Cache is allocated. max_mamba_cache_size: 124, conv_state size: 0.34GB, ssm_state size: 17.58GB
    KV Cache is allocated. dtype: torch.bfloat16, #tokens: 330323, K size: 10.08 GB, V size: 10.08 GB
    """
    return given_pool("qwen3.5-27b", int(38.08 * GIB), engine="sglang", seq_len=1_024, kv_cache_dtype="bf16")


def test_sglang_pads_the_states_by_one_slot(hybrid):
    # kv_cache_configurator.py: slots = int((budget - slot) // slot), memory (slots + 1) x slot; without the slot of
    # padding 2,349 tokens more would be left. Sizes are printed to 0.01 GiB: 164 tokens of 65,536 bytes either way
    assert hybrid.reported_kv_tokens == pytest.approx(330_323, abs=164)


def test_sglang_keeps_three_slots_for_a_request(hybrid):
    # kv_cache_configurator.py MAMBA_CACHE_SIZE_MAX_RUNNING_REQUESTS_RATIO = 3: 124 slots // 3
    assert hybrid.max_batch_size == 41


@pytest.mark.parametrize(
    ("page", "most"),
    # mem_cache/prefill_budget.py estimate_swa_kv_tokens: min(length, window) + page_size.
    # 20 GiB // (12 + 0.8 x 12 layers of 2,048 bytes) = 485,451 tokens, int(0.8 x that) = 388,360 of windows;
    # // (128 + 1) = 3,010 sequences of 160 tokens, where the full pool would hold 485,451 // 160 = 3,034.
    # Pages of 16: 485,440 and 388,352 tokens; 24,272 pages // ((128 + 16) / 16) = 2,696. Of 64: 485,440 and 388,352
    # tokens, 6,068 pages // ((128 + 64) / 64) = 2,022
    [(1, 3_010), (16, 2_696), (64, 2_022)],
)
def test_sglang_reserves_a_page_beside_the_window(page, most):
    # at a page of 64, 160 tokens are 3 pages of either pool, so the window's decides there too
    answer = given_pool("gpt-oss-20b", 20 * GIB, engine="sglang", seq_len=160, kv_cache_dtype="bf16", block_size=page)
    assert answer.max_batch_size == most


def test_the_tighter_pool_of_sglang_decides():
    # 485,451 tokens // 8,192 of the full pool; that of windows would hold 388,360 // 129 = 3,010
    answer = given_pool("gpt-oss-20b", 20 * GIB, engine="sglang", seq_len=8_192, kv_cache_dtype="bf16")
    assert answer.max_concurrency == pytest.approx(485_451 / 8_192)
    assert answer.max_batch_size == 59


def vision(**sizes):
    """Return a small text model with an encoder of images of the given sizes."""
    return calculator.model_from_hf_config(
        {
            "model_type": "gemma3",
            "text_config": {
                "model_type": "gemma3_text", "num_hidden_layers": 2, "hidden_size": 256, "intermediate_size": 512,
                "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 1000,
            },
            "vision_config": {
                "model_type": "siglip_vision_model", "intermediate_size": 4304, "num_attention_heads": 16,
                "image_size": 896, "patch_size": 14, **sizes,
            },
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("layers", "width", "factor"),
    # arg_groups/memory_hook.py adjust_mem_fraction_for_vlm: 0.95 x clamp(1 - 0.1 x (ratio - 1), 0.8, 1.05), where the
    # ratio is layers x width² to 24 x 1,024²: SigLIP-So400m 27 x 1,152² is 1.42383; ViT-L/14 is 1; 48 x 1,024² is 2;
    # 12 x 768² is 0.28125, which would be 1.0719; 45 x 3,200² is 18.3
    [
        (27, 1_152, 0.95 * 0.957617), (24, 1_024, 0.95), (48, 1_024, 0.95 * 0.9), (12, 768, 0.95 * 1.05),
        (45, 3_200, 0.95 * 0.8),
    ],
)  # fmt: skip
def test_sglang_takes_off_its_fraction_for_an_encoder(layers, width, factor):
    model = vision(num_hidden_layers=layers, hidden_size=width)
    answer = plan(model, gpu="h100-sxm", engine="sglang", seq_len=1_024)
    # 81,559 MiB; 512 + 1.5 x 8,192 + 1,024 / 8 + 2 x 256 = 13,440 reserved: prefill graphs are off beside images
    assert answer.request.gpu_memory_utilization == pytest.approx(0.835 * factor, abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "sizes", "factor"),
    # the hook reads num_hidden_layers and hidden_size of the config object and takes 24 and 1,024 where it has no such
    # attribute: Qwen2-VL has depth, and its hidden_size is the text decoder's, 24 x 3,584² is 12.25; Qwen3-VL's is the
    # encoder's own, 24 x 1,152² is 1.265625; SigLIP's class has 12 layers of 768 where the config is silent
    [
        ("qwen2_vl", {"depth": 32, "embed_dim": 1_280, "hidden_size": 3_584}, 0.8),
        ("qwen2_vl", {}, 0.8),
        ("qwen3_vl", {"depth": 27, "hidden_size": 1_152}, 0.9734375),
        ("siglip_vision_model", {}, 1.05),
    ],
)
def test_sglang_reads_an_encoder_by_the_names_it_knows(kind, sizes, factor):
    config = {"model_type": kind, **sizes}
    model = calculator.model_from_hf_config(
        {
            "text_config": {
                "model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8,
                "vocab_size": 100, "intermediate_size": 64, "max_position_embeddings": 2_048, "hidden_size": 3_584,
            },
            "vision_config": config,
        }
    )  # fmt: skip
    answer = plan(model, gpu="h100-sxm", engine="sglang", seq_len=1_024)
    assert answer.request.gpu_memory_utilization == pytest.approx(0.835 * 0.95 * factor, abs=1e-6)


# TensorRT-LLM


@pytest.mark.parametrize(("tokens", "blocks"), [(32, 2), (33, 3), (512, 17), (1_024, 33), (1_025, 33), (8_192, 33)])
def test_tensorrt_llm_keeps_a_block_more_for_a_window(tokens, blocks):
    # batch_manager/kvCacheManager.h kSWAExtraBlock = 1: "to be able to always keep window size tokens held in the
    # blocks"; Gemma 3 27B: 10 full and 52 windowed layers of 1,024 tokens, 16 heads of 128: 8,192 bytes a layer
    answer = given_pool("gemma-3-27b", 20 * GIB, engine="tensorrt-llm", seq_len=tokens, kv_cache_dtype="bf16")
    full = -(-tokens // 32)
    assert answer.allocated_bytes_per_sequence == 32 * 8_192 * (10 * full + 52 * blocks)


def test_vllm_before_0_8_keeps_latent_rows_as_640():
    # a log of vLLM 0.7 prints 294,688 tokens in 21.43 GiB for DeepSeek-R1: 61 x 640 x 2 bytes a token, not 576
    answer = given_pool(
        "deepseek-v3", int(21.43 * GIB), engine_version="0.7", tensor_parallel_size=8, seq_len=8_192,
        kv_cache_dtype="bf16",
    )  # fmt: skip
    assert answer.reported_kv_tokens == pytest.approx(294_688, rel=0.005 / 21.43)
    # other rows are kept as they are: 2 layers of 9 heads with 40 + 40 elements
    odd = calculator.custom_model(
        num_layers=2, num_attention_heads=9, num_key_value_heads=9, head_dim=40, hidden_size=360,
        intermediate_size=512, vocab_size=1_000, max_position_embeddings=4_096, tie_word_embeddings=True,
    )  # fmt: skip
    assert given_pool(odd, GIB, engine_version="0.7", seq_len=16).allocated_bytes_per_sequence == 16 * 2 * 9 * 80 * 2


@pytest.mark.parametrize("size", [2, 32, 128])
def test_a_block_of_tensorrt_llm_is_a_power_of_two_above_1(size):
    # KvCacheConfig.tokens_per_block: "must be a power of two and larger than 1"
    answer = plan("llama-3-8b", gpu="h100-sxm", engine="tensorrt-llm", block_size=size)
    assert answer.request.block_size == size


# Start-up of an engine that trtllm-build made, TensorRT-LLM docs/source/reference/memory.md (LLaMA 2 7B by its bytes a
# token, 63.44 GiB / 259,840 = 32 layers x 2 x 32 heads x 128 in fp8)
BUILT = """\
[TensorRT-LLM][INFO] Loaded engine size: 6695 MiB
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 1134.01 MiB for execution context memory.
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 43.29 MB GPU memory for runtime buffers.
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 180.30 MB GPU memory for decoder.
[TensorRT-LLM][INFO] Memory usage when calculating max tokens in paged kv cache: total: 79.10 GiB, available: 70.48 GiB
[TensorRT-LLM][INFO] Number of blocks in KV cache primary pool: 4060
[TensorRT-LLM][INFO] Number of tokens per block: 64.
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 63.44 GiB for max tokens in paged KV cache (259840).
"""
ON_H100 = {"model": "llama-2-7b", "gpu": "h100-sxm", "weight_dtype": "fp8", "kv_cache_dtype": "fp8"}


@pytest.mark.parametrize(("version", "used"), [("", "0.21"), ("1.1.0", "0.21"), ("0.15.0", "0.15")])
def test_a_log_of_a_built_engine_has_its_rules_whatever_its_version(version, used):
    line = f"[TensorRT-LLM] TensorRT-LLM version: {version}\n" if version else ""
    found = calculator.reconcile(line + BUILT, **ON_H100, max_num_seqs=256)
    assert found.plan.rules.version == used
    assert found.agrees
    assert found.causes == ()
    terms = {term.key: term.reported for term in found.terms}
    # 1,134.01 + 43.29 + 180.30 MiB, and 79.10 - 70.48 less that and the engine's 6,695
    assert terms["activations"] == pytest.approx(1357.60 / 1024, abs=1e-3)
    assert terms["outside"] == pytest.approx(8.62 - (6695 + 1357.60) / 1024, abs=1e-3)
    assert bool(found.log.problems) is (version != "0.15.0")


def test_a_built_engine_takes_its_fraction_of_what_is_free_after_loading():
    answer = calculator.plan(**ON_H100, engine="tensorrt-llm", engine_version="0.15", gpu_memory_bytes=80 * 2**30,
                             activation_bytes=2 * 2**30, non_torch_bytes=2**30)  # fmt: skip
    free = 77 * 2**30 - answer.per_gpu.weights_bytes
    assert abs(answer.kv_pool_bytes - free * 9 // 10) <= 1
    assert (answer.request.block_size, answer.request.max_num_seqs, answer.per_gpu.cuda_graph_bytes) == (64, 2048, 0)
    # buffers grow with sequences x vocabulary: 7.2 fp32 copies of 32,000 logits each
    fewer, more = (calculator.vary(answer, activation_bytes=None, max_num_seqs=n) for n in (256, 2048))
    assert more.per_gpu.activation_bytes - fewer.per_gpu.activation_bytes == 72 * 4 * 1792 * 32_000 // 10


def test_a_log_of_the_pytorch_backend_before_1_0_has_the_rules_of_1_0():
    log = (
        "[TensorRT-LLM] TensorRT-LLM version: 0.20.0\n"
        "[TRT-LLM] [I] Peak memory during memory usage profiling (torch + non-torch): 17.76 GiB, available KV cache "
        "memory when calculating max tokens: 109.96 GiB, fraction is set 0.9, kv size is 131072. device total memory "
        "139.80 GiB\n"
    )
    found = calculator.reconcile(log, model="llama-3-8b", gpu="h200")
    assert found.plan.rules.version == "1.0"
    assert any("PyTorch backend" in text for text in found.log.problems)
