"""Small rules of engines, each by hand: ends of ranges, tables word by word, what is not allowed."""

from types import SimpleNamespace

import pytest

import calculator
from calculator.architecture.caches import CompressedRows
from calculator.architecture.limits import MAX_TOKENS
from calculator.architecture.sums import Cached
from calculator.engines import engine_log, engine_rules
from calculator.engines.beside import adapters
from calculator.engines.beside.experts import expert_ranks, joins_replicas, replicas_joined
from calculator.engines.beside.left_out import LEFT_OUT, left_out
from calculator.engines.beside.neighbours import neighbours
from calculator.engines.llama_cpp.command import COMMAND as LLAMA_CPP
from calculator.engines.llama_cpp.command import LOGICAL_BATCH
from calculator.engines.pools import Claim, Geometry, Pool
from calculator.engines.sglang.command import ALGORITHMS as DRAFTS
from calculator.engines.sglang.command import COMMAND as SGLANG
from calculator.engines.sglang.context import check_context as check_sglang_context
from calculator.engines.sglang.rules import Sglang
from calculator.engines.tensorrt_llm.command import COMMAND as TENSORRT_LLM
from calculator.engines.tensorrt_llm.log import ALGORITHMS
from calculator.engines.tensorrt_llm.rules import PoolPerWindow
from calculator.engines.versions import in_words, named, nearest
from calculator.engines.vllm.checks import check_adapters, check_class, check_context
from calculator.engines.vllm.command import COMMAND as VLLM
from calculator.engines.vllm.packed import packed_geometry
from calculator.engines.vllm.starting import not_free, too_few_states
from calculator.logs.reading import read_log
from calculator.logs.setup import _formats

GIB = 2**30

# Tables of names


# TensorRT-LLM, quantization/mode.py QuantAlgo, and what each stores: FP8_PB_WO and FP8_BLOCK_SCALES have a scale for
# blocks, W4A16 is 4 bit integers beside 16 bit activations, by AWQ or GPTQ
QUANT_ALGO = {
    "FP8": "fp8", "NVFP4": "nvfp4", "FP8_PB_WO": "fp8-block", "FP8_BLOCK_SCALES": "fp8-block",
    "W4A16_AWQ": "awq-int4", "W4A16_GPTQ": "gptq-int4",
}  # fmt: skip


@pytest.mark.parametrize("name", QUANT_ALGO)
def test_weight_formats_that_tensorrt_llm_prints(name):
    assert set(ALGORITHMS) == set(QUANT_ALGO)
    log = read_log(
        f"[TRT-LLM] [I] Setting quant_algo={name} form HF quant config.\n[MemUsageChange] Allocated 2.00 GiB for max "
        "tokens in paged KV cache (1024).\n"
    )
    assert log.engine == "tensorrt-llm"
    asked = _formats(log, engine_log(log.engine), calculator.load_model("llama-3.1-8b"), [])
    assert asked["weight_dtype"] == QUANT_ALGO[name]


# What a command line calls a format of the cache: vLLM config/cache.py CacheDType, SGLang --kv-cache-dtype, llama.cpp
# common/arg.cpp kv_cache_types; TensorRT-LLM takes fp8 and nvfp4, and in its file tokens_per_block and the rest
KV = {
    VLLM: "bf16 bfloat16, fp16 float16, fp8_e4m3 fp8, fp8_e5m2 fp8_e5m2, nvfp4 nvfp4, fp8_ds_mla fp8_ds_mla, "
          "int8_per_token_head int8_per_token_head, fp8_per_token_head fp8_per_token_head, "
          "int4_per_token_head int4_per_token_head",
    SGLANG: "bf16 bfloat16, fp8_e4m3 fp8_e4m3, fp8_e5m2 fp8_e5m2, nvfp4 nvfp4",
    TENSORRT_LLM: "fp8_e4m3 fp8, nvfp4 nvfp4",
    LLAMA_CPP: "fp32 f32, fp16 f16, bf16 bf16, q8_0 q8_0, q5_1 q5_1, q5_0 q5_0, q4_1 q4_1, q4_0 q4_0, iq4_nl iq4_nl",
}  # fmt: skip


