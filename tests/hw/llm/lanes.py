"""Random lane matrices for unit tests, every N and width mixed in one stream."""

import numpy as np

from golden.llm.stream import KEPT, WIDTHS, BlockFormat, LaneMatrix
from golden.params import BLOCK

__all__ = ["random_format", "random_lane"]


def random_format(rng: np.random.Generator) -> BlockFormat:
    width = int(rng.choice(WIDTHS))
    return BlockFormat(int(rng.choice(KEPT)), width, width == 8 or bool(rng.integers(2)))


def random_lane(rng, *, rows, blocks, group, scaled=True, minimum=True, formats=None, extreme=False) -> LaneMatrix:
    """`formats`: a BlockFormat for all blocks, or None for a random one in each. `extreme`: largest magnitudes only."""
    chosen = tuple(
        tuple(formats or random_format(rng) for _ in range(-(-rows // BLOCK))) for _ in range(blocks)
    )
    q = np.zeros((rows, blocks * BLOCK), np.int16)
    keep = np.zeros(q.shape, bool)
    for kb in range(blocks):
        for r in range(rows):
            fmt = chosen[kb][r // BLOCK]
            low = -(1 << (fmt.width - 1)) if fmt.signed else 0
            high = low + (1 << fmt.width)
            at = rng.choice(BLOCK, fmt.kept, replace=False)
            keep[r, kb * BLOCK + at] = True
            q[r, kb * BLOCK + at] = low if extreme and fmt.signed else rng.integers(low, high, fmt.kept)
    groups = -(-blocks // group)
    return LaneMatrix(
        q,
        keep,
        chosen,
        rng.integers(0, 1 << 16, (rows, groups)).astype(np.uint16) if scaled else None,
        rng.integers(-(1 << 15), 1 << 15, (rows, groups)).astype(np.int16) if minimum else None,
        group,
    )
