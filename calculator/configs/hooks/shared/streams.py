"""Residual streams beside each other, mixed around attention and MLP and joined behind the layers."""

from __future__ import annotations

from calculator.architecture import blocks
from calculator.architecture.matrices import Sharding
from calculator.configs.blocks.layers import Assembler


def hyper_connections(hidden: int, streams: int, width: int, scales: int) -> blocks.Weights:
    """Yield what mixes the streams around attention and around the MLP."""
    yield from blocks.linear(
        "streams", width, streams * hidden, Sharding.COPIED, False, 2, 2, False, value_bytes=blocks.WIDE
    )
    yield from blocks.vector("streams", width + scales, 2, value_bytes=blocks.WIDE)


def hyper_head(hidden: int, streams: int) -> blocks.Weights:
    """Yield what joins the streams behind the layers."""
    yield from blocks.linear(
        "streams", streams, streams * hidden, Sharding.COPIED, quantised=False, value_bytes=blocks.WIDE
    )
    yield from blocks.vector("streams", streams + 1, value_bytes=blocks.WIDE)


class MixedStreams(Assembler):
    """Streams are mixed by what goes into a block and what comes out of it."""

    def more(self) -> blocks.Weights:
        """Yield what mixes the streams of a layer."""
        streams = self.keys.count("hc_mult")
        yield from hyper_connections(self.hidden, streams, 2 * streams, 2)

    def end(self, vocab: int, tied: bool) -> blocks.Weights:
        """Yield what joins the streams, the last norm and the head."""
        yield from hyper_head(self.hidden, self.keys.count("hc_mult"))
        yield from super().end(vocab, tied)
