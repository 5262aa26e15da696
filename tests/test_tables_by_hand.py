"""Tables that decide an answer, each word of them tried: what an engine's package, a format or arithmetic says."""

import json
from pathlib import Path

import pytest
from checkpoints import llama_gguf, write_gguf
from small_config import CONFIG

import calculator
from calculator.architecture.counts import NO_LIMIT
from calculator.engines.vllm.adapters import WITH_EMBEDDING, WITH_VOCABULARY
from calculator.formats.kv import storage_format
from calculator.logs.lines.vocabulary import rank_of, stated_by, vocabulary
from calculator.planning.heads.model_figures import layered_token_bytes
from calculator.planning.heads.uptraining import conversion_targets

GIB = 2**30
CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "reference_small.jsonl").read_text(encoding="utf-8").splitlines()
]


# Model types


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_switches_of_a_type_change_what_they_change_in_the_reference(case):
    """Every switch of a type's class the other way round: parameters, and rows of what a layer keeps."""
    model = calculator.model_from_hf_config(case["config"])
    assert model.num_parameters == case["num_parameters"]
    found = {}
    for group in model.groups:
        if size := group.spec.bytes_per_token(storage_format("fp16"), 1):
            limit = group.spec.grows_until
            row = [group.count, None if limit == NO_LIMIT else limit, size]
            found.setdefault(group.spec.kind, []).append(row)
    if case["kv"]:
        assert {kind: sorted(rows, key=str) for kind, rows in found.items()} == case["kv"]


# Adapters


# vLLM 0.33.0: the registry's class of each type, and what its embedding_modules name, its own or an inherited one
BOTH_ENDS = """
llama llama4_text mixtral qwen3 qwen3_moe qwen3_5_text qwen3_5_moe_text exaone exaone4 exaone_moe falcon_h1 granite
granite_swa granitemoe granitemoe_swa granitemoeshared granitemoehybrid jamba lfm2 lfm2_moe minicpm minicpm3 nemotron
nemotron_h nemotron-nas deci phimoe phi3 ernie4_5 hyperclovax internlm3 apertus param2moe solar
"""


def test_types_whose_embedding_adapters_change():
    assert WITH_VOCABULARY - {""} == set(BOTH_ENDS.split())
    assert {"cohere", "cohere2"} == WITH_EMBEDDING


@pytest.mark.parametrize(
    ("preset", "shape", "ends"),
    # hidden size, KV heads x size, width of the MLP, layers; MistralForCausalLM has embedding_modules = {}, Cohere's
    # has the embedding alone: 256,000 + 8,192
    [
        ("mistral-7b-v0.3", (4096, 8 * 128, 14_336, 32), 0),
        ("command-r-35b", (8192, 64 * 128, 22_528, 40), 256_000 + 8192),
    ],
)
def test_buffers_of_a_type_that_keeps_its_vocabulary(preset, shape, ends):
    h, kv, width, layers = shape
    # inputs and outputs of q, k, v, o, gate, up and down
    layer = (h + h) + 2 * (h + kv) + (h + h) + 2 * (h + width) + (width + h)
    whole = calculator.plan(preset, "h200", max_loras=1)
    assert whole.per_gpu.lora_bytes == 16 * 2 * (layers * layer + ends)
    # an embedding is on the first of two stages
    first, last = calculator.plan(preset, "h200", max_loras=1, pipeline_parallel_size=2).stages
    assert first.memory.lora_bytes - last.memory.lora_bytes == 16 * 2 * ends


def test_ranks_of_adapters_are_those_of_the_engine():
    # vLLM 0.33.0, config/lora.py: Literal[1, 8, 16, 32, 64, 128, 256, 320, 512]
    allowed = []
    for rank in (1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 63, 64, 65, 127, 128, 129, 192, 255, 256, 257, 319, 320,
                 321, 384, 511, 512, 513, 640, 1024):  # fmt: skip
        try:
            calculator.plan("llama-3-8b", "h200", max_lora_rank=rank)
        except calculator.InvalidValueError:
            continue
        allowed.append(rank)
    assert allowed == [1, 8, 16, 32, 64, 128, 256, 320, 512]


# How tokens are drafted


