"""llama.cpp's rules by hand: the compute buffer, layers and cells on the GPU, and what its log says of them."""

from types import SimpleNamespace

import pytest

import calculator
from calculator import ParallelismError, UnsupportedError, plan, read_log, reconcile
from calculator.engines import engine_log, engine_rules
from calculator.engines.llama_cpp.described import described
from calculator.engines.llama_cpp.overheads import compute_buffer, without_flash_attention
from calculator.engines.llama_cpp.rules import last_layers
from calculator.formats.kv import FORMATS
from calculator.planning.command import serve_command

MIB, GIB = 2**20, 2**30
LLAMA = calculator.load_model("llama-3-8b")  # 32 layers of 8 KV heads of 128, 128,256 words, hidden 4,096
GEMMA = calculator.load_model("gemma-2-9b")  # 21 layers with all tokens and 21 with 4,096; 8 KV heads of 256
RULES = engine_rules("llama.cpp")
LOG = engine_log("llama.cpp")


def asked(**changes):
    return plan(**{"model": "llama-3-8b", "gpu": "rtx-4090", "engine": "llama.cpp", "seq_len": 8_192, **changes})


def cell_bytes(answer):
    """What the cells of one sequence take, over all pools."""
    length = answer.request.seq_len
    return sum(
        pool.block_bytes * claim.blocks(length)
        for stage in answer.stages
        for pool in stage.geometry.pools
        for claim in pool.claims
    )


# The compute buffer


def test_logits_and_hidden_states_of_a_micro_batch():
    """258.50 MiB are printed for Llama 3 8B: 4 x 512 x (128,256 + 4,096)."""
    line = compute_buffer(LLAMA, 512)
    assert line.bytes == 271_056_896 == 258.5 * MIB
    assert (line.low, line.high) == (int(0.3 * 271_056_896), 2 * 271_056_896)
    assert "512 tokens" in str(line.source)


@pytest.mark.parametrize(
    ("tokens", "cells", "devices", "mib"),
    [
        # 4 x 512 x 8,192 x 32 heads = 512 MiB of scores, 16 of a mask, 4 x 512 x 4,096 x 4.5 = 36 of hidden states
        (512, 8_192, 1, 564),
        (512, 8_192, 2, 564 + 5 * 16),
        (512, 8_192, 3, 564 + 5 * 16),
        (256, 8_192, 1, 282),
        # never below what it is with flash attention: 8 + 1/4 + 36 MiB would do for 128 cells
        (512, 128, 1, 258.5),
    ],
)  # fmt: skip
def test_scores_are_kept_without_flash_attention(tokens, cells, devices, mib):
    assert without_flash_attention(LLAMA, tokens, cells, devices) == mib * MIB


# What is on the GPU


@pytest.mark.parametrize(("on_gpu", "layers"), [(0, 0), (1, 0), (2, 1), (5, 4), (33, 32), (99, 32)])
def test_the_output_is_the_last_layer(on_gpu, layers):
    assert sum(group.count for group in last_layers(LLAMA, on_gpu)) == layers


def test_the_last_layers_keep_their_kinds():
    """Gemma 2 ends on a layer with every token, after one with a window."""
    (odd,) = last_layers(GEMMA, 2)
    assert odd.count == 1
    both = last_layers(GEMMA, 3)
    assert sorted(type(group.spec).__name__ for group in both) == sorted(
        {type(group.spec).__name__ for group in GEMMA.layers}
    )


def test_layers_on_the_gpu_alone_have_their_cache_there():
    """131,072 bytes a token on 32 layers are 4,096 on one; five on the GPU are the output and four."""
    whole, four = asked(), asked(n_gpu_layers=5)
    assert cell_bytes(whole) == 8_192 * 131_072
    assert cell_bytes(four) == 8_192 * 4 * 4_096
    assert cell_bytes(asked(n_gpu_layers=2)) == 8_192 * 4_096
    # the layers before them are the host's: 28 of 32, of which each has as many weights
    rest = whole.all_gpus.weights_bytes - asked(n_gpu_layers=2).all_gpus.weights_bytes
    assert whole.all_gpus.weights_bytes - four.all_gpus.weights_bytes == rest // 31 * 28


