"""engines/tensorrt_llm."""
