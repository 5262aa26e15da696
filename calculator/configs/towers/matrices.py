"""Image encoders of multimodal models: the weights that an engine loads beside the text decoder.

A type that is not known is named by the caller and counted as nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from calculator.architecture.matrices import Sharding, WeightMatrix
from calculator.configs.keys import Keys
from calculator.configs.reference import defaults_of
from calculator.configs.towers import images, sounds
from calculator.configs.towers.rows import Tower, tower_type
from calculator.configs.towers.shapes import Kind

PART = "image encoder"
_JOINT_DEFAULTS = {"downsample_factor": 2, "alignment_intermediate_size": 36864}
SYNONYMS = {
    "depth": "num_hidden_layers", "num_channels": "in_channels", "in_chans": "in_channels", "d_model": "hidden_size",
    "encoder_layers": "num_hidden_layers", "encoder_ffn_dim": "intermediate_size", "num_heads": "num_attention_heads",
    "vt_hidden_size": "hidden_size", "vt_intermediate_size": "intermediate_size", "qkv_bias": "attention_bias",
    "vt_num_hidden_layers": "num_hidden_layers", "init_pos_emb_height": "pos_emb_height",
    "init_pos_emb_width": "pos_emb_width", "qk_normalization": "use_qk_norm",
}  # fmt: skip
"""Names in use for the same size of an encoder."""


def tower_of(config: Mapping[str, Any], outer: Mapping[str, Any], hidden: int) -> tuple[WeightMatrix, ...] | None:
    """Return the matrices of an image encoder and of what joins it to the text decoder.

    Parameters
    ----------
    config : mapping
        The ``vision_config`` [-].
    outer : mapping
        The whole config, which may say how the encoder is joined [-].
    hidden : int
        Hidden size of the text decoder [elements].

    Returns
    -------
    tuple of WeightMatrix or None
        Stored in 16 bit; None for a type that is not known.

    Raises
    ------
    CalculatorError
        If a size is missing, of the wrong kind or out of bounds.

    References
    ----------
    transformers 5.23.0, parameters of the classes on the meta device; vLLM splits the matrices of
    blocks over ranks (``--mm-encoder-tp-mode weights``).
    """
    listed = _listed(config, outer)
    if listed is not None:
        named = {SYNONYMS.get(key, key): value for key, value in config.items()}
        held = Keys(outer, {**_JOINT_DEFAULTS, **defaults_of(outer.get("model_type"))})
        shapes = listed.shapes(Keys(named, listed.defaults), held, hidden)
        return tuple(_matrix(*shape) for shape in shapes if shape.outputs and shape.copies)
    row = tower_type(config, outer.get("model_type"))
    if row is None:
        return None
    merge = {"spatial_merge_size": outer["spatial_merge_size"]} if "spatial_merge_size" in outer else {}
    named = {SYNONYMS.get(key, key): value for key, value in config.items()}
    keys = Keys({**merge, **named}, row.defaults)
    return tuple(_matrices(row, keys, Keys(outer, _JOINT_DEFAULTS), hidden))


def _listed(config: Mapping[str, Any], outer: Mapping[str, Any]) -> Kind | None:
    """Return the type of an encoder that is built in a way of its own, by its name or that of what holds it."""
    kind = config.get("model_type") or outer.get("model_type")
    return images.TYPES.get(kind) or sounds.TYPES.get(kind) if isinstance(kind, str) else None


def _matrices(row: Tower, keys: Keys, outer: Keys, hidden: int) -> Iterator[WeightMatrix]:
    width, layers = keys.count(row.width), keys.count("num_hidden_layers")
    inner = keys.optional_count("intermediate_size") or width * keys.count("mlp_ratio")
    patch = (
        keys.count("in_channels") * keys.count("patch_size") ** 2 * (keys.optional_count("temporal_patch_size") or 1)
    )
    yield _matrix(width, patch)
    yield _matrix(width, 1, int(row.patch_bias))
    yield _matrix(width, _positions(row, keys))
    ups = 2 if row.gated else 1
    head = keys.flag("vision_use_head")  # a probe that attends like one layer more, with one norm
    blocks = layers + head
    yield _matrix(3 * width, width, blocks, Sharding.COLUMNS)
    yield _matrix(width, width, blocks, Sharding.ROWS)
    yield _matrix(ups * inner, width, blocks, Sharding.COLUMNS)
    yield _matrix(width, inner, blocks, Sharding.ROWS)
    yield _matrix(width, 1, row.norm * (layers * row.norms + head) + 2 * blocks * row.biased + head)
    yield _matrix(3 * width + ups * inner, 1, blocks * row.biased, Sharding.COLUMNS)
    yield _matrix(keys.count("head_dim") if row.head_norms else 1, 1, 2 * layers if row.head_norms else 0)
    if row.classes:
        # the class embedding, and the norm before the layers
        yield _matrix(width, 1, 3)
    yield from _joint(row, keys, outer, width, inner, hidden)


def _positions(row: Tower, keys: Keys) -> int:
    """Return the rows of the table of positions; 0 where positions are rotated [-]."""
    given = keys.optional_count("num_position_embeddings")
    if given is not None:
        return given
    planes = keys.optional_count("position_embedding_size")
    if planes is not None:
        return 2 * planes
    image = keys.optional_count("image_size")
    if image is None or row.joint == "patch merger":
        return 0
    return (image // keys.count("patch_size")) ** 2 + (row.joint == "adapter" or row.classes)


def _joint(row: Tower, keys: Keys, outer: Keys, width: int, inner: int, hidden: int) -> Iterator[WeightMatrix]:
    """Yield what joins an encoder's output to the text decoder."""
    if row.joint in ("linear", "two layers", "two layers and a newline", "gated"):
        # the norm behind the encoder
        yield _matrix(width, 1, row.norm)
        yield from _projector(row.joint, outer, width, hidden)
    elif row.joint == "projection":
        yield _matrix(hidden, width)
        # the norm behind the encoder, and the one before the projection
        yield _matrix(width, 1, 3 if row.norm == 2 else 0)
    elif row.joint == "patch merger":
        merged = keys.count("spatial_merge_size") ** 2 * width
        yield from (_matrix(width, merged), _matrix(hidden, width), _matrix(hidden, hidden), _matrix(width, 1, 2))
    elif row.joint == "adapter":
        read, written = keys.count("projector_input_dim"), keys.count("projector_output_dim")
        yield from (_matrix(read, inner, 1, Sharding.COLUMNS), _matrix(written, read, 1, Sharding.ROWS))
        # class embedding, the norms before and behind
        yield from (_matrix(hidden, keys.count("vision_output_dim")), _matrix(width, 1, 5))
    else:
        merged = keys.count("spatial_merge_size") ** 2 * width
        out = keys.optional_count(row.out) or hidden
        deep = len(keys.numbers("deepstack_visual_indexes") or ())
        yield _matrix(merged, merged, 1 + deep, Sharding.COLUMNS)
        yield _matrix(out, merged, 1 + deep, Sharding.ROWS)
        yield from (
            _matrix(merged + out, 1, 1 + deep),
            _matrix(width, 1, row.norm),
            _matrix(merged, 1, row.norm * deep),
        )


def _projector(joint: str, outer: Keys, width: int, hidden: int) -> Iterator[WeightMatrix]:
    """Yield what a wrapper projects an encoder's output by."""
    if joint == "gated":
        read, inner = outer.count("downsample_factor") ** 2 * width, outer.count("alignment_intermediate_size")
        yield from (_matrix(inner, read), _matrix(inner, 1), _matrix(hidden, inner // 2), _matrix(hidden, 1))
        return
    yield from (_matrix(hidden, width), _matrix(hidden, 1))
    if joint != "linear":
        yield from (_matrix(hidden, hidden), _matrix(hidden, 1, 2 if joint.endswith("newline") else 1))


def _matrix(outputs: int, inputs: int, copies: int = 1, sharding: Sharding = Sharding.COPIED) -> WeightMatrix:
    return WeightMatrix(PART, outputs, inputs, copies, copies, sharding, quantised=False)