@pytest.mark.parametrize("layers", [0, 1])
def test_no_layer_on_a_gpu_is_nothing_to_plan(layers):
    with pytest.raises(UnsupportedError) as refused:
        asked(n_gpu_layers=layers)
    assert (refused.value.what, refused.value.asked, refused.value.nearest) == ("n_gpu_layers", layers, 2)


def test_a_last_layer_without_a_cache_is_nothing_to_plan_either():
    """The pattern of Nemotron-H 56B ends on ``M-``: its last layer is an MLP, the one before it a Mamba."""
    with pytest.raises(UnsupportedError, match="from 3 on one is") as refused:
        asked(model="nemotron-h-56b", gpu="h200", n_gpu_layers=2)
    assert (refused.value.asked, refused.value.nearest) == (2, 3)
    # a state of 3 x (16,384 + 2 x 8 x 256) and of 256 heads of 64 x 256, in 32 bit
    assert cell_bytes(asked(model="nemotron-h-56b", gpu="h200", n_gpu_layers=3)) == 4 * (3 * 20_480 + 256 * 64 * 256)


def test_fewer_layers_over_several_gpus_are_not_known():
    with pytest.raises(UnsupportedError) as refused:
        asked(n_gpu_layers=20, pipeline_parallel_size=2)
    assert (refused.value.what, refused.value.asked) == ("n_gpu_layers", 20)
    assert asked(n_gpu_layers=20, pipeline_parallel_size=1).fits


def test_whole_layers_on_each_gpu():
    with pytest.raises(ParallelismError, match="pipeline_parallel_size 8 and tensor_parallel_size 1") as refused:
        asked(tensor_parallel_size=4, pipeline_parallel_size=2)
    assert (refused.value.asked, refused.value.allowed, refused.value.nearest) == (4, (1,), 1)


# Cells


@pytest.mark.parametrize(
    ("tokens", "full", "window"),
    [
        # cells are padded to 256; with a window of 4,096 they end at 4,096 and the 512 tokens of a micro-batch
        (1, 256, 256), (256, 256, 256), (257, 512, 512), (4_608, 4_608, 4_608), (4_609, 4_864, 4_608),
        (8_192, 8_192, 4_608),
    ],
)  # fmt: skip
def test_cells_of_layers_with_a_window(tokens, full, window):
    answer = asked(model=GEMMA, seq_len=tokens)
    assert cell_bytes(answer) == 21 * 8_192 * (full + window)  # 2 x 8 x 256 values of 2 bytes
    assert cell_bytes(asked(model=GEMMA, seq_len=tokens, swa_full=True)) == 2 * 21 * 8_192 * full


def test_the_window_ends_at_the_micro_batch():
    """4,096 + 100 tokens are 17 x 256 cells."""
    answer = asked(model=GEMMA, max_num_batched_tokens=100)
    assert cell_bytes(answer) == 21 * 8_192 * (8_192 + 17 * 256)


def test_a_pool_is_counted_in_cells_of_whole_sequences():
    answer = asked(seq_len=1_000)  # 1,024 cells of 131,072 bytes
    sequences = answer.per_gpu.kv_pool_bytes // (1_024 * 131_072)
    assert answer.max_batch_size == sequences
    assert answer.num_blocks == sequences * 4  # of 256 cells
    assert asked(seq_len=1_000, block_size=256).num_blocks == answer.num_blocks


@pytest.mark.parametrize("size", [16, 255, 257])
def test_cells_have_one_size(size):
    with pytest.raises(calculator.InvalidValueError) as refused:
        asked(block_size=size)
    assert (refused.value.what, refused.value.asked, refused.value.nearest) == ("block_size", size, 256)