def test_words_of_command_lines():
    for command, names in KV.items():
        assert dict(command.kv_formats) == dict(pair.split() for pair in names.split(", "))
    assert [command.dtype_flag for command in KV] == ["--dtype", "--dtype", "", ""]
    # speculative algorithms of SGLang by its documentation; 2,048 is llama.cpp's --batch-size by default
    assert DRAFTS == {
        "mtp": "NEXTN", "eagle": "EAGLE", "eagle3": "EAGLE3", "draft_model": "STANDALONE", "ngram": "NGRAM",
    }  # fmt: skip
    assert LOGICAL_BATCH == 2_048
    assert set(LLAMA_CPP.says_itself) == {"weight_dtype", "pipeline_parallel_size", "block_size"}
    assert dict(TENSORRT_LLM.file_keys) == {
        "enable_attention_dp": "enable_attention_dp", "block_size": "kv_cache_config.tokens_per_block",
        "kv_cache_dtype": "kv_cache_config.dtype", "enforce_eager": "cuda_graph_config",
    }  # fmt: skip
    assert TENSORRT_LLM.kv_flag_since == (1, 3)


# Names of versions

READ = ((0, 4, 4), (0, 4, 9), (0, 5, 1), (0, 5, 5), (0, 6, 0))


@pytest.mark.parametrize(
    ("asked", "release", "is_before"),
    [
        ("0.9", (0, 9, 0), False), ("v0.9.1", (0, 9, 1), False), ("0.9.1.post2", (0, 9, 1), False),
        ("0.9.1rc2", (0, 9, 1), True), ("0.9.1.dev3+gabc", (0, 9, 1), True), ("0.9.1+cu124", (0, 9, 1), False),
        ("0.9.0.1", (0, 9, 0, 1), False), ("0.9.0.0", (0, 9, 0), False), ("0.1.dev1", None, True),
        ("0.0.0+gabc", None, True), ("0.1.0+cu12", (0, 1, 0), False), ("0.2.dev1", (0, 2, 0), True),
    ],
)  # fmt: skip
def test_what_the_name_of_a_version_says(asked, release, is_before):
    found = named("E", asked, (1, 0, 0))
    assert (found.release, found.is_before) == (release, is_before)


@pytest.mark.parametrize(
    ("asked", "used", "noted"),
    [
        ("0.4.4", (0, 4, 4), False), ("0.4.6", (0, 4, 4), True), ("0.4.7", (0, 4, 9), True), ("0.5.3", (0, 5, 1), True),
        ("0.5.4", (0, 5, 5), True), ("0.5", (0, 5, 5), True), ("0.4", (0, 4, 9), True), ("0.3", (0, 4, 4), True),
        ("0.7", (0, 6, 0), True), ("0.6", (0, 6, 0), False), ("0.6.0rc1", (0, 6, 0), True), ("0.6.1", (0, 6, 0), True),
    ],
)  # fmt: skip
def test_the_nearest_version_that_was_read(asked, used, noted):
    found, note = nearest("E", asked, READ[0], READ[-1], read=READ)
    assert (found, bool(note)) == (used, noted)


def test_versions_in_a_gap_are_as_the_last_before_it():
    # vLLM 0.8.5 and 0.9.1 were read, nothing between them
    gap = (((0, 8, 5), (0, 9, 1)),)
    found = [nearest("E", asked, (0, 6, 0), (0, 33, 0), gap) for asked in ("0.8.5", "0.8.6", "0.9.0", "0.9.1", "0.10")]
    assert [used for used, _ in found] == [(0, 8, 5), (0, 8, 5), (0, 8, 5), (0, 9, 1), (0, 10, 0)]
    assert [bool(note) for _, note in found] == [False, True, True, False, False]
    assert [in_words(version) for version in ((0, 9, 0), (0, 9, 1), (1, 0, 0))] == ["0.9", "0.9.1", "1.0"]


# What vLLM and SGLang do not allow


