"""A row of ``families``: what is particular to a model type, and where that was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from calculator.configs.blocks.extras import Extra
from calculator.configs.keys import Keys
from calculator.configs.schedules.rules import FULL
from calculator.configs.schedules.schedule import Schedule
from calculator.configs.text_part import TextPart, must_be_said
from calculator.configs.traits import Encoder, Experts, State, Trait

if TYPE_CHECKING:
    from calculator.configs.blocks.builder import Builder


TIED, UNTIED = {"tie_word_embeddings": True}, {"tie_word_embeddings": False}
"""What nearly every row begins with: whether the reference takes the head to be the embedding."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a row was read from: the work, its version and its file; and the month in which it was read."""

    text: str = ""
    checked: str = ""


def transformers(folder: str) -> Source:
    """Return the reference implementation's configuration file of a type."""
    return Source(f"transformers 5.23.0 models/{folder}/configuration_{folder}.py", "2026-11")


def read_in(file: str) -> Source:
    """Return a file of vLLM's models."""
    return Source(f"vLLM 0.33.0 model_executor/models/{file}.py", "2026-11")


PUBLISHED = Source(
    "the published config.json of the checkpoints and their parameters as reported, not verified; "
    "no class in transformers 5.23.0",
    "2026-11",
)


@dataclass(frozen=True)
class Family:
    """The traits of a model type; the defaults here are those of the most common block.

    Attributes
    ----------
    defaults : mapping
        What the reference fills in for keys that a config leaves out, where its class has no default for them, or
        the type no class.
    source : Source
        Where the row was read.
    aliases : tuple of str
        Other names of the same type.
    builder : callable or None
        What builds the type's layers where they are truly different: a class of ``hooks``.
    schedule : Schedule
        Which kind each layer is where the config lists none.
    gated, qkv_bias, output_bias, mlp_bias, head_bias, norm_bias, gate : bool or str
        Whether the MLP has a gate, where biases are, and whether attention gates its output.
    gate_bias : bool
        Whether the gate of attention has a bias where the queries have one.
    norms : int
        Norms a layer of the hidden size.
    parallel : str
        The key by which attention and MLP stand side by side behind one norm.
    has_norm_gain : bool
        Whether the last norm has a gain.
    qk_norm, qk_norm_if : str
        Norms on queries and keys: ``head``, ``head_bias``, ``width``, ``each_head``; the key that switches them.
    head_multiple : int
        What the rows of the head are padded to a multiple of.
    embedding_norm : bool
        Whether a norm follows the embedding.
    learned_positions : int or None
        Rows of the learned position table beyond the longest context, None without a table.
    copies_kv_heads : bool
        Whether vLLM's class of this type keeps copies of KV heads where there are more ranks than heads.
    sinks : str
        Which layers have a sink a head: ``all``, ``windowed``, or none.
    bidirectional : bool or str
        Whether attention reads a text as a whole, so that nothing is kept of it.
    sub_norms : bool
        Whether norms stand before the output projections of attention and MLP.
    mlp_scalars : int
        Single parameters of an MLP's activation.
    mlp : bool
        Whether layers have an MLP at all.
    width_factor : int
        The MLP's width over the hidden size where the config gives none.
    width_divisor : int
        What the config's width is over the MLP's own.
    single : bool
        Whether a layer is one block, attention, state, MLP or experts, and not a mixer and an MLP.
    kinds : mapping
        For a kind of layer, the keys that hold its own heads and sizes.
    windowed_groups_factor : int
        KV heads of windowed layers over those of full ones, where the config has no key for them.
    v_head_dim : bool
        Whether the value size has a key of its own.
    floor_head_dim : bool
        Whether the reference rounds hidden size over heads down.
    shared_cache : str
        The key by which later layers reuse a cache: ``num_kv_shared_layers`` or ``use_cla``.
    latent, indexer : bool
        Whether attention is latent, and has a sparse-attention indexer.
    state : State or None
        The recurrent layers.
    experts : Experts or None
        The mixture of experts.
    encoder : Encoder or None
        The encoder, for an encoder-decoder.
    extras : tuple of Extra
        Matrices and vectors that only this type's layers have.
    required : mapping
        Keys, of the config or of a part of it (``part.key``), of which one value only is understood.
    harmless : tuple of str
        Keys of the type that look as if they bore on the cache, and do not.
    """

    defaults: Mapping[str, Any] = field(default_factory=dict)
    source: Source = Source()
    aliases: tuple[str, ...] = ()
    builder: Callable[[Keys, Family], Builder] | None = None
    schedule: Schedule = FULL
    gated: Trait = True
    qkv_bias: Trait = False
    output_bias: Trait = False
    mlp_bias: Trait = False
    head_bias: Trait = False
    norms: int = 2
    parallel: str = ""
    norm_bias: Trait = False
    has_norm_gain: bool = True
    qk_norm: str = ""
    qk_norm_if: str = ""
    head_multiple: int = 1
    embedding_norm: bool = False
    learned_positions: int | None = None
    gate: Trait = False
    gate_bias: bool = True
    sinks: str = ""
    copies_kv_heads: bool = True
    bidirectional: Trait = False
    sub_norms: bool = False
    mlp_scalars: int = 0
    mlp: bool = True
    width_factor: int = 0
    width_divisor: int = 1
    single: bool = False
    kinds: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    windowed_groups_factor: int = 1
    v_head_dim: bool = False
    floor_head_dim: bool = False
    shared_cache: str = ""
    latent: bool = False
    indexer: bool = False
    state: State | None = None
    experts: Experts | None = None
    encoder: Encoder | None = None
    extras: tuple[Extra, ...] = ()
    required: Mapping[str, Any] = field(default_factory=dict)
    harmless: tuple[str, ...] = ()

    def keys(self, part: TextPart, name: str) -> Keys:
        """Return the keys of a text decoder of this type, with what the reference has for those that it leaves out.

        Parameters
        ----------
        part : TextPart
            The decoder's part of a config.
        name : str
            The type that this row is of; the part may go by an alias.
        """
        defaults = part.defaults(name, self.defaults)
        return Keys(part.config, defaults, must_be_said(defaults))
