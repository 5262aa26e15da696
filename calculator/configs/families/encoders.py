"""Model types that encode a text and generate none: embeddings, rerankers, classifiers.

An engine keeps nothing of a text but while it reads it. The head that is counted is the one of masked language
modelling, which the reference's own class has; engines load a pooler of about that size, or none.
"""

from __future__ import annotations

from dataclasses import replace

from calculator.configs.extras import Extra
from calculator.configs.family import TIED, Family, transformers
from calculator.configs.hooks.encoder_only import EncoderOnly, PlainFirst, PlainHead
from calculator.configs.schedules.schedule import WINDOW, every

BERT = Family(
    {**TIED, "type_vocab_size": 2, "head_dense_bias": True},
    builder=EncoderOnly, gated=False, qkv_bias=True, output_bias=True, mlp_bias=True, head_bias=True, norm_bias=True,
    has_norm_gain=False, embedding_norm=True, learned_positions=0, bidirectional=True,
    required={"is_decoder": False, "add_cross_attention": False},
    harmless=("pooler_num_attention_heads", "pooler_size_per_head"),
)  # fmt: skip

ROWS: dict[str, Family] = {
    "bert": replace(BERT, longest_context=512, source=transformers("bert")),
    "roberta": replace(
        BERT, longest_context=512, source=transformers("roberta"),
        aliases=("xlm-roberta", "camembert", "data2vec-text", "xlm-roberta-xl-base"),
    ),
    "ernie": replace(
        BERT, longest_context=512, source=transformers("ernie"), required={**BERT.required, "use_task_id": False},
    ),
    "roberta-prelayernorm": replace(
        BERT, longest_context=512, source=transformers("roberta_prelayernorm"), has_norm_gain=True,
    ),
    "bert-generation": replace(
        BERT, longest_context=512, source=transformers("bert_generation"),
        defaults={**TIED, "type_vocab_size": 0}, builder=PlainHead,
    ),
    "megatron-bert": replace(
        BERT, longest_context=512, source=transformers("megatron_bert"), has_norm_gain=True, embedding_norm=False,
    ),
    "modernbert": replace(
        BERT, longest_context=8192, source=transformers("modernbert"),
        defaults={
            **TIED, "type_vocab_size": 0, "global_attn_every_n_layers": 3, "local_attention": 128,
            "classifier_bias": False, "decoder_bias": True, "norm_bias": False,
        },
        builder=PlainFirst, schedule=every(WINDOW, key="global_attn_every_n_layers", at=0), gated=True, qkv_bias="attention_bias",
        output_bias="attention_bias", mlp_bias="mlp_bias", head_bias="decoder_bias", norm_bias="norm_bias",
        has_norm_gain=True, learned_positions=None, harmless=("local_attention", "sliding_window"),
    ),
    "modernbert-decoder": replace(
        BERT, longest_context=8192, source=transformers("modernbert_decoder"),
        defaults={
            **TIED, "type_vocab_size": 0, "global_attn_every_n_layers": 3, "local_attention": 128,
            "classifier_bias": False, "decoder_bias": True, "norm_bias": False,
        },
        builder=PlainFirst, schedule=every(WINDOW, key="global_attn_every_n_layers", at=0), gated=True, qkv_bias="attention_bias",
        output_bias="attention_bias", mlp_bias="mlp_bias", head_bias="decoder_bias", norm_bias="norm_bias",
        has_norm_gain=True, learned_positions=None, bidirectional=False, harmless=("local_attention",),
    ),
    "nomic_bert": replace(
        BERT, longest_context=2048, source=transformers("nomic_bert"), gated=True, qkv_bias=False, output_bias=False,
        mlp_bias=False, learned_positions=None,
    ),
    "gte": replace(
        BERT, longest_context=8192, source=transformers("gte"), aliases=("new",),
        defaults={**BERT.defaults, "type_vocab_size": 1}, gated=True, mlp_bias=False, learned_positions=None,
        extras=(Extra("dense MLP", "hidden"),),
    ),
}  # fmt: skip