@pytest.mark.parametrize(
    ("tp", "dcp", "heads", "legal"),
    # as many ranks as keep a copy of the same heads, and divisors of that
    [(8, 2, 2, (1, 2, 4)), (8, 3, 2, (1, 2, 4)), (8, 8, 1, (1, 2, 4, 8)), (8, 5, 1, (1, 2, 4, 8)), (4, 2, 8, (1,)),
     (6, 2, 0, (1, 2, 3, 6)), (6, 4, 0, (1, 2, 3, 6))],
)  # fmt: skip
def test_ranks_of_vllm_that_share_a_context(tp, dcp, heads, legal):
    values = {"tensor_parallel_size": tp, "decode_context_parallel_size": dcp}
    if dcp in legal:
        check_context(values, heads, has_windows=False)
    else:
        with pytest.raises(calculator.ParallelismError, match=f"with TP {tp}, ranks that keep a copy") as caught:
            check_context(values, heads, has_windows=False)
        assert (caught.value.what, caught.value.asked, caught.value.allowed) == (
            "decode_context_parallel_size", dcp, legal,
        )  # fmt: skip
        assert caught.value.nearest == max(size for size in legal if size <= dcp)
    with pytest.raises(calculator.UnsupportedError, match="context of sliding windows") as caught:
        check_context(values, heads, has_windows=True)
    assert (caught.value.allowed, caught.value.nearest) == ((1,), 1)


@pytest.mark.parametrize(
    ("tp", "dcp", "legal"),
    # of 8 KV heads, split or copied evenly over TP / DCP ranks: 6 and 3 do not divide them, 2 and 1 do
    [(6, 2, (3, 6)), (6, 3, (3, 6)), (6, 5, (3, 6)), (4, 4, (1, 2, 4)), (4, 3, (1, 2, 4))],
)
def test_ranks_of_sglang_that_share_a_context(tp, dcp, legal):
    model = calculator.load_model("llama-3.1-8b")
    values = {"tensor_parallel_size": tp, "decode_context_parallel_size": dcp, "enable_attention_dp": False}
    if dcp in legal:
        check_sglang_context(model, values, has_windows=False)
    else:
        with pytest.raises(calculator.ParallelismError, match="it must divide tensor_parallel_size") as caught:
            check_sglang_context(model, values, has_windows=False)
        # of two as near the smaller
        nearest_one = {(6, 2): 3, (6, 5): 6, (4, 3): 2}[tp, dcp]
        assert (caught.value.allowed, caught.value.nearest) == (legal, nearest_one)
    for apart, windows, error in (
        (True, False, calculator.ParallelismError), (False, True, calculator.UnsupportedError),
    ):  # fmt: skip
        with pytest.raises(error) as caught:
            check_sglang_context(model, {**values, "enable_attention_dp": apart}, has_windows=windows)
        assert (caught.value.asked, caught.value.allowed, caught.value.nearest) == (dcp, (1,), 1)


@pytest.mark.parametrize(
    ("rank", "near"),
    [(1, None), (8, None), (512, None), (None, None), (2, 1), (4, 1), (5, 8), (12, 8), (13, 16), (384, 320), (417, 512),
     (1024, 512)],
)  # fmt: skip
def test_ranks_of_adapters(rank, near):
    model = SimpleNamespace(model_type="llama", vocab_size=258_048, name="M")
    values = {"max_lora_rank": rank, "max_loras": 1}
    if near is None:
        check_adapters(model, values)
        return
    with pytest.raises(calculator.InvalidValueError, match=f"max_lora_rank {rank} is not one") as caught:
        check_adapters(model, values)
    assert caught.value.nearest == near


def test_the_largest_vocabulary_of_adapters():
    large = SimpleNamespace(model_type="llama", vocab_size=258_049, name="M")
    for asked in ({"max_loras": 1, "max_lora_rank": None}, {"max_loras": None, "max_lora_rank": 8}):
        with pytest.raises(calculator.UnsupportedError, match="above 258,048 tokens, M has 258,049"):
            check_adapters(large, asked)
    check_adapters(large, {"max_loras": None, "max_lora_rank": None})
    check_adapters(SimpleNamespace(model_type="mistral", vocab_size=300_000, name="M"), asked)


def test_classes_that_do_not_copy_heads():
    heads = [SimpleNamespace(spec=SimpleNamespace(kv_heads=many)) for many in (8, 0, 4)]
    model = SimpleNamespace(
        model_type="x", name="M", groups=heads, copies_kv_heads=False, num_key_value_heads=2,
        tensor_parallel_degrees=(1, 2, 4, 8),
    )  # fmt: skip
    check_class(model, {"tensor_parallel_size": 4}, "vLLM", {})
    with pytest.raises(calculator.ParallelismError, match="there are 4; the largest is 4") as caught:
        check_class(model, {"tensor_parallel_size": 8}, "vLLM", {})
    assert (caught.value.allowed, caught.value.nearest) == ((1, 2, 4), 4)
    model.groups = heads[1:2]
    with pytest.raises(calculator.ParallelismError, match="there are 2; the largest is 2"):
        check_class(model, {"tensor_parallel_size": 4}, "vLLM", {})
    model.copies_kv_heads = True
    check_class(model, {"tensor_parallel_size": 4}, "vLLM", {"y": "it is not"})
    with pytest.raises(calculator.UnsupportedError, match=r"does not serve M \(model_type x\): it is not"):
        check_class(model, {"tensor_parallel_size": 1}, "vLLM", {"x": "it is not"})


