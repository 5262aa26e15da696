"""A ``config.json`` to a model: the room promises ``reader`` and ``hub``, the rest is its own affair.

``keys`` remembers every key that is read and refuses what is left and bears on the cache. ``families`` is data, a row
a model type with the columns of ``family`` and ``traits``; ``schedules`` say which kind each layer is. ``layers``
turns keys and traits into layers, by way of ``heads``, ``mixers``, ``state_layers`` and ``experts``; ``hooks``
override it for types that are truly different. ``towers`` are encoders of images, ``quantisation`` what a checkpoint
stores.
"""
