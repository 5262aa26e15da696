"""What a checkpoint's quantisation says of every matrix of a model, and of its KV cache.

``schemes``, ``compressed_tensors`` and ``modelopt`` read a section, ``patterns`` and ``places`` match names of modules,
``layouts`` are the formats, and ``stored`` gives each matrix its own.
"""
