"""Updates of a convolution's weights: the masters in place, compact ones for the next forward and backward pass."""

from collections.abc import Callable, Sequence
from functools import partial

from golden.params import check
from golden.train.params import GROUP, TrainParams
from golden.train.prune import pattern_logs
from golden.train.update_unit import INDEX_BYTES, VALUES_BYTES

from .convolution import Convolution
from .emit import Emitter, Region
from .products import Compact
from .vectors import Vectors

__all__ = ["update", "update_channels"]


def update(params: TrainParams, emitter: Emitter, conv: Convolution, gradient: int, masters: int, *,
           forward: Compact | None, back: Compact | None, parts: int = 1, masked: bool = False) -> None:
    """An UPD for each tile of output channels. Gradients, and masters in turns, begin at words
    `gradient` and `masters` (see `compiler.train.masters`).

    Args:
        forward: is made, groups along the inputs. back: is made, groups along the outputs, columns are inputs.
        parts: of the gradient, one behind the other.
        masked: weights that are not in `forward`, as it is before, take `pruned_decay` (SR-STE).

    Raises:
        ValueError: channels that do not fill groups or tiles, a pattern that is none, or masks of dense weights.
    """
    p, per_tile, taps = params, params.tile_columns // GROUP, conv.taps
    check(conv.inputs % GROUP == 0, "inputs", conv.inputs, f"must be a multiple of {GROUP}")
    check(conv.outputs % p.tile_columns == 0, "outputs", conv.outputs, f"must be a multiple of {p.tile_columns}")
    check(back is None or conv.inputs % p.tile_columns == 0, "inputs", conv.inputs,
          f"must be a multiple of {p.tile_columns}, as they are columns of the backward pass")
    sparse = forward is not None and forward.slots < GROUP
    check(sparse or not masked, "masked", masked, "the forward pass drops no weights")
    groups, blocks = conv.inputs // GROUP, taps * conv.inputs // GROUP * per_tile
    words = blocks * p.block_words
    tiles = conv.outputs // p.tile_columns
    fields, areas = {"taps": taps, "groups": groups, "parts": parts, "part": tiles * words,
                     "masked": int(masked)}, []
    if forward:
        fields |= _fields(p, "ff", forward)
        areas.append((forward, blocks * forward.slots))
    if back:
        of_line = back.slots * per_tile
        of_tap = conv.outputs // GROUP * of_line
        fields |= _fields(p, "bp", back) | {"bp_tap": of_tap, "bp_tile": of_tap * taps}
        areas.append((back, of_tap * taps * groups // per_tile))
    for tile in range(tiles):
        at = {"gradient": gradient + tile * words, "masters": masters + len(p.masters) * tile * words}
        mine = fields | at
        if forward:
            pieces = tile * areas[0][1]
            mine |= {"ff_values": mine["ff_values"] + pieces, "ff_index": mine["ff_index"] + pieces}
        if back:
            pieces = tile * per_tile * back.slots * per_tile
            mine |= {"bp_values": mine["bp_values"] + pieces, "bp_index": mine["bp_index"] + pieces}
        turns = Region("memory", at["masters"], at["masters"] + len(p.masters) * words)
        written = [turns]
        for number, (area, pieces) in enumerate(areas):
            first = tile * pieces if forward and number == 0 else 0  # BP's tiles lie among each other
            written += _regions(p, area, first, pieces)
        starts = [at["gradient"] + part * tiles * words for part in range(parts)]
        reads = [turns, *(Region("memory", start, start + words) for start in starts)]
        if forward and masked:
            reads += _regions(p, forward, tile * areas[0][1], areas[0][1])[1:]
        emitter.add("UPD", mine, reads=reads, writes=written)


def update_channels(vectors: Vectors, rows: int, masters: Sequence[int], gradients: int) -> None:
    """Numbers of channels, without decay, as `golden.train.update` does it: first words in memory, binary32, of what
    `TrainParams.masters` names."""
    first = vectors.rows((len(masters) + 2) * rows)
    *held, g, t = range(first, first + (len(masters) + 2) * rows, rows)
    for address, row in zip((*masters, gradients), (*held, g), strict=True):
        vectors.load(address, row, rows)
    vectors.operate("MUL", g, g, rows=rows, argument="unscale")
    vectors.operate("MUL", t, held[0], rows=rows, value=0)
    vectors.operate("ADD", g, g, t, rows=rows)
    CHANNEL_STEPS[vectors.params.optimiser_name](partial(vectors.operate, rows=rows), *held, g, t)
    for address, row in zip(masters, held, strict=True):
        vectors.store(address, row, rows)


def _sgd(operate: Callable[..., None], w: int, v: int, g: int, t: int) -> None:
    """From g on; rows."""
    operate("MUL", v, v, argument="momentum")
    operate("ADD", v, v, g)
    operate("MUL", t, v, argument="rate")
    operate("SUB", w, w, t)


def _adam(operate: Callable[..., None], w: int, m: int, v: int, g: int, t: int) -> None:
    operate("MUL", m, m, argument="momentum")
    operate("ADD", m, m, g)
    operate("MUL", g, g, g)
    operate("MUL", v, v, argument="square_momentum")
    operate("ADD", v, v, g)
    operate("ADD", t, v, argument="epsilon")
    operate("RSQRT", t, t)
    operate("MUL", g, m, argument="rate")
    operate("MUL", t, g, t)
    operate("SUB", w, w, t)


CHANNEL_STEPS = {"sgd": _sgd, "adam": _adam}
"""By key of `golden.train.update.RULES`."""


def _fields(p: TrainParams, what: str, area: Compact) -> dict[str, int]:
    n, m = pattern_logs(area.n, area.m)
    size = p.axi_bits // 8
    return {what: 1, f"{what}_n": n, f"{what}_m": m, f"{what}_values": area.values * size // VALUES_BYTES,
            f"{what}_index": 0 if area.n == area.m else area.index * size // INDEX_BYTES}


def _regions(p: TrainParams, area: Compact, first: int, pieces: int) -> list[Region]:
    size = p.axi_bits // 8
    kinds = [(area.values, VALUES_BYTES)] + ([] if area.n == area.m else [(area.index, INDEX_BYTES)])
    return [Region("memory", start + first * of_piece // size, start - (-(first + pieces) * of_piece // size))
            for start, of_piece in kinds]
