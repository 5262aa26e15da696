"""How GPUs can share a model, every way of a few GPUs by hand."""

import pytest

import calculator
from calculator.planning.plan import plan
from calculator.planning.sizing.layouts import layouts, machine_sizes

SIZES = {
    "num_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": 64, "hidden_size": 512,
    "intermediate_size": 1_024, "vocab_size": 1_000, "max_position_embeddings": 4_096, "tie_word_embeddings": True,
}  # fmt: skip
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
SHORT = {
    "tensor_parallel_size": "TP", "pipeline_parallel_size": "PP", "data_parallel_size": "DP",
    "decode_context_parallel_size": "DCP", "enable_expert_parallel": "EP", "enable_attention_dp": "ADP",
}  # fmt: skip


def ways(engine, most, given=None, gpu="h100-sxm", **fields):
    model = calculator.custom_model(**{**SIZES, **fields})
    rules = plan(model, gpu=gpu, engine=engine).rules
    found = layouts(model, rules, calculator.load_gpu(gpu), most, given or {})
    shown = []
    for layout in found:
        said = {SHORT[name]: value for name, value in layout.keywords.items() if value is True or value > 1}
        assert layout.num_gpus <= most
        shown.append(
            (layout.num_gpus, " ".join(f"{name}{'' if value is True else value}" for name, value in said.items()))
        )
    assert len(shown) == len(set(shown))
    return set(shown)


@pytest.mark.parametrize(
    ("engine", "fields", "expected"),
    # two layers: two stages at most; eight KV heads: no copies up to eight ranks; experts can be shared by ranks whose
    # attention is each its own (SGLang), or by replicas (vLLM)
    [
        ("vllm", {}, {(1, ""), (2, "TP2"), (2, "PP2"), (4, "TP4"), (4, "TP2 PP2")}),
        ("sglang", {}, {(1, ""), (2, "TP2"), (2, "PP2"), (4, "TP4"), (4, "TP2 PP2")}),
        ("vllm", EXPERTS, {(1, ""), (2, "TP2"), (2, "PP2"), (2, "DP2 EP"), (4, "TP4"), (4, "TP2 PP2"), (4, "DP4 EP"),
                           (4, "TP2 DP2 EP")}),
        ("sglang", EXPERTS, {(1, ""), (2, "TP2"), (2, "PP2"), (2, "TP2 ADP"), (4, "TP4"), (4, "TP2 PP2"),
                             (4, "TP4 ADP")}),
        ("llama.cpp", {}, {(1, ""), (2, "PP2")}),
        # two KV heads: of four ranks two keep the same, which can share a sequence's tokens
        ("vllm", {"num_key_value_heads": 2}, {(1, ""), (2, "TP2"), (2, "PP2"), (4, "TP4"), (4, "TP4 DCP2"),
                                              (4, "TP2 PP2")}),
        ("vllm", {"num_key_value_heads": 1}, {(1, ""), (2, "TP2"), (2, "TP2 DCP2"), (2, "PP2"), (4, "TP4"),
                                              (4, "TP4 DCP4"), (4, "TP2 PP2"), (4, "TP2 PP2 DCP2")}),
    ],
)  # fmt: skip
def test_every_way_of_four_gpus(engine, fields, expected):
    assert ways(engine, 4, **fields) == expected


def test_what_is_given_is_kept():
    assert ways("vllm", 4, {"tensor_parallel_size": 2}) == {(2, "TP2"), (4, "TP2 PP2")}
    assert ways("vllm", 4, {"pipeline_parallel_size": 1}) == {(1, ""), (2, "TP2"), (4, "TP4")}
    # replicas that share experts are bought together, others are not
    together = {"data_parallel_size": 2, "enable_expert_parallel": True}
    assert {size for size, _ in ways("vllm", 4, together, **EXPERTS)} == {2, 4}
    assert {size for size, _ in ways("vllm", 4, {"data_parallel_size": 2})} == {1, 2, 4}


def test_sizes_that_can_be_bought():
    # powers of two within a machine, then whole machines; machines of one GPU are joined in powers of two
    eight, one = calculator.load_gpu("h100-sxm"), calculator.load_gpu("h100-sxm")
    assert (eight.gpus_per_node, machine_sizes(eight, 33)) == (8, (1, 2, 4, 8, 16, 24, 32))
    assert [machine_sizes(eight, most) for most in (1, 3, 8, 11, 16)] == [
        (1,), (1, 2), (1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 4, 8, 16),
    ]  # fmt: skip
    single = next(load for key in calculator.gpu_ids() if (load := calculator.load_gpu(key)).gpus_per_node == 1)
    assert machine_sizes(single, 9) == (1, 2, 4, 8)
    assert one == eight
