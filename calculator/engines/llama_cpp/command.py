"""The command line of llama.cpp."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from calculator.engines.command import Command, Parts, is_asked

if TYPE_CHECKING:
    from calculator.planning.answer import Plan

LOGICAL_BATCH = 2048
"""Default of ``--batch-size``, which bounds ``--ubatch-size``: 0c1e570 common/common.h [tokens]."""
_GGML = ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")


class LlamaCppCommand(Command):
    """``llama-server``: its slots, and the cells of all of them."""

    # 0c1e570 common/arg.cpp kv_cache_types
    kv_formats: ClassVar = {"fp32": "f32", "fp16": "f16", "bf16": "bf16", **{name: name for name in _GGML}}
    # the GGUF file is in the format, layers go to every GPU that is seen
    says_itself: ClassVar = ("weight_dtype", "pipeline_parallel_size", "block_size")

    def model(self, plan: Plan, flag: str) -> Parts:
        """Name the program and the file."""
        return [*flag.split(), f"{plan.request.model}.gguf"]

    def seq_len(self, plan: Plan, flag: str) -> Parts:
        """State the cells of all slots, which the engine divides by them."""
        request = plan.request
        cells = -(-self.tokens(plan) // request.block_size) * request.block_size
        return [flag, str(cells * self.slots(plan))]

    def max_num_seqs(self, plan: Plan, flag: str) -> Parts:
        """State the slots: by default several share the cells of one."""
        return [flag, str(self.slots(plan))]

    def slots(self, plan: Plan) -> int:
        """Return the slots: each has the cells of a sequence, whether in use or not [-]."""
        if not is_asked(plan, "max_num_seqs"):
            return plan.request.batch_size
        return min(plan.request.max_num_seqs, max(1, plan.max_batch_size))

    def max_num_batched_tokens(self, plan: Plan, flag: str) -> Parts:
        """State the micro-batch, and the batch where it would be narrower."""
        words = super().max_num_batched_tokens(plan, flag)
        tokens = plan.request.max_num_batched_tokens
        return [*words, "--batch-size", str(tokens)] if words and tokens > LOGICAL_BATCH else words

    def speculative_config(self, plan: Plan, flag: str) -> Parts:
        """Name the draft model's file, and the tokens that it drafts at a time."""
        config = plan.request.speculative_config
        return [flag, f"{config['model']}.gguf", "--draft-max", str(config.num_tokens)] if config else []

    def kv_cache_dtype(self, plan: Plan, flag: str) -> Parts:
        """State the format of keys and that of values: by default neither follows the model."""
        name = self.kv_formats.get(plan.request.kv_cache_dtype)
        return [flag, name, "--cache-type-v", name] if name else None


COMMAND = LlamaCppCommand()
