"""Updates of a convolution's weights: the masters in place, compact ones for the next forward and backward pass."""

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
    """An UPD for each tile of output channels. Gradients, and master weights and velocities in turns, begin at words
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
        at = {"gradient": gradient + tile * words, "masters": masters + 2 * tile * words}
        mine = fields | at
        if forward:
            pieces = tile * areas[0][1]
            mine |= {"ff_values": mine["ff_values"] + pieces, "ff_index": mine["ff_index"] + pieces}
        if back:
            pieces = tile * per_tile * back.slots * per_tile
            mine |= {"bp_values": mine["bp_values"] + pieces, "bp_index": mine["bp_index"] + pieces}
        both = Region("memory", at["masters"], at["masters"] + 2 * words)
        written = [both]
        for number, (area, pieces) in enumerate(areas):
            first = tile * pieces if forward and number == 0 else 0  # BP's tiles lie among each other
            written += _regions(p, area, first, pieces)
        starts = [at["gradient"] + part * tiles * words for part in range(parts)]
        reads = [both, *(Region("memory", start, start + words) for start in starts)]
        if forward and masked:
            reads += _regions(p, forward, tile * areas[0][1], areas[0][1])[1:]
        emitter.add("UPD", mine, reads=reads, writes=written)


def update_channels(vectors: Vectors, rows: int, masters: int, velocities: int, gradients: int) -> None:
    """Numbers of channels, without decay, as `golden.train.update.Sgd` does it: first words in memory, binary32."""
    w = vectors.rows(4 * rows)
    v, g, t = w + rows, w + 2 * rows, w + 3 * rows
    for address, row in ((masters, w), (velocities, v), (gradients, g)):
        vectors.load(address, row, rows)
    vectors.operate("MUL", g, g, rows=rows, argument="unscale")
    vectors.operate("MUL", t, w, rows=rows, value=0)
    vectors.operate("ADD", g, g, t, rows=rows)
    vectors.operate("MUL", v, v, rows=rows, argument="momentum")
    vectors.operate("ADD", v, v, g, rows=rows)
    vectors.operate("MUL", t, v, rows=rows, argument="rate")
    vectors.operate("SUB", w, w, t, rows=rows)
    vectors.store(masters, w, rows)
    vectors.store(velocities, v, rows)


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
