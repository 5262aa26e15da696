"""What converting a trained model to fewer KV heads, or to latent attention, costs, and when that is paid back."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from calculator.architecture.latent import LatentAttention
from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_gpu, load_model
from calculator.catalogue.published import PublishedPair, Remark, published_remarks
from calculator.errors import InvalidValueError, UnsupportedError, friendly, shown
from calculator.hardware import Accelerator
from calculator.messages import joined, say
from calculator.planning.heads.evidence import quality_evidence
from calculator.planning.heads.variants import divisors, keeps_latent, query_heads, with_heads, with_latent
from calculator.planning.plan import plan as make_plan
from calculator.planning.traffic.timing.speed import speed
from calculator.reading.fields import count, number
from calculator.reading.schema import Schema
from calculator.units import plural

FLOPS_PER_PARAMETER = 6
"""Of one token of training: 2 forward and 4 backward; arXiv 2001.08361, section 2.1."""
UTILISATION = 0.4
"""Of the 16 bit peak: 38 to 43 % in the training of Llama 3 405B, arXiv 2407.21783, table 4."""
MOST_TOKENS = 10**16
_SCHEMA = Schema(
    "Uptraining",
    {"to_kv_heads": count(65_536), "share": number(1), "training_tokens": count(MOST_TOKENS), "utilisation": number(1)},
)


@dataclass(frozen=True)
class Uptraining:
    """The cost of one conversion.

    Attributes
    ----------
    model, converted : ModelArchitecture
        The model as it is, and what it becomes.
    tokens : int
        Tokens to train on after the conversion [tokens].
    flops : int
        6 × active parameters of the converted model × tokens [-].
    gpu_hours : float or None
        At the stated share of the device's 16 bit peak [h]; None without a GPU.
    usd : tuple of two float, or None
        Lowest and highest price of those hours [USD]; None where no price is known.
    served_tokens_to_pay : float or None
        Output tokens after which the GPU-hours that faster decode saves are those of the conversion [tokens];
        infinite where nothing is saved, None where it was not asked or is not known.
    utilisation : float
        Share of the device's 16 bit peak that training reaches [-].
    evidence : tuple of PublishedPair
        What is published of such conversions: quality before and after, with source.
    published_costs : tuple of Remark
        What such conversions took, as published.
    finding : str
        The same in words.
    """

    model: ModelArchitecture
    converted: ModelArchitecture
    tokens: int
    flops: int
    gpu_hours: float | None
    usd: tuple[float, float] | None
    served_tokens_to_pay: float | None
    utilisation: float
    evidence: tuple[PublishedPair, ...]
    published_costs: tuple[Remark, ...]
    finding: str


@friendly
def uptraining(
    model: ModelArchitecture | str,
    to_kv_heads: int = 8,
    share: float = 0.05,
    training_tokens: int | None = None,
    gpu: Accelerator | str | None = None,
    to_latent: bool = False,
    utilisation: float = UTILISATION,
    seq_len: int | None = None,
    **plan_keywords: Any,
) -> Uptraining:
    """Return what it costs to convert a trained model to fewer KV heads, or to latent attention.

    Parameters
    ----------
    model : ModelArchitecture or str
        The trained model, its preset id or its Hugging Face id [-].
    to_kv_heads : int
        KV heads to pool the present ones into, by their mean [-].
    share : float
        Share of the pre-training tokens to train on, above 0 and at most 1 [-].
    training_tokens : int
        Tokens that the model was trained on; no preset knows them [tokens].
    gpu : Accelerator or str, optional
        The device to train on, for hours and price [-].
    to_latent : bool
        Whether it becomes latent attention, whatever ``to_kv_heads`` [-].
    utilisation : float
        Share of the device's 16 bit peak that training reaches, above 0 and at most 1 [-].
    seq_len : int, optional
        Tokens of a sequence in service on the same device, for when the conversion is paid back [tokens].
    **plan_keywords : object
        Any keyword of ``plan``, of that service [-].

    Returns
    -------
    Uptraining
        Tokens, FLOPs, hours and price, beside what is published of such conversions.

    Raises
    ------
    CalculatorError
        If a share is outside (0, 1], the heads cannot be pooled so, or a name is unknown.

    Notes
    -----
    ``tokens = share × training_tokens``, ``flops = 6 × parameters × tokens`` with the parameters of the converted model
    that a token passes through, ``hours = flops / (peak × utilisation)``. Paid back after ``hours / (h₁ - h₂)`` tokens,
    with the GPU-hours a token of both at their largest batches. The GQA paper took about 600 TPUv3 chip-days for 5 % of
    T5-XXL; 5 to 10 % of the tokens is what is reported, with little gained beyond.

    References
    ----------
    arXiv 2305.13245, section 2.1 and 3.3 (mean pooling, 5 %); arXiv 2001.08361, section 2.1 (6 FLOPs a parameter and
    token); arXiv 2407.21783, table 4 (utilisation); arXiv 2502.07864, 2502.14837 (conversions to latent attention).
    """
    architecture = load_model(model)
    if training_tokens is None:
        raise InvalidValueError(
            say(
                "uptraining.training_tokens_missing_give",
                "training_tokens is missing: give the tokens that {name} was trained on",
                name=architecture.name,
            ),
            what="training_tokens",
        )
    if not isinstance(to_latent, bool):
        raise InvalidValueError(
            say(
                "uptraining.latent_must_true_false",
                "to_latent must be true or false, not {to_latent}",
                to_latent=shown(to_latent),
            ),
            what="to_latent",
        )
    asked = _SCHEMA.validate(
        {
            "to_kv_heads": to_kv_heads,
            "share": share,
            "training_tokens": training_tokens,
            "utilisation": utilisation,
        }
    )
    converted = _converted(architecture, asked["to_kv_heads"], to_latent)
    tokens = max(1, round(asked["share"] * asked["training_tokens"]))
    flops = FLOPS_PER_PARAMETER * converted.num_active_parameters * tokens
    device = None if gpu is None else load_gpu(gpu)
    hours = None
    if device is not None:
        if not device.bf16_tflops:
            raise UnsupportedError(
                say(
                    "uptraining.bit_peak_not_known",
                    "the 16 bit peak of {name} is not known, so no hours can be computed",
                    name=device.name,
                ),
                what="gpu",
                asked=device.id,
            )
        hours = flops / (device.bf16_tflops * 1e12 * asked["utilisation"]) / 3600
    price = device.price_usd_per_hour if device else None
    pays = _pays_after(architecture, converted, hours, {"gpu": gpu, "seq_len": seq_len, **plan_keywords})
    kind = "mla" if to_latent else "mqa" if converted.num_key_value_heads == 1 else "gqa"
    evidence = tuple(row for row in quality_evidence(kind=kind).rows if row.category in ("uptrained", "converted"))
    usd = (price[0] * hours, price[1] * hours) if price and hours is not None else None
    return Uptraining(
        model=architecture,
        converted=converted,
        tokens=tokens,
        flops=flops,
        gpu_hours=hours,
        usd=usd,
        served_tokens_to_pay=pays,
        utilisation=asked["utilisation"],
        evidence=evidence,
        published_costs=tuple(remark for remark in published_remarks().costs if kind in remark.kinds),
        finding=_finding(architecture, converted, tokens, hours, device, asked["utilisation"], usd, pays),
    )


def conversion_targets(model: ModelArchitecture) -> tuple[int, ...]:
    """Return the numbers of KV heads that a model's own can be pooled into, ascending; none of latent vectors [-]."""
    if keeps_latent(model):
        return ()
    counts = {each for each in model.kv_heads_by_layer if each}
    return tuple(each for each in divisors(model) if all(each < count and count % each == 0 for count in counts))


