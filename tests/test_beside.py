"""What stands beside a model: drafters, adapters, formats of states, other processes, the host; and what starts."""

import json
import math

import pytest

import calculator
from calculator.units import GIB
from dashboard.link import drafts

MTP = {"method": "mtp", "num_speculative_tokens": 3}


def given_pool(model, pool, **asked):
    """Return a plan with the KV pool given outright, so that weights and overheads do not matter."""
    return calculator.plan(model, **{"gpu_memory_bytes": 2**44, "kv_cache_memory_bytes": int(pool), **asked})


# Drafts


@pytest.mark.parametrize(
    ("model", "pool", "asked", "block_size", "blocks", "of_a_request", "printed"),
    [
        # noonghunna/club-3090#142: 2 x 3090, TP 2, fp8, prefixes cached, 11.08 GiB to two places; 262,144 / 1,600 are
        # 164 blocks, and 2 + 3 pages of each of three groups of 17 layers: 426 / 179 x 262,144
        ("qwen3.5-27b", 11.0755 * GIB, {"tensor_parallel_size": 2, "kv_cache_dtype": "fp8", "engine_version": "0.21",
         "enable_prefix_caching": True}, 1600, 426, 179, 623_873),
        # noonghunna/club-3090#594: the same on 0.24 with 5.33 GiB
        ("qwen3.5-27b", 5_723_043_921, {"tensor_parallel_size": 2, "kv_cache_dtype": "fp8", "engine_version": "0.24",
         "enable_prefix_caching": True}, 1600, 205, 179, 300_220),
        # sostrowsk/dgx-spark-local-llm qwen38-int4.log: 80.17 GiB, 16 bit, no prefixes: 328 + 3 x (1 + 3)
        ("qwen3.5-27b", 80.17 * GIB, {"engine_version": "0.25"}, 800, 1545, 340, 1_191_213),
        # qwen38-nvfp4.log: 76.4 GiB, fp8
        ("qwen3.5-27b", 76.4 * GIB, {"engine_version": "0.25", "kv_cache_dtype": "fp8"}, 1600, 1472, 176, 2_192_477),
        # qwen36.log: 40 layers, 11 with the drafter's in a group; 74.22 GiB to two places
        ("qwen3.5-35b-a3b", 74.222 * GIB, {"engine_version": "0.25"}, 1072, 3300, 257, 3_366_051),
    ],
)  # fmt: skip
def test_layers_of_the_checkpoint_that_draft_are_logged_so(
    model, pool, asked, block_size, blocks, of_a_request, printed
):
    answer = given_pool(model, pool, seq_len=262_144, max_num_seqs=32, speculative_config=MTP, **asked)
    assert (answer.request.block_size, answer.num_blocks) == (block_size, blocks)
    assert answer.max_concurrency == blocks / of_a_request
    assert answer.reported_kv_tokens == printed
    assert answer.fits


def test_without_drafts_the_block_is_shorter():
    # the state keeps no more columns: 1,568 tokens (vllm-project/vllm#49064 has 784 of 16 bit)
    asked = {"tensor_parallel_size": 2, "kv_cache_dtype": "fp8", "engine_version": "0.24"}
    plain = given_pool("qwen3.5-27b", 5 * GIB, **asked)
    drafted = given_pool("qwen3.5-27b", 5 * GIB, speculative_config=MTP, **asked)
    assert (plain.request.block_size, drafted.request.block_size) == (1568, 1600)
    # tokens drafted from the text itself need the columns and pages, not a layer: 48 and 16 layers are three and one
    text = given_pool(
        "qwen3.5-27b", 5 * GIB, speculative_config={"method": "ngram", "num_speculative_tokens": 3}, **asked
    )
    assert (text.request.block_size, text.per_gpu.draft_bytes) == (1600, 0)
    assert [claim.fixed for claim in text.stage.geometry.pools[0].claims] == [12, 0]


