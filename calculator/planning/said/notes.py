"""What the reader of an answer should know: assumptions and warnings, the most important first."""

from __future__ import annotations

from collections.abc import Iterator

from calculator.architecture.counts import NO_LIMIT
from calculator.architecture.model import ModelArchitecture
from calculator.catalogue.presets import load_model
from calculator.engines.support import is_offered, runs_on
from calculator.hardware import CUSTOM
from calculator.messages import Message, phrase, say, template
from calculator.planning.answer import Plan
from calculator.planning.drafts import draft_of
from calculator.planning.said.shortfall import why_it_does_not_fit
from calculator.planning.stage import distinct
from calculator.units import GIB, format_gib, plural

CONTEXT_BYTES = GIB // 2
ENCODER_BYTES = 2


def notes_on(answer: Plan) -> list[str]:
    """Say what the reader should know about an answer, the most important first."""
    notes = [] if answer.fits else [why_it_does_not_fit(answer)]
    return notes + [note for notes_of in _NOTES for note in notes_of(answer)]


def beyond_the_model(model: ModelArchitecture, tokens: int) -> Iterator[Message]:
    """Yield that sequences are longer than a model is made for, where they are."""
    if tokens > model.max_position_embeddings:
        yield say(
            "notes.beyond_the_model",
            "{tokens:,} tokens are more than the {own:,} that {model} is made for: the memory is computed all the "
            "same, the answers of the model may be poor",
            tokens=tokens,
            own=model.max_position_embeddings,
            model=model.name,
        )


def _on_the_machine(answer: Plan) -> Iterator[str]:
    """Say whose log the overheads are from, and where the engine that is planned is of another version."""
    calibration, rules = answer.calibration, answer.rules
    if calibration is None or answer.request.non_torch_bytes is not None:
        return
    ranks, planned_ranks = calibration.tensor_parallel_size, answer.request.tensor_parallel_size
    if ranks and ranks != planned_ranks:
        yield say(
            "notes.calibrated_ranks",
            "what is held outside weights and estimates is as a log of tensor_parallel_size {ranks} has it, and "
            "{planned} is planned, whose ranks hold other buffers: take a log of that size",
            ranks=ranks,
            planned=planned_ranks,
        )
    values = {"engine": rules.title, "logged": calibration.engine_version, "planned": rules.version}
    if calibration.engine_version == rules.version:
        yield say(
            "notes.calibrated",
            "what is held outside weights and estimates is as a log of this machine has it, {engine} {logged}",
            **values,
        )
    else:
        yield say(
            "notes.calibrated_elsewhere",
            "what is held outside weights and estimates is as a log of {engine} {logged} has it, and {planned} is "
            "planned, which may hold another amount: take a log of that version",
            **values,
        )


def _on_the_length(answer: Plan) -> Iterator[str]:
    yield from beyond_the_model(answer.model, answer.request.seq_len)


def _on_the_request(answer: Plan) -> Iterator[str]:
    request, model, rules = answer.request, answer.model, answer.rules
    if rules.note:
        yield rules.note
    if "gpu_memory_utilization" in answer.asked and "gpu_memory_utilization" not in rules.flags:
        yield say(
            "notes.no_fraction",
            "{engine} has no memory fraction: the one given is not used, it takes {budget}",
            engine=rules.title,
            budget=rules.budget_words(model, request),
        )
    used = rules.fraction_used(model, answer.accelerator, request)
    if used != request.gpu_memory_utilization:
        yield say(
            "notes.fraction_used",
            "{engine} takes {used:.4g} where {asked:g} is its fraction: on this device it lowers any fraction for a "
            "context as long as {tokens:,} tokens",
            engine=rules.title,
            used=used,
            asked=request.gpu_memory_utilization,
            tokens=request.seq_len,
        )


def _on_names(answer: Plan) -> Iterator[str]:
    """Say which presets were taken for what was named otherwise."""
    model, gpu = answer.model, answer.asked.get("gpu")
    if model.repository:
        preset = load_model(model.id)
        also = [
            say(
                "notes.weights_by_its_name",
                "weights in {weight_dtype}, by its name alone",
                weight_dtype=model.weight_dtype,
            )
            if model.weight_dtype != preset.weight_dtype
            else "",
            say(
                "notes.tokens_at_most",
                "{max_position_embeddings:,} tokens at most",
                max_position_embeddings=model.max_position_embeddings,
            )
            if model.max_position_embeddings != preset.max_position_embeddings
            else "",
        ]
        yield say(
            "notes.taken_as_preset",
            "{asked} is taken as the preset {preset}, of the same layers{also}",
            asked=model.repository,
            preset=model.id,
            also="".join(f"; {each}" for each in also if each),
        )
    if isinstance(gpu, str) and gpu != answer.request.gpu and answer.request.gpu != CUSTOM:
        yield say(
            "notes.taken_as_gpu",
            "{asked} is taken as {gpu}, of {memory}",
            asked=gpu,
            gpu=answer.request.gpu,
            memory=format_gib(answer.per_gpu.total_bytes),
        )


