"""GGUF: the header of a file of llama.cpp, its metadata as an architecture, and the types of its tensors."""
