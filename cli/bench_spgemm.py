"""`lacuna bench spgemm`: real matrices on the SpGEMM engine, next to a GPU."""

import argparse
import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.config import add_config_option, load_config
from cli.errors import UsageError
from cli.options import positive
from cli.output import Output, log
from cli.simulate import add_memory_option

if TYPE_CHECKING:
    from golden.spgemm.csr import Csr
    from golden.spgemm.params import SpgemmParams

__all__ = ["CHECKS", "add_engine", "operands", "summary"]

ROOT = Path(__file__).resolve().parents[1]
GPU = ROOT / "bench" / "gpu_spgemm.json"
BOARDS = {"u280": "spgemm-u280"}
CHECKS = ("matches_golden", "matches_reference", "counts_as_published")
"""Of a result: True, False, or None where it was not looked at."""
LARGE = 1_000_000
"""Multiplications above which a matrix counts as large."""
HBM_GBS = 425
"""Best measured streaming rate of a U280's HBM2 (see sim/timing.py): the roof at compulsory traffic."""


def add_engine(engines, common: argparse.ArgumentParser) -> None:
    verb = engines.add_parser("spgemm", parents=[common], help="C = A A of real matrices (A A^T where the index says)")
    verb.add_argument("names", nargs="*", metavar="NAME", help="matrices; default: all of the folder")
    folder = Path(os.environ.get("LACUNA_DATA", ROOT.parent / "shared" / "data")) / "matrices"
    verb.add_argument("--matrices", type=Path, default=folder, metavar="DIR",
                      help="folder with index.json and NAME.mtx.gz; default $LACUNA_DATA/matrices")
    verb.add_argument("--board", choices=tuple(BOARDS), help="the card's configuration")
    verb.add_argument("--max-macs", type=positive, metavar="N", help="leave out what takes more multiplications")
    verb.add_argument("--level", choices=("golden", "rtl"), default="rtl")
    verb.add_argument("--hints", action="store_true", help="plan which rows of B the cache need not keep")
    verb.add_argument("--check", action="store_true", help="compare with golden and SciPy")
    verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="keep the results there as they come")
    verb.add_argument("--seed", type=int, default=1, metavar="S", help="of the values; default 1")
    add_memory_option(verb, "hbm2")
    add_config_option(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    if args.board and args.config:
        raise UsageError("--board and --config: one of them")
    params = load_config(Path(BOARDS[args.board]) if args.board else args.config, "spgemm")
    gpu, results, record = json.loads(GPU.read_text()), [], {}
    for entry in chosen(args.matrices, args.names, args.max_macs):
        result = measure(entry, args, params)
        gpu_us = gpu["us"].get(entry["name"])
        result |= {"gpu_us": gpu_us, "vs_gpu": gpu_us / result["us"] if gpu_us and result["us"] else None}
        results.append(result)
        record = {
            "engine": "spgemm", "level": args.level, "memory": args.memory, "board": args.board,
            "params": params.to_dict(), "gpu": gpu["device"], "results": results, **summary(results),
        }
        if args.output is not None:
            args.output.write_text(out.dumps(out.record(record)) + "\n", encoding="utf-8")
        log.info("%s: %s multiplications, %s us, %s x GPU", entry["name"], result["macs"], number(result["us"]),
                 number(result["vs_gpu"]))
    lines = [f"{result['name']:36}{number(result['us']):>12} us {number(result['gflops']):>10} GFLOP/s "
             f"{number(result['vs_gpu']):>8} x GPU" for result in results]
    out.result(record, [*lines, *(f"{key}: {value}" for key, value in summary(results).items())])
    return 1 if any(result[check] is False for result in results for check in CHECKS) else 0


def chosen(folder: Path, names: list[str], most: int | None) -> list[dict[str, Any]]:
    """Entries of the folder's index, the lightest first."""
    index = {entry["name"]: entry for entry in json.loads((folder / "index.json").read_text())}
    unknown = [name for name in names if name not in index]
    if unknown:
        raise UsageError(f"{', '.join(unknown)}: not in {folder / 'index.json'}")
    entries = sorted((index[name] for name in names or index), key=lambda entry: entry["mults"])
    return [entry for entry in entries if most is None or entry["mults"] <= most]


def operands(folder: Path, entry: dict[str, Any], numbers: str, seed: int) -> tuple["Csr", "Csr"]:
    """A and B of an entry of the folder's index, with random values of this kind: normal ones, or whole ones."""
    import numpy as np

    from compiler.frontend.matrix import read_matrix
    from compiler.spgemm import stored

    matrix, rng = read_matrix(folder / f"{entry['name']}.mtx.gz"), np.random.default_rng(seed)
    matrix.data = rng.integers(-99, 100, matrix.nnz) if numbers == "int32" else rng.standard_normal(matrix.nnz)
    a = stored(matrix, numbers, "A")
    return a, stored(matrix.T, numbers, "B") if entry["op"] == "A*A^T" else a


def measure(entry: dict[str, Any], args: argparse.Namespace, params: "SpgemmParams") -> dict[str, Any]:
    """One matrix with random values; counts are compared with the index."""
    from compiler.spgemm import is_scipys
    from golden.engines import ENGINES
    from sim.spgemm import compared, multiply

    a, b = operands(args.matrices, entry, params.numbers, args.seed)
    c, report = multiply(a, b, params, level=args.level, memory=args.memory, hints=args.hints)
    if args.check and args.level == "rtl":
        report = compared(c, report, a, b, params, hints=args.hints)
    microseconds = report.cycles / ENGINES["spgemm"].clock_mhz if report.cycles else None
    record = asdict(report)
    del record["config"]
    return {
        "name": entry["name"], "op": entry["op"], "us": microseconds,
        "counts_as_published": (report.macs, report.nnz_c) == (entry["mults"], entry["nnzC"]),
        **record, "matches_reference": is_scipys(c, a, b) if args.check else None,
        "roof_share": report.compulsory_bytes / (HBM_GBS * 1e3 * microseconds) if microseconds else None,
    }


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    known = [result for result in results if result["vs_gpu"]]
    large = [result["vs_gpu"] for result in known if result["macs"] > LARGE]
    return {
        "geomean_vs_gpu_large": geomean(large), "lowest_vs_gpu_large": min(large, default=None),
        "geomean_vs_gpu_all": geomean([result["vs_gpu"] for result in known]),
    }


def geomean(values: list[float]) -> float | None:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