def _converted(model: ModelArchitecture, to_kv_heads: int, to_latent: bool) -> ModelArchitecture:
    """Return what a model becomes; raise where its heads cannot be pooled so."""
    if any(isinstance(group.spec, LatentAttention) for group in model.groups):
        raise UnsupportedError(
            say(
                "uptraining.keeps_latent_vectors_already",
                "{name} keeps latent vectors already: there are no KV heads to convert",
                name=model.name,
            ),
            what="model",
        )
    if to_latent:
        return with_latent(model)
    query_heads(model)
    counts = sorted({each for each in model.kv_heads_by_layer if each})
    for before in counts:
        if before <= to_kv_heads or before % to_kv_heads:
            fewer = [each for each in range(1, before) if before % each == 0]
            near = min(fewer, key=lambda each: (abs(each - to_kv_heads), each), default=None)
            raise InvalidValueError(
                say(
                    "uptraining.kv_heads_not_possible",
                    "to_kv_heads {to_kv_heads} is not possible: pooling joins equal numbers of the {before} "
                    "KV heads of {name}; ",
                    to_kv_heads=to_kv_heads,
                    before=before,
                    name=model.name,
                )
                + (
                    say("uptraining.nearest", "the nearest is {near}", near=near)
                    if near
                    else say("uptraining.has_single_one_already", "it has a single one already")
                ),
                what="to_kv_heads",
                asked=to_kv_heads,
                allowed=tuple(fewer),
                nearest=near,
            )
    return with_heads(model, to_kv_heads)


