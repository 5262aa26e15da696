"""engines/vllm."""
