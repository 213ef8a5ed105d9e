"""`lacuna spgemm`: the product of two sparse matrices from files."""

import argparse
import time
from dataclasses import asdict
from pathlib import Path

from cli.errors import UsageError
from cli.output import Output, log
from golden.spgemm.product import ARITHMETIC

__all__ = ["add_verbs"]

OPERATIONS = ("a*a", "a*at", "a*b")


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    verb = verbs.add_parser("spgemm", parents=[common], help="multiply sparse matrices: C = A B")
    verb.add_argument("a", type=Path, metavar="A.mtx", help="Matrix Market (also .gz) or SciPy's .npz")
    verb.add_argument("b", type=Path, nargs="?", metavar="B.mtx", help="likewise; given: C = A B")
    verb.add_argument("--op", choices=OPERATIONS, help="default a*b with B.mtx, a*a without; at: A transposed")
    verb.add_argument("--numbers", choices=tuple(ARITHMETIC), default="fp32", help="of the engine; default fp32")
    verb.add_argument("-o", "--output", type=Path, metavar="C.mtx", help="where C goes, of the same kinds")
    verb.add_argument("--level", choices=("golden",), default="golden", help="executor; default golden")
    verb.set_defaults(run=run_spgemm)


def run_spgemm(args: argparse.Namespace, out: Output) -> int:
    from compiler.frontend.matrix import dimensions, read_matrix, write_matrix
    from compiler.spgemm import spgemm

    operation = args.op or ("a*a" if args.b is None else "a*b")
    if (operation == "a*b") != (args.b is not None):
        raise UsageError(f"--op {operation}: {'B.mtx is missing' if args.b is None else 'takes no B.mtx'}")
    a = read_matrix(args.a)
    b = read_matrix(args.b) if args.b is not None else a.T if operation == "a*at" else a
    (rows, inner), (others, columns) = dimensions(a), dimensions(b)
    if inner != others:
        raise UsageError(f"--op {operation}: {rows} x {inner} times {others} x {columns}: the shapes do not match")
    log.info("multiplying")
    started = time.perf_counter()
    c, report = spgemm(a, b, numbers=args.numbers, check=True)
    record = {"engine": "spgemm", "level": args.level, "op": operation, "numbers": args.numbers} | asdict(report)
    record["wall_s"] = time.perf_counter() - started
    if args.output is not None:
        write_matrix(args.output, c)
    out.result(record, [f"{key}: {value}" for key, value in record.items()])
    return 0 if report.matches_reference else 1
