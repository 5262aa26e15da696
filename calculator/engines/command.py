"""The words of an engine's command line: a method each keyword of ``plan`` that is more than its flag and its value.

A class here is what all engines say alike; each engine's folder has its own, with the words that are its alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from calculator.architecture.sums import caches_of_model
from calculator.formats.names import SIXTEEN_BIT, TORCH_NAMES
from calculator.request import PLAN_DEFAULTS

if TYPE_CHECKING:
    from calculator.planning.answer import Plan

Parts = list[str] | None
"""Words of a command line; none where there is nothing to say, None where the command has no words for it."""
Since = tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]
"""Words by the version since, the newest first."""


def repository_of(name: str) -> str:
    """Return the repository of a preset's id, any other name as it is."""
    from calculator.catalogue.presets import model_by_name

    found = None if "/" in name else model_by_name(name)
    return (found.huggingface_id if found and not found.repository else "") or name


class Command:
    """What an engine's command line calls what ``plan`` was asked, beside the plain flags of its rules."""

    kv_formats: ClassVar[Mapping[str, str]]
    """What it calls a format of the cache; what is missing it does not take."""
    kv_flag_since: ClassVar[tuple[int, ...]] = ()
    dtype_flag: ClassVar[str] = ""
    """Flag of weights that are not quantised, empty for none."""
    on_load: ClassVar[Mapping[str, Since]] = {}
    """Formats that it makes of a 16 bit checkpoint; any other needs a checkpoint in it, which names its own method."""
    says_itself: ClassVar[tuple[str, ...]] = ()
    """What needs no flag."""
    file_keys: ClassVar[Mapping[str, str]] = {}
    """What a file takes and the command line does not."""
    file_flag: ClassVar[str] = ""

    def model(self, plan: Plan, flag: str) -> Parts:
        """Name the program and the model: the repository of a preset as it is, else the name asked for."""
        model = plan.model
        known = plan.request.model in (model.id, model.repository) and not model.variations
        # a way to write the preset's name is no repository, unless it says a format that the preset's has not
        is_other = "/" in model.repository or bool(model.weight_dtype and not model.weights_from)
        repository = (model.repository if is_other else "") or model.huggingface_id
        quantised = self.quantised(plan)
        return [*flag.split(), quantised or (repository if known else "") or plan.request.model]

    def quantised(self, plan: Plan) -> str:
        """Return the repository of a checkpoint in the format that was asked for, empty where the preset's own does."""
        from calculator.catalogue.quantised import quantised_repository

        model, name = plan.model, plan.request.weight_dtype
        if plan.request.model != model.id or self._of_its_own(plan) or self._on_load(plan):
            return ""
        return quantised_repository(model, name, self.tokens(plan))

    def tokens(self, plan: Plan) -> int:
        """Return the longest sequence that is stated: engines refuse one longer than the model is made for [tokens]."""
        return min(plan.request.seq_len, plan.model.max_position_embeddings)

    def seq_len(self, plan: Plan, flag: str) -> Parts:
        """State the longest sequence."""
        return [flag, str(self.tokens(plan))]

    def max_num_seqs(self, plan: Plan, flag: str) -> Parts:
        """State the sequences at once, no more than memory holds."""
        request = plan.request
        fit = max(1, plan.max_batch_size // request.attention_replicas)
        if request.max_num_seqs <= fit and not is_asked(plan, "max_num_seqs"):
            return []
        return [flag, str(min(request.max_num_seqs, fit) * self.ranks_counted(plan))]

    def ranks_counted(self, plan: Plan) -> int:
        """Return the ranks whose sequences ``max_num_seqs`` counts together, each rank's own by default [-]."""
        return 1

    def max_num_batched_tokens(self, plan: Plan, flag: str) -> Parts:
        """State the tokens of a forward pass."""
        asked = is_asked(plan, "max_num_batched_tokens")
        return [flag, str(plan.request.max_num_batched_tokens)] if asked else []

    def data_parallel_size(self, plan: Plan, flag: str) -> Parts:
        """State the replicas."""
        size = plan.request.data_parallel_size
        return [flag, str(size)] if size > 1 else []

    def enable_expert_parallel(self, plan: Plan, flag: str) -> Parts:
        """State the ranks that share the experts."""
        request = plan.request
        shares = request.enable_expert_parallel and request.tensor_parallel_size > 1
        return [flag, str(request.tensor_parallel_size)] if shares else []

    def weight_dtype(self, plan: Plan, flag: str) -> Parts:
        """State the format of the weights where it is not the checkpoint's own."""
        model, name = plan.model, plan.request.weight_dtype
        if self._of_its_own(plan) or self.quantised(plan):
            return []
        if model.weight_dtype or not self.dtype_flag:
            return None
        if name in TORCH_NAMES:
            return [self.dtype_flag, TORCH_NAMES[name]]
        method = self._on_load(plan)
        return [flag, *method] if method else None

    def _of_its_own(self, plan: Plan) -> bool:
        """Whether the weights are as the checkpoint of the model has them."""
        model, name = plan.model, plan.request.weight_dtype
        is_own = name == model.resolve_weight_dtype("auto")
        return not is_asked(plan, "weight_dtype") or (
            is_own and bool(model.weight_dtype or TORCH_NAMES[name] == model.torch_dtype)
        )

    def _on_load(self, plan: Plan) -> tuple[str, ...]:
        """Return the words that make the format of a 16 bit checkpoint, none where there are none."""
        if plan.model.weight_dtype:
            return ()
        known = self.on_load.get(plan.request.weight_dtype, ())
        return next((method for since, method in known if version_of(plan) >= since), ())

    def kv_cache_dtype(self, plan: Plan, flag: str) -> Parts:
        """State the format of the cache where the engine's ``auto`` may be another."""
        if plan.request.kv_cache_dtype in SIXTEEN_BIT and not _chooses_its_own_format(plan):
            return []
        name = self.kv_formats.get(self.kv_format(plan))
        return [flag, name] if name and version_of(plan) >= self.kv_flag_since else None

    def kv_format(self, plan: Plan) -> str:
        """Return the format of the cache as the table of formats has it."""
        return plan.request.kv_cache_dtype

    def gpu_memory_utilization(self, plan: Plan, flag: str) -> Parts:
        """State the fraction whole: the answer hangs on it."""
        return [flag, repr(float(plan.request.gpu_memory_utilization))]

    def keys_in_file(self, plan: Plan, names: list[str]) -> list[str]:
        """Return the keys of the engine's file for what the command line does not take."""
        taken = plan.request.kv_cache_dtype in self.kv_formats
        takes = [name for name in names if name != "kv_cache_dtype" or taken]
        return [key for name, key in self.file_keys.items() if name in takes]


def is_asked(plan: Plan, name: str) -> bool:
    """Whether a keyword was asked for otherwise than by default."""
    default = PLAN_DEFAULTS[name]
    return bool(plan.asked.get(name, default) != default)


def version_of(plan: Plan) -> tuple[int, ...]:
    """Return the version of a plan's rules as numbers, to compare [-]."""
    return tuple(int(part) for part in plan.rules.version.split("."))


def is_sparse(plan: Plan) -> bool:
    """Whether an indexer picks the tokens that attention reads."""
    caches = caches_of_model(plan.model, plan.request.storage, plan.request.split)
    return any(cached.cache.sparse for cached in caches)


def _chooses_its_own_format(plan: Plan) -> bool:
    """Whether the engine's ``auto`` may be another format than 16 bit: a checkpoint's, an indexer's, or 32 bit."""
    return bool(plan.model.kv_cache_dtype) or is_sparse(plan) or plan.request.weight_dtype == "fp32"
