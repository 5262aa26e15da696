"""Every kind of cache in every engine: allocated by the engine's own table, or refused by name."""

import ast
import json
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from golden import DATA, ROOT
from small_config import CONFIG

import calculator
from calculator.architecture import caches
from calculator.architecture.caches import (
    Cache,
    Chunk,
    CompressedRows,
    EncoderTokens,
    EveryToken,
    IndexKeys,
    LastColumns,
    LatentVectors,
    Recurrence,
    RowsInPassing,
    State,
    TokenRows,
    Window,
)
from calculator.architecture.compressed import CompressedAttention
from calculator.architecture.latent import LatentAttention
from calculator.architecture.layers import (
    ChunkedAttention,
    CrossAttention,
    FullAttention,
    IndexedAttention,
    LayerSpec,
    SlidingWindow,
)
from calculator.architecture.recurrent import ConvolvedAttention, RecurrentState
from calculator.engines import ENGINES, engine_class, engine_rules
from calculator.formats.kv import storage_format

# each row 512 bytes of a token in bf16: 2 KV heads x (64 + 64) x 2, or a vector of 256 x 2; a state of 1,024 x 4
LAYERS = {
    EveryToken: FullAttention(2, 64, 64),
    LatentVectors: LatentAttention(192, 64),
    Window: SlidingWindow(2, 64, 64, None, 256),
    Chunk: ChunkedAttention(2, 64, 64, None, 256),
    IndexKeys: IndexedAttention(2, 64, 64, index_head_dim=128),
    CompressedRows: CompressedAttention(512, 64, 128, 128),
    RowsInPassing: CompressedAttention(512, 64, 128),
    EncoderTokens: CrossAttention(2, 64, 64),
    LastColumns: ConvolvedAttention(2, 64, 64, None, streams_width=250, kernel=4),
    State: RecurrentState(Recurrence.MAMBA2, 0, 0, 1_024, 4, 4, state_named=True),
}
FULL = 2 * 2_048 * 512
# What two layers take of one sequence of 2,048 tokens, each by the source that the engine's rules name; the rest is
# refused. A llama has no windows in SGLang and llama.cpp, which then keep every token. vLLM: the window and two batches
# in flight are more than the sequence, and a block more. TensorRT-LLM: 256 / 32 blocks, and a block more. SGLang: three
# slots of a state. vLLM: 64 rows of 584 bytes are 37,440 of a block, 33 blocks of the window and of two batches;
# compressed 128 to a row, 8 blocks of 256 tokens and 257 of 8 tokens beside. A block of 16 tokens x 2 layers for each
# 16 of the encoder's 64 tokens beside.
TAKEN = {
    ("vllm", EveryToken): FULL,
    ("vllm", LatentVectors): FULL,
    ("vllm", Window): FULL + 2 * 16 * 512,
    ("vllm", Chunk): FULL,
    ("vllm", IndexKeys): FULL + 2 * 2_048 * 256,
    ("vllm", CompressedRows): (8 + 33 + 257) * 2 * 37_440,
    ("vllm", RowsInPassing): 33 * 2 * 37_440,
    ("vllm", EncoderTokens): FULL + 4 * 2 * 16 * 512,
    ("vllm", State): 2 * 4_096,
    # of each of 2 heads 64 + 64 + 125 elements, which take 256; 4 tokens in a block, and 8 in a page of 16 x 512 bytes;
    # two batches in flight are more than the sequence, and a block more
    ("vllm", LastColumns): FULL + (2_048 // 8 + 1) * 2 * 16 * 512,
    ("sglang", EveryToken): FULL,
    ("sglang", LatentVectors): FULL,
    ("sglang", Window): FULL,
    ("sglang", Chunk): FULL,
    ("sglang", State): 3 * 2 * 4_096,
    ("tensorrt-llm", EveryToken): FULL,
    ("tensorrt-llm", LatentVectors): FULL,
    ("tensorrt-llm", Window): 9 * 2 * 32 * 512,
    ("tensorrt-llm", Chunk): 9 * 2 * 32 * 512,
    ("llama.cpp", EveryToken): FULL,
    ("llama.cpp", LatentVectors): FULL,
    ("llama.cpp", Window): FULL,
    ("llama.cpp", Chunk): FULL,
    ("llama.cpp", State): 2 * 4_096,
}
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
CASES = {
    case["case"]: case["config"]
    for case in map(json.loads, (DATA / "reference_parameters.jsonl").read_text(encoding="utf-8").splitlines())
}
BF16 = storage_format("bf16")


@dataclass(frozen=True, slots=True)
class Sketch(Cache):
    """A kind of cache that no engine knows."""

    words: ClassVar[str] = "a sketch of all tokens"


@dataclass(frozen=True, slots=True)
class Rotated(EveryToken):
    """A kind of its own, whatever it descends from."""

    words: ClassVar[str] = "rotated keys of every token"


@dataclass(frozen=True, slots=True)
class KeepsOne(LayerSpec):
    """A layer that keeps one cache, whatever it is."""

    cache: Cache

    def caches(self, storage, tensor_parallel_size):  # noqa: ARG002
        return (self.cache,)


def answered(engine, layer):
    model = calculator.model_from_hf_config(CONFIG).with_specs(lambda _: layer)
    model = replace(
        model,
        model_type="mamba2" if isinstance(layer, RecurrentState) else "llama",
        needs_encoder=isinstance(layer, CrossAttention),
    )
    encoder = {"encoder_seq_len": 64} if model.needs_encoder else {}
    asked = {"seq_len": 2_048, "max_num_batched_tokens": 2_048, "kv_cache_dtype": "bf16", **encoder}
    return calculator.plan(model, gpu="h100-sxm", engine=engine, **asked)


def test_every_kind_is_here():
    kinds = {kind for kind in vars(caches).values() if isinstance(kind, type) and issubclass(kind, Cache)}
    assert kinds - {Cache, TokenRows} == set(LAYERS)


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_kind_is_allocated_or_refused_by_name(engine, kind):
    assert kind in {type(cache) for cache in LAYERS[kind].caches(BF16, 1)}
    if (engine, kind) in TAKEN:
        assert answered(engine, LAYERS[kind]).allocated_bytes_per_sequence == TAKEN[engine, kind]
    else:
        title = engine_class(engine).title
        with pytest.raises(calculator.UnsupportedError, match=f"keeps {kind.words}, which the rules of {title} "):
            answered(engine, LAYERS[kind])


@pytest.mark.parametrize("cache", [Sketch(), Rotated(512)], ids=lambda cache: type(cache).__name__)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_kind_that_an_engine_does_not_know_is_refused_by_name(engine, cache):
    title = engine_class(engine).title
    with pytest.raises(calculator.UnsupportedError, match=f"llama keeps {cache.words}, which the rules of {title} "):
        answered(engine, KeepsOne(cache))


def test_rules_of_states_key_on_what_makes_them():
    for version in ("0.12", "0.31", "0.32", "0.33"):
        rules = engine_rules("vllm", version)
        assert {type(kind) for kind in (*rules.checkpoint_alignment, *rules.mode_follows_model)} <= {Recurrence}


def test_no_version_is_compared_in_code():
    """What depends on a version is a row of ``Change``."""
    compared = [
        (path.name, ast.unparse(node))
        for path in (ROOT / "calculator").rglob("*.py")
        if path.name not in ("versions.py", "base.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Compare) and all(isinstance(kind, ORDER) for kind in node.ops)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Tuple)
        and len(side.elts) > 1
        and all(isinstance(part, ast.Constant) and isinstance(part.value, int) for part in side.elts)
    ]
    assert compared == []


@pytest.mark.parametrize(
    ("case", "named"),
    # vLLM 0.33.0 model_executor/models: classes without SupportsPP, refused by config/model.py
    [
        ("whisper-large-v3", "whisper"),
        ("zamba2-1.2b-like", "zamba2"),
        ("mamba-codestral-7b", "mamba2"),
        ("gemma-3n-e4b text", "gemma3n_text"),
    ],
)
def test_what_vllm_cannot_cut_into_stages_is_refused(case, named):
    model = calculator.model_from_hf_config(CASES[case])
    asked = {"gpu": "h100-sxm", "seq_len": 256, **({"encoder_seq_len": 64} if model.needs_encoder else {})}
    assert calculator.plan(model, **asked).fits
    with pytest.raises(calculator.ParallelismError, match=f"own class of {named} has no pipeline stages") as caught:
        calculator.plan(model, pipeline_parallel_size=2, **asked)
    assert (caught.value.what, caught.value.nearest) == ("pipeline_parallel_size", 1)


def test_heads_in_place_of_a_latent_vector_are_counted_and_said():
    # vLLM 0.33.0 models/minicpm3.py: 62 layers of 40 heads x 96 x 2 in bf16, split over ranks; SGLang keeps the vector
    model = calculator.model_from_hf_config(CASES["minicpm3-4b"])
    asked = {"gpu": "h100-sxm", "seq_len": 4_096, "kv_cache_dtype": "bf16"}
    for ranks in (1, 4):
        answer = calculator.plan(model, tensor_parallel_size=ranks, **asked)
        assert answer.allocated_bytes_per_sequence == 4_096 * 62 * (40 // ranks) * 96 * 2 * 2
        assert any("keys and values of 40 heads in place of a latent vector" in note for note in answer.notes)
        assert not any("share" in note for note in answer.notes)
    with pytest.raises(calculator.ParallelismError, match="legal are 1, the nearest is 1"):
        calculator.plan(model, tensor_parallel_size=4, decode_context_parallel_size=2, **asked)
    # 256 + 32 elements of 16 bit
    latent = calculator.plan(model, engine="sglang", **asked)
    assert latent.allocated_bytes_per_sequence == 4_096 * 62 * 288 * 2
