"""Tables of docs/results/spgemm.md: `python -m bench.spgemm_table FILE ..`, which `lacuna bench spgemm -o FILE` kept.

Files with results of the same engine make one table of speeds; all engines share the breakdown.
"""

import json
import sys
from pathlib import Path
from typing import Any

from cli.bench_spgemm import CHECKS, summary

__all__ = ["breakdown_table", "joined", "main", "speed_table"]

WAITS = ("lines", "memory_wait", "no_request", "bank_wait", "idle")
REUSE = 3
"""Multiplications an element of C above which a matrix is one of high compression ratio."""


def speed_table(record: dict[str, Any]) -> list[str]:
    lines = [
        "| matrix | multiplications | us | GFLOP/s | GPU us | x GPU | of the roof | traffic | of peak |",
        "|---" * 9 + "|",
    ]
    for r in record["results"]:
        gpu = ("-", "-") if r["gpu_us"] is None else (f"{r['gpu_us']:.1f}", f"{r['vs_gpu']:.2f}")
        lines.append(
            f"| {r['name']} | {r['macs']:,} | {r['us']:.1f} | {r['gflops']:.2f} | {gpu[0]} | {gpu[1]} "
            f"| {r['roof_share']:.0%} | {r['traffic_ratio']:.2f} | {r['bandwidth_share']:.0%} |"
        )
    for name in ("geomean_vs_gpu_large", "lowest_vs_gpu_large", "geomean_vs_gpu_all"):
        if record[name] is not None:
            lines.append(f"| **{name}** | | | | | **{record[name]:.2f}** | | | |")
    return lines


def breakdown_table(records: list[dict[str, Any]]) -> list[str]:
    """Cycles of the row engines, in % of the run; the rest is the program's first word and the end.

    Limit by lines: products a lane and line, of which a row engine takes one a cycle.
    """
    lines = ["| matrix | engines | products / lane and cycle | limit by lines | " + " | ".join(WAITS)
             + " | begin and end |", "|---" * 10 + "|"]
    for name in dict.fromkeys(r["name"] for record in records for r in record["results"]):
        for record in records:
            engines, lanes = record["params"]["engines"], record["params"]["axi_bits"] // 64
            for r in record["results"]:
                if r["name"] == name and r["macs"] > REUSE * r["nnz_c"]:
                    all_cycles, counters = engines * r["cycles"], r["counters"]
                    shares = [counters[wait] / all_cycles for wait in WAITS]
                    rates = (r["macs"] / count / lanes for count in (all_cycles, counters["lines"]))
                    lines.append(f"| {name} | {engines} | " + " | ".join(f"{rate:.3f}" for rate in rates) + " | "
                                 + " | ".join(f"{share:.1%}" for share in shares) + f" | {1 - sum(shares):.1%} |")
    return lines


def joined(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record for each engine with all of its results, the lightest first.

    Raises:
        ValueError: a matrix twice, or a result that did not pass its checks.
    """
    engines: list[dict[str, Any]] = []
    for record in records:
        if record["params"] not in [other["params"] for other in engines]:
            engines.append(record)
    return [_joined([record for record in records if record["params"] == engine["params"]]) for engine in engines]


def _joined(records: list[dict[str, Any]]) -> dict[str, Any]:
    results = sorted((r for record in records for r in record["results"]), key=lambda r: r["macs"])
    names = [r["name"] for r in results]
    if len(set(names)) < len(names):
        raise ValueError("a matrix comes twice")
    wrong = [r["name"] for r in results if False in [r[check] for check in CHECKS]]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: not what golden, SciPy or the index says")
    return {**records[0], "results": results, **summary(results)}


def main() -> None:
    records = joined([json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:]])
    for record in records:
        print("\n".join([*speed_table(record), ""]))
    print("\n".join(breakdown_table(records)))


if __name__ == "__main__":
    main()
