"""One row of the study after the other, all measured with the same request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from calculator.architecture.latent import LatentAttention
from calculator.architecture.model import ModelArchitecture
from calculator.architecture.split import Split, kv_replication
from calculator.architecture.sums import Layout, copied_bytes_on_rank, kv_bytes_of_sequence, kv_bytes_on_rank
from calculator.errors import CalculatorError
from calculator.formats.kv import storage_format
from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.planning.heads.constant import at_constant_parameters, mlp_width
from calculator.planning.heads.intensity import arithmetic_intensity, ridge_of
from calculator.planning.heads.rows import HeadRow
from calculator.planning.heads.variants import Kind, Variant, called, keeps_latent, query_heads
from calculator.planning.kv_cache import encoder_tokens
from calculator.planning.plan import plan as make_plan
from calculator.planning.traffic.timing.speed import Speed, speed
from calculator.reading.by_layer import write_by_layer

_KINDS = {Kind.OWN: "mixed"}
Answer = tuple[Plan | None, CalculatorError | None, ModelArchitecture]


@dataclass(frozen=True)
class Bench:
    """What every row is measured with."""

    model: ModelArchitecture
    asked: Mapping[str, Any]
    constant_parameters: bool
    output_tokens: int | None

    def answer(self, variant: Variant) -> Answer:
        """Return the plan of a variant, or the reason why there is none, and the model that was planned."""
        varied = variant.model
        try:
            if self.constant_parameters:
                degree = self.asked.get("tensor_parallel_size", 1)
                varied = at_constant_parameters(varied, self.model, degree if type(degree) is int and degree > 0 else 1)
            return make_plan(varied, **self.asked), None, varied
        except CalculatorError as error:
            return None, error, varied

    def latent_assumption(self, variant: Variant) -> str:
        """Say what a variant of latent attention assumes; nothing of a model that keeps latent vectors itself."""
        if variant.model is self.model:
            return ""
        spec = next(group.spec for group in variant.model.groups if isinstance(group.spec, LatentAttention))
        return say(
            "heads.latent_assumption",
            "MLA is an assumption: a vector of {rank} and a rotary key of {rope} elements for all heads, in the "
            "proportions of DeepSeek-V2 (arXiv 2405.04434, section 2.1.4), queries not compressed.",
            rank=spec.kv_lora_rank, rope=spec.qk_rope_head_dim,
        )  # fmt: skip

    def row(
        self,
        variant: Variant,
        answer: Plan | None,
        error: CalculatorError | None,
        varied: ModelArchitecture,
        seq_len: int,
        as_mha: Answer,
    ) -> HeadRow:
        """Return the row of a variant."""
        storage = storage_format(varied.resolve_kv_dtype(self.asked.get("kv_cache_dtype") or "auto"))
        layout = Layout(storage, Split(), encoder_tokens(varied, self.asked.get("encoder_seq_len")))
        sequence, of_mha = (kv_bytes_of_sequence(each.groups, seq_len, layout) for each in (varied, as_mha[2]))
        heads = query_heads(self.model)
        one = None if variant.kind in (Kind.MLA, Kind.OWN) else variant.num_key_value_heads
        row = HeadRow(
            kind=_KINDS.get(variant.kind, variant.kind.lower()),
            label=called(variant),
            this_model=variant.model.groups == self.model.groups,
            refused=str(error or ""),
            kv_bytes_per_token=varied.kv_bytes_per_token(storage.name),
            kv_bytes_per_sequence=sequence,
            saving=_saved(sequence, of_mha),
            num_parameters=varied.num_parameters,
            mlp_width=next((width for group in varied.layers if (width := mlp_width(group))), 0),
            attention_flops_per_token=None,
            matrix_flops_per_token=0,
            degrees_without_copies=_degrees_without_copies(varied),
            num_key_value_heads=one,
            query_heads_per_kv_head=heads / one if one else None,
            kv_heads_by_layer=write_by_layer(varied.kv_heads_by_layer) if variant.kind is Kind.OWN else "",
        )
        row = self._with_intensity(row, varied, seq_len)
        return self._with_plan(row, answer, as_mha[0]) if answer else row

    def _with_intensity(self, row: HeadRow, varied: ModelArchitecture, seq_len: int) -> HeadRow:
        formats = {name: self.asked.get(name) or "auto" for name in ("kv_cache_dtype", "weight_dtype")}
        try:
            found = arithmetic_intensity(
                varied, self.asked["batch_size"], seq_len, encoder_seq_len=self.asked.get("encoder_seq_len"), **formats
            )
        except CalculatorError as error:
            return replace(row, why=str(error))
        batch = self.asked["batch_size"]
        return replace(
            row,
            attention_flops_per_token=found.attention_flops // batch,
            matrix_flops_per_token=found.matrix_flops // batch,
            intensity=found.attention,
            step_intensity=found.step,
        )

    def _with_plan(self, row: HeadRow, answer: Plan, as_mha: Plan | None) -> HeadRow:
        kept, request = _row_bytes_on_gpu(answer), answer.request
        row = replace(
            row,
            kv_bytes_per_token_per_gpu=kept,
            saving_per_gpu=_saved(answer.kv_bytes_per_gpu, as_mha.kv_bytes_per_gpu) if as_mha else None,
            kv_replication=_replication(answer),
            copied_bytes_per_gpu=_copied(answer),
            weights_bytes_per_gpu=answer.per_gpu.weights_bytes,
            block_bytes_per_gpu=request.block_size * kept,
            block_waste_bytes_per_gpu=(request.block_size - 1) * kept // 2,
            reserved_bytes_per_gpu=_reserved(answer),
            fits=answer.fits,
            max_batch_size=answer.max_batch_size,
            max_batch_size_low=answer.max_batch_size_low,
            max_batch_size_high=answer.max_batch_size_high,
            ridge=ridge_of(answer.accelerator),
        )
        try:
            asked = self._speed(answer, request.batch_size)
            full = self._speed(answer, answer.max_batch_size) if answer.max_batch_size else None
        except CalculatorError as error:
            return replace(row, why=str(error))
        return _with_speeds(row, answer, asked, full)

    def _speed(self, answer: Plan, batch_size: int) -> Speed:
        tokens = answer.request.seq_len
        return speed(
            answer,
            batch_size=batch_size,
            prompt_tokens=tokens - (self.output_tokens or 0),
            output_tokens=self.output_tokens,
        )


def _with_speeds(row: HeadRow, answer: Plan, asked: Speed, full: Speed | None) -> HeadRow:
    row = replace(
        row,
        time_per_output_token_s=asked.time_per_output_token_s,
        time_per_output_token_s_low=asked.time_per_output_token_s_low,
        time_per_output_token_s_high=asked.time_per_output_token_s_high,
        output_tokens_per_second=asked.output_tokens_per_second,
        output_tokens_per_second_low=asked.output_tokens_per_second_low,
        output_tokens_per_second_high=asked.output_tokens_per_second_high,
        bound=asked.bound,
        checked=asked.checked,
        why=asked.why,
    )
    if full is None:
        return row
    price = answer.accelerator.price_usd_per_hour
    low, high = full.output_tokens_per_second_low, full.output_tokens_per_second_high
    million_s = [1e6 / rate / 3600 * answer.gpus_per_replica for rate in (high, low)]
    return replace(
        row,
        full_time_per_output_token_s=full.time_per_output_token_s,
        full_output_tokens_per_second=full.output_tokens_per_second,
        full_output_tokens_per_second_low=low,
        full_output_tokens_per_second_high=high,
        usd_per_million_output_tokens_low=price[0] * million_s[0] if price else None,
        usd_per_million_output_tokens_high=price[1] * million_s[1] if price else None,
    )


def _saved(kept: int, of_mha: int) -> float:
    return (of_mha - kept) / of_mha


def _reserved(answer: Plan) -> int:
    """Return what a sequence of the model's longest context takes on one GPU of the stage that decides [bytes]."""
    request = answer.request
    layout = Layout(request.storage, request.split, request.encoder_seq_len or 0)
    return int(kv_bytes_on_rank(answer.stage.layers, answer.model.max_position_embeddings, layout))