# Why vLLM does not start


def test_the_budget_has_to_be_free():
    def asked(other):
        return SimpleNamespace(gpu_memory_bytes=80 * GIB, other_memory_bytes=other, gpu_memory_utilization=0.9)

    assert list(not_free(asked(8 * GIB), 72 * GIB)) == list(not_free(asked(None), 80 * GIB)) == []
    # a byte less than the budget: 72 GiB less a byte of 80 are 0.899 in thousandths, rounded down
    (refused,) = not_free(asked(8 * GIB + 1), 72 * GIB)
    assert refused.keywords == {"gpu_memory_utilization": 0.899}
    (refused,) = not_free(asked(20 * GIB), 72 * GIB)
    assert (refused.keywords, refused.by_default) == ({"gpu_memory_utilization": 0.75}, False)
    assert str(refused.why).startswith("60.00 GiB of one GPU are free")
    (refused,) = not_free(asked(81 * GIB), 72 * GIB)
    assert refused.keywords == {}


def test_graphs_need_a_block_for_each_state():
    stages = tuple(SimpleNamespace(num_blocks=many) for many in (90, 64))
    found = {many: list(too_few_states(SimpleNamespace(max_num_seqs=many), stages, by_default=True))
             for many in (63, 64, 65)}  # fmt: skip
    assert [len(found[many]) for many in (63, 64, 65)] == [0, 0, 1]
    assert (found[65][0].keywords, found[65][0].by_default) == ({"max_num_seqs": 64}, True)
    none = (SimpleNamespace(num_blocks=0),)
    assert list(too_few_states(SimpleNamespace(max_num_seqs=1), none, by_default=False)) == []
    (refused,) = too_few_states(
        SimpleNamespace(max_num_seqs=2), (SimpleNamespace(num_blocks=1),), by_default=False
    )  # fmt: skip
    assert not refused.by_default


# What stands beside weights


def test_who_shares_experts():
    # vLLM: TP x DP ranks where experts are whole; SGLang: those of one replica
    for engine, shares, ranks in (("vllm", 3, 6), ("sglang", 1, 2)):
        rules = engine_rules(engine)
        for whole in (True, False):
            request = SimpleNamespace(enable_expert_parallel=whole, data_parallel_size=3, tensor_parallel_size=2)
            assert joins_replicas(rules, request) is (whole and shares > 1)
            assert replicas_joined(rules, request) == (shares if whole else 1)
            assert expert_ranks(rules, request) == (ranks if whole else 1)


def test_a_neighbour_is_given_and_no_estimate():
    assert neighbours(SimpleNamespace(other_memory_bytes=0), True) == ()
    assert neighbours(SimpleNamespace(other_memory_bytes=None), True) == ()
    for in_slack in (True, False):
        (line,) = neighbours(SimpleNamespace(other_memory_bytes=7), in_slack)
        assert (line.bytes, line.low, line.high, line.in_slack, line.given) == (7, 7, 7, in_slack, True)
        assert (line.line.key, line.line.keyword) == ("other_memory", "other_memory_bytes")
        assert line.source.endswith("beside it" if in_slack else "before the engine starts")


@pytest.mark.parametrize(
    ("loras", "rank", "slots", "said"),
    # one adapter, and rank 16, where only the other is given
    [(None, None, 16, "one adapter up to rank 16"), (4, None, 64, "4 adapters up to rank 16"),
     (None, 8, 8, "one adapter up to rank 8"), (2, 64, 128, "2 adapters up to rank 64")],
)  # fmt: skip
def test_slots_of_adapters(loras, rank, slots, said):
    request = SimpleNamespace(max_loras=loras, max_lora_rank=rank)
    assert adapters.slots(request) == slots
    assert adapters.is_asked(request) is bool(loras or rank)
    assert adapters.of_vocabulary(SimpleNamespace(vocab_size=100, hidden_size=10), request) == slots * 110 * 2
    made = adapters.line(5, 3, 9, request)
    assert (made.bytes, made.low, made.high, made.in_slack, made.line.key) == (5, 3, 9, False, "lora")
    assert said in made.source


