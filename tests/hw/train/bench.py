"""Shapes of the training engine's unit tests, and what these share."""

import numpy as np

from golden.train.params import GROUP

__all__ = ["SHAPES", "ascending", "numbers"]

SHAPES = {
    "16 x 2": {"rows": 16, "columns": 2},
    "32 x 4, 512 bits, bfloat16": {"rows": 32, "columns": 4, "axi_bits": 512, "number_format": 2},
}


def ascending(rng, groups, count, columns):
    """[groups, count, columns]: random places in a group, each slot's beyond the one before."""
    places = np.tile(np.arange(GROUP, dtype=np.uint8), (groups, columns, 1))
    return np.sort(rng.permuted(places, axis=2)[..., :count], axis=2).transpose(0, 2, 1)


def numbers(rng, half, shape, wild=0.02):
    """Bit patterns: normally distributed numbers, and a share of `wild` any bits at all."""
    bits = half.narrow(rng.standard_normal(shape).astype(np.float32))
    return np.where(rng.random(shape) < wild, rng.integers(0, 1 << 16, shape, dtype=np.uint16), bits)
