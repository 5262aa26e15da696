"""A foreign config.json, read key by key: synonyms, defaults, bounds, and what was never read.

A config is hostile until it is read: every number is bounded, every contradiction refused, and
every key that bears on the cache and was not read is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calculator.architecture.limits import MAX_HEADS, MAX_LAYERS, MAX_TOKENS, MAX_WIDTH
from calculator.errors import InvalidValueError, UnsupportedError, shown
from calculator.messages import say

SYNONYMS = {
    "num_hidden_layers": (
        "n_layer", "n_layers", "num_layers", "num_decoder_layers", "decoder_layers", "num_transformer_layers",
    ),
    "num_attention_heads": ("n_head", "n_heads", "num_heads", "decoder_attention_heads", "attention_heads"),
    "num_key_value_heads": (
        "num_kv_heads", "n_head_kv", "num_query_groups", "num_attention_groups", "multi_query_group_num", "kv_n_heads",
    ),
    "head_dim": ("kv_channels", "attention_head_dim", "d_kv", "head_size"),
    "v_head_dim": ("v_channels",),
    "hidden_size": ("n_embd", "d_model", "model_dim"),
    "intermediate_size": ("n_inner", "dff", "ffn_dim", "d_ff", "ffn_hidden_size", "decoder_ffn_dim"),
    "vocab_size": ("padded_vocab_size",),
    "max_position_embeddings": (
        "n_positions", "max_seq_len", "seq_length", "max_sequence_length", "max_target_positions", "max_context_length",
    ),
    "num_experts": ("num_local_experts", "n_routed_experts", "moe_num_experts"),
    "num_experts_per_tok": (
        "experts_per_token", "moe_topk", "moe_k", "moe_top_k", "num_experts_per_token", "top_k_experts",
    ),
    "moe_intermediate_size": ("expert_ffn_hidden_size",),
    "share_expert_dim": ("share_expert_dims",),
    "n_shared_experts": ("num_shared_experts", "moe_num_shared_experts", "num_shared_expert"),
    "sliding_window": ("sliding_window_size", "window_size"),
    "sliding_window_pattern": ("_sliding_window_pattern",),
    "linear_conv_kernel_dim": ("short_conv_kernel_size",),
    "tie_word_embeddings": ("share_input_output_layers", "tie_embedding"),
    "torch_dtype": ("dtype",),
}  # fmt: skip
"""Names in use for the same thing; the first is the one that this project uses."""

LIMITS = {
    "num_hidden_layers": MAX_LAYERS,
    "vocab_size": MAX_WIDTH,
    "hidden_size": MAX_WIDTH,
    "intermediate_size": MAX_WIDTH,
    "moe_intermediate_size": MAX_WIDTH,
    "max_position_embeddings": MAX_TOKENS,
    "model_max_length": MAX_TOKENS,
    "sliding_window": MAX_TOKENS,
    "attention_chunk_size": MAX_TOKENS,
    "vocab_size_per_layer_input": MAX_WIDTH,
    "n_positions": MAX_TOKENS,
    "max_target_positions": MAX_TOKENS,
    "max_source_positions": MAX_TOKENS,
}

REPEATED = ("num_experts_per_tok", "n_shared_experts", "moe_intermediate_size")
"""Keys that some configs give as a list, a number a layer; one number repeated is that number."""

BEARS_ON_THE_CACHE = re.compile(
    r"window|chunk|(^|_)kv(_|$)|_cache|cache_|state_size|d_state|ssm|mamba|conv_kernel|d_conv|lora_rank|layer_types"
    r"|layers_block_type|shared_layers|head_dim|heads|n_head|num_layers|(^|_)n_layer|linear_attn|linear_num|linear_key"
    r"|linear_value|block_configs|layer_pattern|full_attention|attn_layer|attention_layers|cross_attention_layers"
    r"|block_types|is_encoder_decoder|encoder_layers|add_cross_attention|lru_|use_mla|attn_type"
    r"|(^|_)swa(_(?!rope|attention_sink)|$)|attention_type|sparse_att|(^|_)nsa|recurrent|state_dim|use_cla|cla_factor|yoco"
    r"|index_|indexer|compress|multi_query|new_decoder|no_rope_layer|global_attn|per_layer_config|nope_layers"
)
HARMLESS = frozenset(
    (
        "use_cache", "cache_implementation", "original_max_position_embeddings", "chunk_size_feed_forward",
        "use_mamba_kernels", "use_mambapy", "mamba_chunk_size", "num_nextn_predict_layers", "attn_window_size",
        "pretraining_tp", "residual_in_fp32", "index_topk", "use_cache_quantization", "classifier_heads",
        "mtp_num_hidden_layers", "mtp_layers_block_type", "indexer_rope_interleave", "index_share_for_mtp_iteration",
        "encoder_layerdrop", "decoder_layerdrop", "alternating_heads", "mamba_norm_before_gate", "vision_config",
    )
)  # fmt: skip


class Keys:
    """The keys of one config: each is read under one name, and what was read is remembered.

    Parameters
    ----------
    config : mapping
        The text part of a config.json [-].
    defaults : mapping
        What the reference implementation has where a key is left out [-].
    must_be_said : tuple of str
        Keys whose default is never assumed: a config that leaves one out is refused by it [-].
    """

    def __init__(
        self, config: Mapping[str, Any], defaults: Mapping[str, Any], must_be_said: tuple[str, ...] = ()
    ) -> None:
        self._config = config
        self._defaults = defaults
        self._must_be_said = must_be_said
        self._read: set[str] = set()
        self._assumed: dict[str, str] = {}

    @property
    def assumed(self) -> tuple[str, ...]:
        """What was taken to be so, in the order of reading."""
        return tuple(self._assumed.values())

    def value(self, name: str) -> Any:
        """Return a key's value under any of its names, its default, or None."""
        names = (name, *SYNONYMS.get(name, ()))
        given = {key: self._config[key] for key in names if self._config.get(key) is not None}
        self._read.update(key for key in names if key in self._config)
        if given:
            first, *others = given.values()
            if name == "max_position_embeddings" and all(type(value) is int for value in given.values()):
                return min(given.values())
            if any(other != first for other in others):
                pairs = ", ".join(f"{key} {shown(value)}" for key, value in given.items())
                raise InvalidValueError(
                    say(
                        "keys.contradictory_names_same_thing",
                        "contradictory: {pairs} are names of the same thing",
                        pairs=pairs,
                    ),
                    what=name,
                    asked=given,
                )
            return first
        if any(key in self._config for key in names):
            return None
        default = self._defaults.get(name)
        if name in self._must_be_said:
            raise InvalidValueError(
                say(
                    "keys.missing_what_reference_has",
                    "{name} is missing; what the reference has there, {default}, decides too much to be assumed",
                    name=name,
                    default=default,
                ),
                what=name,
            )
        if default is not None:
            self.assume(name, say("configs.default", "{name} {value}", name=name, value=default))
        return default

    def settle(self, name: str, value: Any) -> None:
        """Let a key have a value from now on, where what the config gives says more than one number."""
        self._read.update((name, *SYNONYMS.get(name, ())))
        others = {key: found for key, found in self._config.items() if key not in SYNONYMS.get(name, ())}
        self._config = {**others, name: value}

    def assume(self, name: str, text: str) -> None:
        """Note what is taken to be so under a name, once."""
        self._assumed.setdefault(name, text)

    def has(self, name: str) -> bool:
        """Say whether the config itself gives a value, under any of its names."""
        return any(self._config.get(key) is not None for key in (name, *SYNONYMS.get(name, ())))

    def count(self, name: str, minimum: int = 1) -> int:
        """Return a whole number that must be there, given or by default."""
        found = self.optional_count(name, minimum)
        if found is None:
            raise InvalidValueError(say("keys.missing", "{name} is missing", name=name), what=name)
        return found

    def optional_count(self, name: str, minimum: int = 1) -> int | None:
        """Return a whole number, or None where neither the config nor the reference has one."""
        value, most = self.value(name), LIMITS.get(name, MAX_HEADS)
        if value is None:
            return None
        if name in REPEATED and isinstance(value, list) and value and all(entry == value[0] for entry in value):
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValueError(
                say(
                    "keys.must_whole_number_not",
                    "{name} must be a whole number, not {asked}",
                    name=name,
                    asked=shown(value),
                ),
                what=name,
                asked=value,
            )
        if not minimum <= value <= most:
            raise InvalidValueError(
                say(
                    "keys.must_lie_between_not",
                    "{name} must lie between {minimum} and {most:,}, not {asked}",
                    name=name,
                    minimum=minimum,
                    most=most,
                    asked=shown(value),
                ),
                what=name,
                asked=value,
                allowed=(minimum, most),
                nearest=min(max(value, minimum), most),
            )
        return value

    def flag(self, name: str) -> bool:
        """Return a switch; off where neither the config nor the reference has one."""
        value = self.value(name)
        if value is not None and not isinstance(value, bool):
            raise InvalidValueError(
                say(
                    "keys.must_true_false_not",
                    "{name} must be true or false, not {asked}",
                    name=name,
                    asked=shown(value),
                ),
                what=name,
                asked=value,
                allowed=(True, False),
            )
        return bool(value)

    def names(self, name: str, length: int | None) -> list[str] | None:
        """Return a list of names, such as ``layer_types``, or None; its length must be that of the layers."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise InvalidValueError(
                say(
                    "keys.must_list_names_not",
                    "{name} must be a list of names, not {asked}",
                    name=name,
                    asked=shown(value),
                ),
                what=name,
                asked=value,
            )
        drafts = self.optional_count("num_nextn_predict_layers", minimum=0) or 0
        if length is not None and drafts and len(value) == length + drafts:
            value = value[:length]
        if length is not None and len(value) != length:
            raise InvalidValueError(
                say(
                    "keys.has_entries_layers",
                    "{name} has {len:,} entries for {length:,} layers",
                    name=name,
                    len=len(value),
                    length=length,
                ),
                what=name,
                asked=len(value),
                allowed=length,
            )
        return value

    def numbers(self, name: str) -> list[int] | None:
        """Return a list of whole numbers, or None."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(type(entry) is int and 0 <= entry <= MAX_WIDTH for entry in value):
            raise InvalidValueError(
                say(
                    "keys.must_list_whole_numbers",
                    "{name} must be a list of whole numbers, not {asked}",
                    name=name,
                    asked=shown(value),
                ),
                what=name,
                asked=value,
            )
        return value

    def nested(self, name: str) -> Keys | None:
        """Return the keys of a part of the config, or None where it is not there."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise InvalidValueError(
                say(
                    "keys.must_mapping_names_values",
                    "{name} must be a mapping of names to values, not {asked}",
                    name=name,
                    asked=shown(value),
                ),
                what=name,
                asked=value,
            )
        return Keys(value, {})

    def all_names(self) -> tuple[str, ...]:
        """Return the names of all keys; one that is no text is refused."""
        if not all(isinstance(name, str) for name in self._config):
            raise InvalidValueError(say("keys.names_keys_must_texts", "the names of keys must be texts"))
        return tuple(self._config)

    def ignore(self, *names: str) -> None:
        """Note keys as understood without effect."""
        self._read.update(key for name in names for key in (name, *SYNONYMS.get(name, ())))

    def ignored(self) -> tuple[str, ...]:
        """Return the keys that were not read, having refused those that bear on the cache.

        Raises
        ------
        UnsupportedError
            If a key that was not read looks as if it changed the cache, and has a value that is not off.
        """
        left = [name for name in self._config if name not in self._read]
        for name in left:
            value = self._config[name]
            off = value is None or value is False or value in (0, "", "auto") or value in ([], {})
            if not off and name not in HARMLESS and BEARS_ON_THE_CACHE.search(name):
                raise UnsupportedError(
                    say(
                        "keys.key_bears_cache_not",
                        "the key {name} bears on the cache and is not understood for this model type",
                        name=shown(name),
                    ),
                    what=name,
                    asked=value,
                )
        return tuple(sorted(left))
