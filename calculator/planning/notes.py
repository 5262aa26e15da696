"""What the reader of an answer should know: assumptions, warnings, and why it does not fit."""

from __future__ import annotations

from calculator.architecture.counts import NO_LIMIT
from calculator.messages import say
from calculator.planning.answer import Plan
from calculator.units import GIB, format_bytes, format_gib, format_size, plural

CONTEXT_BYTES = GIB // 2
ENCODER_BYTES = 2


def notes_on(answer: Plan) -> list[str]:
    """Say what the reader should know about an answer, the most important first."""
    request, model, accelerator = answer.request, answer.model, answer.accelerator
    rules = answer.rules
    notes = [] if answer.fits else [_why_it_does_not_fit(answer)]
    if rules.note:
        notes.append(rules.note)
    if "gpu_memory_utilization" in answer.asked and "gpu_memory_utilization" not in rules.flags:
        notes.append(
            f"{rules.title} has no memory fraction: the one given is not used, it takes "
            f"{rules.budget_words(model, request)}"
        )
    if request.seq_len > model.max_position_embeddings:
        notes.append(
            f"{request.seq_len:,} tokens are more than the {model.max_position_embeddings:,} that {model.name} is made "
            "for: the memory is computed all the same, the answers of the model may be poor"
        )
    if rules.expands(model):
        notes.append(
            say(
                "notes.expanded_latents",
                "{engine}'s own class of this model type keeps keys and values of {heads} heads in place of a latent "
                "vector: blocks and what fits are counted so, the bytes of a sequence are those of the vector",
                engine=rules.title,
                heads=model.num_attention_heads,
            )
        )
    elif answer.kv_replication > 1:
        kept, heads = answer.kv_replication, plural(model.num_key_value_heads, "KV head")
        notes.append(
            f"{request.split.kv_head_ranks} GPUs share {heads}, so each head is kept {kept} times "
            "(a latent vector counts as one head): KV memory per GPU stops falling at "
            f"{plural(model.num_key_value_heads, 'GPU')}"
        )
    if answer.kv_replication > 1 and not model.copies_kv_heads:
        notes.append(
            f"the bytes are those of the general rule; {rules.title} {rules.version}'s own class of this model type "
            f"does not copy KV heads and refuses more than {model.num_key_value_heads} GPUs"
        )
    if request.kv_cache_dtype not in rules.kv_cache_dtypes:
        notes.append(
            f"{rules.title} does not store its cache in {request.kv_cache_dtype}; the bytes are those of the format"
        )
    if model.model_type in rules.ignores_kv_cache_dtype and request.storage.bits_per_value < 16:
        notes.append(
            f"the bytes are those of {request.kv_cache_dtype}, as asked; {rules.title} {rules.version}'s own class of "
            "this model type ignores the format and keeps 16 bit"
        )
    if (
        "auto" in (answer.asked.get("weight_dtype", "auto"), answer.asked.get("kv_cache_dtype", "auto"))
        and model.dtype_assumption
    ):
        notes.append(model.dtype_assumption)
    at_once, flag = (
        request.max_num_seqs * request.attention_replicas,
        rules.flags["max_num_seqs"].strip("-").replace("-", "_"),
    )
    if answer.fits and at_once < answer.max_batch_size:
        notes.append(
            f"memory holds {answer.max_batch_size:,} sequences, but {flag} {request.max_num_seqs:,} lets the "
            "engine run no more than that at once; raising it costs activation memory"
        )
    if answer.max_batch_size < at_once and "max_num_seqs" in answer.asked:
        notes.append(
            f"{flag} {request.max_num_seqs:,} promises more than fits: memory holds {answer.max_batch_size:,} "
            f"sequences of {request.seq_len:,} tokens, and the rest wait or are evicted"
        )
    kept_free = request.gpu_memory_bytes - answer.per_gpu.requested_bytes
    if rules.context_in_slack and kept_free < CONTEXT_BYTES and request.kv_cache_memory_bytes is None:
        notes.append(
            f"a utilisation of {request.gpu_memory_utilization:g} keeps {format_gib(kept_free)} free; a GPU's own "
            "context takes 0.2 to 2.6 GiB outside the budget, so the engine may refuse to start"
        )
    if not rules.keeps_windows(model) and any(group.spec.grows_until < NO_LIMIT for group in model.groups):
        notes.append(f"{rules.title} keeps the windows of this model type at full length")
    notes += _start_up_notes(answer)
    notes += _encoder_notes(answer)
    if not accelerator.memory_verified:
        notes.append(f"the memory of {accelerator.name} is not verified: {accelerator.memory_source}")
    if model.unverified:
        notes.append(f"{model.name}: not verified: {model.unverified}")
    return notes


def _start_up_notes(answer: Plan) -> list[str]:
    """Say where the engine's own start-up check judges a length otherwise than its memory does."""
    printed, seq_len = answer.reported_max_context_len, answer.request.seq_len
    if printed is None:
        return []
    held = min(int(stage.geometry.longest(stage.usable_bytes, 1)) for stage in answer.stages)
    engine = f"{answer.rules.title} {answer.rules.version}"
    if held < printed and held < seq_len:
        starts = "so that it starts, but" if seq_len <= printed else "but"
        return [
            f"the engine itself prints {printed:,} as the longest sequence, {starts} one of more than {held:,} tokens "
            f"never finishes: the start-up check of {engine} counts what its scheduler does not hand out, among it "
            "the block that its pool keeps"
        ]
    if printed < held and printed < seq_len:
        return [
            f"the engine itself prints {printed:,} as the longest sequence and does not start with {seq_len:,}, though "
            f"memory holds {held:,} tokens: the start-up check of {engine} sets the layers of all pipeline stages "
            "against the pool of one"
        ]
    return []


