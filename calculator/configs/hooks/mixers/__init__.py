"""Layers that mix tokens otherwise than by heads alone: latent vectors, states, convolutions, chunks, an index."""
