"""Logs as people paste them: without a model's name, with several starts, with what another engine could print too."""

import pytest
from logs import SGLANG, VLLM_V1

import calculator
from calculator import read_log, reconcile
from calculator.errors import CalculatorError
from calculator.logs.both import ask_for_both
from calculator.logs.implied import likely
from calculator.logs.lines.prose import cards
from calculator.units import GIB
from calculator.views.pages import log as said


def keys(texts):
    return [text.key for text in texts]


# deepyes02/yeti-ai llama_server.log: a name that is cut off, and what the file says of its layers
NEMO = """\
build: 6050 (78452405) with Apple clang version 17.0.0
llama_model_loader: - kv   0:                       general.architecture str              = llama
llama_model_loader: - kv   2:             general.name str              = Models Mistralai Mistral Nemo Instruc...
llama_model_loader: - kv   9:                          llama.block_count u32              = 40
llama_model_loader: - kv  10:                       llama.context_length u32              = 1024000
llama_model_loader: - kv  11:                     llama.embedding_length u32              = 5120
llama_model_loader: - kv  12:                  llama.feed_forward_length u32              = 14336
llama_model_loader: - kv  13:                 llama.attention.head_count u32              = 32
llama_model_loader: - kv  14:              llama.attention.head_count_kv u32              = 8
llama_model_loader: - kv  25:                      tokenizer.ggml.tokens arr[str,131072]  = ["<unk>", "<s>", ...
print_info: file type   = Q5_K - Medium
print_info: n_embd_head_k    = 128
print_info: n_embd_head_v    = 128
print_info: model params     = 12.25 B
llama_context: n_seq_max     = 1
llama_context: n_ctx         = 4096
llama_kv_cache_unified:      Metal KV buffer size =   640.00 MiB
llama_kv_cache_unified: size = 640.00 MiB ( 4096 cells,  40 layers, 1/ 1 seqs), K (f16): 320.00 MiB, V (f16): 320.00 MiB
"""


def test_the_metadata_that_a_log_prints_are_its_model():
    result = reconcile(NEMO)
    assert result.agrees
    # 40 layers x (keys and values) x 8 heads x 128 x 2 bytes x 4,096 cells
    assert result.plan.allocated_bytes_per_sequence == 40 * 2 * 8 * 128 * 2 * 4096 == 640 * 2**20
    # embedding and head 2 x 131,072 x 5,120; a layer: 2 x 5,120 x (4,096 + 1,024) and 3 x 5,120 x 14,336; norms
    assert result.plan.model.num_parameters == pytest.approx(12.25e9, rel=0.001)
    assert "logs.assumed.described" in keys(result.assumed)


def test_metadata_hold_against_a_name():
    # a preset's name over layers that are not its
    named = NEMO.replace("Models Mistralai Mistral Nemo Instruc...", "Meta-Llama-3-8B")
    assert reconcile(named).plan.model.num_layers == 40


@pytest.mark.parametrize("left_out", ["block_count", "embedding_length"])
def test_metadata_that_do_not_say_all_that_decides_are_no_model(left_out):
    lines = [line for line in NEMO.splitlines() if left_out not in line]
    with pytest.raises(CalculatorError, match="is not one of the presets"):
        reconcile("\n".join(lines))


def test_the_one_model_of_a_class_whose_tokens_are_of_the_printed_size():
    # 61 layers x 576 x 2 bytes = 70,272 a token; 2,454,421 of them take 160.63 GiB
    log = (
        "[2026-02-26 16:41:18 TP0] Load weight end. elapsed=618.04 s, type=KimiK25ForConditionalGeneration, "
        "dtype=torch.bfloat16, avail mem=209.98 GB, mem usage=73.58 GB.\n"
        "[2026-02-26 16:41:18 TP7] KV Cache is allocated. #tokens: 2454421, KV size: 160.63 GB\n"
    )
    assert pytest.approx(160.63, abs=0.005) == 2_454_421 * 70_272 / GIB
    result = reconcile(log, gpu="mi355x")
    assert (result.plan.model.id, result.plan.request.tensor_parallel_size) == ("kimi-k2.5", 8)
    # of a log of 2026 nobody asks whether it is of an engine of 2025
    assert not any("0.4.4" in cause for cause in result.causes)
    assert {"logs.assumed.of_class", "logs.assumed.weights_as_logged"} <= set(keys(result.assumed))


