"""What drafts tokens for a model: layers beside its own, and the weights that come with them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from calculator.architecture.groups import LayerGroup, merge
from calculator.architecture.matrices import WeightMatrix
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import not_possible


@dataclass(frozen=True)
class Draft:
    """A drafter: its layers, what it has of its own and what it takes from the model.

    Attributes
    ----------
    num_tokens : int
        Tokens that are drafted at a time, k [-].
    layers : tuple of LayerGroup
        Its layers, whose caches stand beside those of the model.
    own : tuple of WeightMatrix
        What it has beside its layers: what joins its inputs, norms, and an embedding and a head of its own.
    shared : tuple of WeightMatrix
        Embedding and head that are the model's, which an engine may keep once more.
    perhaps : tuple of WeightMatrix
        What its checkpoint may hold or leave out.
    heads : int
        Its query heads [-].
    weight_dtype : str or None
        The format of its weights; None for the model's.
    assumed : str
        What of it is assumed; empty where it is known.
    """

    num_tokens: int
    layers: tuple[LayerGroup, ...] = ()
    own: tuple[WeightMatrix, ...] = ()
    shared: tuple[WeightMatrix, ...] = ()
    perhaps: tuple[WeightMatrix, ...] = ()
    heads: int = 0
    weight_dtype: str | None = None
    assumed: str = ""

    @property
    def num_layers(self) -> int:
        """Its layers [-]."""
        return sum(group.count for group in self.layers)

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it is loaded: tokens are drafted from the text itself."""
        return not self.layers and not self.own

    def check_split(self, tensor_parallel_size: int) -> None:
        """Raise ``ParallelismError`` with the legal degrees where its heads cannot be split over so many ranks."""
        reason = self._why_not(tensor_parallel_size)
        if reason:
            legal = [ranks for ranks in range(1, self.heads + 1) if not self._why_not(ranks)]
            raise not_possible(tensor_parallel_size, f"of the drafter, {reason}", legal)

    def _why_not(self, ranks: int) -> str | None:
        return next((why for group in self.layers if (why := group.spec.why_not(self.heads, ranks))), None)


def with_draft(model: ModelArchitecture, draft: Draft) -> ModelArchitecture:
    """Return a model with the caches of its drafter behind its own; weights are not asked of it."""
    return replace(model, layers=(*model.layers, *merge(draft.layers)))