# Pools


def test_a_stage_without_a_cache_has_blocks_of_one_byte():
    # the groups are the model's, and nothing of them is here: every byte is a block
    every = (Cached(CompressedRows(584, 4), 2),)
    assert packed_geometry(every, (), 256, 64, 0).pools[0].block_bytes == 1
    # 64 rows of 584 bytes, aligned to 576, of two layers
    assert packed_geometry(every, every, 256, 64, 0).pools[0].block_bytes == 2 * 37_440


@pytest.mark.parametrize(
    ("model", "gpu", "tp", "apart", "seq_len", "share"),
    # SGLang 0.4.9 model_runner.py: aiter takes 0.85 of the fraction on AMD above 8,192 tokens of context; 0.5.23
    # attention_hook.py: with latent attention where a rank has 16 or 128 heads (DeepSeek V3 has 128), not where it is
    # sparse
    [
        ("llama-3.1-8b", "mi300x", 1, False, 8_192, 1.0), ("llama-3.1-8b", "mi300x", 1, False, 8_193, 0.85),
        ("llama-3.1-8b", "h100-sxm", 1, False, 8_193, 1.0), ("deepseek-v3", "mi300x", 1, False, 8_193, 0.85),
        ("deepseek-v3", "mi300x", 8, False, 8_193, 0.85), ("deepseek-v3", "mi300x", 4, False, 8_193, 1.0),
        ("deepseek-v3", "mi300x", 4, True, 8_193, 0.85), ("deepseek-v3.2", "mi300x", 8, False, 8_193, 1.0),
    ],
)  # fmt: skip
def test_what_aiter_takes_of_a_fraction(model, gpu, tp, apart, seq_len, share):
    rules = engine_rules("sglang", "0.5.23")
    assert isinstance(rules, Sglang)
    request = SimpleNamespace(
        gpu_memory_utilization=0.8, seq_len=seq_len, tensor_parallel_size=tp, enable_attention_dp=apart
    )
    used = rules.fraction_used(calculator.load_model(model), calculator.load_gpu(gpu), request)
    assert used == pytest.approx(0.8 * share)


def test_drafts_leave_48_requests_of_sglang_at_once():
    # 0.5.23, arg_groups/speculative_hook.py: max_running_requests is 48 where none is given
    rules, gpu = engine_rules("sglang", "0.5.23"), calculator.load_gpu("h100-sxm")
    assert rules.batch_defaults(gpu, 8_192, object()) == (8_192, 48)
    assert rules.batch_defaults(gpu, 8_192)[0] == 8_192
    assert rules.batch_defaults(gpu, 8_192)[1] > 48


def test_what_an_engine_may_use_of_a_device():
    vllm, trt = engine_rules("vllm"), engine_rules("tensorrt-llm")
    # vLLM: math.ceil of total x utilisation; 1,001 x 0.5 are 500.5
    assert [vllm.requested_bytes(total, 0.5, 9, 9) for total in (1_000, 1_001)] == [500, 501]
    # SGLang: the slack is of what was free before loading, 1,000 - 200, and rounded down: 0.25 of 801 are 200.25
    sglang = engine_rules("sglang")
    assert sglang.requested_bytes(1_000, 0.75, 500, 200) == 800
    assert sglang.requested_bytes(1_001, 0.75, 500, 200) == 801
    assert sglang.requested_bytes(100, 0.75, 50, 101) == 100
    # TensorRT-LLM: 700 are taken, and 0.9 of the 300 that are free
    assert trt.requested_bytes(1_000, 0.9, 500, 200) == 970
    assert trt.requested_bytes(1_000, 0.9, 900, 200) == 1_000


@pytest.mark.parametrize(
    ("version", "stages", "ahead", "batches"),
    # one batch before 0.26; then one for each stage, and one more that is scheduled ahead, as by default
    [("0.25", 2, None, 1), ("0.26", 1, None, 2), ("0.26", 3, None, 4), ("0.26", 3, False, 3), ("0.26", 1, True, 2)],
)
def test_tokens_in_flight_of_vllm(version, stages, ahead, batches):
    request = SimpleNamespace(async_scheduling=ahead, pipeline_parallel_size=stages, max_num_batched_tokens=2_048)
    assert engine_rules("vllm", version).in_flight(request) == 2_048 * batches