def test_a_class_of_which_two_may_be_meant_is_asked_for():
    # 17.17 GiB: 9B in 16 bit and what stands beside it, or 27B in 4 bit
    log = (
        "Load weight end. elapsed=132.95 s, type=Qwen3_5ForConditionalGeneration, avail mem=24.12 GB, "
        "mem usage=17.17 GB.\nmax_total_num_tokens=268319, chunked_prefill_size=8192, max_prefill_tokens=16384\n"
    )
    with pytest.raises(CalculatorError, match=r"it may be qwen3\.5-\w+ or qwen3\.5-") as refused:
        reconcile(log, gpu="gb10")
    assert refused.value.what == "model"
    assert said.headline_without_model(read_log(log)) == "A log of SGLang: say which model it is, and it is compared"


DRAFTED = """\
(APIServer pid=1) INFO 06-08 00:10:13 [utils.py:233] non-default args: {'model': '/models/target', 'max_model_len': \
262144, 'quantization': 'compressed-tensors', 'served_model_name': ['qwen36-35b-heretic'], 'gpu_memory_utilization': \
0.85, 'max_num_seqs': 128, 'speculative_config': {'method': 'dflash', 'model': '/models/draft'}}
(APIServer pid=1) INFO 06-08 00:10:20 [model.py:514] Resolved architecture: Qwen3_5MoeForConditionalGeneration
(EngineCore pid=9) INFO 06-08 00:10:25 [core.py:94] Initializing a V1 LLM engine (v0.20.1) with config: \
model='/models/target', tensor_parallel_size=1, pipeline_parallel_size=1, quantization=compressed-tensors
(EngineCore pid=9) INFO 06-08 00:14:11 [gpu_model_runner.py:4820] Model loading took 22.84 GiB memory
(EngineCore pid=9) INFO 06-08 00:15:11 [gpu_worker.py:298] Available KV cache memory: 63.23 GiB
(EngineCore pid=9) INFO 06-08 00:15:12 [kv_cache_utils.py:1087] GPU KV cache size: 1,251,446 tokens
(EngineCore pid=9) INFO 06-08 00:15:12 [kv_cache_utils.py:1091] Maximum concurrency for 262,144 tokens per request: \
4.77x
"""


def test_drafts_that_are_not_modelled_are_the_cause_and_not_another_model():
    result = reconcile(DRAFTED, gpu="gb10")
    assert result.plan.model.id == "qwen3.5-35b-a3b"  # the size in its name, of the class that is printed
    weights = next(term for term in result.terms if term.key == "weights")
    assert weights.predicted == pytest.approx(22.84, abs=0.001)
    assert keys(result.causes)[0] == "logs.cause.drafts"
    assert not {"logs.cause.other_model", "logs.cause.version_of_tokens"} & set(keys(result.causes))


def test_weights_that_are_no_lighter_than_16_bit_stay_a_difference():
    result = reconcile(VLLM_V1.replace("took 14.9889", "took 19.5").replace("14.99 GiB for", "19.5 GiB for"))
    assert "logs.assumed.weights_as_logged" not in keys(result.assumed)
    # 8,030,261,248 parameters in 16 bit are 14.958 GiB
    assert next(term.difference for term in result.terms if term.key == "weights") == pytest.approx(4.542, abs=0.001)


def test_of_several_starts_the_last_that_prints_a_capacity_is_compared():
    first = VLLM_V1.replace("'gpu_memory_utilization': 0.9", "'gpu_memory_utilization': 0.5")
    first = first.replace("51.38 GiB", "19.70 GiB").replace("420,864", "161,280").replace("(0.9, 71.26", "(0.5, 39.59")
    crashed = VLLM_V1.split("(EngineCore_DP0 pid=99) INFO Free memory")[0]
    log = read_log(first + VLLM_V1 + crashed)
    assert (log.figures["kv_pool_gib"], log.flags["gpu_memory_utilization"]) == (51.38, 0.9)
    assert keys(log.problems) == ["logs.problem.several_starts"]


def test_a_command_behind_the_lines_that_it_made_is_of_the_same_start():
    lines = VLLM_V1.splitlines(keepends=True)
    log = read_log("".join(lines[4:] + lines[:4]))
    assert (log.figures["kv_pool_gib"], log.flags["seq_len"], log.flags["block_size"]) == (51.38, 16_000, 128)
    assert log.problems == ()


def test_what_torch_prints_says_nothing_of_whose_log_it_is():
    memory = (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1002.00 MiB. GPU 0 has a total capacity of "
        "79.18 GiB of which 586.38 MiB is free."
    )
    pool = "[TensorRT-LLM][INFO] [MemUsageChange] Allocated 64.49 GiB for max tokens in paged KV cache (9)."
    log = read_log(f"{pool}\n{memory}")
    assert log.engine == "tensorrt-llm"
    assert (log.figures["refused_gib"], log.figures["memory_gib"]) == (pytest.approx(0.9785, abs=1e-4), 79.18)
    with pytest.raises(CalculatorError, match="no line is one that"):
        read_log(memory)


