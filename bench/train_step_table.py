"""Tables of whole steps in docs/results/train.md: `python -m bench.train_step_table`.

Writes what `lacuna bench train -o FILE` has found between the page's comments. Steps that were run without the dense
one are compared with that of another file.
"""

import json
from pathlib import Path
from typing import Any

from golden.train.params import TrainParams

__all__ = ["PAGE", "TABLES", "compared", "main", "page", "record_of", "table"]

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "results" / "train.md"
TABLES = {"step": ("train_step", "train_step"), "one direction": ("train_step_one", "train_step"),
          "vcu1525": ("train_step_vcu1525", "train_step_vcu1525")}
"""Table -> (its results, those with the dense step)."""
KINDS = ("ff", "bp", "wu", "sore", "other", "total")
SAME = ("network", "width", "image", "batch", "memory", "level")


def record_of(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "bench" / f"{name}.json").read_text())


def compared(record: dict[str, Any], other: dict[str, Any]) -> list[dict[str, Any]]:
    """The record's steps, the dense one first if it is there, each with `ratios`: the other record's dense step over
    it; None: that has none.

    Raises:
        ValueError: the steps are of different engines or networks.
    """
    different = [name for name in SAME if record[name] != other[name]]
    if TrainParams.from_dict(record["params"]) != TrainParams.from_dict(other["params"]):  # older ones name fewer
        different.append("params")
    if different:
        raise ValueError(f"steps cannot be compared: different {', '.join(different)}")
    dense = other["dense"]
    found = [] if record["dense"] is None else [{"method": "dense", "sparsity": "", **record["dense"]}]
    return [report | {"ratios": None if dense is None else {
        "cycles": dense["total"] / report["total"],
        **{kind: sum(dense[kind].values()) / sum(report[kind].values()) for kind in ("steps", "macs")},
    }} for report in (*found, *record["results"])]


def table(reports: list[dict[str, Any]]) -> str:
    """Markdown of `compared` steps."""
    head = ("method", *KINDS, "over dense", "steps, multiplications", "utilisation FF, BP, WU", "bytes read, written")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for report in reports:
        name = f"{report['method'].upper() if report['sparsity'] else 'dense'} {report['sparsity']}".strip()
        ratios = report["ratios"]
        over = [f"{ratios['cycles']:.3f}", f"{ratios['steps']:.3f}, {ratios['macs']:.3f}"] if ratios else ["", ""]
        shares = ", ".join(f"{100 * report['utilisation'][kind]:.1f}%" for kind in ("ff", "bp", "wu"))
        cells = [name, *(f"{report['cycles'][kind]:,}" for kind in KINDS), *over, shares,
                 f"{report['bytes_read']:,}, {report['bytes_written']:,}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def page(text: str) -> str:
    """The page with the tables in it."""
    for name, (results, other) in TABLES.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"{PAGE}: no {begin.strip()} .. {end}")
        text = before + begin + table(compared(record_of(results), record_of(other))) + end + after
    return text


def main() -> None:
    PAGE.write_text(page(PAGE.read_text()))


if __name__ == "__main__":
    main()
