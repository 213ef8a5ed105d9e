"""MV or MM over the tile whose weights come next."""

from .emit import Emitter, Region, Rows

__all__ = ["multiply"]


def multiply(e: Emitter, out: Rows, outputs: int, region: Region, *, count: int, **fields: int) -> None:
    """`outputs` results of each of `count` vectors, which lie in `region` of the activation buffers, to `out`."""
    reads, writes = [region], e.spans(out, outputs, count)
    if count == 1:
        e.add("MV", reads, writes, a=out.first, b=region[1], **fields)
    else:
        e.add("MM", reads, writes, a=out.first, b=region[1], stride=out.stride, tokens=count, **fields)