@pytest.mark.parametrize(
    "text",
    [
        # eugr/spark-vllm-docker#396, broken by the page; vllm-project/vllm#34076
        "To serve at least one request with the model's max seq len (196608),\n23.25 GiB KV cache is "
        "needed, which is larger than the available KV cache memory (22.5 GiB).\nBased on the available memory, the "
        "estimated maximum model length is 190272.",
        "To serve at least one request with the models's max seq len (196608), (23.25 GiB KV cache is "
        "needed, which is larger than the available KV cache memory (22.5 GiB). Based on the available memory, the "
        "estimated maximum model length is 190272.",
    ],
)
def test_a_refused_length_is_read_in_every_wording(text):
    figures = read_log(text).figures
    names = ("concurrency_at", "needed_gib", "kv_pool_gib", "max_context_len")
    assert [figures[name] for name in names] == [196_608, 23.25, 22.5, 190_272]


def test_tokens_of_sglang_before_chunks_were_printed():
    # sgl-project/sglang#2468
    log = read_log("max_total_num_tokens=56524, max_prefill_tokens=16384, max_running_requests=2049, context_len=32768")
    assert log.figures["kv_tokens"] == 56_524


def test_a_number_below_zero_is_none():
    # SGLang: no chunks
    log = (
        "server_args=ServerArgs(model_path='meta-llama/Llama-3.1-8B-Instruct', chunked_prefill_size=-1, tp_size=1)\n"
        "[2026-02-04 11:30:31] KV Cache is allocated. #tokens: 20480, K size: 1.25 GB, V size: 1.25 GB\n"
    )
    result = reconcile(log, gpu="h100-sxm")
    assert "max_num_batched_tokens" not in result.plan.asked
    assert "max_num_batched_tokens" in [text.values.get("keyword") for text in result.assumed]


def test_a_format_that_the_tokens_say_is_taken_and_said():
    result = reconcile(VLLM_V1.replace("420,864", "841,856").replace("26.30x", "52.62x"))
    assert result.agrees
    assert result.plan.request.kv_cache_dtype == "fp8_e4m3"
    assert "logs.assumed.kv_of_tokens" in keys(result.assumed)
    assert "logs.assumed.kv_cache_dtype" not in keys(result.assumed)
    assert "logs.cause.kv_format" in keys(result.causes)


def test_where_all_that_is_not_default_is_printed_no_other_fraction_is_a_cause():
    # 0.02 of 79.18 GiB more than by the default of 0.9: 0.92 would be it, and is not among the arguments
    log = VLLM_V1.replace("'gpu_memory_utilization': 0.9, ", "").replace("51.38 GiB", "52.96 GiB")
    log = log.replace("420,864", "433,792")
    log = "".join(line for line in log.splitlines(keepends=True) if "Desired GPU memory" not in line)
    of_fraction = "logs.cause.utilisation"
    assert of_fraction not in keys(reconcile(log, gpu="h100-sxm", activation_bytes="4.76GiB").causes)
    cut = log.replace("'api_key': ['sk-abcdef123456']}", "'api_key")
    assert of_fraction in keys(reconcile(cut, gpu="h100-sxm", activation_bytes="4.76GiB").causes)


def test_a_pool_far_from_that_of_the_default_names_the_fraction_that_gives_it():
    # a public start on a GB10 of 119.7 GiB, of which the default of 0.92 takes 110.1: 0.04 was set
    log = (
        "(EngineCore pid=258) INFO gpu_model_runner.py:4879 Model loading took 2.89 GiB memory\n"
        "(EngineCore pid=258) INFO gpu_worker.py:440 Available KV cache memory: 0.56 GiB\n"
        "(EngineCore pid=258) INFO kv_cache_utils.py:1708 GPU KV cache size: 20,992 tokens\n"
    )
    cause = next(text for text in reconcile(log, gpu="gb10").causes if text.key == "logs.cause.utilisation")
    # what else the engine holds is not known to a GiB, which is 0.01 of the device
    assert cause.values["other"] == pytest.approx(0.04, abs=0.011)


def test_names_of_distilled_models_as_their_makers_of_boxes_write_them():
    assert calculator.load_model("deepseek-r1-14b").num_layers == calculator.load_model("qwen2.5-14b").num_layers


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("why only 2.30 GiB on 2x3090?", [("rtx-3090",)]),
        ("1× RTX 3090 24576 MiB, headless", [("rtx-3090",)]),
        ("On 2x DGX Spark (TP=2)", [("gb10",)]),
        ("on two 4090s, not on one A100-80GB", [("rtx-4090",), ("a100-80gb-pcie", "a100-80gb-sxm")]),
        ("from 4xH100 80GB GPUs", [("h100-pcie", "h100-sxm")]),  # the NVL has 94 GB
        ("RTX 4070 Ti SUPER beside an RTX 4080", [("rtx-4070-ti-super",), ("rtx-4080",)]),
        ("port 3090, model Qwen3-30B-A3B in Q4, rank TP0", []),
    ],
)
def test_cards_as_people_write_them(text, ids):
    assert list(cards(text)) == ids


