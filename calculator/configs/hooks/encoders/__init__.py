"""Models with an encoder: beside a decoder, and alone."""