@pytest.mark.parametrize(
    ("key", "taken", "refused"),
    # vLLM 0.33.0, config/speculative.py: the type of each field
    [
        ("method", "draft_model", 7), ("draft_tensor_parallel_size", 1, 0), ("quantization", "fp8", 8),
        ("max_model_len", 2048, 0), ("num_speculative_tokens", 1024, 1025), ("num_speculative_tokens", 1, 0),
        ("revision", "main", 1), ("code_revision", "main", 1), ("attention_backend", "FLASH_ATTN", 1),
        ("moe_backend", "triton", 1), ("draft_sample_method", "greedy", 1),
        ("rejection_sample_method", "standard", 1), ("prompt_lookup_min", 1, 0), ("prompt_lookup_max", 5, 0),
        ("suffix_decoding_max_tree_depth", 0, -1), ("suffix_decoding_max_cached_requests", 10**9, 10**9 + 1),
        ("posterior_threshold", 0.1, "a tenth"), ("enforce_eager", True, 1), ("disable_padded_drafter_batch", False, 0),
        ("disable_eagle_block_drop", True, "yes"), ("use_local_argmax_reduction", True, 1),
        ("disable_lookahead_block_hashes", True, 1), ("parallel_drafting", True, 1),
    ],
)  # fmt: skip
def test_keys_of_drafting_are_the_engines(key, taken, refused):
    config = {"model": "llama-3.2-1b", "num_speculative_tokens": 2}
    assert calculator.plan("llama-3-8b", "h200", speculative_config={**config, key: taken}).per_gpu.draft_bytes
    with pytest.raises(calculator.InvalidValueError, match=key):
        calculator.plan("llama-3-8b", "h200", speculative_config={**config, key: refused})


# Studies of heads


@pytest.mark.parametrize(("first", "second"), [(8, 4), (4, 8), (8, 1)])
def test_a_token_of_two_halves(first, second):
    # 80 layers, 40 of each: K and V of 128 elements in 16 bit
    assert layered_token_bytes("llama-3-70b", first, second) == 40 * (first + second) * 2 * 128 * 2


@pytest.mark.parametrize(
    ("asked", "nearest"),
    # 32 KV heads pool into 1, 2, 4, 8 or 16; of two as near the smaller
    [(32, 16), (33, 16), (12, 8), (13, 16), (3, 2), (5, 4), (24, 16)],
)
def test_heads_that_cannot_be_pooled_so(asked, nearest):
    with pytest.raises(calculator.InvalidValueError, match="pooling joins equal numbers of the 32 KV heads") as caught:
        calculator.uptraining("llama-2-7b", to_kv_heads=asked, training_tokens=10**9)
    assert (caught.value.nearest, caught.value.allowed) == (nearest, (1, 2, 4, 8, 16))


def test_what_heads_can_be_pooled_into():
    model = calculator.load_model("llama-2-7b")
    assert conversion_targets(model) == (1, 2, 4, 8, 16)
    # layers of 8 and of 12: both have to divide
    assert conversion_targets(model.with_kv_heads([8] * 16 + [16] * 16)) == (1, 2, 4)
    assert conversion_targets(model.with_kv_heads(1)) == ()
    assert conversion_targets(calculator.load_model("deepseek-v3")) == ()


# Logs


@pytest.mark.parametrize(
    ("line", "rank", "seen"),
    [
        ("(Worker_TP3 pid=77) INFO 01-02 Model loading took 8.0 GiB", "TP3", {"TP": 4}),
        ("(Worker_PP1_TP0 pid=77) INFO", "PP1_TP0", {"PP": 2, "TP": 1}),
        ("[2026-01-02 03:04:05 TP7] Load weight end.", "TP7", {"TP": 8}),
        ("[2026-01-02 03:04:05 DP1 TP2 EP12] Load weight end.", "DP1 TP2 EP12", {"DP": 2, "TP": 3, "EP": 13}),
        ("INFO 01-02 no rank", "", {}),
        # a rank is at a line's beginning: one that is quoted far within is none
        (" " * 188 + "(Worker_TP3 pid=77)", "TP3", {"TP": 4}),
        (" " * 189 + "(Worker_TP3 pid=77)", "", {}),
    ],
)
def test_the_rank_that_prints_a_line(line, rank, seen):
    ranks = {}
    assert rank_of(line, ranks, vocabulary()) == rank
    assert ranks == seen
    # another rank never makes fewer of what was seen
    ranks = {"TP": 16, "PP": 16, "DP": 16, "EP": 16}
    rank_of(line, ranks, vocabulary())
    assert set(ranks.values()) == {16}