# eugr/spark-vllm-docker#396, words and lines as they stand there
SPARK = """\
[Bug]: KV cache 0.75 GiB short at default gpu_memory_utilization: 0.8 on 2x DGX Spark
Here (TP=2, vLLM 0.29.1rc1), run-recipe.py recipes/minimax-m2.7-awq.yaml dies at KV-cache init:
> Available KV cache memory: 22.5 GiB
> ValueError: To serve at least one request with the model's max seq len (196608),
> 23.25 GiB KV cache is needed, which is larger than the available KV cache memory (22.5 GiB).
> Based on the available memory, the estimated maximum model length is 190272.
"""


def test_what_is_said_beside_the_lines_is_taken_and_listed():
    result = reconcile(SPARK)
    request = result.plan.request
    assert (request.gpu, request.tensor_parallel_size, result.plan.rules.version) == ("gb10", 2, "0.29.1")
    # 62 layers x (keys and values) x 4 of 8 heads x 128 x 2 bytes x 196,608 tokens are the 23.25 GiB of the log
    assert result.plan.allocated_bytes_per_sequence == 62 * 2 * 4 * 128 * 2 * 196_608 == 23.25 * GIB
    assert {"logs.assumed.beside", "logs.assumed.gpu_beside"} <= set(keys(result.assumed))
    assert not result.missing
    # two cards are named: neither is taken
    both = reconcile(SPARK.replace("2x DGX Spark", "2x DGX Spark, not on an RTX 5090"))
    assert both.missing[0].keyword == "gpu"


FIGURES_ALONE = """\
INFO 04-05 05:52:54 [gpu_model_runner.py:1186] Model loading took 14.9889 GiB and 59.268527 seconds
INFO 04-05 05:54:20 [kv_cache_utils.py:566] GPU KV cache size: 148,096 tokens
INFO 04-05 05:54:20 [kv_cache_utils.py:569] Maximum concurrency for 131,072 tokens per request: 1.13x
"""


def test_a_log_that_names_neither_is_asked_for_both_at_once():
    question = ask_for_both(read_log(FIGURES_ALONE))
    # 148,096 tokens of 131,072 bytes are 18.08 GiB: with 14.99 they are 0.9 of 36.7, which 24 and 80 GiB are not
    on = {gpu for model, gpu in question.pairs if model == "llama-3.1-8b"}
    assert "a100-40gb" in on
    assert not {"rtx-4090", "a100-80gb-sxm", "h100-sxm"} & on
    assert question.as_dict()["pairs"][0] == list(question.pairs[0])
    assert ask_for_both(read_log(FIGURES_ALONE + "NVIDIA A100-SXM4-40GB\n")) is None  # the model alone is asked for


def test_states_of_an_engine_that_keeps_them_apart_tell_no_model_from_another():
    # 16 of 64 layers keep tokens: 2 x 2 of 4 heads x 256 in 8 bit, 16,384 bytes on each of two ranks
    log = "".join(
        f"[2026-09-12 00:22:48 TP{rank}] KV Cache is allocated. dtype: torch.float8_e4m3fn, #tokens: 454112, "
        "K size: 3.46 GB, V size: 3.46 GB\n"
        for rank in (0, 1)
    )
    assert pytest.approx(2 * 3.46, abs=0.02) == 454_112 * 16 * 2 * 2 * 256 / GIB
    read = read_log(log)
    assert "qwen3.5-27b" in likely(read.flags, read.figures)


def test_what_requests_say_is_not_what_the_server_runs_on():
    request = (
        "INFO 11-14 20:15:14 [logger.py:43] Received request cmpl-1: prompt: 'Is an NVIDIA H100 NVL faster than the "
        "Tesla T4? Tesla Heathrow,', params: SamplingParams(n=1)\n"
    )
    assert "device" not in read_log(VLLM_V1 + request).flags
    assert read_log(f"{request}NVIDIA A100-SXM4-80GB\n{VLLM_V1}").flags["device"] == "NVIDIA A100-SXM4-80GB"
    assert "device" not in read_log("Tesla Heathrow, a short story\n" + VLLM_V1).flags


