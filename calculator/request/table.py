"""The table of options: a field for each keyword of ``plan``."""

from dataclasses import dataclass
from typing import Annotated

from calculator.architecture.limits import MAX_LAYERS, MAX_TOKENS
from calculator.formats.names import STATE_FORMATS
from calculator.hardware import MAX_BYTES
from calculator.reading.fields import Between, choice, count, flag, number, text
from calculator.request.options import MAX_CHECKPOINT_BYTES, MAX_RANKS, NOTHING, Option, Page, overhead
from calculator.request.speculation import SPECULATION, Speculation


@dataclass(frozen=True, kw_only=True)
class Table:
    """Every input of a plan, defaults filled in, under the names of ``plan``.

    ``seq_len`` and ``max_num_batched_tokens`` are tokens, names in ``_bytes`` but ``checkpoint_bytes`` are bytes of one
    GPU, ``gpu_memory_utilization`` is a fraction, the rest counts; ``batch_size`` is of one replica.
    """

    model: str
    gpu: str
    tensor_parallel_size: Annotated[
        int,
        Option(
            field=count(MAX_RANKS),
            help="GPUs that share every layer",
            default=1,
            everywhere=True,
            logged=True,
            page=Page(clears=False),
        ),
    ]
    seq_len: Annotated[
        int,
        Option(
            field=count(MAX_TOKENS),
            help="prompt and generated tokens of one sequence; by default the model's longest context",
            unit="tokens",
            everywhere=True,
        ),
    ]
    batch_size: Annotated[
        int,
        Option(
            field=count(MAX_TOKENS),
            help="concurrent sequences of one replica that must fit",
            default=1,
            is_engines=False,
            everywhere=True,
        ),
    ]
    weight_dtype: Annotated[
        str,
        Option(field=text(40), help="weight format; auto for the checkpoint's own", default="auto", everywhere=True),
    ]
    kv_cache_dtype: Annotated[
        str,
        Option(
            field=text(40),
            help="storage format of the cache; auto for the checkpoint's own",
            default="auto",
            everywhere=True,
            cuts=True,
        ),
    ]
    pipeline_parallel_size: Annotated[
        int,
        Option(
            field=count(MAX_RANKS),
            help="stages that share the layers",
            default=1,
            everywhere=True,
            cuts=True,
            logged=True,
            page=Page(most=1024),
        ),
    ]
    data_parallel_size: Annotated[
        int, Option(field=count(MAX_RANKS), help="replicas", default=1, everywhere=True, logged=True)
    ]
    encoder_seq_len: Annotated[
        int | None,
        Option(
            field=count(MAX_TOKENS),
            help="tokens of the encoder; required for an encoder-decoder, refused otherwise",
            unit="tokens",
            absent="512",
            is_engines=False,
            everywhere=True,
            cuts=True,
        ),
    ]
    engine: Annotated[
        str,
        Option(
            field=text(40),
            help="whose rules apply: vllm, sglang, tensorrt-llm or llama.cpp",
            default="vllm",
            is_engines=False,
        ),
    ]
    engine_version: Annotated[
        str,
        Option(
            field=text(60),
            help="of which version, such as 0.19; by default the newest known, and the nearest for one that is not",
            absent="the newest known",
            is_engines=False,
        ),
    ]
    gpu_memory_utilization: Annotated[
        float,
        Option(
            field=number(1),
            help="the engine's fraction, in (0, 1], of what that engine means by it; by default the engine's own",
            logged=True,
            page=Page(least=0.01, most=1.0),
        ),
    ]
    decode_context_parallel_size: Annotated[
        int,
        Option(
            field=count(MAX_RANKS),
            help="GPUs of a replica that share a sequence's tokens where they would keep copies of its heads",
            default=1,
            cuts=True,
            logged=True,
        ),
    ]
    enable_expert_parallel: Annotated[
        bool,
        Option(
            field=flag(),
            help="whether ranks hold whole experts in place of slices of all; on some engines all replicas share them",
            default=False,
            everywhere=True,
            logged=True,
        ),
    ]
    enable_attention_dp: Annotated[
        bool,
        Option(
            field=flag(),
            help="whether every GPU of a replica serves sequences of its own, attention weights copied",
            default=False,
            logged=True,
        ),
    ]
    disable_hybrid_kv_cache_manager: Annotated[
        bool,
        Option(
            field=flag(),
            help="whether windows are allocated at full length (vLLM, and SGLang under a flag of its own)",
            default=False,
            cuts=True,
            logged=True,
        ),
    ]
    swa_full: Annotated[
        bool,
        Option(field=flag(), help="whether windows are allocated at full length (llama.cpp)", default=False, cuts=True),
    ]
    enforce_eager: Annotated[
        bool,
        Option(field=flag(), help="whether no CUDA graphs are captured", default=False, everywhere=True, logged=True),
    ]
    language_model_only: Annotated[
        bool,
        Option(
            field=flag(),
            help="whether the encoders of images and audio are not loaded (vLLM)",
            default=False,
            logged=True,
        ),
    ]
    async_scheduling: Annotated[
        bool | None,
        Option(
            field=flag(),
            help="whether vLLM schedules a batch ahead, which windows are charged for; by default as the version does",
            cuts=True,
            logged=True,
            page=None,
        ),
    ]
    enable_prefix_caching: Annotated[
        bool | None,
        Option(
            field=flag(),
            help="whether prefixes are cached, for which states keep more; by default as the version does",
            cuts=True,
            logged=True,
            page=None,
        ),
    ]
    usage_context: Annotated[
        str | None,
        Option(
            field=text(20),
            help="server or offline: vLLM's LLM class has other defaults of a forward pass than its server",
            absent="server",
            is_engines=False,
            logged=True,
            page=None,
        ),
    ]
    block_size: Annotated[
        int,
        Option(
            field=count(1_048_576),
            help="tokens of one block; by default the engine's",
            unit="tokens",
            cuts=True,
            logged=True,
        ),
    ]
    max_num_seqs: Annotated[
        int,
        Option(
            field=count(1_048_576),
            help="sequences of one forward pass, by default the engine's for the device; bounds activations",
            cuts=True,
            logged=True,
        ),
    ]
    max_num_batched_tokens: Annotated[
        int,
        Option(
            field=count(16_777_216),
            help="tokens of one forward pass, by default the engine's for the device; bounds activations",
            unit="tokens",
            cuts=True,
            logged=True,
        ),
    ]
    gpu_memory_bytes: Annotated[
        int,
        Option(
            field=count(MAX_BYTES),
            help="what the device reports to a program, in place of the catalogue's",
            unit="bytes",
            absent="what the catalogue says",
            is_engines=False,
            everywhere=True,
            page=Page(least=0.1, most=1_000_000.0),
        ),
    ]
    kv_cache_memory_bytes: Annotated[
        int | None,
        Option(
            field=count(MAX_BYTES),
            help="the KV pool of one GPU given outright, whatever the weights take",
            unit="bytes",
            absent="what is left",
            everywhere=True,
            logged=True,
            page=Page(least=0.001, most=1_000_000.0),
        ),
    ]
    speculative_config: Annotated[
        Speculation | None,
        Option(
            field=SPECULATION,
            help="how tokens are drafted, in vLLM's own keys: method, num_speculative_tokens, and model for a drafter",
            absent="no drafts",
            everywhere=True,
            cuts=True,
            logged=True,
        ),
    ]
    max_loras: Annotated[
        int | None,
        Option(
            field=count(1_024),
            help="LoRA adapters of one batch, whose buffers are kept on each GPU",
            absent="no adapters",
            everywhere=True,
            logged=True,
        ),
    ]
    max_lora_rank: Annotated[
        int | None,
        Option(
            field=count(4_096),
            help="the largest rank of a LoRA adapter; 16 where only max_loras is given",
            absent="no adapters",
            everywhere=True,
            logged=True,
        ),
    ]
    mamba_cache_dtype: Annotated[
        str,
        Option(
            field=choice(STATE_FORMATS),
            help="format of the convolutions of recurrent states, and of the states where nothing else names one",
            default="auto",
            cuts=True,
            logged=True,
        ),
    ]
    mamba_ssm_cache_dtype: Annotated[
        str,
        Option(
            field=choice(STATE_FORMATS),
            help="format of recurrent states; auto for the checkpoint's own",
            default="auto",
            cuts=True,
            logged=True,
        ),
    ]
    cpu_offload_gb: Annotated[
        float | None,
        Option(
            field=Between(least=0, most=100_000),
            help="weights of each GPU that the host holds instead, in GiB; 0 for none",
            unit="GiB",
            absent=NOTHING,
            logged=True,
            page=Page(least=0.01, most=100_000.0),
        ),
    ]
    n_cpu_moe: Annotated[
        int | None,
        Option(
            field=count(MAX_LAYERS, minimum=0),
            help="layers, from the first, whose experts the host holds (llama.cpp); 0 for none",
            absent=NOTHING,
        ),
    ]
    n_gpu_layers: Annotated[
        int | None,
        Option(
            field=count(MAX_LAYERS, minimum=0),
            help="layers, from the last, that are on GPUs; the host holds the rest and their cache (llama.cpp)",
            absent="all",
            cuts=True,
        ),
    ]
    other_memory_bytes: Annotated[
        int | None,
        Option(
            field=count(MAX_BYTES, minimum=0),
            help="what other processes hold of each GPU before the engine starts, which each engine counts its own way",
            unit="bytes",
            absent="nothing",
            is_engines=False,
            everywhere=True,
            page=Page(least=0.0, most=1_000_000.0),
        ),
    ]
    checkpoint_bytes: Annotated[
        int | None,
        Option(
            field=count(MAX_CHECKPOINT_BYTES),
            help="the stored bytes of the whole model, as its files have them; a GPU holds its share of them",
            unit="bytes",
            absent="what its files or its format say",
            is_engines=False,
            everywhere=True,
            page=Page(least=0.001, most=1_000_000.0),
        ),
    ]
    activation_bytes: Annotated[int | None, overhead("activation peak")]
    non_torch_bytes: Annotated[int | None, overhead("memory outside the allocator")]
    cuda_graph_bytes: Annotated[int | None, overhead("pool of CUDA graphs")]