def _row_bytes_on_gpu(answer: Plan) -> int:
    """Return what one GPU of the stage that decides keeps of a token while every layer grows [bytes]."""
    storage, ranks = answer.request.storage, answer.request.split.kv_head_ranks
    return sum(group.count * group.spec.bytes_per_token(storage, ranks) for group in answer.stage.layers)


def _replication(answer: Plan) -> int:
    """Return the GPUs that keep the same: all of a stage where heads share one latent vector [-]."""
    ranks = answer.request.split.kv_head_ranks
    if keeps_latent(answer.model):
        return ranks
    fewest = min(each for each in answer.model.kv_heads_by_layer if each)
    return kv_replication(fewest, ranks)


def _copied(answer: Plan) -> int:
    """Return what one GPU keeps of a sequence beyond its share of one copy [bytes]."""
    request = answer.request
    layout = Layout(request.storage, request.split, request.encoder_seq_len or 0)
    return int(copied_bytes_on_rank(answer.stage.layers, request.seq_len, layout))


def _degrees_without_copies(model: ModelArchitecture) -> tuple[int, ...]:
    if keeps_latent(model):
        return (1,)
    fewest = min(each for each in model.kv_heads_by_layer if each)
    return tuple(degree for degree in model.tensor_parallel_degrees if degree <= fewest)
