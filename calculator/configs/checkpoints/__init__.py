"""The files of a checkpoint beside its config.json, by their headers alone: what is stored, tensor by tensor.

``safetensors``, ``index`` and ``gguf`` read a header, ``tensors`` says which module each tensor belongs to,
``measured`` gives the matrices of a model what was read, and ``folder`` brings them together. Nothing is executed or
read whole.
"""
