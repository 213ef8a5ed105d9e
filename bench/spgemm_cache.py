"""Traffic over compulsory traffic at three sizes of the cache of B: `python -m bench.spgemm_cache DIR [NAME ..]`.

One row engine, blocks of one line, C = A A with random values, on the RTL with ideal memory (what is read does not
depend on time). DIR: folder of the matrices NAME.mtx.gz; without names those of PUBLISHED, of which email-Enron takes
far longer than the others together. Beside it the published LRU store of whole rows, 12 bytes an entry.
"""

import sys
from pathlib import Path

from cli.bench_spgemm import operands
from golden.spgemm.params import SpgemmParams
from sim.spgemm import multiply

__all__ = ["PUBLISHED", "SIZES", "main"]

SIZES = {"256 KB": 1 << 18, "1 MB": 1 << 20, "4 MB": 1 << 22}
PUBLISHED = {
    "wiki-Vote": (1.50, 1.00, 1.00), "p2p-Gnutella31": (1.24, 1.02, 1.00), "ca-CondMat": (2.01, 1.36, 1.00),
    "ego-facebook": (4.32, 1.03, 1.00), "email-Enron": (1.79, 1.28, 1.00),
}
"""Of those matrices, at SIZES (section 5.3 of the survey of SpGEMM hardware that the project started from)."""


def params_of(size: int) -> SpgemmParams:
    return SpgemmParams(
        engines=1, slots=1024, contexts=16, probe_limit=1024, cache_lines=size // 64, window=256, ring=1024,
        outstanding=64,
    )


def main() -> None:
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(PUBLISHED)
    unknown = sorted(set(names) - set(PUBLISHED))
    if unknown:
        sys.exit(f"{', '.join(unknown)}: not in {', '.join(PUBLISHED)}")
    print("| matrix | " + " | ".join(f"{size}: LRU, with hints (published LRU)" for size in SIZES) + " |")
    print("|---|" + "---|" * len(SIZES))
    for name in names:
        (a, b), ratios = operands(folder, {"name": name, "op": "A*A"}, "fp32", 1), []
        for size in SIZES.values():
            reports = (multiply(a, b, params_of(size), level="rtl", memory="ideal", hints=hints)[1]
                       for hints in (False, True))
            ratios.append(", ".join(f"{report.traffic_ratio:.3f}" for report in reports))
        cells = (f"{ratio} ({other:.2f})" for ratio, other in zip(ratios, PUBLISHED[name], strict=True))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
