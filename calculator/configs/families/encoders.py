"""Model types that encode a text and generate none: embeddings, rerankers, classifiers.

An engine keeps nothing of a text but while it reads it. The head that is counted is the one of masked language
modelling, which the reference's own class has; engines load a pooler of about that size, or none.
"""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.blocks.extras import Extra
from calculator.configs.family import TIED, Family, transformers
from calculator.configs.hooks.encoders.alone import (
    EncoderOnly,
    Languages,
    NarrowEmbedding,
    PlainFirst,
    PlainHead,
    SinusoidHeads,
    TwoEmbeddings,
)
from calculator.configs.schedules.rules import WINDOWS_LISTED
from calculator.configs.schedules.schedule import WINDOW, every

BERT = Family(
    {"head_dense_bias": True},
    builder=EncoderOnly, gated=False, qkv_bias=True, output_bias=True, mlp_bias=True, head_bias=True, norm_bias=True,
    has_norm_gain=False, embedding_norm=True, learned_positions=0, bidirectional=True,
    required={"is_decoder": False},
    harmless=("pooler_num_attention_heads",),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "bert": replace(BERT, source=transformers("bert")),
    "roberta": replace(BERT, source=transformers("roberta"), aliases=("xlm-roberta", "camembert", "data2vec-text")),
    "ernie": replace(BERT, source=transformers("ernie"), required={**BERT.required, "use_task_id": False}),
    "roberta-prelayernorm": replace(BERT, source=transformers("roberta_prelayernorm"), has_norm_gain=True),
    "bert-generation": replace(
        BERT, source=transformers("bert_generation"), defaults={}, builder=PlainHead,
    ),
    "megatron-bert": replace(BERT, source=transformers("megatron_bert"), has_norm_gain=True, embedding_norm=False),
    "modernbert": replace(
        BERT, source=transformers("modernbert"), defaults={}, builder=PlainFirst, schedule=WINDOWS_LISTED, gated=True,
        qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias", head_bias="decoder_bias",
        norm_bias="norm_bias", has_norm_gain=True, learned_positions=None,
        harmless=("local_attention", "sliding_window", "global_attn_every_n_layers"),
    ),
    "modernbert-decoder": replace(
        BERT, source=transformers("modernbert_decoder"),
        defaults={"global_attn_every_n_layers": 3, "sliding_window": 64},
        builder=PlainFirst, schedule=every(WINDOW, key="global_attn_every_n_layers", at=0), gated=True,
        qkv_bias="attention_bias", output_bias="attention_bias", mlp_bias="mlp_bias", head_bias="decoder_bias",
        norm_bias="norm_bias", has_norm_gain=True, learned_positions=None, bidirectional=False,
        required={"local_attention": 128},
    ),
    "nomic_bert": replace(
        BERT, source=transformers("nomic_bert"), defaults={**BERT.defaults, **TIED}, gated=True, qkv_bias=False,
        output_bias=False, mlp_bias=False, learned_positions=None,
    ),
    "gte": replace(
        BERT, source=transformers("gte"), aliases=("new",), gated=True, mlp_bias=False, learned_positions=None,
        extras=(Extra("dense MLP", "hidden"),),
    ),
    "big_bird": replace(
        BERT, source=transformers("big_bird"), harmless=(*BERT.harmless, "attention_type"),
        extras=(Extra("head", "hidden", "hidden", where="end"), Extra("head", "hidden", where="end")),
    ),
    "roc_bert": replace(
        BERT, source=transformers("roc_bert"),
        required={**BERT.required, "concat_input": True, "enable_shape": True, "enable_pronunciation": True},
        extras=(
            Extra("embedding", "shape_vocab_size", "shape_embed_dim", where="end"),
            Extra("embedding", "pronunciation_vocab_size", "pronunciation_embed_dim", where="end"),
            Extra("embedding", "hidden", "hidden", where="end"), Extra("embedding", "hidden", where="end"),
            Extra("embedding", "hidden", "shape_embed_dim", where="end"),
            Extra("embedding", "hidden", "pronunciation_embed_dim", where="end"),
        ),
    ),
    "xlm-roberta-xl": replace(BERT, source=transformers("xlm_roberta_xl"), has_norm_gain=True, embedding_norm=False),
    "roformer": replace(
        BERT, source=transformers("roformer"), builder=SinusoidHeads, learned_positions=None,
        required={**BERT.required, "rotary_value": False},
    ),
    "electra": replace(BERT, source=transformers("electra"), builder=NarrowEmbedding),
    "rembert": replace(BERT, source=transformers("rembert"), builder=TwoEmbeddings),
    "xmod": replace(
        BERT, source=transformers("xmod"), builder=Languages,
        required={**BERT.required, "adapter_layer_norm": False, "pre_norm": False},
    ),
}  # fmt: skip
