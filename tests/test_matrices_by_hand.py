"""Every matrix of types whose layers are built in a way of their own: part, shape, copies, split, format and name.

Written by hand from the classes that the rows name as their sources. A line is ``part shape split more name``: the
shape has ``copies/active*`` before it where it is not one, a vector is one number; ``C`` is split by outputs, ``R`` by
inputs, ``K`` by KV heads, ``=`` is whole on every rank; ``16`` is a matrix that no weight format changes.
"""

from collections import Counter

import pytest

import calculator
from calculator.architecture.matrices import Sharding

SIZES = {
    "num_hidden_layers": 2, "hidden_size": 96, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16,
    "intermediate_size": 160, "vocab_size": 1_000, "max_position_embeddings": 2_048, "tie_word_embeddings": False,
}  # fmt: skip
LETTERS = {Sharding.COLUMNS: "C", Sharding.ROWS: "R", Sharding.KV_HEADS: "K", Sharding.COPIED: "="}


def line(matrix):
    copies = "" if matrix.copies == matrix.active_copies == 1 else f"{matrix.copies}/{matrix.active_copies}*"
    shape = f"{matrix.outputs}" if matrix.inputs == 1 else f"{matrix.outputs}x{matrix.inputs}"
    format_ = "quantised" if matrix.inputs == 1 and matrix.quantised else ""
    format_ = "16" if matrix.inputs > 1 and not matrix.quantised else format_
    words = [matrix.part.replace(" ", "-"), copies + shape, LETTERS[matrix.sharding], format_,
             f"{matrix.value_bytes}B" if matrix.value_bytes else "", "" if matrix.is_parameter else "buffer",
             matrix.module]  # fmt: skip
    return " ".join(word for word in words if word)


def lines(text):
    return Counter(each.strip() for each in text.replace("\n", ";").split(";") if each.strip())


def found(weights):
    return Counter(line(matrix) for matrix in weights)


def layers_of(model):
    return [group.weights for group in model.layers for _ in range(group.count)]


def attention(hidden=96, heads=8, groups=2, key=16, value=None, bias="", out_bias=""):
    at, value = "self_attn.", value or key
    rows = [f"attention {heads * key}x{hidden} C {at}q_proj", f"attention {groups * key}x{hidden} K {at}k_proj"]
    rows += [f"attention {groups * value}x{hidden} K {at}v_proj", f"attention {hidden}x{heads * value} R {at}o_proj"]
    if bias:
        rows += [f"attention {heads * key} C {at}q_proj", f"attention {groups * key} K {at}k_proj",
                 f"attention {groups * value} K {at}v_proj"]  # fmt: skip
    return ";".join([*rows, f"attention {hidden} = {at}o_proj" if out_bias else ""])


def mlp(width=160, part="dense-MLP", at="mlp", copies="", gated=True, hidden=96, bias=False):
    rows = [f"{part} {copies}{width}x{hidden} C {at}.{name}"
            for name in (("gate_proj", "up_proj") if gated else ("up_proj",))]  # fmt: skip
    rows += [f"{part} {copies}{hidden}x{width} R {at}.down_proj"]
    if bias:
        rows += [row.replace(f"x{hidden}", "") for row in rows[:-1]] + [f"{part} {copies}{hidden} = {at}.down_proj"]
    return ";".join(rows)


def experts(width=40, count=4, chosen=2, rows=None, wide="", correction=""):
    """Return a router, its correction, and the experts."""
    rows = rows or count
    each = [f"router {rows}x96 = 16 {wide} mlp.gate".replace("  ", " "),
            mlp(width, "experts", "mlp.experts", f"{count}/{chosen}*")]  # fmt: skip
    if correction:
        each += [f"router {rows} = 4B {'buffer ' * (correction == 'buffer')}mlp.gate.e_score_correction"]
    return ";".join(each)


def shared(width):
    return mlp(width, "shared-experts", "mlp.shared_experts")


ROUTED = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
NORMS = "norms 2/2*96 ="
EMBEDDING, END = "embedding 1000x96 C 16 embed_tokens", "norms 96 =; head 1000x96 C 16 lm_head"
LATENT = {"q_lora_rank": 40, "kv_lora_rank": 24, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 10}
LATENT_LINES = """attention 40x96 = self_attn.q_a_proj; norms 40 =; attention 192x40 C self_attn.q_b_proj
attention 32x96 = self_attn.kv_a_proj_with_mqa; norms 24 =; attention 208x24 C self_attn.kv_b_proj
attention 96x80 R self_attn.o_proj"""
# the published class: wq_a, q_norm, wq_b, wkv, kv_norm, wo_a by groups of heads, wo_b, attn_sink in 32 bit
V4 = """attention 32x96 =; norms 32 =; attention 4096x32 C; attention 512x96 =; norms 512 =; attention 80x1024 C
attention 96x80 R; attention 8 C 4B; norms 2/2*96 =; streams 2/2*24x384 = 16 4B; streams 2/2*27 = 4B"""
MAMBA_2 = """state-layers 424x96 C mixer.in_proj; state-layers 224x4 C 16 mixer.conv1d; state-layers 224 C mixer.conv1d
state-layers 8 C 4B; state-layers 2/2*8 C; norms 192 C; state-layers 96x192 R mixer.out_proj"""
ADAPTERS = "attention 12x192 =; attention 192x12 C;" * 3
ZAMBA_USE = f"attention 96x96 =; dense-MLP 12x96 =; dense-MLP 320x12 C; {ADAPTERS}"