def test_tokens_that_vllm_prints():
    # 1,000 blocks of 10 bytes: of 16 tokens in one group, and of a window of 64, 4 blocks, in two
    shared = Geometry((Pool(10, (Claim(16, weight=1), Claim(16, 64, weight=2))),), 16)
    request = SimpleNamespace(seq_len=1_600, decode_context_parallel_size=2)
    # 0.20: blocks over three groups, times 16, on two ranks; 0.21: 1,000 over 100 + 8 of a sequence, times its length
    assert engine_rules("vllm", "0.20").reported_tokens(shared, 10_000, request) == 333 * 16 * 2
    assert engine_rules("vllm", "0.21").reported_tokens(shared, 10_000, request) == int(1_000 / 108 * 1_600)
    nothing = Geometry((Pool(1, ()),), 16)
    assert engine_rules("vllm", "0.21").reported_tokens(nothing, 10, request) == 10 * 16 * 2


def test_which_models_the_second_runner_of_vllm_serves():
    # 0.21 none; 0.22 qwen3; 0.24 some of experts too; 0.25 those and every one that has neither experts nor states
    names = ("qwen3-8b", "llama-3.1-8b", "deepseek-v2-lite", "mixtral-8x7b")
    models = [calculator.load_model(name) for name in names]
    served = {
        version: [engine_rules("vllm", version).on_second_runner(model) for model in models]
        for version in ("0.21", "0.22", "0.23", "0.24", "0.25", "0.29")
    }
    assert served == {
        "0.21": [False] * 4, "0.22": [True, False, False, False], "0.23": [True, True, False, False],
        "0.24": [True, True, True, False], "0.25": [True, True, True, False], "0.29": [True] * 4,
    }  # fmt: skip
    # graphs are in the budget from 0.20 on, with the second runner from 0.29 on
    inside = [engine_rules("vllm", version).graphs_inside(models[0]) for version in ("0.19", "0.20", "0.22", "0.29")]
    assert inside == [False, True, False, True]


def test_pools_of_tensorrt_llm_share_memory_by_their_windows():
    # 30 bytes a block of every token, 10 of a window of 100: of 200 tokens 6,000 to 1,000, of 50 tokens 1,500 to 500
    cut = PoolPerWindow((Pool(30, (Claim(1),)), Pool(10, (Claim(1, 100, fixed=1),))), 1, (MAX_TOKENS, 100))
    assert cut.counts(7_000, 200) == (7_000 * 200 // 7_000, 7_000 * 100 // 7_000)
    assert cut.counts(7_000, 50) == (7_000 * 50 // 2_000, 7_000 * 50 // 2_000)
    assert cut.counts(7_000, 0) == (0, 0)


# What a checkpoint may leave in 16 bit


def size_left(name, weight, **more):
    plan = calculator.plan(name, "h200", weight_dtype=weight, **more)
    lines = list(left_out(plan.model, plan.request, 1, 0))
    assert all((line.line, line.bytes, line.low, line.in_slack) == (LEFT_OUT, 0, 0, False) for line in lines)
    return [line.high for line in lines]


def test_attention_beside_experts_may_be_left_in_16_bit():
    # Mixtral 8x7B: q and o of 4,096 x 4,096, k and v of 4,096 x 1,024, in 32 layers. 4 bit, and for 128 values a scale
    # of 16 bit and a zero of 4
    values = 32 * (2 * 4_096 * 4_096 + 2 * 4_096 * 1_024)
    in_4_bit = values // 2 + values // 128 * 5 // 2
    assert size_left("mixtral-8x7b", "awq-int4") == [2 * values - in_4_bit]


@pytest.mark.parametrize(
    ("name", "weight", "more"),
    [
        ("llama-3.1-8b", "awq-int4", {}),  # dense
        ("mixtral-8x7b", "fp8", {}), ("mixtral-8x7b", "int8", {}),  # 8 bit
        ("mixtral-8x7b", "awq-int4", {"checkpoint_bytes": 24 * GIB}),  # its size is known
        ("gpt-oss-20b", "mxfp4", {}),  # the checkpoint's own
    ],
)  # fmt: skip
def test_nothing_is_left_open_of_these(name, weight, more):
    assert size_left(name, weight, **more) == []
