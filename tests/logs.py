"""Start-up logs as the engines print them, shortened; every figure was printed by a real start."""

VLLM_V1 = """\
(APIServer pid=1) INFO 10-02 09:12:05 [api_server.py:1839] vLLM API server version 0.11.0
(APIServer pid=1) INFO 10-02 09:12:05 [utils.py:233] non-default args: {'model_tag': 'meta-llama/Llama-3.1-8B-Instruct', \
'max_model_len': 16000, 'gpu_memory_utilization': 0.9, 'block_size': 128, 'api_key': ['sk-abcdef123456']}
(APIServer pid=1) INFO 10-02 09:12:11 [scheduler.py:205] Chunked prefill is enabled with max_num_batched_tokens=8192.
(EngineCore_DP0 pid=99) INFO 10-02 09:12:20 [core.py:77] Initializing a V1 LLM engine (v0.11.0) with config: \
model='meta-llama/Llama-3.1-8B-Instruct', speculative_config=None, dtype=torch.bfloat16, max_seq_len=16000, \
tensor_parallel_size=1, pipeline_parallel_size=1, quantization=None, enforce_eager=False, kv_cache_dtype=auto
(EngineCore_DP0 pid=99) INFO 10-02 09:12:40 [gpu_model_runner.py:2653] Model loading took 14.9889 GiB and 10.8 seconds
(EngineCore_DP0 pid=99) INFO Free memory on device (78.7/79.18 GiB) on startup. Desired GPU memory utilization is \
(0.9, 71.26 GiB). Actual usage is 14.99 GiB for weight, 4.76 GiB for peak activation, 0.13 GiB for non-torch memory, \
and -0.45 GiB for CUDAGraph memory.
(EngineCore_DP0 pid=99) INFO 10-02 09:13:01 [gpu_worker.py:298] Available KV cache memory: 51.38 GiB
(EngineCore_DP0 pid=99) INFO 10-02 09:13:02 [kv_cache_utils.py:1087] GPU KV cache size: 420,864 tokens
(EngineCore_DP0 pid=99) INFO 10-02 09:13:02 [kv_cache_utils.py:1091] Maximum concurrency for 16,000 tokens per \
request: 26.30x
(APIServer pid=1) INFO 10-02 09:13:12 a line about memory that nobody knows, token=hf_abcdefghijkl
"""

VLLM_V0 = """\
INFO 05-02 10:00:00 llm_engine.py:237] Initializing an LLM engine (v0.7.3) with config: model='Qwen/Qwen3-4B', \
dtype=torch.float16, max_seq_len=10000, tensor_parallel_size=1, kv_cache_dtype=auto, max_num_seqs=1
INFO 05-02 10:00:20 model_runner.py:1115] Loading model weights took 7.5552 GB
INFO 05-02 10:00:30 worker.py:267] the current vLLM instance can use total_gpu_memory (12.00GiB) x \
gpu_memory_utilization (0.95) = 11.40GiB
INFO 05-02 10:00:30 worker.py:267] model weights take 7.56GiB; non_torch_memory takes 0.04GiB; PyTorch activation peak \
memory takes 0.74GiB; the rest of the memory reserved for KV Cache is 3.06GiB.
INFO 05-02 10:00:31 executor_base.py:111] # cuda blocks: 1394, # CPU blocks: 1820
INFO 05-02 10:00:31 executor_base.py:116] Maximum concurrency for 10000 tokens per request: 2.23x
"""

SGLANG = """\
[2025-08-01 10:00:00] server_args=ServerArgs(model_path='Qwen/Qwen3-0.6B', tp_size=1, chunked_prefill_size=2048, \
kv_cache_dtype='auto', max_running_requests=None, context_length=None)
[2025-08-01 10:00:05] Load weight begin. avail mem=15.16 GB
[2025-08-01 10:00:10] Load weight end. type=Qwen3ForCausalLM, dtype=torch.bfloat16, avail mem=13.91 GB, mem usage=1.25 GB.
[2025-08-01 10:00:10] KV Cache is allocated. #tokens: 104273, K size: 5.57 GB, V size: 5.57 GB
[2025-08-01 10:00:10] Memory pool end. avail mem=2.43 GB
[2025-08-01 10:00:20] Capture cuda graph end. Time elapsed: 5.00 s. mem usage=0.11 GB. avail mem=1.70 GB.
"""

