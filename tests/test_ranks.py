"""How ranks share heads, tokens and sequences: what a GPU keeps, which ways are legal, and nothing that raises."""

import json
import re

import pytest

import calculator
from calculator import charts, vary, views
from calculator.engines.vllm.rules import Vllm
from calculator.planning import search
from calculator.units import GIB
from calculator.views import words

TOKENS, LATENT_ROW = 8192, 576 * 2  # DeepSeek-V3: 512 + 64 elements of 16 bit, 61 layers
SEQUENCE = 61 * LATENT_ROW * TOKENS  # 575,668,224 bytes
STATES_ALONE = {
    "model_type": "mamba2", "num_hidden_layers": 4, "hidden_size": 256, "num_heads": 8, "head_dim": 64,
    "state_size": 16, "n_groups": 2, "conv_kernel": 4, "expand": 2, "vocab_size": 1000, "torch_dtype": "bfloat16",
    "max_position_embeddings": 4096, "tie_word_embeddings": True,
}  # fmt: skip
ANSWERED = [
    ("llama-3-70b", "llama.cpp", {}),
    ("llama-3-70b", "llama.cpp", {"pipeline_parallel_size": 3}),
    ("gemma-3-27b", "llama.cpp", {"seq_len": 10**9, "batch_size": 10**9}),
    ("deepseek-v3", "vllm", {"tensor_parallel_size": 8, "decode_context_parallel_size": 8}),
    ("deepseek-v3", "vllm", {"tensor_parallel_size": 128, "decode_context_parallel_size": 128}),
    ("deepseek-v3", "vllm", {"tensor_parallel_size": 2, "data_parallel_size": 4, "enable_expert_parallel": True}),
    ("llama-3-70b", "vllm", {"tensor_parallel_size": 16, "decode_context_parallel_size": 2}),
    ("qwen3-next-80b-a3b", "vllm", {"tensor_parallel_size": 8, "decode_context_parallel_size": 4}),
    ("nemotron-h-56b", "vllm", {"tensor_parallel_size": 2, "pipeline_parallel_size": 2, "batch_size": 3}),
    (STATES_ALONE, "vllm", {"tensor_parallel_size": 2, "batch_size": 3}),
    ("falcon-7b", "vllm", {"seq_len": 10**9, "batch_size": 10**9}),
    ("llama-3-70b", "sglang", {"tensor_parallel_size": 7, "enable_attention_dp": True}),
    ("qwen3-next-80b-a3b", "sglang", {"tensor_parallel_size": 8, "enable_attention_dp": True, "batch_size": 60}),
    ("deepseek-v3", "sglang", {"tensor_parallel_size": 8, "decode_context_parallel_size": 4}),
    ("llama-3-70b", "tensorrt-llm", {"tensor_parallel_size": 8, "enable_attention_dp": True}),
]
"""Plans that the engines allow, most of them too small for their models."""
FACES = {
    "levers": calculator.levers,
    "next_steps": calculator.next_steps,
    "what_would_fit": calculator.what_would_fit,
    "smallest_fit": calculator.smallest_fit,
    "serve_command": calculator.serve_command,
    "as_dict": lambda plan: json.dumps(plan.as_dict()),
    "html": lambda plan: plan._repr_html_(),
    "words": lambda plan: [
        make(plan) for make in (words.headline, words.detail, words.formula, words.formula_steps, words.spread)
    ],
    "memory": charts.memory_bar,
    **{name: lambda plan, make=make: drawn(make(plan)) for name, make in views.VIEWS.items()},
}
SLOW = {name for name, view in views.VIEWS.items() if view.is_slow}


def drawn(view):
    return view.frame(), charts.draw(view)


def deepseek(**asked):
    return calculator.plan(
        "deepseek-v3", **{"gpu": "h200", "engine": "sglang", "tensor_parallel_size": 8, "seq_len": TOKENS, **asked}
    )


def row_of(plan):
    return next(row for row in views.sequence_length_view(plan).rows if row["seq_len"] == plan.request.seq_len)