def _on_copies(answer: Plan) -> Iterator[str]:
    model, rules = answer.model, answer.rules
    if rules.expands(model):
        yield say(
            "notes.expanded_latents",
            "{engine}'s own class of this model type keeps keys and values of {heads} heads in place of a latent "
            "vector: blocks and what fits are counted so, the bytes of a sequence are those of the vector",
            engine=rules.title,
            heads=model.num_attention_heads,
        )
        return
    if answer.kv_replication == 1:
        return
    yield say(
        "notes.copies",
        "{gpus} GPUs share {heads}, so each head is kept {copies} times (a latent vector counts as one head): KV "
        "memory per GPU stops falling at {last}",
        gpus=answer.request.split.kv_head_ranks,
        heads=plural(model.num_key_value_heads, "KV head"),
        copies=answer.kv_replication,
        last=plural(model.num_key_value_heads, "GPU"),
    )


def _on_formats(answer: Plan) -> Iterator[str]:
    request, model, rules = answer.request, answer.model, answer.rules
    if not is_offered(rules, answer.accelerator, request.weight_dtype, request.kv_cache_dtype):
        support = runs_on(rules, answer.accelerator, request.weight_dtype, request.kv_cache_dtype)
        yield say("notes.not_known_to_run", "{why}: the memory is computed all the same", why=support.why)
    if request.kv_cache_dtype not in rules.kv_cache_dtypes:
        yield say(
            "notes.format_not_stored",
            "{engine} does not store its cache in {kv_cache_dtype}; the bytes are those of the format",
            engine=rules.title,
            kv_cache_dtype=request.kv_cache_dtype,
        )
    if model.model_type in rules.ignores_kv_cache_dtype and request.storage.bits_per_value < 16:
        yield say(
            "notes.format_ignored",
            "{engine} {version}'s own class of this model type ignores {kv_cache_dtype} and keeps 16 bit: blocks and "
            "what fits are counted so, the bytes of a sequence are those of the format",
            kv_cache_dtype=request.kv_cache_dtype,
            engine=rules.title,
            version=rules.version,
        )
    asked = (answer.asked.get("weight_dtype", "auto"), answer.asked.get("kv_cache_dtype", "auto"))
    if "auto" in asked and model.dtype_assumption:
        yield model.dtype_assumption


def _on_what_runs_at_once(answer: Plan) -> Iterator[str]:
    request, rules = answer.request, answer.rules
    at_once, flag = request.max_num_seqs * request.attention_replicas, rules.flags["max_num_seqs"]
    values = {
        "held": answer.max_batch_size,
        "flag": flag.strip("-").replace("-", "_"),
        "max_num_seqs": request.max_num_seqs,
    }
    if answer.fits and not answer.kv_bytes_per_sequence:
        yield say(
            "notes.nothing_kept",
            "nothing is kept of a sequence, so that memory does not limit how many run at once: {flag} "
            "{max_num_seqs:,} and a pass of {batched:,} tokens do",
            batched=request.max_num_batched_tokens,
            **values,
        )
    elif answer.fits and at_once < answer.max_batch_size:
        yield say(
            "notes.fewer_at_once",
            "memory holds {held:,} sequences, but {flag} {max_num_seqs:,} lets the engine run no more than that at "
            "once; raising it costs activation memory",
            **values,
        )
    for refusal in answer.refusals:
        if refusal.by_default:
            yield say(
                "notes.default_refused",
                "by default {engine} would not start: {why}; the command line states a number that it starts with",
                engine=rules.title,
                why=refusal.why,
            )
    if answer.max_batch_size < at_once and "max_num_seqs" in answer.asked and not answer.refused:
        yield say(
            "notes.more_at_once",
            "{flag} {max_num_seqs:,} promises more than fits: memory holds {held:,} sequences of {tokens:,} tokens, "
            "and the rest wait or are evicted",
            tokens=request.seq_len,
            **values,
        )