TENSORRT_LLM = """\
[TensorRT-LLM] TensorRT LLM version: 1.2.0
model='meta-llama/Meta-Llama-3-8B-Instruct', max_batch_size=32, max_num_tokens=1024, max_seq_len=1025
[TRT-LLM] [I] Memory used after loading model weights (inside torch) in memory usage profiling: 15.06 GiB
[TRT-LLM] [I] Memory used after loading model weights (outside torch) in memory usage profiling: 2.55 GiB
[TRT-LLM] [I] Peak memory during memory usage profiling (torch + non-torch): 17.76 GiB, available KV cache memory when \
calculating max tokens: 109.96 GiB, fraction is set 0.9, kv size is 131072. device total memory 139.80 GiB
[TRT-LLM] [I] Estimated max tokens in KV cache : 900800
"""

LLAMA_CPP = """\
llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 3090) - 23994 MiB free
print_info: general.name     = Mistral Nemo Instruct 2407
llama_context: n_seq_max     = 1
llama_context: n_ctx         = 4096
llama_context: n_ubatch      = 512
llama_kv_cache: size =  640.00 MiB (  4096 cells,  40 layers,  1/1 seqs), K (f16):  320.00 MiB, V (f16):  320.00 MiB
"""
LLAMA_CPP_DRAFT = """\
print_info: file type   = Q4_K - Medium
llama_prepare_model_devices: using device CUDA0 (NVIDIA GeForce RTX 5090) (0000:0b:00.0) - 30930 MiB free
load_tensors:   CPU_Mapped model buffer size =   682.03 MiB
load_tensors:        CUDA0 model buffer size = 16386.94 MiB
llama_context: n_seq_max     = 4
llama_context: n_ctx         = 131072
llama_context: flash_attn    = enabled
llama_context: kv_unified    = true
llama_kv_cache:      CUDA0 KV buffer size =  4352.00 MiB
llama_kv_cache: size = 4352.00 MiB (131072 cells,  16 layers,  4/1 seqs), K (q8_0): 2176.00 MiB, V (q8_0): 2176.00 MiB
llama_memory_recurrent: size =  598.50 MiB (     4 cells,  65 layers,  4 seqs), R (f32):   22.50 MiB, \
S (f32):  576.00 MiB
srv    load_model: creating MTP draft context against the target model 'models/Qwen3.6-27B-UD-Q4_K_XL.gguf'
llama_context: n_seq_max     = 4
llama_kv_cache:      CUDA0 KV buffer size =   272.00 MiB
llama_kv_cache: size =  272.00 MiB (131072 cells,   1 layers,  4/1 seqs), K (q8_0):  136.00 MiB, V (q8_0):  136.00 MiB
"""

LLAMA_CPP_VULKAN = """\
load_tensors:   CPU_Mapped model buffer size =   682.03 MiB
load_tensors:      Vulkan0 model buffer size = 18163.06 MiB
llama_context: n_ctx         = 8192
llama_context: kv_unified    = false
llama_context: Vulkan_Host  output buffer size =     0.95 MiB
llama_kv_cache:    Vulkan0 KV buffer size =   512.00 MiB
llama_memory_recurrent:    Vulkan0 RS buffer size =   448.88 MiB
sched_reserve:    Vulkan0 compute buffer size =   568.18 MiB
srv    load_model: creating MTP draft context against the target model '<drive>/models/chat/qwen3.8-27b-ud-q5km.gguf'
llama_kv_cache:    Vulkan0 KV buffer size =    32.00 MiB
"""

LLAMA_CPP_TWO_TYPES = """\
llm_load_tensors:  CUDA_Host buffer size =   344.44 MiB
llm_load_tensors:      CUDA0 buffer size =  4941.00 MiB
llama_new_context_with_model: n_ctx      = 1024
llama_kv_cache_init:      CUDA0 KV buffer size =    82.00 MiB
llama_new_context_with_model: KV self size  =   82.00 MiB, K (iq4_nl):   18.00 MiB, V (f16):   64.00 MiB
"""

SGLANG_WINDOWS = """\
[2025-12-19 07:42:57 TP2] KV Cache is allocated. #tokens: 1496958, K size: 41.76 GB, V size: 27.84 GB
[2025-12-19 07:42:57 TP1] KV Cache is allocated. #tokens: 1496958, K size: 41.76 GB, V size: 27.84 GB
[2025-12-19 07:42:57 TP2] KV Cache is allocated. #tokens: 1496958, K size: 4.82 GB, V size: 3.21 GB
[2025-12-19 07:42:57 TP2] SWAKVPool mem usage: 77.63 GB, swa size: 1496958, full size: 1496958
[2025-12-19 07:42:57 TP2] Memory pool end. avail mem=22.56 GB
"""

