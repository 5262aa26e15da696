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
LOGS = {
    "vllm": VLLM_V1,
    "vllm V0": VLLM_V0,
    "sglang": SGLANG,
    "tensorrt-llm": TENSORRT_LLM,
    "llama.cpp": LLAMA_CPP,
}