def test_the_margin_is_a_gib_of_each_device():
    assert RULES.requested_bytes(24 * GIB, 0.5, 0, 0) == 23 * GIB
    assert RULES.requested_bytes(GIB // 2, 0.5, 0, 0) == 0
    device = SimpleNamespace(memory_bytes=24 * GIB)
    assert RULES.default_fraction(LLAMA, device, {}) == 23 / 24
    assert RULES.default_fraction(LLAMA, SimpleNamespace(memory_bytes=GIB), {}) == 1 / GIB
    assert "1,024 MiB" in str(RULES.budget_words(LLAMA, asked().request))


def test_a_draft_has_cells_of_its_own_in_16_bit():
    """Llama 3.2 1B has 16 layers of 8 KV heads of 64: 32,768 bytes a token in 16 bit, whatever the model's are in."""
    alone = asked(kv_cache_dtype="q8_0")
    drafted = asked(
        kv_cache_dtype="q8_0",
        speculative_config={"method": "draft_model", "model": "llama-3.2-1b", "num_speculative_tokens": 4},
    )
    assert FORMATS["q8_0"].bits_per_value == 8.5
    assert cell_bytes(alone) == 8_192 * 65_536 * 17 // 16
    assert cell_bytes(drafted) - cell_bytes(alone) == 8_192 * 32_768


# Its log

HEAD = """build: 6123 (abc1234) with cc
llama_model_loader: - kv   0: general.architecture str = llama
llama_model_loader: - kv   1: general.name str = Meta-Llama-3-8B
"""
SIZES = {
    "n_ctx_train": 8192, "n_embd": 4096, "n_layer": 32, "n_head": 32, "n_head_kv": 8, "n_embd_head_k": 128,
    "n_embd_head_v": 128, "n_ff": 14336, "n_expert": 0, "n_expert_used": 0, "n_vocab": 128256, "n_swa": 0,
}  # fmt: skip


FOUR, CONTEXT = "llama_context: n_seq_max     = 4", "llama_context: n_ctx         = 32768"
BUFFER = "llama_context:      CUDA0 compute buffer size = 258.50 MiB"


def lengths(*lines):
    return LOG.lengths(read_log("\n".join(("build: 6123 (abc1234) with cc", *lines, BUFFER)) + "\n"))


@pytest.mark.parametrize(
    ("lines", "streams", "cells"),
    [
        ([FOUR, CONTEXT], 4, 8_192),
        ([FOUR, CONTEXT, "kv_unified    = true"], 1, 32_768),
        ([FOUR, CONTEXT, "kv_unified    = false"], 4, 8_192),
        (["llama_kv_cache: size = 512.00 MiB ( 8192 cells,  32 layers,  4/2 seqs), K (f16): 256.00 MiB"], 2, 8_192),
        (["llama_kv_cache: size = 512.00 MiB ( 8192 cells,  32 layers,  1/1 seqs), K (f16): 256.00 MiB"], 1, 8_192),
        (["llama-server -m model.gguf --ctx-size 16384 --parallel 2"], 2, 8_192),
        (["llama-server -m model.gguf -c 16384 -np 2 -ub 256"], 2, 8_192),
        (["llama-server -m model.gguf -c 4096"], 1, 4_096),
    ],
)  # fmt: skip
def test_sequences_that_share_cells_are_one(lines, streams, cells):
    assert lengths(*lines) == {"batch_size": streams, "seq_len": cells}


def test_nothing_is_said_of_a_length():
    assert lengths("llama_context: n_seq_max     = 3") == {"batch_size": 3}


def test_arguments_have_short_names():
    log = read_log(f"build: 6123 (abc1234)\nllama-server -m model.gguf -c 16384 -np 2 -ub 256\n{BUFFER}\n")
    assert {name: log.flags.get(name) for name in ("ctx_size", "parallel", "max_num_batched_tokens")} == {
        "ctx_size": 16_384, "parallel": 2, "max_num_batched_tokens": 256,
    }  # fmt: skip


def estimates(**figures):
    keywords = figures.pop("asked", {"seq_len": 8_192})
    return LOG.estimates(SimpleNamespace(figures=figures), LLAMA, keywords)


def test_the_compute_buffer_is_another_where_flash_attention_is_off():
    assert estimates(flash_attention=0) == {"activation_bytes": 564 * MIB}
    halved = {"seq_len": 8_192, "max_num_batched_tokens": 256}
    assert estimates(flash_attention=0, asked=halved) == {"activation_bytes": 282 * MIB}
    several = {"seq_len": 8_192, "pipeline_parallel_size": 2}
    assert estimates(flash_attention=0, asked=several) == {"activation_bytes": 644 * MIB}
    assert estimates(flash_attention=1) == estimates() == estimates(flash_attention=0, asked={}) == {}


def started(weights=14_000, buffer=258.5, cells=8_192, again=""):
    return (
        HEAD
        + "".join(f"print_info: {name} = {value}\n" for name, value in SIZES.items())
        + f"print_info: model params = 8.03 B\nprint_info: file type   = F16\n"
        f"llama_context: n_seq_max     = 1\nllama_context: n_ctx         = {cells}\n"
        f"load_tensors:        CUDA0 model buffer size = {weights:.2f} MiB\n"
        f"llama_kv_cache:      CUDA0 KV buffer size = {cells / 8:.2f} MiB\n"
        f"llama_context:      CUDA0 compute buffer size = {buffer:.2f} MiB\n" + again
    )


def test_taken_is_weights_cache_and_buffer():
    """8,030,261,248 weights of 2 bytes less 128,256 x 4,096 of the embedding, which the CPU holds; 1 GiB of cells."""
    result = reconcile(started(), gpu="rtx-4090")
    taken = LOG.taken(result.plan, result.log)
    weights = 2 * (8_030_261_248 - 128_256 * 4_096) / GIB
    assert taken.reported_gib == pytest.approx((14_000 + 1_024 + 258.5) / 1024)
    assert taken.predicted_gib == pytest.approx(weights + 1 + 258.5 / 1024, abs=1e-6)
    # files of mixed types are 3 % off at most; the buffer 0.3 to 2 times
    assert taken.low_gib == pytest.approx(0.97 * weights + 1 + 0.3 * 258.5 / 1024, abs=1e-6)
    assert taken.high_gib == pytest.approx(1.03 * weights + 1 + 2 * 258.5 / 1024, abs=1e-6)


def test_a_buffer_without_flash_attention_is_a_tenth_off():
    result = reconcile(started(buffer=560) + "llama_context: flash_attn    = 0\n", gpu="rtx-4090")
    taken = LOG.taken(result.plan, result.log)
    weights = 2 * (8_030_261_248 - 128_256 * 4_096) / GIB
    assert taken.predicted_gib == pytest.approx(weights + 1 + 564 / 1024, abs=1e-6)
    assert taken.low_gib == pytest.approx(0.97 * weights + 1 + 0.9 * 564 / 1024, abs=1e-6)
    assert taken.high_gib == pytest.approx(1.03 * weights + 1 + 1.1 * 564 / 1024, abs=1e-6)


def test_nothing_is_taken_where_a_part_is_not_printed():
    result = reconcile(started().replace("model buffer size", "model buffer"), gpu="rtx-4090")
    assert LOG.taken(result.plan, result.log) is None


def test_the_last_of_several_starts_is_summed_alone():
    twice = started(weights=9_000) + (
        "load_tensors:        CUDA0 model buffer size = 8000.00 MiB\n"
        "load_tensors:        CUDA1 model buffer size = 6000.00 MiB\n"
        "llama_kv_cache:      CUDA0 KV buffer size = 512.00 MiB\n"
        "llama_kv_cache:      CUDA1 KV buffer size = 512.00 MiB\n"
        "llama_context:      CUDA0 compute buffer size = 258.50 MiB\n"
    )
    figures = read_log(twice).figures
    assert figures["weights_gib"] == pytest.approx(14_000 / 1024)
    assert figures["kv_pool_gib"] == pytest.approx(1.0)


def test_a_host_holds_no_part_of_the_pool():
    log = read_log(started() + "load_tensors:   CPU_Mapped model buffer size = 1002.00 MiB\n")
    assert log.figures["weights_gib"] == pytest.approx(14_000 / 1024)


# The model that it describes


def said(**changes):
    sizes = {name: str(value) for name, value in {**SIZES, **changes}.items()}
    return {"general.name": "str = Meta-Llama-3-8B", "arch": "llama", **sizes}


def test_printed_sizes_are_the_model():
    """Sizes that are printed again stand for metadata that are not; 0 stands for none."""
    model = described(said())
    assert (model.num_layers, model.hidden_size, model.num_attention_heads) == (32, 4_096, 32)
    assert (model.vocab_size, model.max_position_embeddings) == (128_256, 8_192)
    assert calculator.kv_cache_bytes(model, seq_len=1, batch_size=1) == 131_072
    assert model.num_parameters == 8_030_261_248


def test_parameters_tell_whether_the_output_is_the_embedding():
    """7.50 billion are those whose 128,256 x 4,096 values are counted once."""
    assert described(said(**{"model params": "8.03 B"})).num_parameters == 8_030_261_248
    assert described(said(**{"model params": "7.51 B"})).num_parameters == 8_030_261_248 - 128_256 * 4_096
    assert described(said(**{"model params": "7510 M"})).num_parameters == 8_030_261_248 - 128_256 * 4_096
    assert described(said(**{"model params": "0.00803 T"})).num_parameters == 8_030_261_248


def test_experts_and_windows_are_read():
    """Mixtral 8x7B: 46,702,792,704 parameters, as its repository counts them."""
    mixtral = described(said(n_embd=4096, n_vocab=32000, n_expert=8, n_expert_used=2, n_ctx_train=32768))
    assert mixtral.num_parameters == 46_702_792_704
    assert described({"arch": "nothing", "n_layer": "3"}) is None
    assert described({**said(), "n_layer": "0"}) is None


def test_printed_sizes_of_windows_and_states_are_read():
    """Gemma 2's window stands in half of its layers; Mamba 130M: 24 layers of (4 - 1) x 1,536 and 1,536 x 16 values."""
    gemma = described({
        "arch": "gemma2", "n_layer": "42", "n_embd": "3584", "n_head": "16", "n_head_kv": "8", "n_embd_head_k": "256",
        "n_embd_head_v": "256", "n_ff": "14336", "n_vocab": "256000", "n_swa": "4096", "n_ctx_train": "8192",
    })  # fmt: skip
    assert cell_bytes(asked(model=gemma, kv_cache_dtype="fp16")) == 21 * 8_192 * (8_192 + 4_608)
    mamba = described({
        "arch": "mamba", "n_layer": "24", "n_embd": "768", "n_vocab": "50280", "n_ctx_train": "1048576", "n_ff": "0",
        "ssm_d_conv": "4", "ssm_d_inner": "1536", "ssm_d_state": "16", "ssm_dt_rank": "48", "n_head": "0",
    })  # fmt: skip
    assert cell_bytes(asked(model=mamba)) == 24 * 4 * (3 * 1_536 + 1_536 * 16)  # in 32 bit


def test_formats_of_the_cache_are_those_of_the_source():
    """0c1e570 common/arg.cpp, kv_cache_types: F32, F16, BF16, Q8_0, Q4_0, Q4_1, IQ4_NL, Q5_0, Q5_1."""
    kept = {"fp32", "fp16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"}
    assert set(RULES.kv_cache_dtypes) == kept
    words = {
        name: " ".join(serve_command(asked(kv_cache_dtype=name, seq_len=512)).split())
        .split("--cache-type-k ")[1]
        .split()[:3]
        for name in kept
    }
    theirs = {**{name: name for name in kept}, "fp32": "f32", "fp16": "f16"}
    assert words == {name: [theirs[name], "--cache-type-v", theirs[name]] for name in kept}


@pytest.mark.parametrize(("tokens", "wider"), [(1_024, False), (2_048, False), (2_049, True), (4_096, True)])
def test_a_micro_batch_is_no_wider_than_the_batch(tokens, wider):
    """--batch-size is 2,048 where it is not given, and bounds --ubatch-size."""
    command = " ".join(serve_command(asked(max_num_batched_tokens=tokens)).split())
    assert f"--ubatch-size {tokens}" in command
    assert (f"--batch-size {tokens}" in command) is wider


@pytest.mark.parametrize(
    ("changes", "slots"),
    [({"batch_size": 3}, 3), ({"max_num_seqs": 4}, 4), ({"max_num_seqs": 4, "batch_size": 2}, 4)],
)
def test_slots_have_the_cells_of_a_sequence_each(changes, slots):
    command = " ".join(serve_command(asked(seq_len=1_000, **changes)).split())
    assert f"--ctx-size {slots * 1_024} " in command
    assert f"--parallel {slots}" in command