@pytest.mark.parametrize(
    "content",
    [
        VLLM_V1.encode().replace(b"\n", b"\n" + 60 * b"\x00", 3),  # cut while the server wrote it
        b"\xff\xfe" + VLLM_V1.encode("utf-16-le"),  # what PowerShell's > writes
    ],
    ids=["cut", "two bytes a letter"],
)
def test_text_that_a_file_holds_otherwise_is_read(content):
    assert read_log(content).figures == read_log(VLLM_V1).figures


# Zzsf11/VideoCuttingAgent vllm_serve.log, shortened
VIDEOS = """\
(APIServer pid=1) INFO 01-13 02:20:11 [api_server.py:1839] vLLM API server version 0.12.0
(APIServer pid=1) INFO 01-13 02:20:12 [utils.py:253] non-default args: {'model': 'Qwen/Qwen3-VL-30B-A3B-Instruct', \
'max_model_len': 65536, 'gpu_memory_utilization': 0.9, 'max_num_seqs': 256, 'max_num_batched_tokens': 8192}
(EngineCore_DP0 pid=2) INFO 01-13 02:20:20 [core.py:77] Initializing a V1 LLM engine (v0.12.0) with config: \
model='Qwen/Qwen3-VL-30B-A3B-Instruct', dtype=torch.bfloat16, max_seq_len=65536, tensor_parallel_size=2, \
quantization=None, enforce_eager=False, kv_cache_dtype=auto
(Worker_TP0 pid=3) INFO 01-13 02:21:50 [gpu_model_runner.py:3549] Model loading took 29.3115 GiB memory and 8.1 seconds
(Worker_TP0 pid=3) INFO 01-13 02:21:57 [gpu_model_runner.py:4306] Encoder cache will be initialized with a budget of \
153600 tokens, and profiled with 1 video items of the maximum feature size.
(Worker_TP0 pid=3) INFO 01-13 02:22:37 [gpu_worker.py:298] Available KV cache memory: 37.23 GiB
(EngineCore_DP0 pid=2) INFO 01-13 02:22:37 [kv_cache_utils.py:1087] GPU KV cache size: 813,152 tokens
"""


def test_what_an_encoder_was_profiled_with_is_counted():
    with_it = reconcile(VIDEOS, gpu="h100-sxm")
    without = reconcile("\n".join(line for line in VIDEOS.splitlines() if "Encoder" not in line), gpu="h100-sxm")
    # 2 bytes x 153,600 tokens x the model's width of 2,048, once and for three deeper layers
    more = with_it.plan.per_gpu.activation_bytes - without.plan.per_gpu.activation_bytes
    assert more == 2 * 153_600 * 2_048 * 4
    assert without.plan.kv_pool_bytes - with_it.plan.kv_pool_bytes == more
    pool = next(term for term in with_it.terms if term.key == "kv_pool")
    assert pool.low < pool.reported < pool.predicted < 1.02 * pool.reported


# leadawon/LAMBO logs/vllm_qwen35_27b.log, on four RTX 3090 as its README says
STATES = """\
(APIServer pid=1) INFO 04-16 09:30:09 [utils.py:233] non-default args: {'model': '/models/Qwen3.5-27B', \
'dtype': 'bfloat16', 'max_model_len': 32768, 'enforce_eager': True, 'tensor_parallel_size': 4}
(APIServer pid=1) INFO 04-16 09:30:10 [config.py:281] Setting attention block size to 784 tokens to ensure that \
attention page size is >= mamba page size.
(EngineCore pid=2) INFO 04-16 09:30:23 [core.py:105] Initializing a V1 LLM engine (v0.19.0) with config: \
model='/models/Qwen3.5-27B', dtype=torch.bfloat16, max_seq_len=32768, tensor_parallel_size=4, \
pipeline_parallel_size=1, quantization=None, enforce_eager=True, kv_cache_dtype=auto, enable_prefix_caching=False
(Worker_TP0 pid=3) INFO 04-16 09:42:23 [gpu_model_runner.py:4820] Model loading took 13.01 GiB memory and 702.9 seconds
(Worker_TP0 pid=3) INFO 04-16 09:42:24 [gpu_model_runner.py:5753] Encoder cache will be initialized with a budget of \
16384 tokens, and profiled with 1 image items of the maximum feature size.
(Worker_TP0 pid=3) INFO 04-16 09:42:38 [gpu_worker.py:436] Available KV cache memory: 7.0 GiB
(EngineCore pid=2) INFO 04-16 09:42:38 [kv_cache_utils.py:1319] GPU KV cache size: 114,464 tokens
(EngineCore pid=2) INFO 04-16 09:42:38 [kv_cache_utils.py:1324] Maximum concurrency for 32,768 tokens per \
request: 12.98x
"""