SGLANG_ONE_OF_TWO_POOLS = """\
python3 -m sglang.launch_server --model-path XiaomiMiMo/MiMo-V2-Flash --tp-size 4 --model-loader-extra-config '{}'
[2026-01-31 13:50:39 TP2] Use sliding window memory pool. full_layer_tokens=375360, swa_layer_tokens=300288
[2026-01-31 13:50:39 TP1] KV Cache is allocated. #tokens: 300288, K size: 8.38 GB, V size: 5.59 GB
"""

SGLANG_STATES = """\
[2026-10-02 00:39:31] Load weight begin. avail mem=93.77 GB
[2026-10-02 00:39:40] Mamba Cache is allocated. max_mamba_cache_size: 64, conv_state size: 0.07GB, ssm_state size: \
3.05GB intermediate_ssm_state_cache size: 48.75GB intermediate_conv_window_cache size: 0.43GB
[2026-10-02 00:39:41] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 295950, K size: 4.52 GB, V size: 4.52 GB
[2026-10-02 00:39:41] Memory pool end. avail mem=21.57 GB
[2026-10-02 00:39:42] KV Cache is allocated. dtype: torch.bfloat16, #tokens: 295950, K size: 3.39 GB, V size: 3.39 GB
[2026-10-02 00:39:42] Memory pool end. avail mem=14.77 GB
[2026-10-02 00:40:00] Capture target prefill CUDA graph end. elapsed=17.92 s, mem usage=3.85 GB, avail mem=10.85 GB.
[2026-10-02 00:40:07] Capture target verify CUDA graph end. elapsed=6.90 s, mem usage=6.13 GB, avail mem=4.72 GB.
[2026-10-02 00:40:09] Capture draft verify CUDA graph end. elapsed=1.96 s, mem usage=2.17 GB, avail mem=2.56 GB.
"""

SGLANG_SMALL = """\
[2026-02-04 11:30:29] Load weight begin. avail mem=78.43 GB
[2026-02-04 11:30:29] Found local HF snapshot for qwen/qwen2.5-0.5b-instruct at /hf_home/hub/models--qwen--qwen2.5
[2026-02-04 11:30:29] KV Cache is allocated. #tokens: 20480, K size: 0.12 GB, V size: 0.12 GB
[2026-02-04 11:30:29] Memory pool end. avail mem=77.12 GB
"""

VLLM_RANKS = """\
(Worker_TP0_EP0 pid=8092) INFO 09-29 11:34:04 [gpu_worker.py:298] Available KV cache memory: 11.55 GiB
(Worker_TP7_EP7 pid=8099) INFO 09-29 11:34:04 [gpu_worker.py:298] Available KV cache memory: 11.52 GiB
(EngineCore_DP0 pid=7949) INFO 09-29 11:34:06 [kv_cache_utils.py:864] GPU KV cache size: 256,800 tokens
"""

VLLM_COMMAND = """\
  vllm/vllm-openai:v0.10.2 \\
    Qwen/Qwen3-30B-A3B-Instruct-2507-FP8 \\
    -tp 2 \\
    --enable-expert-parallel \\
    --no-enable-prefix-caching \\
    --max-model-len 32K
(EngineCore_DP0 pid=2225) INFO 09-24 19:58:12 [kv_cache_utils.py:864] GPU KV cache size: 566,016 tokens
"""

VLLM_RAY = """\
INFO 07-25 04:01:16 model_runner.py:146] Loading model weights took 95.5194 GB
INFO 07-25 04:02:33 distributed_gpu_executor.py:56] # GPU blocks: 34501, # CPU blocks: 2080
"""
LOGS = {
    "vllm": VLLM_V1,
    "vllm V0": VLLM_V0,
    "sglang": SGLANG,
    "tensorrt-llm": TENSORRT_LLM,
    "llama.cpp": LLAMA_CPP,
    "sglang windows": SGLANG_WINDOWS,
    "sglang states": SGLANG_STATES,
    "llama.cpp draft": LLAMA_CPP_DRAFT,
}