def _pays_after(
    model: ModelArchitecture, converted: ModelArchitecture, hours: float | None, asked: dict[str, Any]
) -> float | None:
    """Return the output tokens whose faster decode saves as many GPU-hours as the conversion took [tokens]."""
    if asked["seq_len"] is None:
        if len(asked) > 2:
            raise InvalidValueError(
                say(
                    "uptraining.seq_len_missing_keywords",
                    "seq_len is missing: keywords of plan describe the service that pays it back",
                ),
                what="seq_len",
            )
        return None
    if hours is None:
        raise InvalidValueError(
            say(
                "uptraining.gpu_missing_seq_len",
                "gpu is missing: seq_len describes the service on that device that pays it back",
            ),
            what="gpu",
        )
    each = []
    for one in (model, converted):
        answer = make_plan(one, **asked)
        if not answer.max_batch_size:
            return None
        rate = speed(answer, answer.max_batch_size, answer.request.seq_len, None).output_tokens_per_second
        each.append(answer.gpus_per_replica / rate / 3600)
    saved = each[0] - each[1]
    return hours / saved if saved > 0 else inf


def _finding(
    model: ModelArchitecture,
    converted: ModelArchitecture,
    tokens: int,
    hours: float | None,
    device: Accelerator | None,
    utilisation: float,
    usd: tuple[float, float] | None,
    pays: float | None,
) -> str:
    latent = any(isinstance(group.spec, LatentAttention) for group in converted.groups)
    what = say("uptraining.latent", "latent attention") if latent else plural(converted.num_key_value_heads, "KV head")
    parts: list[str] = [say(
        "uptraining.tokens",
        "Converting {model} to {what} takes {tokens:,} tokens of training.",
        model=model.name, what=what, tokens=tokens,
    )]  # fmt: skip
    if device is not None and hours is not None:
        parts.append(say(
            "uptraining.hours", "That is {hours:,.0f} hours of one {gpu}, at {share:.3g} % of its 16 bit peak.",
            hours=hours, gpu=device.name, share=100 * utilisation,
        ))  # fmt: skip
    if usd:
        parts.append(say("uptraining.usd", "They cost {low:,.0f} to {high:,.0f} USD.", low=usd[0], high=usd[1]))
    if pays == inf:
        parts.append(say("uptraining.never", "Decode is no faster afterwards, so nothing pays it back."))
    elif pays is not None:
        parts.append(say(
            "uptraining.pays", "Faster decode saves as many GPU-hours after {tokens:.2g} output tokens.", tokens=pays
        ))  # fmt: skip
    return joined(" ", parts)