def test_groups_of_states_share_the_tokens_that_are_printed_before_0_21():
    found = reconcile(STATES, gpu="rtx-3090")
    terms = {term.key: term for term in found.terms}
    # 48 layers of states in three groups of 16 beside the 16 of attention: a fourth of the blocks, of 784 tokens of
    # one KV head of 256; 7 GiB are 585 blocks, of which 146 are whole fourths
    assert 7 * GIB // (16 * 784 * 2 * 256 * 2) // 4 * 784 == 114_464
    assert terms["held_tokens"].predicted == terms["held_tokens"].reported == 114_464
    assert "logs.cause.kv_format" not in keys(found.causes)
    assert found.agrees


def test_a_device_is_offered_by_what_an_encoder_takes_there():
    question = reconcile(STATES).missing[0]
    assert question.keyword == "gpu"
    assert {"rtx-3090", "rtx-4090"} <= set(question.choices)
    assert "jetson-agx-orin-32gb" not in question.choices


# waynehacking8/trtllm-triton-serving results/waterfall/W4_tp2.txt: no line says tensor parallelism
MPI = """\
[TensorRT-LLM] TensorRT-LLM version: 0.20.0
[06/02/2026-03:35:43] [TRT-LLM] [I] Validating KV Cache config against kv_cache_dtype="auto"
[06/02/2026-03:35:43] [TRT-LLM] [I] Max batch size and max num tokens not provided. Using heuristics or pre-defined \
settings: max_batch_size=4096, max_num_tokens=4608.
[06/02/2026-03:35:43] [TRT-LLM] [I] Setting PyTorch max sequence length to 268
[06/02/2026-03:35:43] [TRT-LLM] [I] start MpiSession with 2 workers
[06/02/2026-03:35:43] [TRT-LLM] [I] Found /models/Llama-3.1-8B-Instruct-FP8/hf_quant_config.json, pre-quantized
[06/02/2026-03:35:43] [TRT-LLM] [I] Setting quant_algo=FP8 form HF quant config.
[06/02/2026-03:35:43] [TRT-LLM] [I] Setting kv_cache_quant_algo=FP8 form HF quant config.
[06/02/2026-03:36:21] [TRT-LLM] [I] Memory used after loading model weights (inside torch) in memory usage profiling: \
4.32 GiB
[06/02/2026-03:36:21] [TRT-LLM] [I] Peak memory during memory usage profiling (torch + non-torch): 7.60 GiB, available \
KV cache memory when calculating max tokens: 57.39 GiB, fraction is set 0.800000011920929, kv size is 32768, device \
total memory 79.18 GiB, , tmp kv_mem 0.16 GiB
[06/02/2026-03:36:21] [TRT-LLM] [I] Estimated max tokens in KV cache : 1880626
"""


def test_ranks_and_formats_that_tensorrt_llm_prints_are_taken():
    found = reconcile(MPI)
    asked = found.plan.request
    assert (asked.tensor_parallel_size, asked.weight_dtype, asked.kv_cache_dtype) == (2, "fp8", "fp8_e4m3")
    # 32 layers, 4 of 8 KV heads of 128, keys and values of a byte: the 32,768 bytes that the log prints of a token
    assert 57.385 * GIB / (32 * 4 * 128 * 2) < 1_880_626 < 57.395 * GIB / (32 * 4 * 128 * 2)
    assert found.agrees
    assert not found.causes


def test_a_format_is_looked_for_on_the_ranks_that_the_weights_say():
    left_out = ("MpiSession", "quant_algo")
    causes = reconcile(
        "\n".join(line for line in MPI.splitlines() if not any(word in line for word in left_out))
    ).causes
    assert "tensor_parallel_size 2 would explain the weights of 4.32 GiB" in causes
    assert "logs.cause.kv_format" in keys(causes)
    assert "logs.cause.ranks_of_tokens" not in keys(causes)  # 4 ranks of 16 bit have as many tokens, and other weights


def test_a_size_of_what_is_prefetched_is_no_block_of_tokens():
    # vLLM 0.22.1 weight_utils.py, in the output of a notebook, which is one line
    line = "(Worker pid=1) INFO [weight_utils.py:884] Prefetching checkpoint files into page cache started ("
    log = VLLM_V1.replace("'block_size': 128, ", "").replace(
        "version 0.11.0", f"version 0.11.0 {line}block_size=16777216 bytes)"
    )
    assert "block_size" not in read_log(log).flags