def test_weights_of_a_layer_that_drafts():
    # Qwen3.5 27B, one layer of full attention: q and its gate 2 x 24 x 256, k and v 4 x 256 each, o, MLP 3 x 17,408;
    # two norms and two of 256; 2h -> h and three norms before and after it. Embedding and head are the model's.
    h, q, kv, width = 5120, 24 * 256, 4 * 256, 17_408
    layer = 2 * h * q + 2 * h * kv + q * h + 3 * h * width + 2 * h + 2 * 256
    joined = 2 * h * h + 3 * h
    answer = calculator.plan("qwen3.5-27b", "h200", speculative_config=MTP)
    assert answer.per_gpu.draft_bytes == 2 * (layer + joined)
    (line,) = (line for line in answer.stage.overheads if line.line.key == "draft")
    assert (line.low, line.high) == (line.bytes, line.bytes)
    # SGLang keeps an embedding and a head of 248,320 x 5,120 once more
    kept = calculator.plan("qwen3.5-27b", "h200", engine="sglang", speculative_config=MTP)
    assert kept.per_gpu.draft_bytes == 2 * (layer + joined + 2 * 248_320 * h)


def test_a_layer_of_latent_attention_drafts():
    # DeepSeek-V3: 61 layers and one of its own for 62; block x (512 + 64) x 2 bytes each
    answer = given_pool("deepseek-v3", 10 * GIB, tensor_parallel_size=8, speculative_config={"method": "mtp"})
    assert answer.request.speculative_config["num_speculative_tokens"] == 1
    assert answer.num_blocks == 10 * GIB // (62 * 16 * 576 * 2)


def test_a_draft_model_has_weights_and_a_cache_of_its_own():
    small = calculator.load_model("llama-3.2-1b")
    asked = {"tensor_parallel_size": 4, "speculative_config": {"model": "llama-3.2-1b", "num_speculative_tokens": 5}}
    answer = given_pool("llama-3.3-70b", 40 * GIB, **asked)
    # 80 layers of 8 heads of 128 and 16 of 8 heads of 64, two heads of each on a rank
    assert answer.num_blocks == 40 * GIB // (16 * (80 * 2 * 2 * 128 * 2 + 16 * 2 * 2 * 64 * 2))
    norms = 2 * (2 * 16 + 1) * 2048
    assert answer.per_gpu.draft_bytes == (2 * small.num_parameters - norms) // 4 + norms
    # llama.cpp: a context of its own in 16 bit, whatever the model's cache is in
    llama = calculator.plan("llama-3.3-70b", "h200", engine="llama.cpp", weight_dtype="q4_k_m", seq_len=8192,
                            kv_cache_dtype="q8_0", speculative_config={"method": "draft_model", "model": "llama-3.2-1b",
                                                                       "num_speculative_tokens": 8})  # fmt: skip
    own = 8192 * 80 * 2 * 8 * 128 // 32 * 34
    assert llama.allocated_bytes_per_sequence == own + 8192 * 16 * 2 * 8 * 64 * 2
    assert calculator.serve_command(llama).endswith("--model-draft llama-3.2-1b.gguf --draft-max 8")


def test_a_head_is_one_layer_whose_first_projections_read_twice():
    # EAGLE-3 on Llama 3.1 8B: vLLM 0.33.0 llama_eagle3.py; q, k, v read token and hidden state, 3h -> h joins three
    # hidden states, a head of 32,000 tokens; norms of the layer, of the hidden state and of the end
    config = {"method": "eagle3", "model": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "num_speculative_tokens": 3}
    answer = given_pool("llama-3.1-8b", 33 * GIB, speculative_config=config)
    h, kv, width = 4096, 1024, 14_336
    layer = 2 * h * (h + 2 * kv) + h * h + 3 * h * width + 2 * h
    assert answer.per_gpu.draft_bytes == 2 * (layer + 3 * h * h + 2 * h + 32_000 * h)
    assert answer.num_blocks == 33 * GIB // (33 * 16 * 4096)
    assert any("is taken for one layer of the model's own shape" in note for note in answer.notes)