def _encoder_notes(answer: Plan) -> list[str]:
    """Say what of an encoder of images or audio is in the answer."""
    if not answer.rules.loads_encoders and answer.model.towers:
        return [f"{answer.rules.title} loads encoders of images and audio apart; they are not in the answer"]
    if answer.request.language_model_only:
        return []
    return [
        f"{name}: the encoder's {format_gib(ENCODER_BYTES * sum(matrix.num_parameters for matrix in matrices))} are "
        "among the weights"
        if matrices
        else f"{name}: the encoder is of a type that is not understood, its weights are not counted"
        for name, matrices in answer.model.towers.items()
    ]


def _why_it_does_not_fit(answer: Plan) -> str:
    """Say what is needed, what is available, and the largest value that would fit."""
    request, stage = answer.request, answer.stage
    if stage.exceeds and stage.memory.kv_pool_bytes:
        return f"does not fit: {_what_exceeds(answer)}"
    if stage.memory.kv_pool_bytes:
        stage = min(answer.stages, key=lambda one: one.geometry.sequences(one.usable_bytes, request.seq_len))
    memory = stage.memory
    budget = (
        f"{_size(memory.requested_bytes)} of the {_size(memory.total_bytes)} of one GPU "
        f"({answer.rules.title}: {answer.rules.budget_words(answer.model, request)})"
    )
    lacking = memory.before_kv_bytes - memory.requested_bytes
    if lacking > 0 and request.kv_cache_memory_bytes is None:
        return (
            f"does not fit: weights ({_size(memory.weights_bytes)}) and overheads "
            f"({_size(memory.before_kv_bytes - memory.weights_bytes)}) of one GPU need "
            f"{_size(memory.before_kv_bytes)}, {_size(lacking)} more than there is: available are {budget}"
        )
    batch = request.split.sequences_on_rank(request.batch_size)
    needed = batch * stage.geometry.bytes_of(request.seq_len)
    available = f"{_size(memory.kv_pool_bytes)} after weights and overheads, from {budget}"
    if request.kv_cache_memory_bytes is not None:
        available = f"{_size(memory.kv_pool_bytes)}, the KV pool given"
    if needed <= memory.kv_pool_bytes:
        held = stage.geometry.sequences(memory.kv_pool_bytes, request.seq_len)
        available += f", whose whole blocks hold {plural(held, 'such sequence')}"
    elif _size(needed) == _size(memory.kv_pool_bytes):
        available += f", {format_size(needed - memory.kv_pool_bytes)} less"
    largest = []
    if answer.max_batch_size:
        largest.append(f"{plural(answer.max_batch_size, 'sequence')} of {request.seq_len:,} tokens would fit")
    if answer.max_context_len:
        sequences = "one sequence" if request.batch_size == 1 else f"{request.batch_size:,} sequences"
        largest.append(f"{sequences} of {answer.max_context_len:,} tokens would fit")
    return (
        f"does not fit: the KV cache of {request.batch_size:,} × {request.seq_len:,} tokens needs {_size(needed)} "
        f"on one GPU, available are {available}; " + (" or ".join(largest) or "not even one block would fit")
    )


def _what_exceeds(answer: Plan) -> str:
    """Say what of a plan exceeds its device, by how much, and what would not."""
    request, memory = answer.request, answer.per_gpu
    verb = "is" if memory.unused_bytes == -1 else "are"
    missing, fixed = -memory.unused_bytes, memory.before_kv_bytes + memory.in_slack_bytes
    if request.kv_cache_memory_bytes is not None:
        largest = max(0, memory.total_bytes - fixed)
        exact = f" ({format_bytes(largest)})" if largest else ""
        return (
            f"{_size(missing)} {verb} missing: weights and overheads ({_size(fixed)}) and the KV pool given "
            f"({_size(memory.kv_pool_bytes)}) exceed the {_size(memory.total_bytes)} of one GPU; the largest "
            f"pool would be {_size(largest)}{exact}"
        )
    fraction = _fraction_that_leaves_room(answer)
    return (
        f"{_size(missing)} {verb} missing: activations or CUDA graphs of one GPU take {_size(memory.in_slack_bytes)} "
        f"outside the budget ({answer.rules.title}: {answer.rules.budget_words(answer.model, request)}), which leaves "
        f"{_size(memory.total_bytes - memory.requested_bytes)}"
        + (f"; gpu_memory_utilization {fraction:g} would leave enough" if fraction else "")
    )


def _fraction_that_leaves_room(answer: Plan) -> float:
    """Return the largest fraction, in thousandths, that leaves room for what runs outside it; 0 for none [-]."""
    memory = answer.per_gpu
    in_budget = memory.before_kv_bytes - memory.weights_bytes
    for thousandths in range(int(answer.request.gpu_memory_utilization * 1000), 0, -1):
        fraction = thousandths / 1000
        budget = answer.rules.requested_bytes(memory.total_bytes, fraction, memory.weights_bytes, in_budget)
        if budget + memory.in_slack_bytes <= memory.total_bytes:
            return fraction
    return 0.0


def _size(num_bytes: int) -> str:
    """Show a size as GiB, a small one in the unit that does not make it 0."""
    return format_size(num_bytes) if 0 < num_bytes < GIB // 100 else format_gib(num_bytes)