def swept(plan):
    asked = {name: value for name, value in plan.asked.items() if name != "model"}
    return calculator.sweep(plan.model, **asked).iloc[0]


@pytest.mark.parametrize(("preset", "engine", "asked"), ANSWERED)
def test_no_face_raises_for_a_plan_that_was_answered(preset, engine, asked):
    model = preset if isinstance(preset, str) else calculator.model_from_hf_config(preset)
    plan = calculator.plan(model, **{"gpu": "a100-80gb-sxm", "engine": engine, "seq_len": 4096, **asked})
    row = ANSWERED.index((preset, engine, asked))
    for place, (name, make) in enumerate(FACES.items()):
        # every face meets every engine, a third of the plans draws each chart, one plan of all what takes seconds
        if name not in views.VIEWS or (place + row) % (3 if name not in SLOW else len(ANSWERED)) == 0:
            make(plan)


@pytest.mark.parametrize(
    ("asked", "share"),
    [
        # each of 8 ranks serves 8 of 64 sequences, whole
        ({"enable_attention_dp": True, "batch_size": 64}, 8 * SEQUENCE),
        # 60 over 8 ranks: the fullest serves 8
        ({"enable_attention_dp": True, "batch_size": 60}, 8 * SEQUENCE),
        # a latent vector is one head: 8 ranks keep a copy, 4 of them share its tokens
        ({"decode_context_parallel_size": 4, "batch_size": 64}, 64 * SEQUENCE // 4),
        ({"batch_size": 64}, 64 * SEQUENCE),
        # stages of 30 and 31 layers (vLLM get_pp_indices); the one of 31 has fewer blocks
        ({"pipeline_parallel_size": 2, "batch_size": 64, "engine": "vllm", "gpu_memory_bytes": 400 * GIB},
         64 * SEQUENCE * 31 // 61),
    ],
)  # fmt: skip
def test_every_face_shows_what_a_gpu_keeps_of_the_batch(asked, share):
    plan = deepseek(**asked)
    assert views.kv_bytes_per_gpu(plan) == share
    assert row_of(plan)["kv_bytes_per_gpu"] == share
    assert swept(plan)["kv_bytes_per_gpu"] == share
    one = plan.request.split.sequences_on_rank(plan.request.batch_size)
    assert {label: size for label, _, size in words.formula_steps(plan)}["One sequence, one GPU"] == share // one
    # what the engine allocates there is the same, in whole blocks
    assert 0 <= plan.allocated_bytes_per_sequence - share // one < plan.stage.geometry.pools[0].block_bytes
    own = next(row for row in views.tensor_parallel_view(plan).rows if row["this_plan"])
    assert own["kv_bytes_per_gpu"] == share


def test_a_sequence_is_summed_over_the_ranks_that_serve_it():
    assert deepseek(enable_attention_dp=True).kv_bytes_per_sequence == SEQUENCE
    assert deepseek(decode_context_parallel_size=4).kv_bytes_per_sequence == 2 * SEQUENCE  # 8 ranks, a quarter each
    assert deepseek().kv_bytes_per_sequence == 8 * SEQUENCE


def test_the_length_view_says_the_gpus_own_share():
    # 8 x 575,668,224 bytes are 4.29 GiB, 64 of them 34.3
    finding = views.sequence_length_view(deepseek(enable_attention_dp=True, batch_size=64)).finding
    assert "64 sequences at once take 4.29 GiB of one GPU" in finding


def test_a_batch_beyond_64_bits_is_a_float_in_a_table():
    # 10^9 sequences of 10^9 tokens, 327,680 bytes a token on one GPU
    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", seq_len=10**9, batch_size=10**9)
    view = views.sequence_length_view(plan)
    assert row_of(plan)["kv_bytes_per_gpu"] == 327_680 * 10**18
    assert view.frame()["kv_bytes_per_gpu"].max() == 327_680e18


STATE = 36 * ((8192 * 3) * 2 + 32 * 128 * 128 * 4)
"""Qwen3-Next: 36 layers, 8,192 channels of a convolution of 4, 32 heads of 128 x 128 in fp32 (SGLang's default)."""


@pytest.mark.parametrize(
    ("asked", "ranks"),
    # SGLang 0.5.23 linear_attn_tp_size is TP over the ranks of attention DP, whatever DCP
    [({}, 8), ({"enable_attention_dp": True}, 1), ({"decode_context_parallel_size": 4}, 8)],
)
def test_states_are_whole_where_attention_is_and_split_where_only_tokens_are_shared(asked, ranks):
    plan = calculator.plan(
        "qwen3-next-80b-a3b", gpu="h200", engine="sglang", tensor_parallel_size=8, seq_len=TOKENS, **asked
    )
    # as the engine keeps it; the model's config names no format of its own
    assert plan.state_bytes_per_sequence == plan.stage.geometry.pools[1].block_bytes == STATE // ranks
    assert f"{calculator.units.format_size(STATE)} of state that does not grow" in words.detail(plan)


def test_vllm_splits_states_over_all_ranks_beside_a_shared_context():
    # vLLM 0.33.0 v1/kv_cache_interface.py: dcp_sharded is of attention; a state's shape follows TP alone
    asked = {"gpu": "h200", "tensor_parallel_size": 8, "seq_len": TOKENS, "enable_prefix_caching": False}
    alone = calculator.plan("qwen3-next-80b-a3b", **asked)
    shared = vary(alone, decode_context_parallel_size=4)
    assert shared.request.block_size == alone.request.block_size
    assert shared.stage.geometry.pools[0].block_bytes == alone.stage.geometry.pools[0].block_bytes


@pytest.mark.parametrize("dcp", [2, 4, 8])
def test_sglang_cannot_share_a_context_between_ranks_that_serve_sequences_of_their_own(dcp):
    text = f"decode_context_parallel_size {dcp} is not possible with enable_attention_dp"
    with pytest.raises(calculator.ParallelismError, match=text):
        deepseek(enable_attention_dp=True, decode_context_parallel_size=dcp)


@pytest.mark.parametrize(
    ("preset", "asked", "text"),
    [
        ("deepseek-v3", {"decode_context_parallel_size": 3}, "legal are 1, 2, 4, 8, the nearest is 2"),
        ("gpt-oss-20b", {"decode_context_parallel_size": 2}, "the context of sliding windows is not known here; use 1"),
    ],
)
def test_sglang_says_which_contexts_can_be_shared(preset, asked, text):
    with pytest.raises(calculator.CalculatorError, match=text):
        calculator.plan(preset, gpu="h200", engine="sglang", tensor_parallel_size=8, **asked)


@pytest.mark.parametrize(
    ("preset", "asked", "text"),
    # vLLM 0.33.0 and SGLang 0.5.23 layers/linear.py: divide(width, tp) asserts
    [
        (
            "llama-3-8b",
            {"engine": "sglang", "tensor_parallel_size": 3, "enable_attention_dp": True},
            "the width 14336 of dense MLP does not divide by 3; legal are 1, 2, 4, 7, 8, 14, 16, 28, 32, 56, 64, 112, "
            "128, the nearest is 2",
        ),
        (
            "llama-2-13b",
            {"tensor_parallel_size": 5},
            "the width 13824 of dense MLP does not divide by 5; legal are 1, 2, 4, 8, the nearest is 4",
        ),
        ("qwen2.5-1.5b", {"tensor_parallel_size": 6}, "the width 8960 of dense MLP does not divide by 6; legal are 1,"),
        ("glm-4.5-air", {"tensor_parallel_size": 24}, "does not divide by 24; legal are 1, 2, 4, 8, 16, 32"),
    ],
)  # fmt: skip
def test_widths_that_are_split_must_divide(preset, asked, text):
    with pytest.raises(calculator.ParallelismError, match=re.escape(text)):
        calculator.plan(preset, gpu="h200", **asked)


def test_whole_experts_need_no_width_that_divides():
    # Qwen3-Coder-480B has experts of 2,560, no dense MLP and no shared experts: 24 ranks hold whole experts alone
    asked = {"gpu": "h200", "tensor_parallel_size": 24, "seq_len": TOKENS}
    with pytest.raises(calculator.ParallelismError, match="the width 2560 of experts does not divide by 24"):
        calculator.plan("qwen3-coder-480b-a35b", **asked)
    assert calculator.plan("qwen3-coder-480b-a35b", **asked, enable_expert_parallel=True).num_gpus == 24


def test_an_engine_of_whole_layers_is_given_more_stages():
    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", engine="llama.cpp", seq_len=8192)
    assert not plan.fits  # 131.4 GiB of weights
    smallest = calculator.smallest_fit(plan)
    assert (smallest.request.tensor_parallel_size, smallest.request.pipeline_parallel_size) == (1, 2)
    assert {lever.kind: lever.changes for lever in calculator.what_would_fit(plan)}["GPUs"] == {
        "tensor_parallel_size": 1,
        "pipeline_parallel_size": 2,
    }


def test_the_fewest_gpus_keep_replicas_that_share_experts():
    # 256 experts over TP x DP: one replica of 4 alone would hold 64 a GPU, 4 of them 16
    plan = calculator.plan(
        "deepseek-v3", gpu="h200", tensor_parallel_size=4, data_parallel_size=4, enable_expert_parallel=True,
        seq_len=TOKENS,
    )  # fmt: skip
    smallest = calculator.smallest_fit(plan)
    assert smallest.request.data_parallel_size == 4
    assert smallest.num_gpus == smallest.gpus_per_replica * 4
    assert search.shape(smallest).endswith(", DP 4")


def test_the_fewest_gpus_are_no_more_than_those_of_a_plan_that_fits():
    # TP 16 is more than a node; no degree within one divides by 16
    plan = calculator.plan(
        "deepseek-v3", gpu="h200", tensor_parallel_size=16, decode_context_parallel_size=16, seq_len=TOKENS
    )
    assert plan.fits
    assert calculator.smallest_fit(plan).num_gpus <= plan.num_gpus


def test_a_lever_of_several_replicas_is_the_plan_with_its_change():
    plan = calculator.plan("llama-3-70b", gpu="a100-80gb-sxm", seq_len=8192, data_parallel_size=2)
    for lever in calculator.what_would_fit(plan):
        assert lever.plan == vary(plan, **lever.changes)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "asked",
    [
        ["--model=llama-3-70b", "--engine=llama.cpp"],
        ["--model=deepseek-v3", "--engine=sglang", "--tensor-parallel-size=8", "--decode-context-parallel-size=8"],
    ],
)
def test_text_and_json_end_in_the_same_code(run, asked, form):
    code, out, err = run("plan", "--gpu=a100-80gb-sxm", "--seq-len=4096", *asked, "--format", form)
    assert (code, err) == (1, "")
    assert out != ""


def test_a_report_is_written_whole_or_not_at_all(run, monkeypatch):
    def refuse(_):
        raise calculator.UnsupportedError("no words for it")

    monkeypatch.setattr("calculator.cli.commands.plan.serve_command", refuse)
    code, out, err = run("plan", "--model=llama-3-8b", "--gpu=h200")
    assert (code, out, err) == (2, "", "error: no words for it\n")


def test_equal_stages_are_computed_once(fields, monkeypatch):
    calls = []
    whole = Vllm.overheads
    monkeypatch.setattr(Vllm, "overheads", lambda *args: calls.append(args[-1]) or whole(*args))
    model = calculator.custom_model(**{**fields, "num_layers": 400})
    answer = calculator.plan(model, gpu="h100-sxm", seq_len=1024, pipeline_parallel_size=400)
    # the first stage holds the embedding, the last the head, and all between them the same
    assert len(calls) == len(set(map(id, answer.stages))) == 3
    assert len(answer.stages) == 400
    assert answer.per_replica.weights_bytes == sum(stage.memory.weights_bytes for stage in answer.stages)
    assert answer.per_replica.activation_bytes == sum(stage.memory.activation_bytes for stage in answer.stages)
