"""Planning next to SciPy's product: `python -m bench.spgemm_planning DIR`; DIR has index.json and NAME.mtx.gz."""

import json
import sys
import time
from pathlib import Path

from compiler.frontend.matrix import read_matrix
from compiler.spgemm import plan_product, stored, to_scipy
from golden.configs import SPGEMM

__all__ = ["main"]

RUNS = 5


def main() -> None:
    folder = Path(sys.argv[1])
    print("| matrix | multiplications | SciPy, ms | planning, ms | of SciPy | with hints, ms | of SciPy "
          "| images, ms | rows cut |")
    print("|---" * 9 + "|")
    for entry in sorted(json.loads((folder / "index.json").read_text()), key=lambda entry: entry["mults"]):
        matrix = read_matrix(folder / f"{entry['name']}.mtx.gz")
        a = stored(matrix, "fp32", "A")
        b = stored(matrix.T, "fp32", "B") if entry["op"] != "A*A" else a
        x, y, seconds = to_scipy(a), to_scipy(b), []
        for _ in range(RUNS):
            began = time.perf_counter()
            product = x @ y
            seconds.append(time.perf_counter() - began)
            assert product.shape is not None
        plans, hinted = ([plan_product(a, b, SPGEMM["spgemm-u280"], hints=hints) for _ in range(RUNS)]
                         for hints in (False, True))
        plan_s, scipy_s = min(plan.plan_s for plan in plans), min(seconds)
        hinted_s = min(plan.plan_s for plan in hinted)
        layout_s = min(plan.layout_s for plan in plans)
        print(f"| {entry['name']} | {entry['mults']:,} | {1e3 * scipy_s:.2f} | {1e3 * plan_s:.2f} "
              f"| {plan_s / scipy_s:.1%} | {1e3 * hinted_s:.2f} | {hinted_s / scipy_s:.1%} | {1e3 * layout_s:.1f} "
              f"| {plans[0].windows.parted} |", flush=True)


if __name__ == "__main__":
    main()