@pytest.mark.parametrize(
    ("cells", "line"),
    [
        # without flash attention builds up to October 2025 pad to 32 (llama.cpp #7257, #16812), not to 256 (#17046):
        # 40 layers x 8 KV heads x 128 x 2 x 2 bytes are 160 KiB a cell, 4,128 cells 645 MiB
        (4_128, "llama_kv_cache_unified: size = 645.00 MiB ( 4128 cells,  40 layers, 1/ 1 seqs), K (f16): 322.50 MiB"),
        (
            4_128,
            "llama_new_context_with_model: KV self size  =  645.00 MiB, K (f16):  322.50 MiB, V (f16):  322.50 MiB",
        ),
        (4_100, "llama_kv_cache: size = 640.62 MiB ( 4100 cells,  40 layers, 1/ 1 seqs), K (f16): 320.31 MiB"),
    ],
)
def test_cells_are_padded_as_the_log_says(cells, line):
    before = [said for said in NEMO.splitlines() if "llama_kv_cache" not in said]
    log = "\n".join([*before, line]).replace("n_ctx         = 4096", f"n_ctx         = {cells}")
    assert reconcile(log).agrees


@pytest.mark.parametrize(
    ("named", "preset"),
    [
        ("Llama-3.1-8B-Instruct-w4a8-per-channel", "llama-3.1-8b"),
        ("/models/some_Llama-3.1-8B-merged", "llama-3.1-8b"),
        ("Llama-3.1-8B-Distill-of-mine", None),  # of whose layers it is, such a name does not say
        ("DeepSeek-R1-of-Llama-3.1-8B-kind", "llama-3.1-8b"),  # the other has not those tokens
        ("Llama-3.1-8Bx", None),
    ],
)
def test_a_model_among_other_words_is_taken_where_the_figures_may_be_of_it(named, preset):
    # weights of another format than is known here, so that only what a token takes says which model it may be
    log = VLLM_V1.replace("meta-llama/Llama-3.1-8B-Instruct", named).replace("14.9889 GiB", "6.1 GiB")
    log = log.replace("14.99 GiB for weight", "6.1 GiB for weight")
    if preset is None:
        with pytest.raises(CalculatorError, match="is not one of the presets: give one, as --model"):
            reconcile(log, gpu="h100-sxm")
        return
    found = reconcile(log, gpu="h100-sxm")
    assert found.plan.model.id == preset
    assert "logs.assumed.said_by" in keys(found.assumed)


@pytest.mark.parametrize(
    ("named", "hint"),
    [
        ("Qwen3-Coder-480B-A35B-Instruct-w8a8-QuaRot", "as --model qwen3-coder-480b-a35b if its layers are the same"),
        ("huihui-ai/Huihui-Qwen3-14B-of-mine", "as --model qwen3-14b if its layers are the same"),
        ("DeepSeek-R1-of-Qwen3-14B-kind", "as --model$"),
    ],
)
def test_an_unknown_name_that_says_a_preset_has_it_as_its_nearest(named, hint):
    log = "INFO [core.py:77] Initializing a V1 LLM engine (v0.11.0) with config: model='{}', tensor_parallel_size=8\n"
    with pytest.raises(CalculatorError, match=hint):
        reconcile(log.format(named) + "INFO [gpu_worker.py:298] Available KV cache memory: 51.38 GiB\n")


@pytest.mark.parametrize(
    ("log", "platform"),
    [
        # shun8686/for_debug: logs of SGLang on Ascend; vLLM on CPUs prints device_config=cpu
        (SGLANG.replace("tp_size=1", "tp_size=1, device='npu'"), "npu"),
        (VLLM_V1.replace("kv_cache_dtype=auto", "kv_cache_dtype=auto, device_config=cpu"), "cpu"),
        (SGLANG.replace("tp_size=1", "tp_size=1, device='cuda'"), None),
    ],
)
def test_devices_of_another_kind_are_said_and_no_gpu_is_asked_for(log, platform):
    found = reconcile(log)
    assert [f"devices are {platform}, " in text for text in found.assumed].count(True) == (platform is not None)
    assert bool(found.missing) == (platform is None)


# romeramarc/Tfg-mn5-llm-serving logs/bench-student-mid-36980382.out: an H100 of 64 GB, as one machine has them
SMI = """\
index, name, memory.total [MiB], driver_version
0, NVIDIA H100, 65247 MiB, 535.86.10
1, NVIDIA H100, 65247 MiB, 535.86.10
(APIServer pid=1) INFO 02-26 12:30:09 [utils.py:261] non-default args: {'model': 'Qwen/Qwen2.5-7B-Instruct', \
'max_model_len': 4096, 'max_num_seqs': 256}
(EngineCore_DP0 pid=2) INFO 02-26 12:30:18 [core.py:96] Initializing a V1 LLM engine (v0.15.1) with config: \
model='Qwen/Qwen2.5-7B-Instruct', dtype=torch.bfloat16, max_seq_len=4096, tensor_parallel_size=1
(EngineCore_DP0 pid=2) INFO 02-26 12:30:34 [gpu_model_runner.py:4130] Model loading took 14.25 GiB memory and 15 seconds
(EngineCore_DP0 pid=2) INFO 02-26 12:30:59 [gpu_worker.py:356] Available KV cache memory: 41.28 GiB
(EngineCore_DP0 pid=2) INFO 02-26 12:30:59 [kv_cache_utils.py:1307] GPU KV cache size: 772,864 tokens
"""


