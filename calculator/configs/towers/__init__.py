"""Encoders of images: their types as rows, and the matrices that follow."""
