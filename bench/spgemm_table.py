"""Tables of docs/results/spgemm.md: `python -m bench.spgemm_table FILE`, which `lacuna bench spgemm -o FILE` kept."""

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["breakdown_table", "main", "speed_table"]

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


def breakdown_table(record: dict[str, Any]) -> list[str]:
    """Cycles of the row engines, in % of the run; the rest is the program's first word and the end."""
    engines, lanes = record["params"]["engines"], record["params"]["axi_bits"] // 64
    lines = ["| matrix | products / lane and cycle | " + " | ".join(WAITS) + " | begin and end |", "|---" * 8 + "|"]
    for r in record["results"]:
        if r["macs"] > REUSE * r["nnz_c"]:
            all_cycles = engines * r["cycles"]
            shares = [r["counters"][name] / all_cycles for name in WAITS]
            rate = r["macs"] / all_cycles / lanes
            lines.append(f"| {r['name']} | {rate:.3f} | " + " | ".join(f"{share:.1%}" for share in shares)
                         + f" | {1 - sum(shares):.1%} |")
    return lines


def main() -> None:
    record = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print("\n".join([*speed_table(record), "", *breakdown_table(record)]))


if __name__ == "__main__":
    main()