def test_memory_that_nvidia_smi_prints_beside_a_name_is_the_devices():
    found = reconcile(SMI)
    assert found.plan.request.gpu_memory_bytes == pytest.approx((65_247 / 1024 - 0.5) * GIB, rel=1e-5)
    assert "logs.assumed.driver" in keys(found.assumed)
    assert abs(found.plan.kv_pool_bytes / GIB / 41.28 - 1) < 0.01
    # as many MiB as a preset of that name has, or a total that the engine prints, leave the preset's
    assert "gpu_memory_bytes" not in reconcile(SMI.replace("65247", "81559")).plan.asked
    assert reconcile(SMI.replace("NVIDIA H100, 65247", "NVIDIA A100-SXM4-40GB, 40960")).plan.request.gpu == "a100-40gb"
    assert "device_gib" not in read_log(SMI.replace("1, NVIDIA H100, 65247", "1, NVIDIA H100, 81559")).flags


# dennislee22/vLLM-benchmarking log/vllm-7B-1gpuA10080GB-0.5GRAM.log, on an A100 of 80 GB
SAMPLING = """\
(APIServer pid=1) INFO 09-03 02:11:14 [utils.py:326] non-default args: {'model': 'Qwen2-7B-Instruct', \
'max_model_len': 16384, 'gpu_memory_utilization': 0.5, 'max_num_seqs': 256}
(APIServer pid=1) INFO 09-03 02:11:29 [scheduler.py:222] Chunked prefill is enabled with max_num_batched_tokens=2048.
(EngineCore_0 pid=2) INFO 09-03 02:11:30 [core.py:74] Initializing a V1 LLM engine (v0.10.1.1) with config: \
model='Qwen2-7B-Instruct', dtype=torch.bfloat16, max_seq_len=16384, tensor_parallel_size=1, quantization=None
(EngineCore_0 pid=2) INFO 09-03 02:11:40 [topk_topp_sampler.py:49] Using FlashInfer for top-p & top-k sampling.
(EngineCore_0 pid=2) INFO 09-03 02:12:04 [gpu_model_runner.py:2007] Model loading took 14.2488 GiB and 2.845758 seconds
(EngineCore_0 pid=2) INFO 09-03 02:12:25 [gpu_worker.py:276] Available KV cache memory: 24.83 GiB
(EngineCore_0 pid=2) INFO 09-03 02:12:26 [kv_cache_utils.py:849] GPU KV cache size: 464,848 tokens
"""


def test_flashinfer_samples_with_fewer_copies_of_the_logits():
    line = next(said for said in SAMPLING.splitlines(keepends=True) if "FlashInfer" in said)
    torch = line.replace(
        "Using FlashInfer for", "FlashInfer is not available. Falling back to the PyTorch-native implementation of"
    )
    with_it, native, unsaid = (
        reconcile(SAMPLING.replace(line, said), gpu="a100-80gb-pcie") for said in (line, torch, "")
    )
    # 9.6 and 3.7 copies of 256 x 152,064 logits of 4 bytes
    less = native.plan.per_gpu.activation_bytes - with_it.plan.per_gpu.activation_bytes
    assert less == pytest.approx(5.9 * 256 * 152_064 * 4, abs=2)
    assert with_it.agrees
    assert not native.agrees
    assert "logs.cause.flashinfer" in keys(unsaid.causes)
    assert "logs.cause.flashinfer" not in keys(native.causes)
    newer = reconcile(SAMPLING.replace("v0.10.1.1", "v0.19.0"), gpu="a100-80gb-pcie")  # which has no other by default
    assert "activation_bytes" not in newer.plan.asked


def test_gpus_of_two_kinds_are_said():
    # vllm-project/vllm#34076
    two = "0: NVIDIA GeForce RTX 5070 Ti 16303MiB\n1: NVIDIA GeForce RTX 5090 D 32607MiB\n"
    assert any("rtx-5070-ti, rtx-5090: rtx-5070-ti is taken" in str(said) for said in read_log(two + VLLM_V1).problems)
    assert not read_log("NVIDIA GeForce RTX 5090\nNVIDIA GeForce RTX 5090 D\n" + VLLM_V1).problems