def _on_the_budget(answer: Plan) -> Iterator[str]:
    request = answer.request
    kept_free = request.gpu_memory_bytes - answer.per_gpu.requested_bytes
    if answer.rules.context_in_slack and kept_free < CONTEXT_BYTES and request.kv_cache_memory_bytes is None:
        yield say(
            "notes.no_room_for_contexts",
            "a utilisation of {fraction:g} keeps {kept_free} free; a GPU's own context takes 0.2 to 2.6 GiB outside "
            "the budget, so the engine may refuse to start",
            fraction=request.gpu_memory_utilization,
            kept_free=format_gib(kept_free),
        )
    if answer.per_gpu.unused_bytes < 0 and not answer.stage.exceeds:
        yield say(
            "notes.outside_the_budget",
            "{outside} of activations or CUDA graphs are expected outside the budget, which leaves {kept_free}: the "
            "engine may run out of memory after start-up",
            outside=format_gib(answer.per_gpu.in_slack_bytes),
            kept_free=format_gib(kept_free),
        )


def _on_windows(answer: Plan) -> Iterator[str]:
    windows = any(group.spec.grows_until < NO_LIMIT for group in answer.model.groups)
    if windows and not answer.rules.keeps_windows(answer.model):
        yield say(
            "notes.full_length",
            "{engine} keeps the windows of this model type at full length",
            engine=answer.rules.title,
        )


def _on_the_start(answer: Plan) -> Iterator[str]:
    """Say where the engine's own start-up check judges a length otherwise than its memory does."""
    printed, seq_len = answer.reported_max_context_len, answer.request.seq_len
    if printed is None:
        return
    held = min(int(stage.geometry.longest(stage.usable_bytes, 1)) for stage in distinct(answer.stages))
    values = {"printed": printed, "held": held, "engine": answer.rules.title, "version": answer.rules.version}
    if held < printed and held < seq_len:
        key = "notes.never_finishes"
        text = template(
            "the engine itself prints {printed:,} as the longest sequence, but one of more than {held:,} tokens never "
            "finishes: the start-up check of {engine} {version} counts what its scheduler does not hand out, among it "
            "the block that its pool keeps"
        )
        if seq_len <= printed:
            key = "notes.starts_and_never_finishes"
            text = template(
                "the engine itself prints {printed:,} as the longest sequence, so that it starts, but one of more than "
                "{held:,} tokens never finishes: the start-up check of {engine} {version} counts what its scheduler "
                "does not hand out, among it the block that its pool keeps"
            )
        yield say(key, text, **values)


def _on_what_stands_beside(answer: Plan) -> Iterator[str]:
    """Say what of the weights the host holds, and what is assumed of a drafter."""
    hosted = answer.stage.hosted_bytes
    if hosted:
        yield say(
            "notes.hosted",
            "{size} of the weights of one GPU are held by the host and read over its link in every step: they are not "
            "among the bytes of the GPU",
            size=format_gib(hosted),
        )
    on_gpu, layers = answer.request.n_gpu_layers, answer.model.num_layers
    if on_gpu is not None and on_gpu <= layers:
        yield say(
            "notes.hosted_layers",
            "{number} of {layers} layers and their cache are held by the host; the output counts as a layer",
            number=layers + 1 - on_gpu,
            layers=layers,
        )
    draft = draft_of(answer.model, answer.request.speculative_config)
    if draft and draft.assumed:
        yield draft.assumed


def _on_encoders(answer: Plan) -> Iterator[str]:
    """Say what of an encoder of images or audio is in the answer."""
    towers = answer.model.towers
    if not answer.rules.loads_encoders and towers:
        yield say(
            "notes.encoders_apart",
            "{engine} loads encoders of images and audio apart; they are not in the answer",
            engine=answer.rules.title,
        )
    elif not answer.request.language_model_only:
        for name, matrices in towers.items():
            yield (
                say(
                    "notes.encoder",
                    "{name}: the encoder's {size} are among the weights",
                    name=name,
                    size=format_gib(ENCODER_BYTES * sum(matrix.num_parameters for matrix in matrices)),
                )
                if matrices
                else say(
                    "notes.encoder_unknown",
                    "{name}: the encoder is of a type that is not understood, its weights are not counted",
                    name=name,
                )
            )


def _on_what_is_not_verified(answer: Plan) -> Iterator[str]:
    model, accelerator = answer.model, answer.accelerator
    if not accelerator.memory_verified:
        yield say(
            "notes.memory_not_verified",
            "the memory of {gpu} is not verified: {source}",
            gpu=accelerator.name,
            source=phrase(accelerator.memory_source),
        )
    if model.unverified:
        yield say("notes.model_not_verified", "{model}: not verified: {what}", model=model.name, what=model.unverified)


_NOTES = (  # warnings, then what was assumed
    _on_the_start,
    _on_the_budget,
    _on_the_length,
    _on_what_runs_at_once,
    _on_formats,
    _on_names,
    _on_the_machine,
    _on_the_request,
    _on_copies,
    _on_windows,
    _on_what_stands_beside,
    _on_encoders,
    _on_what_is_not_verified,
)
