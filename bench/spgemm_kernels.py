"""SMASH's kernels and ours on one engine, as ratios: `python -m bench.spgemm_kernels [--level golden] --json`.

C = A B of two R-MAT matrices of 2**14 rows (seeds 1 and 2) with random binary32 values, the same RTL and parameters for
every kernel. The thesis gives 9.4x as its headline, most likely its third kernel against its first one, on another
input and another machine: none of it is claimed here. Probes a multiplication of real matrices, C = A A: golden.
"""

import argparse
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from compiler.frontend.matrix import read_matrix
from compiler.spgemm import KERNELS, stored
from golden.spgemm.csr import Csr
from golden.spgemm.params import SpgemmParams
from sim.spgemm import compared, multiply

__all__ = ["main", "measure", "rmat"]

LEVELS, EDGES = 14, 1 << 18
SHARES = (0.48, 0.12, 0.12, 0.28)
"""Of the four quarters of the matrix, at every level."""
EXPECTED = {"nnz_a": 255_028, "macs": 6_588_462, "nnz_c": 5_805_461}
PARAMS = SpgemmParams(
    engines=4, axi_bits=512, banks=16, slots=1024, contexts=16, probe_limit=1024, cache_lines=8192, cache_ways=4,
    window=256, ring=1024, outstanding=64,
)  # fmt: skip
PROBED = ("wiki-Vote", "p2p-Gnutella31", "ca-CondMat", "email-Enron", "ego-facebook")
DATA = Path(os.environ.get("LACUNA_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")) / "matrices"
NOT_CLAIMED = "the 9.4x of the SMASH thesis; ratios are between modes of this engine on this input"


def rmat(seed: int, levels: int = LEVELS, edges: int = EDGES) -> scipy.sparse.csr_array:
    """2**levels rows and columns; edges that come twice are one. Values are normal, of the same seed."""
    rng, (a, b, c, _) = np.random.default_rng(seed), SHARES
    rows, columns = np.zeros(edges, np.int64), np.zeros(edges, np.int64)
    for _ in range(levels):
        u = rng.random(edges)
        rows = rows << 1 | (u >= a + b)
        columns = columns << 1 | ((a <= u) & (u < a + b) | (u >= a + b + c))
    size = 1 << levels
    at = np.unique(rows << levels | columns)
    values = rng.standard_normal(len(at))
    return scipy.sparse.csr_array((values, (at >> levels, at & size - 1)), shape=(size, size))


def measure(a: Csr, b: Csr, level: str, memory: str, names: list[str], params: SpgemmParams) -> list[dict[str, Any]]:
    """A record a kernel, compared with golden, to which `probes_per_mac` belongs at both levels."""
    results: list[dict[str, Any]] = []
    for name in names:
        c, report = multiply(a, b, params, level=level, memory=memory, kernel=KERNELS[name])
        if level == "rtl":
            report = compared(c, report, a, b, params, KERNELS[name])
        of_report = asdict(report)
        result: dict[str, Any] = {"kernel": name} | {key: of_report[key] for key in (
            "probes_per_mac", "matches_golden", "cycles", "macs_per_cycle", "gflops", "traffic_ratio",
            "bandwidth_share", "bytes_read", "bytes_written", "compulsory_bytes", "nnz_a", "nnz_b", "nnz_c", "macs",
            "plans", "run_s", "counters")}
        first = results[0]["cycles"] if results else result["cycles"]
        result["speedup_over_first"] = first / result["cycles"] if first else None
        results.append(result)
    return results


def probes(names: list[str], params: SpgemmParams) -> list[dict[str, Any]]:
    """Golden probes a multiplication of C = A A by kernel, for the matrices that lie in the folder."""
    results = []
    for name in PROBED:
        path = DATA / f"{name}.mtx.gz"
        if path.exists():
            matrix = read_matrix(path)
            matrix.data = np.ones(matrix.nnz)
            a = stored(matrix, params.numbers, "A")
            reports = {kernel: multiply(a, a, params, level="golden", memory="ideal", kernel=KERNELS[kernel])[1]
                       for kernel in names}  # fmt: skip
            results.append({"name": name, "macs": next(iter(reports.values())).macs, "probes_per_mac": {
                kernel: report.probes_per_mac for kernel, report in reports.items()}})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", action="append", choices=tuple(KERNELS), help="default: all, in this order")
    parser.add_argument("--level", choices=("golden", "rtl"), default="rtl")
    parser.add_argument("--memory", default="hbm2", help="timing of the memories; default hbm2")
    parser.add_argument("--levels", type=int, default=LEVELS, metavar="N",
                        help="2**N rows, 2**(N + 4) edges; default 14")
    parser.add_argument("--json", action="store_true", help="a line of JSON")
    args = parser.parse_args()
    names, started = args.kernel or list(KERNELS), time.perf_counter()
    a, b = (stored(rmat(seed, args.levels, 1 << args.levels + 4), PARAMS.numbers, "AB"[seed - 1]) for seed in (1, 2))
    results = measure(a, b, args.level, args.memory, names, PARAMS)
    found = {key: results[0][key] for key in EXPECTED}
    record = {
        "input": {"levels": args.levels, "shares": SHARES, "seeds": [1, 2], **found},
        "counts_as_expected": found == EXPECTED if args.levels == LEVELS else None,
        "level": args.level, "memory": args.memory, "params": PARAMS.to_dict(), "not_claimed": NOT_CLAIMED,
        "kernels": results, "probes": probes(names, PARAMS), "wall_s": time.perf_counter() - started,
    }
    if args.json:
        print(json.dumps(record))
        return
    print(f"R-MAT, {1 << args.levels} rows: {found}, as expected: {record['counts_as_expected']}")
    for result in results:
        print({key: value for key, value in result.items() if key != "counters"})
    for result in record["probes"]:
        print(result)
    print(f"not claimed: {NOT_CLAIMED}")


if __name__ == "__main__":
    main()