def test_sglang_sets_states_of_drafts_aside():
    # 0.5.23 _handle_max_mamba_cache: slots K of (budget - (1 + D) x slot) / (slot x (1 + D / 3)), D = 4; then
    # min(48, K / 3) + 1 requests in a draft keep D states each; 16 layers and one draft's of 65,536 / 16 bytes a token
    pool, slot = 40 * GIB, 48 * ((10_240 * 3) * 2 + 48 * 128 * 128 * 4)
    answer = given_pool("qwen3.5-27b", pool, engine="sglang", seq_len=32_768, speculative_config=MTP)
    slots = int((pool * 0.9 / 1.9 - 5 * slot) // (slot * (1 + 4 / 3)))
    tokens = (pool - slot * (slots + 1 + 4 * (min(48, slots // 3) + 1))) // (17 * 4096)
    assert answer.tightest.geometry.counts(pool, 32_768) == (tokens, slots)
    assert "--speculative-algorithm NEXTN --speculative-num-draft-tokens 4" in calculator.serve_command(answer)


@pytest.mark.parametrize(
    ("model", "asked", "said"),
    [
        ("llama-3-8b", {"method": "mtp"}, "not known for LLaMA 3 8B"),
        ("qwen3.5-27b", {"method": "dflash", "num_speculative_tokens": 8}, "what dflash takes is not known here"),
        ("qwen3.5-27b", {"method": "egale"}, "did you mean eagle"),
        ("llama-3-8b", {"method": "ngram"}, "num_speculative_tokens is missing"),
        ("llama-3-8b", {"method": "eagle", "num_speculative_tokens": 2}, "model is missing"),
        ("llama-3-8b", {"method": "eagle", "tokens": 2}, "did you mean num_speculative_tokens"),
        ("deepseek-v3", {"method": "eagle", "model": "a/head", "num_speculative_tokens": 2}, "path of its config.json"),
        ("llama-3-8b", {"model": "no-such-model", "num_speculative_tokens": 2}, "unknown model 'no-such-model'"),
        ("llama-3-8b", {"model": "llama-3.2-1b", "num_speculative_tokens": 2, "kv_cache_dtype": "fp8"}, "kv_cache_d"),
    ],
)  # fmt: skip
def test_drafts_that_are_not_known_are_refused(model, asked, said):
    with pytest.raises(calculator.CalculatorError, match=said):
        calculator.plan(model, "h200", speculative_config=asked)


def test_a_checkpoint_without_such_layers_and_ranks_that_a_drafter_cannot_have_are_refused():
    stated = {**calculator.load_model("deepseek-v3").fields, "num_nextn_predict_layers": 0}
    model = calculator.model_from_hf_config(stated)
    with pytest.raises(calculator.UnsupportedError, match="has no layers that predict further tokens"):
        calculator.plan(model, "h200", speculative_config={"method": "mtp"})
    with pytest.raises(calculator.ParallelismError, match="of the drafter, 14 query heads do not divide by 8"):
        calculator.plan("qwen2.5-72b", "h200", tensor_parallel_size=8,
                        speculative_config={"model": "qwen2.5-0.5b", "num_speculative_tokens": 2})  # fmt: skip


def test_drafts_are_on_every_face():
    answer = calculator.plan("qwen3.5-27b", "h200", speculative_config=MTP)
    command = calculator.serve_command(answer)
    assert "--speculative-config '" + json.dumps(MTP, separators=(",", ":")) + "'" in command
    assert json.loads(json.dumps(answer.as_dict()))["request"]["speculative_config"] == MTP
    assert json.loads(json.dumps(answer.as_dict()))["per_gpu"]["draft_bytes"] == answer.per_gpu.draft_bytes
    assert calculator.vary(answer, speculative_config=None) == calculator.plan("qwen3.5-27b", "h200")


# Adapters


@pytest.mark.parametrize("ranks", [1, 2])
def test_buffers_of_adapters_by_module(ranks):
    # vLLM 0.33.0 lora/layers: rank x (inputs + outputs as a rank holds them) for q, k, v, o, gate, up, down; embedding
    # and head of Llama whole on every rank
    h, kv, width, vocabulary = 4096, 1024, 14_336, 128_256
    # q, k, v, gate and up read the hidden size whole: five times; o and down write it: twice
    expected = 5 * h + (h + 2 * kv + 2 * width) // ranks + (h + width) // ranks + 2 * h
    answer = calculator.plan("llama-3.1-8b", "h200", tensor_parallel_size=ranks, max_loras=4, max_lora_rank=16)
    assert answer.per_gpu.lora_bytes == 4 * 16 * 2 * (32 * expected + 2 * (vocabulary + h))
    assert "--enable-lora --max-loras 4 --max-lora-rank 16" in calculator.serve_command(answer)
    without = calculator.plan("llama-3.1-8b", "h200", tensor_parallel_size=ranks)
    assert without.kv_pool_bytes - answer.kv_pool_bytes == answer.per_gpu.lora_bytes


def test_adapters_of_experts_are_of_every_expert():
    # Qwen3 30B-A3B: 128 experts of 768, router of 128; 48 layers, 32 heads of 128, 4 KV heads; embedding and head too
    h, q, kv, width = 2048, 4096, 512, 768
    layer = (h + q) + 2 * (h + kv) + (q + h) + 128 * (2 * (h + width) + width + h) + (h + 128)
    answer = calculator.plan("qwen3-30b-a3b", "h200", max_loras=1)
    assert answer.per_gpu.lora_bytes == 16 * 2 * (48 * layer + 2 * (151_936 + h))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"max_lora_rank": 20}, "max_lora_rank 20 is not one of vLLM's: .*; the nearest is 16"),
        ({"max_loras": 1, "engine": "llama.cpp"}, "llama.cpp has no LoRA adapters"),
        ({"max_loras": 2, "engine": "tensorrt-llm"}, "TensorRT-LLM has no LoRA adapters"),
        ({"n_cpu_moe": 1}, "vLLM has no switch for experts that the host holds"),
        ({"n_gpu_layers": 0}, "vLLM has no switch for layers that the host holds"),
        ({"cpu_offload_gb": 1, "engine": "llama.cpp"}, "llama.cpp has no share of the weights"),
        ({"n_gpu_layers": 1, "engine": "llama.cpp"}, "from 2 on one is"),
        ({"mamba_ssm_cache_dtype": "float16", "engine": "llama.cpp"}, "llama.cpp has no switch for the format"),
        ({"speculative_config": {"method": "mtp"}, "engine": "tensorrt-llm"}, "TensorRT-LLM has no drafts"),
        ({"speculative_config": {}}, "num_speculative_tokens is missing"),
    ],
)  # fmt: skip
def test_what_an_engine_does_not_have_is_refused(asked, said):
    with pytest.raises(calculator.CalculatorError, match=said):
        calculator.plan("llama-3.1-8b", "h200", **asked)


# States and the host


@pytest.mark.parametrize(
    ("asked", "conv", "state"),
    [
        ({}, 2, 4),
        ({"mamba_ssm_cache_dtype": "bfloat16"}, 2, 2),
        ({"mamba_cache_dtype": "float32"}, 4, 4),
        ({"engine": "sglang", "mamba_ssm_cache_dtype": "float16"}, 2, 2),
        ({"engine": "llama.cpp"}, 4, 4),
    ],
)
def test_states_are_kept_in_the_format_that_is_asked_for(asked, conv, state):
    # Qwen3.5 27B: 48 layers, 3 columns of 2 x 16 x 128 + 48 x 128 channels, 48 heads of 128 x 128, float32
    answer = calculator.plan("qwen3.5-27b", "h200", seq_len=32_768, **asked)
    assert answer.state_bytes_per_sequence == 48 * (3 * 10_240 * conv + 48 * 128 * 128 * state)


def test_a_state_follows_its_convolution_where_nothing_names_its_format():
    # Jamba names none: 28 layers of Mamba 1, 8,192 channels, 3 columns and 16 states each
    answers = [calculator.plan("jamba-v0.1", "h200", mamba_cache_dtype=name) for name in ("auto", "float32")]
    assert [answer.state_bytes_per_sequence for answer in answers] == [28 * 8192 * 19 * size for size in (2, 4)]


def test_what_the_host_holds_is_taken_off_the_gpu():
    asked = {"seq_len": 8192}
    plain = calculator.plan("llama-3.1-8b", "rtx-4090", **asked)
    hosted = calculator.vary(plain, cpu_offload_gb=4)
    assert plain.per_gpu.weights_bytes - hosted.per_gpu.weights_bytes == 4 * GIB
    assert hosted.kv_pool_bytes - plain.kv_pool_bytes == 4 * GIB
    assert hosted.notes[0].startswith("4.00 GiB of the weights of one GPU are held by the host")
    # no more than its layers: embedding and head stay
    all_layers = calculator.vary(plain, cpu_offload_gb=1000)
    assert all_layers.per_gpu.weights_bytes == 2 * (2 * 128_256 * 4096 + 4096)


def test_layers_and_experts_on_the_host_of_llama_cpp():
    # 48 layers of 2 x 4 x 128 x 2 bytes a token; of 25 the output is one, so 24 layers keep a cache on the GPU
    plain = calculator.plan("qwen3-30b-a3b", "rtx-4090", engine="llama.cpp", weight_dtype="bf16", seq_len=8192,
                            gpu_memory_bytes=80 * GIB)  # fmt: skip
    experts = 128 * 3 * 2048 * 768 * 2
    moe = calculator.vary(plain, n_cpu_moe=20)
    assert plain.per_gpu.weights_bytes - moe.per_gpu.weights_bytes == 20 * experts
    half = calculator.vary(plain, n_gpu_layers=25)
    assert half.allocated_bytes_per_sequence == 24 * 8192 * 2048 == plain.allocated_bytes_per_sequence // 2
    layer = (2048 * 4096 + 2 * 2048 * 512 + 4096 * 2048 + 128 * 2048 + 2 * 128 + 2 * 2048) * 2 + experts
    assert plain.per_gpu.weights_bytes - half.per_gpu.weights_bytes == 24 * layer
    # of the first 30 layers' experts those of 24 are there already
    both = calculator.vary(half, n_cpu_moe=30)
    assert half.per_gpu.weights_bytes - both.per_gpu.weights_bytes == 6 * experts
    assert calculator.serve_command(both).endswith("--n-cpu-moe 30 --n-gpu-layers 25")


# Other processes


def test_a_neighbour_decides_whether_vllm_starts_and_never_shrinks_its_pool():
    plain = calculator.plan("llama-3-8b", "h100-sxm")
    total = plain.request.gpu_memory_bytes
    most = total - math.ceil(total * 0.92)
    beside, too_much = (calculator.vary(plain, other_memory_bytes=most + more) for more in (0, 1))
    assert (beside.starts, beside.fits, beside.kv_pool_bytes) == (True, True, plain.kv_pool_bytes)
    assert (too_much.starts, too_much.fits, too_much.kv_pool_bytes) == (False, False, plain.kv_pool_bytes)
    assert too_much.notes[0].startswith("does not start: ")
    assert too_much.per_gpu.other_memory_bytes == most + 1
    lever = next(one for one in calculator.what_would_fit(too_much) if one.key == "knob.fraction")
    assert lever.changes == {"gpu_memory_utilization": 0.919}
    assert lever.plan.starts
    assert lever.plan.fits


@pytest.mark.parametrize(("version", "taken"), [("0.6", 1), ("0.7", 0), ("0.8", 1), ("0.9.1", 0), ("0.33", 0)])
def test_versions_that_count_what_others_hold_for_their_own(version, taken):
    # 0.6.4 worker/worker.py and 0.8.5 v1/worker/gpu_worker.py: all that is in use on the device, less torch's; 0.7.3
    # and from 0.9.1 on what grows while it profiles
    plain = calculator.plan("llama-3-8b", "h100-sxm", engine_version=version, max_num_seqs=64)
    beside = calculator.vary(plain, other_memory_bytes=4 * GIB)
    assert plain.kv_pool_bytes - beside.kv_pool_bytes == taken * 4 * GIB


def test_other_engines_take_their_fraction_of_what_neighbours_leave():
    more = {"other_memory_bytes": 10 * GIB}
    # SGLang: pool = fraction x free - weights; TensorRT-LLM: 0.9 of what is free after loading; llama.cpp: all of it
    sglang = calculator.plan("llama-3-8b", "h100-sxm", engine="sglang", gpu_memory_utilization=0.8)
    assert abs(sglang.kv_pool_bytes - calculator.vary(sglang, **more).kv_pool_bytes - 8 * GIB) <= 1
    tensorrt = calculator.plan("llama-3-8b", "h100-sxm", engine="tensorrt-llm")
    assert abs(tensorrt.kv_pool_bytes - calculator.vary(tensorrt, **more).kv_pool_bytes - 9 * GIB) <= 1
    llama = calculator.plan("llama-3-8b", "h100-sxm", engine="llama.cpp")
    assert llama.kv_pool_bytes - calculator.vary(llama, **more).kv_pool_bytes == 10 * GIB


# What does not start


def test_vllm_does_not_start_with_more_sequences_than_blocks_for_states():
    # vllm-project/recipes#551: "max_num_seqs (1024) exceeds available Mamba cache blocks (856)", with CUDA graphs only;
    # 0.20.0 config/compilation.py raises it, 0.19.0 captures fewer
    asked = {"weight_dtype": "fp8", "gpu_memory_utilization": 0.95, "max_num_seqs": 1024}
    answer = calculator.plan("qwen3.5-27b", "h100-sxm", engine_version="0.23", **asked)
    assert (answer.starts, answer.fits) == (False, False)
    assert f"max_num_seqs 1,024 exceeds the {answer.num_blocks} blocks for states" in answer.notes[0]
    lever = next(one for one in calculator.what_would_fit(answer) if one.key == "knob.at_once")
    assert lever.changes == {"max_num_seqs": answer.num_blocks}
    assert lever.plan.starts
    assert calculator.vary(answer, enforce_eager=True).starts
    assert calculator.vary(answer, engine_version="0.19").starts
    # by default the command line states a number that it starts with
    default = calculator.vary(answer, max_num_seqs=None)
    assert (default.starts, default.fits) == (True, True)
    assert any(note.startswith("by default vLLM would not start: max_num_seqs 1,024") for note in default.notes)
    assert f"--max-num-seqs {default.max_batch_size}" in calculator.serve_command(default)
    swept = calculator.sweep("qwen3.5-27b", gpu="h100-sxm", engine_version="0.23", seq_len=[8192], **{
        **asked, "max_num_seqs": [512, 1024]})  # fmt: skip
    assert list(swept["fits"]) == [True, False]


def test_a_length_above_the_pool_does_not_start_on_vllm_and_does_on_sglang():
    asked = {"seq_len": 65_536}
    answers = [
        given_pool("llama-3.1-8b", 4 * GIB, engine=engine, **asked) for engine in ("vllm", "sglang", "llama.cpp")
    ]
    assert [(answer.fits, answer.starts) for answer in answers] == [(False, False), (False, True), (False, False)]
    assert given_pool("llama-3.1-8b", 16 * GIB, **asked).starts


# Logs


def log_of(speculative):
    stated = (
        "'max_model_len': 262144, 'tensor_parallel_size': 2, 'kv_cache_dtype': 'fp8', 'enable_prefix_caching': True"
    )
    return (
        f"(APIServer pid=1) INFO [utils.py:240] non-default args: {{'model': 'Qwen/Qwen3.5-27B', {stated}, "
        f"'max_num_seqs': 2, 'speculative_config': {speculative}}}\n"
        "(Worker_TP0 pid=9) INFO [gpu_worker.py:460] Available KV cache memory: 5.33 GiB\n"
        "(EngineCore pid=8) INFO [kv_cache_utils.py:1710] GPU KV cache size: 300,220 tokens\n"
    )


def test_a_log_that_drafts_is_set_beside_a_plan_that_drafts():
    stated = "{'method': 'mtp', 'num_speculative_tokens': 3}"
    result = calculator.reconcile(log_of(stated), gpu="rtx-3090", weight_dtype="fp8", engine_version="0.24")
    assert result.plan.request.speculative_config == MTP
    assert not any("draft" in assumed for assumed in result.assumed)
    (held,) = (term for term in result.terms if term.key == "held_tokens")
    assert held.predicted == held.reported == 300_220


@pytest.mark.parametrize("stated", ["None, 'method': 'mtp', 'num_speculative_tokens': 3", "{'method': 'dflash', "
                                    "'num_speculative_tokens': 8}"])  # fmt: skip
def test_a_log_that_drafts_nothing_or_in_a_way_that_is_not_known_has_a_plan_without(stated):
    result = calculator.reconcile(log_of(stated), gpu="rtx-3090", weight_dtype="fp8", engine_version="0.24")
    assert result.plan.request.speculative_config is None
    assert any("no draft model" in assumed for assumed in result.assumed) == stated.startswith("{")


# A link


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ('{"method": "mtp", "num_speculative_tokens": 3}', None),
        ('{"model": "llama-3.2-1b", "num_speculative_tokens": 3}', None),
        ('{"method": "eagle3", "model": "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B"}', None),
        ('{"model": "user/config.json"}', "not by a file"),
        ('{"model": "tests/data"}', "not by a file"),
        ('{"model": "../secrets/model"}', "not by a file"),
        ('{"model": 3}', "not by a file"),
        ('{"method": "dflash"}', "not known here"),
        ("[1]", "holds a mapping"),
        ("{", "not valid JSON"),
    ],
)
def test_a_link_names_no_file(stated, said):
    if said is None:
        assert drafts.parameter(stated) == stated
    else:
        with pytest.raises(calculator.CalculatorError, match=said):
            drafts.parameter(stated)