@pytest.mark.parametrize(
    ("line", "stated"),
    [
        ("Device: NVIDIA H100 80GB HBM3, 1980 MHz", {"device": "NVIDIA H100 80GB HBM3"}),
        ("found AMD Instinct MI300X]", {"device": "AMD Instinct MI300X"}),
        ("of NVIDIA_H100_80GB_HBM3.json", {"device": "NVIDIA H100 80GB HBM3"}),
        ("GeForce RTX 4090", {"device": "GeForce RTX 4090"}),
        ("Tesla T4", {"device": "Tesla T4"}),
        ("Quadro RTX 8000", {"device": "Quadro RTX 8000"}),
        *((f"NVIDIA {word} 25.01", {}) for word in (
            "Release", "Corporation", "Container", "Driver", "Deep Learning", "Nsight", "CUDA", "cuDNN", "Triton",
            "TensorRT", "Dynamo", "NIM", "Management", "Open", "Software", "Inference", "AI Enterprise", "and", "or",
            "GPU", "GPUs", "devices",
        )),
        ("AMD ROCm 6.4", {}),
        ("2026-01-02 started", {"date": "2026-01-02"}),
        ("[2026/11/30 03:04:05]", {"date": "2026-11-30"}),
        (" " * 70 + "2026-01-02", {"date": "2026-01-02"}),
        (" " * 71 + "2026-01-02", {}),  # a date within a line's text is not when it was printed
        ("12026-01-02", {}),
        ("2026-01-023", {}),
        ("Model path: /models/a-7b", {"model": "/models/a-7b"}),
        ("model ID = 'org/name'", {"model": "org/name"}),
        ("Model Name: org/name:tag@rev", {"model": "org/name:tag@rev"}),
    ],
)  # fmt: skip
def test_what_a_line_states_by_itself(line, stated):
    assert stated_by(line, "", vocabulary()) == stated


# Files


def test_tensors_of_an_encoder_are_no_part_of_the_text(tmp_path):
    config = {**CONFIG, "hidden_size": 512, "intermediate_size": 1024}
    values, tensors = llama_gguf(config)
    plain = write_gguf(tmp_path / "a.gguf", values, tensors)
    # llama.cpp, tools/mtmd/clip-impl.h: "v." of images, "a." of sound, "mm." of what joins them; 32-bit values
    more = dict.fromkeys(("v.blk.0.attn_q.weight", "a.conv1d.weight", "mm.0.weight"), ("F32", (64, 32)))
    write_gguf(tmp_path / "b.gguf", values, {**tensors, **more})
    one, other = (calculator.load_model(str(tmp_path / name)) for name in ("a.gguf", "b.gguf"))
    assert one.num_parameters == other.num_parameters
    assert plain == sum(matrix_bytes(one))
    assert sum(matrix_bytes(other)) == plain


def matrix_bytes(model):
    from calculator.architecture.weights import weight_bytes_per_rank

    return weight_bytes_per_rank(model)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a-00002-of-00002.gguf", "is not the first of its 2 files; read a-00001-of-00002.gguf"),
        ("a.gguf", "is one of 2 files, and not named as one"),
        ("a-00001-of-00003.gguf", "is one of 2 files, and not named as one"),
    ],
)
def test_a_part_of_a_model_is_known_by_its_name(tmp_path, name, said):
    values, tensors = llama_gguf({**CONFIG, "hidden_size": 512, "intermediate_size": 1024})
    for part in (name, "a-00001-of-00002.gguf"):
        write_gguf(tmp_path / part, {**values, "split.count": 2}, tensors)
    with pytest.raises(calculator.FileFormatError, match=said):
        calculator.load_model(str(tmp_path / name))


# Encoders of images


@pytest.mark.parametrize(
    ("wrapper", "joined"),
    # SigLIP's defaults (width 768) beside a text decoder of 2,304: what stands between the two, each a sum of matrices
    # and biases of the wrapper's projector class in transformers 5.23.0, beside the encoder's last norm (2 x 768)
    [
        ("paligemma", 2304 * (768 + 1)),
        ("llava", 2304 * (768 + 1) + 2304 * (2304 + 1)),
        ("deepseek_vl", 2304 * (768 + 1) + 2304 * (2304 + 1)),
        ("llava_next", 2304 * (768 + 1) + 2304 * (2304 + 1) + 2304),
        ("llava_onevision", 2304 * (768 + 1) + 2304 * (2304 + 1) + 2304),
        # two patches by two together, to 36,864, of which a half gates the other
        ("cohere2_vision", 36_864 * (4 * 768 + 1) + 2304 * (36_864 // 2 + 1)),
    ],
)
def test_what_joins_an_encoder_to_its_decoder(wrapper, joined):
    text = {
        "model_type": "llama", "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8,
        "vocab_size": 100, "intermediate_size": 64, "max_position_embeddings": 1024, "hidden_size": 2304,
    }  # fmt: skip
    model = calculator.model_from_hf_config(
        {"model_type": wrapper, "text_config": text, "vision_config": {"model_type": "siglip_vision_model"}}
    )
    # 12 layers of 768 by 3,072: 4 x 768^2 + 2 x 768 x 3,072 and their biases, two norms; patches of 16 x 16 x 3 with a
    # bias, 196 positions, and a probe that attends like one layer more: itself, one norm
    layer = 4 * 768 * 769 + 768 * 3072 * 2 + 3072 + 768
    encoder = 13 * layer + 12 * 4 * 768 + 768 * (16 * 16 * 3 + 1) + 196 * 768 + 2 * 768 + 768
    towers = sum(matrix.num_parameters for matrix in model.towers["vision_config"])
    assert towers == encoder + 2 * 768 + joined
