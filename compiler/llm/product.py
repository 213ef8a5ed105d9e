"""MV or MM over the tile whose weights come next."""

from .emit import Emitter
from .rows import Region, Rows

__all__ = ["multiply"]


def multiply(e: Emitter, out: Rows, outputs: int, region: Region, *, count: int, spare: int | None = None,
             **fields: int) -> None:
    """`outputs` results of each of `count` vectors, which lie in `region` of the activation buffers, to `out`.

    `spare`: see `EarlyResults.made`, where `outputs` is only the most.
    """
    reads, writes = [region], e.spans(out, outputs, count)
    if count == 1:
        index = e.add("MV", reads, writes, (), a=out.first, b=region[1], **fields)
    else:
        index = e.add("MM", reads, writes, (), a=out.first, b=region[1], stride=out.stride, tokens=count, **fields)
    e.early.made(index, e.instructions[index][1], out, e.rows(outputs), count, spare)
