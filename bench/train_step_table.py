"""Table of a whole step in docs/results/train.md: `python -m bench.train_step_table [FILE]`.

Writes what `lacuna bench train -o bench/train_step.json` has found between the page's comments.
"""

import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "main", "page", "table"]

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "bench" / "train_step.json", ROOT / "docs" / "results" / "train.md"
BEGIN, END = "<!-- step -->\n", "<!-- end of step -->"
KINDS = ("ff", "bp", "wu", "sore", "other", "total")


def table(record: dict[str, Any]) -> str:
    """Markdown of a `bench train` record."""
    head = ("method", *KINDS, "over dense", "steps, multiplications", "utilisation FF, BP, WU", "bytes read, written")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for report in ({"method": "dense", "sparsity": "", "speedup_vs_dense": 1.0, "steps_ratio": 1.0, "macs_ratio": 1.0}
                   | record["dense"], *record["results"]):
        cells = [f"{report['cycles'][kind]:,}" for kind in KINDS]
        shares = ", ".join(f"{100 * report['utilisation'][kind]:.1f}%" for kind in ("ff", "bp", "wu"))
        name = f"{report['method'].upper() if report['sparsity'] else 'dense'} {report['sparsity']}".strip()
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {report['speedup_vs_dense']:.3f} | "
                     f"{report['steps_ratio']:.3f}, {report['macs_ratio']:.3f} | {shares} | "
                     f"{report['bytes_read']:,}, {report['bytes_written']:,} |")
    return "\n".join(lines) + "\n"


def page(text: str, record: dict[str, Any]) -> str:
    """The page with the table of `record` in it."""
    before, _, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE}: no {BEGIN.strip()} .. {END}")
    return before + BEGIN + table(record) + END + after


def main() -> None:
    record = json.loads(Path(sys.argv[1] if len(sys.argv) > 1 else RESULTS).read_text())
    PAGE.write_text(page(PAGE.read_text(), record))


if __name__ == "__main__":
    main()
