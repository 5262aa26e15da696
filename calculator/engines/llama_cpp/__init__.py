"""engines/llama_cpp."""
