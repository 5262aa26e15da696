"""A model whose matrices take what the headers of its checkpoint say, module by module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from calculator.architecture.groups import LayerGroup
from calculator.architecture.matrices import WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.configs.checkpoints.tensors import EMBEDDINGS, HEADS, Module, Tensors
from calculator.configs.quantisation.places import CONTAINERS, LEAVES, WHOLES
from calculator.configs.quantisation.stored import named_by_its_formats
from calculator.errors import FileFormatError, shown
from calculator.formats.weights import FORMATS, WeightFormat
from calculator.messages import say

Forms = list[WeightFormat | None]
OF_TYPES: Mapping[str, str] = {
    "F8_E4M3": "fp8", "F8_E5M2": "fp8", "I8": "int8", "U8": "nvfp4", "F4": "nvfp4", "I32": "gptq-int4",
}  # fmt: skip
"""What weights of a type are called where no config says it."""

NEGLIGIBLE_BYTES = 2**20
"""Of a layer, what norms, scales and the like take at most [bytes]."""


def measured(model: ModelArchitecture, tensors: Tensors, name: str) -> ModelArchitecture:
    """Return a model that takes what headers say.

    A module whose name is known has its own bytes; what is left of a layer is shared by its other matrices as their
    sizes are, so that each layer's sum is that of the headers.

    Raises
    ------
    FileFormatError
        If the tensors are not those of the config: a layer is missing, or a module has another size.
    """
    layers: list[LayerGroup] = []
    index = 0
    for group in model.layers:
        for _ in range(group.count):
            if index not in tensors.layers:
                raise FileFormatError(
                    say(
                        "measured.headers_hold_no_tensor",
                        "{name}: the headers hold no tensor of layer {index} of {num_layers}",
                        name=name,
                        index=index,
                        num_layers=model.num_layers,
                    )
                )
            weights = _layer(group.weights, tensors.layers[index], f"{name}: layer {index}")
            if layers and layers[-1].spec == group.spec and layers[-1].weights == weights:
                layers[-1] = LayerGroup(group.spec, layers[-1].count + 1, layers[-1].weights)
            else:
                layers.append(LayerGroup(group.spec, 1, weights))
            index += 1
    embedding, end = _ends(model, tensors.ends, name)
    towers = _towers(model.towers, tensors.tower_bytes)
    changed = replace(model, layers=tuple(layers), embedding=embedding, end=end, towers=towers)
    return named_by_its_formats(changed, "headers")


def _layer(weights: Sequence[WeightMatrix], modules: Mapping[str, Module], where: str) -> tuple[WeightMatrix, ...]:
    forms: Forms = [None] * len(weights)
    left, known = dict(modules), set()
    by_module: dict[str, list[int]] = {}
    for position, matrix in enumerate(weights):
        if matrix.module:
            by_module.setdefault(matrix.module, []).append(position)
    for module, positions in by_module.items():
        names = [name for name in _spellings(module, weights[positions[0]].part) if name in left]
        if names:
            found = [left.pop(name) for name in names]
            _check(weights, positions, found, f"{where}, {module}")
            _share(weights, positions, found, forms)
            known.update(positions)
    _wholes(weights, by_module, left, known, forms)
    rest = [position for position in range(len(weights)) if position not in known]
    _check_rest(weights, rest, left, where)
    _share(weights, rest, left.values(), forms)
    return tuple(replace(matrix, stored=form) if form else replace(matrix, stored=None)
                 for matrix, form in zip(weights, forms, strict=True))  # fmt: skip


def _spellings(module: str, part: str) -> list[str]:
    """Return what checkpoints may call a module below its layer."""
    container, _, leaf = module.rpartition(".")
    held = CONTAINERS.get(container, (container,))
    between = ".*." if part == "experts" else "."
    return [f"{each}{between}{name}" for each in held for name in LEAVES.get(leaf, (leaf,))]


def _wholes(
    weights: Sequence[WeightMatrix],
    by_module: Mapping[str, list[int]],
    left: dict[str, Module],
    known: set[int],
    forms: Forms,
) -> None:
    """Give projections that are stored as one their share of it."""
    joined: dict[str, list[int]] = {}
    for module, positions in by_module.items():
        container, _, leaf = module.rpartition(".")
        if known.intersection(positions):
            continue
        for each in CONTAINERS.get(container, (container,)):
            for whole in (*WHOLES.get(leaf, ()), leaf):
                name = f"{each}.{whole}"
                if name in left:
                    joined.setdefault(name, []).extend(positions)
    for name, positions in joined.items():
        _share(weights, positions, [left.pop(name)], forms)
        known.update(positions)


def _check(weights: Sequence[WeightMatrix], positions: list[int], found: list[Module], where: str) -> None:
    """Refuse plain weights of another size than the config makes them."""
    if not all(module.is_plain for module in found):
        return
    stored = sum(module.weights for module in found)
    made = sum(weights[position].elements for position in positions if weights[position].inputs > 1)
    if made and stored != made:
        raise FileFormatError(
            say(
                "measured.headers_hold_weights_where",
                "{where}: the headers hold {stored:,} weights where config.json makes {made:,}: they are of two models",
                where=where,
                stored=stored,
                made=made,
            )
        )


def _check_rest(weights: Sequence[WeightMatrix], rest: list[int], left: Mapping[str, Module], where: str) -> None:
    """Refuse what is left of a layer where it cannot be what is left of its matrices: ranks would share it wrongly."""
    size = sum(module.loaded_bytes for module in left.values())
    made = 2 * sum(weights[position].elements for position in rest)
    if size > NEGLIGIBLE_BYTES and (size > 1.1 * made or size < made // 8):
        largest = max(left, key=lambda name: left[name].loaded_bytes)
        raise FileFormatError(
            say(
                "measured.headers_hold_bytes_which",
                "{where}: the headers hold {largest} of {bytes:,} bytes, which is not known of this model type",
                where=where,
                largest=shown(largest[:100]),
                bytes=left[largest].bytes,
            )
        )


def _share(weights: Sequence[WeightMatrix], positions: list[int], found: Iterable[Module], forms: Forms) -> None:
    """Share the bytes of modules by the sizes of their matrices."""
    modules = list(found)
    size = sum(module.loaded_bytes for module in modules)
    vectors = [position for position in positions if weights[position].inputs == 1]
    biases = sum(module.biases for module in modules)
    if biases and biases == sum(weights[position].elements for position in vectors) and len(vectors) < len(positions):
        # biases are loaded in 16 bit, and are split otherwise than the matrix is
        positions = [position for position in positions if position not in vectors]
        size -= sum(2 * each.biases if each.is_plain else each.bias_bytes for each in modules)
    elements = sum(weights[position].elements for position in positions)
    if not elements or (size == 2 * elements):
        return
    main = max(modules, key=lambda module: module.largest, default=Module())
    for position in positions:
        forms[position] = _form(weights[position], main, size, elements)


def _form(matrix: WeightMatrix, main: Module, size: int, elements: int) -> WeightFormat:
    form = matrix.stored
    if form is None:
        name = OF_TYPES.get(main.main, "bf16") if 10 * size < 18 * elements else "bf16"
        form = FORMATS[name]
    return replace(form, read_bytes=size, read_elements=elements)


def _ends(
    model: ModelArchitecture, modules: Mapping[str, Module], name: str
) -> tuple[tuple[WeightMatrix, ...], tuple[WeightMatrix, ...]]:
    left = dict(modules)
    embeddings = [left.pop(key) for key in EMBEDDINGS if key in left]
    heads = [left.pop(key) for key in (*HEADS, "output", "head") if key in left]
    if not embeddings:
        raise FileFormatError(
            say(
                "measured.headers_hold_no_embedding",
                "{name}: the headers hold no embedding: they are not those of the whole model",
                name=name,
            )
        )
    both = (*model.embedding, *model.end)
    forms: Forms = [None] * len(both)
    first = [position for position, matrix in enumerate(both) if matrix.module == "embed_tokens"]
    last = [position for position, matrix in enumerate(both) if matrix.module == "lm_head"]
    _share(both, first, embeddings, forms)
    if last:
        _share(both, last, heads or embeddings, forms)
    known = {*first, *last}
    _share(both, [position for position in range(len(both)) if position not in known], left.values(), forms)
    made = tuple(replace(matrix, stored=form) for matrix, form in zip(both, forms, strict=True))
    return made[: len(model.embedding)], made[len(model.embedding) :]


def _towers(towers: Mapping[str, tuple[WeightMatrix, ...]], size: int) -> dict[str, tuple[WeightMatrix, ...]]:
    """Return the encoders with what headers say that they take together."""
    elements = sum(matrix.elements for matrices in towers.values() for matrix in matrices)
    if not size or not elements or not all(towers.values()):
        return dict(towers)
    form = replace(FORMATS["bf16"], read_bytes=size, read_elements=elements)
    return {name: tuple(replace(matrix, stored=form) for matrix in matrices) for name, matrices in towers.items()}