TYPES = {
    # vLLM step3_text.py: qkv_proj whole on every rank, inter_norm, wq, o_proj
    "step3_text": (
        {"share_q_dim": 64, "moe_layers_enum": "1", "share_expert_dim": 56, **ROUTED, "num_key_value_heads": 1},
        ["attention 64x96 = self_attn.q_proj; attention 16x96 = self_attn.k_proj; attention 16x96 = self_attn.v_proj;"
         f"norms 64 =; attention 128x64 C self_attn.wq; attention 96x128 R self_attn.o_proj; {more}; {NORMS}"
         for more in (mlp(), f"{experts()};{shared(56)}")], EMBEDDING, END,
    ),
    # vLLM step3p5.py: g_proj, a number a head, and windowed layers of another setting
    "step3p5": (
        {"attention_other_setting": {"num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 8},
         "sliding_window": 64, "layer_types": ["full_attention", "sliding_attention"], "moe_layers_enum": [1],
         "share_expert_dim": 56, "gating": True, **ROUTED},
        [f"{attention()}; attention 8x96 C; norms 2/2*16 =; {mlp()}; {NORMS}",
         f"{attention(heads=4, groups=1, key=8)}; attention 4x96 C; norms 2/2*8 =; {NORMS};"
         + experts(wide="4B", correction="buffer") + ";" + shared(56)], EMBEDDING, END,
    ),
    # vLLM models/deepseek_v4: a compressor is wkv and wgate, ape in 32 bit and a norm, twice as wide where rows
    # overlap; an indexer has one of its own, wq_b and weights_proj; the first layers have a table tid2eid
    "deepseek_v4": (
        {"num_hidden_layers": 3, "head_dim": 512, "qk_rope_head_dim": 64, "q_lora_rank": 32, "o_groups": 4,
         "o_lora_rank": 20, "hc_mult": 4, "index_head_dim": 128, "index_n_heads": 3, "sliding_window": 64,
         "layer_types": ["sliding_attention", "heavily_compressed_attention", "compressed_sparse_attention"],
         "num_hash_layers": 1, "n_shared_experts": 1, "index_topk": 8, "num_key_value_heads": 1,
         "mlp_layer_types": None, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 40},
        [f"{V4}; {experts()}; {shared(40)}; router 1000x2 = 16 4B buffer",
         f"{V4}; {experts(correction='buffer')}; {shared(40)}; attention 2/2*512x96 = 16; attention 65536 = 4B;"
         "norms 512 =",
         f"{V4}; {experts(correction='buffer')}; {shared(40)}; attention 2/2*1024x96 = 16; attention 4096 = 4B;"
         "norms 512 =; indexer 2/2*256x96 = 16; indexer 1024 = 4B; norms 128 =; indexer 384x32 =; indexer 3x96 = 16"],
        EMBEDDING, f"streams 4x384 = 16 4B; streams 5 = 4B; {END}",
    ),
    # transformers inkling: r_proj and the table of distances, convolutions of 4 on keys and values and twice on the
    # stream; of 4 heads of 8 and a window of 64 in the first, of 1,024 distances in the second
    "inkling_text": (
        {"local_layer_ids": [0], "dense_mlp_idx": 1, "num_experts": 4, "num_experts_per_tok": 2, "sliding_window": 64,
         "intermediate_size": 40, "dense_intermediate_size": 160, "n_shared_experts": 1, "swa_num_attention_heads": 4,
         "swa_num_key_value_heads": 1, "swa_head_dim": 8, "d_rel": 16, "rel_extent": 1_024, "sconv_kernel_size": 4,
         "conv_kernel_size": None},
        [f"{attention(heads=4, groups=1, key=8)}; norms 2/2*8 =; attention 64x96 C; dense-MLP 1 =; {mlp()}; {NORMS};"
         "attention 16x4 K 16; streams 192x4 C 16; attention 1024 =",
         f"{attention()}; norms 2/2*16 =; attention 128x96 C; router 1 =; {experts(rows=5)}; {shared(40)}; {NORMS};"
         "router 4 = 4B buffer mlp.gate.e_score_correction; attention 64x4 K 16; streams 192x4 C 16;"
         "attention 16384 ="], EMBEDDING, f"{END}; norms 96 =",
    ),
    # vLLM longcat_flash.py: two attentions and MLPs a layer, 2 experts of 6 that only route
    "longcat_flash": (
        {**LATENT, "num_hidden_layers": 1, "zero_expert_num": 2, "expert_ffn_hidden_size": 40, **ROUTED},
        [f"{LATENT_LINES}; {mlp()}; {experts(rows=6, wide='4B', correction='buffer')}; {NORMS}",
         f"{LATENT_LINES}; {mlp()}; {NORMS}"], EMBEDDING, END,
    ),
    # vLLM longcat_flash_ngram.py: 2 x (3 - 1) tables of 2,001, 2,003, 2,005 and 2,007 rows of 96 / 4
    "longcat_flash_ngram": (
        {**LATENT, "num_hidden_layers": 1, "zero_expert_num": 2, "expert_ffn_hidden_size": 40, **ROUTED,
         "emb_split_num": 2, "emb_neighbor_num": 3, "ngram_vocab_size_ratio": 2},
        [f"{LATENT_LINES}; {mlp()}; {experts(rows=6, wide='4B', correction='counted')}; {NORMS}",
         f"{LATENT_LINES}; {mlp()}; {NORMS}"],
        f"{EMBEDDING}; embedding 8016x24 C 16; embedding 4/4*96x24 = 16", END,
    ),
    # vLLM minimax_m3: an index of 4 queries of 32, a key and their norms
    "minimax_m3_vl_text": (
        {"layer_types": ["full_attention", "minimax_m3_sparse"], "mlp_layer_types": ["dense", "sparse"],
         "dense_intermediate_size": 160, "intermediate_size": 40, "shared_intermediate_size": 56, "num_experts": 4,
         "num_experts_per_tok": 2, "sparse_attention_config": {"sparse_index_dim": 32, "sparse_num_index_heads": 4}},
        [f"{attention()}; norms 2/2*16 =; {mlp()}; {NORMS}",
         f"{attention()}; norms 2/2*16 =; indexer 128x96 =; indexer 32x96 =; norms 2/2*32 =; {NORMS}; {shared(56)};"
         + experts(wide="4B", correction="buffer")], EMBEDDING, END,
    ),
    # transformers zamba2: heads over twice the hidden size, one block that two layers share
    "zamba2": (
        {"num_hidden_layers": 3, "layers_block_type": ["mamba", "hybrid", "hybrid"], "num_mem_blocks": 1,
         "num_key_value_heads": 4, "head_dim": None, "adapter_rank": 12, "use_shared_attention_adapter": True,
         "add_bias_linear": False, "n_mamba_heads": 8, "mamba_headdim": 24, "mamba_ngroups": 1, "mamba_d_state": 16,
         "mamba_d_conv": 4, "mamba_expand": 2, "use_conv_bias": True, "tie_word_embeddings": True},
        [f"{MAMBA_2}; norms 96 =",
         f"{MAMBA_2}; norms 96 =; {ZAMBA_USE}; attention 192x192 C; attention 96x192 K; attention 96x192 K;"
         f"attention 96x192 R; {mlp()}; norms 192 =; norms 96 =",
         f"{MAMBA_2}; norms 96 =; {ZAMBA_USE}"], EMBEDDING, "norms 96 =",
    ),
    # vLLM bailing_moe_v3.py: delta attention whose two gates are no waists; a gate a head of latent attention
    "bailing_hybrid": (
        {**LATENT, "layer_group_size": 2, "first_k_dense_replace": 1, **ROUTED, "n_shared_experts": 1,
         "moe_shared_expert_intermediate_size": 56, "linear_conv_kernel_dim": 4, "use_bias": False},
        [f"""state-layers 384x96 C self_attn.qkv_proj; state-layers 384x4 C 16 4B; state-layers 8x96 C self_attn.b_proj
         state-layers 136 C 4B; norms 16 =; state-layers 96x128 R self_attn.o_proj; state-layers 2/2*128x96 C
         {mlp()}; {NORMS}""",
         f"{LATENT_LINES}; attention 8x96 C; {experts(wide='4B', correction='buffer')}; {shared(56)}; {NORMS}"],
        EMBEDDING, END,
    ),
    # vLLM bailing_moe_linear.py: query_key_value, g_proj, g_norm, dense, norms of queries and keys
    "bailing_moe_v2_5": (
        {**LATENT, "layer_group_size": 2, "first_k_dense_replace": 1, **ROUTED, "num_shared_experts": 1,
         "moe_shared_expert_intermediate_size": 56, "group_norm_size": 4, "use_qk_norm": True, "use_bias": True,
         "moe_router_enable_expert_bias": True},
        [f"""state-layers 384x96 C; state-layers 384 C; state-layers 128x96 C; norms 128 C; state-layers 96x128 R
         state-layers 96 =; norms 2/2*16 =; {mlp(bias=True)}; {NORMS}""",
         f"{LATENT_LINES}; {experts(wide='4B', correction='counted')}; {shared(56)}; {NORMS}"],
        EMBEDDING, END,
    ),
    # vLLM deepseek_v2.py DeepseekAttention, where both parts of a key have no elements
    "deepseek_v2": (
        {"qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "v_head_dim": 0, "first_k_dense_replace": 1, **ROUTED,
         "n_shared_experts": 2, "attention_bias": False, "mlp_bias": False},
        [f"{attention()}; {mlp()}; {NORMS}", f"{attention()}; {experts()}; {shared(80)}; {NORMS}"], EMBEDDING, END,
    ),
    # vLLM k2_horizon.py: a router of values, and 3 projections of which a token passes 2
    "k2_horizon": (
        {**ROUTED, "decoder_sparse_step": 2, "n_shared_experts": 1, "mova_num_experts": 3, "moe_gate_bias": True,
         "mova_num_experts_per_tok": 2, "query_key_norm": True},
        [f"{attention()}; norms 128 C; norms 32 K; {mlp()}; {NORMS}",
         ";".join(each for each in attention().split(";") if "v_proj" not in each)
         + "; router 3x96 = self_attn.v_router; router 3 = self_attn.v_router; attention 3/2*32x96 K; norms 128 C;"
         f"norms 32 K; {experts()}; router 4 = mlp.gate; {shared(40)}; {NORMS}"], EMBEDDING, END,
    ),
    # transformers ernie4_5_vl_moe: a router, its correction and experts each for texts and for images
    "ernie4_5_vl_moe_text": (
        {"moe_num_experts": [4, 3], "moe_k": 2, "moe_intermediate_size": [40, 24], "moe_num_shared_experts": 1,
         "moe_layer_start_index": 1, "moe_layer_end_index": -1, "moe_layer_interval": 1, "use_bias": False},
        [f"{attention()}; {mlp()}; {NORMS}",
         f"{attention()}; {experts(wide='4B', correction='counted')}; {shared(40)}; {NORMS};"
         "router 3x96 = 16 4B mlp.gate; router 3 = 4B mlp.gate.e_score_correction;"
         + mlp(24, "experts", "mlp.experts", "3/0*")], EMBEDDING, END,
    ),
    # transformers gemma3n: 2 (3 - 1) projections of streams, embeddings of 12 a layer, 4 norms, Laurel of 20
    "gemma3n_text": (
        {"altup_num_inputs": 3, "laurel_rank": 20, "hidden_size_per_layer_input": 12, "num_kv_shared_layers": 0,
         "vocab_size_per_layer_input": 900, "sliding_window": 64, "intermediate_size": [160, 160],
         "layer_types": ["sliding_attention", "full_attention"], "tie_word_embeddings": True},
        [f"""{attention()}; norms 2/2*16 =; {mlp()}; norms 4/4*96 =; dense-MLP 12x96 =; dense-MLP 96x12 =; norms 96 =
         streams 3x3 =; streams 9x3 =; streams 3x96 =; streams 96 =; streams 20x96 =; streams 96x20 =; {NORMS}"""] * 2,
        f"{EMBEDDING}; embedding 900x24 C 16; embedding 24x96 =; norms 12 =;" + "embedding 96x96 =;" * 4, "norms 96 =",
    ),
    # transformers gemma4: full attention with one head of 32 for keys that are values too; the last layer shares a
    # cache, has queries alone and an MLP twice as wide
    "gemma4_text": (
        {"num_hidden_layers": 3, "layer_types": ["sliding_attention", "full_attention", "full_attention"],
         "attention_k_eq_v": True, "num_global_key_value_heads": 1, "global_head_dim": 32, "sliding_window": 64,
         "use_double_wide_mlp": True, "num_kv_shared_layers": 1, "hidden_size_per_layer_input": 0,
         "tie_word_embeddings": True, "enable_moe_block": False},
        [f"{attention()}; norms 2/2*16 =; {mlp()}; norms 4/4*96 =",
         "attention 256x96 C self_attn.q_proj; attention 32x96 K self_attn.k_proj; attention 96x256 R self_attn.o_proj;"
         f"norms 2/2*32 =; {mlp()}; norms 4/4*96 =",
         "attention 256x96 C self_attn.q_proj; attention 96x256 R self_attn.o_proj; norms 32 =;"
         f"{mlp(320)}; norms 4/4*96 ="], EMBEDDING, "norms 96 =",
    ),
    # vLLM openpangu.py OpenPanguSinkAttention: k_layernorm, 6 keys and values that are learned
    "pangu_pro_moe_v2": (
        {"qk_nope_dim": 12, "qk_rope_dim": 8, "v_channels": 10, "param_sink_number": 6, "param_sink_with_value": True,
         "first_k_dense_replace": 1, "n_shared_experts": 1, **ROUTED, "head_dim": None, "sandwich_norm": True,
         "router_enable_expert_bias": True},
        [f"{attention(key=20, value=10)}; norms 20 =; attention 240 K; attention 120 K; {NORMS}; {NORMS}; {more}"
         for more in (mlp(), experts(correction="counted") + ";" + shared(40))],
        EMBEDDING, END,
    ),
    # transformers falcon: new_decoder_architecture, two norms with biases
    "falcon": (
        {"new_decoder_architecture": True, "num_kv_heads": 2, "num_key_value_heads": None, "bias": True,
         "parallel_attn": True, "intermediate_size": None, "ffn_hidden_size": 160,
         "head_dim": None, "hidden_size": 128},
        [attention(128, bias=True, out_bias=True) + ";" + mlp(gated=False, hidden=128, bias=True)
         + "; norms 4/4*128 ="] * 2,
        "embedding 1000x128 C 16 embed_tokens", "norms 2/2*128 =; head 1000x128 C 16 lm_head",
    ),
    # transformers hy_v4 and vLLM: 2 streams mixed before and behind a block; an indexer shared by the second layer
    "hy_v4": (
        {**LATENT, "hc_mult": 2, "first_k_dense_replace": 1, **ROUTED, "n_shared_experts": 1, "index_n_heads": 4,
         "index_head_dim": 128, "index_topk": 8, "indexer_types": ["full", "shared"], "attention_bias": False},
        [f"{LATENT_LINES}; attention 80x96 C; attention 8 C; {NORMS}; streams 2/2*4x192 = 16 4B; streams 2/2*6 = 4B;"
         + more for more in (
             f"{mlp()}; indexer 512x40 = self_attn.indexer.wq_b; indexer 128x96 = 16 self_attn.indexer.wk;"
             "norms 2/2*128 = 4B; indexer 4x96 = 16 self_attn.indexer.weights_proj",
             f"{experts(wide='4B', correction='buffer')}; {shared(40)}")],
        EMBEDDING, f"streams 2x192 = 16 4B; streams 3 = 4B; {END}",
    ),
    # transformers jetmoe: queries and outputs are experts of a head each
    "jetmoe": (
        {"num_attention_heads": None, "num_local_experts": 4, "num_experts_per_tok": 2, "num_key_value_heads": 2,
         "intermediate_size": 40, "head_dim": None, "kv_channels": 16},
        [f"""attention 32x96 K; attention 32x96 K; router 4x96 = 16 mlp.gate; experts 4/2*32x96 C; experts 4/2*96x32 R
         attention 96 =; {experts()}; experts 96 =; {NORMS}"""] * 2, EMBEDDING, END,
    ),
}  # fmt: skip


NO_HEADS = {"num_key_value_heads": None, "head_dim": None}
BOTH_WAYS = (
    attention(heads=8, groups=8, key=12, bias=True, out_bias=True) + ";" + mlp(gated=False, bias=True)
).replace(" K ", " C ")
BERT = "norms 2/2*96 =; embedding 192 ="


def whole(heads, size, split, key_bias=True):
    """Return attention of an encoder-decoder, whose projections have biases."""
    width = heads * size
    key = f"; attention {width} {split}" if key_bias else ""
    return f"""attention {width}x96 C; attention {width} C; attention {width}x96 {split} {key}
    attention {width}x96 {split}; attention {width} {split}; attention 96x{width} R; attention 96 =;"""


TYPES |= {
    # transformers bert: three embeddings and their norm; a head of a dense layer, a norm and a bias
    "bert": (
        {**NO_HEADS, "type_vocab_size": 2, "tie_word_embeddings": True}, [f"{BOTH_WAYS}; norms 4/4*96 ="] * 2,
        f"{EMBEDDING}; embedding 196608 =; {BERT}", "head 1000 C; head 96x96 =; head 96 =; norms 2/2*96 =",
    ),
    "bert-generation": (
        {**NO_HEADS, "tie_word_embeddings": True}, [f"{BOTH_WAYS}; norms 4/4*96 ="] * 2,
        f"{EMBEDDING}; embedding 196608 =; norms 2/2*96 =", "head 1000 C",
    ),
    # transformers roformer: a table of sines of the size of a head
    "roformer": (
        {**NO_HEADS, "type_vocab_size": 2, "tie_word_embeddings": True}, [f"{BOTH_WAYS}; norms 4/4*96 ="] * 2,
        f"{EMBEDDING}; embedding 24576 =; {BERT}", "head 1000 C; head 96x96 =; head 96 =; norms 2/2*96 =",
    ),
    # transformers modernbert: no norm before the attention of the first layer
    "modernbert": (
        {**NO_HEADS, "norm_bias": True, "classifier_bias": True, "decoder_bias": True, "attention_bias": True,
         "mlp_bias": True, "tie_word_embeddings": True, "layer_types": ["full_attention", "sliding_attention"]},
        [BOTH_WAYS.replace("dense-MLP 160 C mlp.up_proj", "dense-MLP 160 C mlp.up_proj; dense-MLP 160 C mlp.gate_proj;"
                           "dense-MLP 160x96 C mlp.gate_proj") + f"; norms {count}/{count}*96 =" for count in (2, 4)],
        f"{EMBEDDING.removesuffix(' embed_tokens')}; norms 2/2*96 =",
        "norms 2/2*96 =; head 1000 C; head 96x96 =; head 96 =; norms 2/2*96 =",
    ),
    # transformers electra: 2,048 positions and 2 types beside the words, all of 40
    "electra": (
        {**NO_HEADS, "type_vocab_size": 2, "embedding_size": 40, "tie_word_embeddings": True},
        [f"{BOTH_WAYS}; norms 4/4*96 ="] * 2,
        "embedding 1000x40 C 16; embedding 82000 =; norms 2/2*40 =; embedding 96x40 =; embedding 96 =",
        "head 40x96 =; head 40 =; norms 2/2*40 =; head 1000 C",
    ),
    # transformers rembert: words come in by 40 and go out by 56
    "rembert": (
        {**NO_HEADS, "type_vocab_size": 2, "input_embedding_size": 40, "output_embedding_size": 56},
        [f"{BOTH_WAYS}; norms 4/4*96 ="] * 2,
        "embedding 1000x40 C 16; embedding 82000 =; norms 2/2*40 =; embedding 96x40 =; embedding 96 =",
        "head 56x96 =; head 56 =; norms 2/2*56 =; head 1000x56 C 16; head 1000 C",
    ),
    # transformers xmod: an adapter of 96 / 2 for each of three languages
    "xmod": (
        {**NO_HEADS, "type_vocab_size": 2, "languages": ["en", "de", "fr"], "adapter_reduction_factor": 2,
         "tie_word_embeddings": True},
        [f"{BOTH_WAYS}; norms 4/4*96 =; adapters 3/1*48x96 =; adapters 3/1*48 =; adapters 3/1*96x48 =;"
         "adapters 3/1*96 ="] * 2,
        f"{EMBEDDING}; embedding 196608 =; {BERT}", "head 1000 C; head 96x96 =; head 96 =; norms 2/2*96 =",
    ),
    # transformers t5: no biases, tables of positions in the first layers alone, one embedding
    "t5": (
        {**NO_HEADS, "d_kv": 16, "num_heads": 8, "num_layers": 2, "num_decoder_layers": 2, "d_ff": 160,
         "relative_attention_num_buckets": 32, "feed_forward_proj": "gated-gelu", "num_hidden_layers": None,
         "num_attention_heads": None, "intermediate_size": None},
        [f"{'attention 128x96 C; attention 128x96 K; attention 128x96 K; attention 96x128 R;' * 2} {more} {mlp()};"
         "norms 3/3*96 =" for more in ("attention 8x32 C 16;", "")],
        f"{EMBEDDING}; attention 8x32 C 16; norms 96 =;"
        + f"{'attention 128x96 C;' * 3} attention 96x128 R; {mlp()}; {NORMS};" * 2, "norms 96 =",
    ),
    # transformers bart: rows of positions beyond the context, norms behind the embeddings, three embeddings
    "bart": (
        {**NO_HEADS, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 8,
         "decoder_attention_heads": 4, "encoder_ffn_dim": 160, "decoder_ffn_dim": 200, "num_attention_heads": None,
         "num_hidden_layers": None, "intermediate_size": None},
        [whole(4, 24, "K") * 2 + mlp(200, gated=False, bias=True) + "; norms 6/6*96 ="],
        f"{EMBEDDING};" * 3 + "embedding 196800 =;" * 2 + "norms 4/4*96 =;"
        + (whole(8, 12, "C") + mlp(gated=False, bias=True) + "; norms 4/4*96 =;") * 2, "head 1000x96 C 16 lm_head",
    ),
    # transformers whisper: keys without a bias, two convolutions of 3, 448 and 1,500 positions
    "whisper": (
        {**NO_HEADS, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 8, "num_mel_bins": 80,
         "decoder_attention_heads": 8, "encoder_ffn_dim": 160, "decoder_ffn_dim": 200, "num_attention_heads": None,
         "num_hidden_layers": None, "intermediate_size": None, "max_position_embeddings": None,
         "max_target_positions": 448, "max_source_positions": 1_500, "tie_word_embeddings": True},
        [whole(8, 12, "K", False) * 2 + mlp(200, gated=False, bias=True) + "; norms 6/6*96 ="] * 2,
        f"{EMBEDDING}; embedding 43008 =; embedding 144000 =; embedding 96x240 =; embedding 96 =; embedding 96x288 =;"
        "embedding 96 =;" + whole(8, 12, "C", False) + mlp(gated=False, bias=True) + "; norms 4/4*96 =; norms 2/2*96 =",
        "norms 2/2*96 =",
    ),
    # transformers olmo_hybrid: 2 heads of keys of 8 and 4 of values of 12
    "olmo_hybrid": (
        {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
         "linear_value_head_dim": 12, "linear_conv_kernel_dim": 4,
         "layer_types": ["linear_attention", "full_attention"]},
        [f"""state-layers 128x96 C linear_attn.in_proj_qkvz; state-layers 8x96 C linear_attn.in_proj_ba
         state-layers 80x4 C 16 linear_attn.conv1d; state-layers 4 C; state-layers 4 C; norms 12 =
         state-layers 96x48 R linear_attn.out_proj; {mlp()}; {NORMS}""",
         f"{attention()}; norms 128 C; norms 32 K; {mlp()}; {NORMS}"], EMBEDDING, END,
    ),
    # transformers jamba: an inner width of 192, a time step of rank 96 / 16, norms of it and of both projections
    "jamba": (
        {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1,
         "num_experts": 4, "num_experts_per_tok": 2, "mamba_d_state": 10, "mamba_d_conv": 4, "mamba_expand": 2,
         "mamba_dt_rank": "auto", "mamba_conv_bias": True, "mamba_proj_bias": False, "head_dim": None,
         "hidden_size": 96},
        [f"""state-layers 384x96 C mixer.in_proj; state-layers 192x4 C 16 mixer.conv1d; state-layers 192 C mixer.conv1d
         state-layers 26x192 R mixer.x_proj; state-layers 192x6 C mixer.dt_proj; state-layers 192 C mixer.dt_proj
         state-layers 1920 C 4B; state-layers 192 C; state-layers 96x192 R mixer.out_proj; norms 6 =; norms 2/2*10 =
         {mlp()}; {NORMS}""",
         f"{attention(key=12)}; {experts(160)}; {NORMS}"], EMBEDDING, END,
    ),
    # transformers nemotron_h: every layer is one block; experts work in 24
    "nemotron_h": (
        {"num_hidden_layers": 4, "hybrid_override_pattern": "M*-E", "mamba_num_heads": 8, "mamba_head_dim": 24,
         "n_groups": 2, "ssm_state_size": 16, "conv_kernel": 4, "use_conv_bias": True, "n_routed_experts": 4,
         "num_experts_per_tok": 2, "moe_intermediate_size": 40, "moe_shared_expert_intermediate_size": 56,
         "moe_latent_size": 24, "use_bias": False},
        ["""state-layers 456x96 C mixer.in_proj; state-layers 256x4 C 16 mixer.conv1d; state-layers 256 C mixer.conv1d
         state-layers 8 C 4B; state-layers 2/2*8 C; norms 192 C; state-layers 96x192 R mixer.out_proj; norms 96 =""",
         f"{attention()}; norms 96 =", f"{mlp(gated=False)}; norms 96 =",
         f"""router 4x96 = 16 mlp.gate; router 4 = 4B buffer mlp.gate.e_score_correction; experts 24x96 =
         experts 96x24 =; experts 4/2*40x24 C mlp.experts.up_proj; experts 4/2*24x40 R mlp.experts.down_proj
         {mlp(56, "shared-experts", "mlp.shared_experts", gated=False)}; norms 96 ="""], EMBEDDING, END,
    ),
    # modeling_kimi.py: a gate of full rank, the other through a waist
    "kimi_linear": (
        {**LATENT, "linear_attn_config": {"full_attn_layers": [2], "kda_layers": [1], "num_heads": 4, "head_dim": 16,
         "short_conv_kernel_size": 4, "use_full_rank_gate": True}, **ROUTED, "first_k_dense_replace": 2,
         "mla_use_output_gate": True},
        [f"""state-layers 192x96 C self_attn.qkv_proj; state-layers 192x4 C 16 4B; state-layers 64x96 C self_attn.g_proj
         state-layers 16x96 = self_attn.f_a_proj; state-layers 64x16 C self_attn.f_b_proj
         state-layers 4x96 C self_attn.b_proj; state-layers 68 C 4B; norms 16 =; state-layers 96x64 R self_attn.o_proj
         {mlp()}; {NORMS}""",
         f"{LATENT_LINES}; attention 80x96 C; {mlp()}; {NORMS}"], EMBEDDING, END,
    ),
    # transformers lfm2: in_proj of three widths, a convolution and out_proj; two thirds of 240 in blocks of 32
    "lfm2": (
        {"layer_types": ["conv", "full_attention"], "conv_L_cache": 3, "conv_bias": False, "block_ff_dim": 240,
         "block_auto_adjust_ff_dim": True, "block_multiple_of": 32, "block_ffn_dim_multiplier": 1.0,
         "intermediate_size": None},
        [f"state-layers 288x96 C; state-layers 96x3 C 16; state-layers 96x96 R; {mlp()}; {NORMS}",
         f"{attention()}; norms 2/2*16 =; {mlp()}; {NORMS}"], EMBEDDING, END,
    ),
    # transformers gpt_oss: a sink a head, biases of the router and of experts
    "gpt_oss": (
        {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 40, "sliding_window": 64,
         "attention_bias": True},
        [f"{attention(bias=True, out_bias=True)}; attention 8 C; {NORMS}; {experts()}; router 4 = mlp.gate;"
         "experts 4/2*40 C mlp.experts.gate_proj; experts 4/2*40 C mlp.experts.up_proj;"
         "experts 4/2*96 = mlp.experts.down_proj"] * 2, EMBEDDING, END,
    ),
    # transformers bitnet: norms before the projections back
    "bitnet": ({}, [f"{attention()}; norms 96 =; {mlp()}; norms 160 =; {NORMS}"] * 2, EMBEDDING, END),
    # transformers apertus: two scalars of the activation
    "apertus": (
        {}, [f"{attention()}; norms 2/2*16 =; {mlp(gated=False)}; dense-MLP 2 =; {NORMS}"] * 2, EMBEDDING, END,
    ),
    # transformers stablelm: a norm a head of queries and keys; one norm where attention and MLP stand side by side
    "stablelm": (
        {"qk_layernorm": True, "use_parallel_residual": True, "use_qkv_bias": True, "head_dim": None},
        [f"{attention(key=12, bias=True)}; norms 96 C; norms 24 K; {mlp()}; norms 2/2*96 ="] * 2, EMBEDDING,
        END.replace("norms 96", "norms 2/2*96"),
    ),
    # vLLM nemotron_nas.py: 8 / 4 KV heads, int(2 x 5 x 96 / 3) = 320 in blocks of 256; and a layer of nothing
    "nemotron-nas": (
        {"num_key_value_heads": None, "head_dim": None, "intermediate_size": None, "block_configs": [
            {"attention": {"n_heads_in_group": 4}, "ffn": {"ffn_mult": 5}},
            {"attention": {"no_op": True}, "ffn": {"no_op": True}}]},
        [f"{attention(key=12)}; norms 96 =; {mlp(512)}; norms 96 =", ""], EMBEDDING, END,
    ),
    # vLLM decilm.py: KV heads of each layer
    "deci": (
        {"num_key_value_heads_per_layer": [4, 2]},
        [f"{attention(groups=groups)}; {mlp()}; {NORMS}" for groups in (4, 2)], EMBEDDING, END,
    ),
    # transformers gpt_bigcode: one KV head, biases, learned positions
    "gpt_bigcode": (
        {**NO_HEADS, "multi_query": True, "intermediate_size": None, "n_inner": 160},
        [f"{attention(groups=1, key=12, bias=True, out_bias=True)}; {mlp(gated=False, bias=True)}; norms 4/4*96 ="] * 2,
        f"{EMBEDDING}; embedding 196608 =", END.replace("norms 96", "norms 2/2*96"),
    ),
    # transformers molmo2: 128 words more than the head has
    "molmo2_text": (
        {"qk_norm_type": "qwen3", "additional_vocab_size": 128, "qkv_bias": True},
        [f"{attention(bias=True)}; norms 2/2*16 =; {mlp()}; {NORMS}"] * 2, "embedding 1128x96 C 16 embed_tokens", END,
    ),
    # transformers dbrx: experts of a part of the config
    "dbrx": (
        {"attn_config": {"kv_n_heads": 2}, "ffn_config": {"moe_num_experts": 4, "moe_top_k": 2, "ffn_hidden_size": 40},
         "num_key_value_heads": None, "intermediate_size": None, "head_dim": None},
        [f"{attention(key=12)}; {experts()}; {NORMS}"] * 2, EMBEDDING, END,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TYPES)
def test_every_matrix_of_a_type(kind):
    config, layers, embedding, end = TYPES[kind]
    asked = {"model_type": kind, **SIZES, **config}
    model = calculator.model_from_hf_config({key: value for key, value in asked.items() if value is not None})
    assert [found(weights) for weights in layers_of(model)] == [lines(text) for text in layers]
    assert found(model.embedding) == lines(embedding)
    assert found(model.end) == lines(end)
    assert model.ignored_keys == ()
