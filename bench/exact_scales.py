"""How many group scales and minima of a quantised model the engine's 16-bit integers do not hold exactly.

    python -m bench.exact_scales MODEL
"""

import sys

import numpy as np

from compiler.frontend import load_model
from compiler.llm.pack import fix

__all__ = ["inexact"]


def inexact(path: str) -> dict[str, int]:
    """Counts over all quantised two-dimensional tensors of the model at `path`."""
    counts = {"scales": 0, "inexact_scales": 0, "minima": 0, "inexact_minima": 0}
    for tensor in load_model(path).tensors.values():
        quant = tensor.quant
        if quant is None:
            continue
        fixed = fix(quant)
        unit = 2.0**fixed.header.exponent
        counts["scales"] += quant.scale.size
        counts["inexact_scales"] += int((fixed.scale * unit != quant.scale.astype(np.float64)).sum())
        if fixed.minimum is not None and quant.minimum is not None:
            counts["minima"] += quant.minimum.size
            low = fixed.minimum * unit * 2.0**fixed.header.min_shift
            counts["inexact_minima"] += int((low != quant.minimum.astype(np.float64)).sum())
    return counts


if __name__ == "__main__":
    for name, count in inexact(sys.argv[1]).items():
        print(f"{name:16}{count:>12,}")
