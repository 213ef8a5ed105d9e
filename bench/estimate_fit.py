"""Weights of `boards.analytic`, and how near it comes to synthesis: `python -m bench.estimate_fit`, half an hour.

Every module of the engines with their default parameters is one equation: LUTs by Yosys are the bits of its operators,
weighted. Least squares, no weight below zero, relative errors; drawn a little towards what an operator takes by itself,
as some operators come in the same modules always. Then the totals of both methods beside each other.
"""

import numpy as np
from scipy.optimize import nnls

from boards.analytic import FEATURES, WEIGHTS
from boards.builds import build_for
from boards.cards import RESOURCES
from boards.estimate import analytic, design_of, operators, resources, synthesised
from boards.synthesis import map_design
from golden.engines import ENGINES

__all__ = ["main"]

ALONE = {"carry": 1.0, "compare": 0.6, "equal": 0.35, "reduce": 0.2, "logic": 0.3, "mux": 0.5, "choice": 0.5,
         "shift": 0.6, "multiply": 1.0}
DRAWN = 0.1
SMALLEST = 20
"""LUTs below which a module's error counts no more."""


def equations(engine: str):
    """(bits by feature, LUTs that are weighted, all LUTs) of each unit of an engine."""
    build = build_for(engine, None)
    design = design_of(build)
    counted = operators(build)
    for key, unit in map_design(design, print).items():
        bits, fixed = np.zeros(len(FEATURES)), 0.0
        for member, times in design.members(key).items():
            one = counted[design.by_key[member].name.removeprefix("\\")]
            bits += times * np.array([one.features[name] for name in FEATURES])
            fixed += times * one.fixed
        luts = resources(unit)["lut"]
        yield bits, luts - fixed, luts


def fitted() -> dict[str, float]:
    rows = [row for engine in ENGINES for row in equations(engine)]
    bits, luts = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    share = 1 / np.sqrt(np.maximum([row[2] for row in rows], SMALLEST))
    bits, luts = bits * share[:, None], luts * share
    drawn = np.diag(DRAWN * np.sqrt((bits**2).sum(0)))
    alone = np.array([ALONE[name] for name in FEATURES])
    found = nnls(np.vstack([bits, drawn]), np.concatenate([luts, drawn @ alone]))[0]
    return dict(zip(FEATURES, found.round(3).tolist(), strict=True))


def main() -> None:
    weights = fitted()
    print(f"WEIGHTS = {weights}" + ("" if weights == WEIGHTS else "  # boards/analytic.py has others"))
    print("\n| engine | " + " | ".join(f"{name}: analytic, synthesis" for name in RESOURCES) + " |")
    print("|---" * (1 + len(RESOURCES)) + "|")
    for engine in ENGINES:
        build = build_for(engine, None)
        first, second = analytic(build).total, synthesised(build).total
        print(f"| `{engine}` | " + " | ".join(f"{first[name]:,.6g}, {second[name]:,.6g}" for name in RESOURCES) + " |")


if __name__ == "__main__":
    main()
