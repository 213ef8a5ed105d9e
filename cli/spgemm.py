"""`lacuna spgemm`: the product of two sparse matrices from files."""

import argparse
import time
from dataclasses import asdict, replace
from pathlib import Path

from cli.config import add_config_option, load_config
from cli.errors import UsageError
from cli.output import Output, log
from cli.simulate import add_level_options, check_level
from golden.spgemm.params import NUMBER_FORMATS
from golden.spgemm.product import ARITHMETIC

__all__ = ["add_verbs"]

OPERATIONS = ("a*a", "a*at", "a*b")
KERNEL_NAMES = ("v1", "v2", "v3", "ours")
"""Of `compiler.spgemm.KERNELS`, whose import takes too long for a list of options."""


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    verb = verbs.add_parser("spgemm", parents=[common], help="multiply sparse matrices: C = A B")
    verb.add_argument("a", type=Path, metavar="A.mtx", help="Matrix Market (also .gz) or SciPy's .npz")
    verb.add_argument("b", type=Path, nargs="?", metavar="B.mtx", help="likewise; given: C = A B")
    verb.add_argument("--op", choices=OPERATIONS, help="default a*b with B.mtx, a*a without; at: A transposed")
    verb.add_argument("--numbers", choices=tuple(ARITHMETIC), help="of the engine; default: the configuration's")
    verb.add_argument("--hints", action="store_true", help="plan which rows of B the cache need not keep")
    verb.add_argument("--kernel", choices=KERNEL_NAMES, default="ours",
                      help="how the engine works: as one of SMASH's three kernels, or ours; default ours")
    verb.add_argument("-o", "--output", type=Path, metavar="C.mtx", help="where C goes, of the same kinds")
    verb.add_argument("--unsorted", action="store_true", help="columns of a row in the order in which they leave")
    add_level_options(verb, "hbm2")
    add_config_option(verb)
    verb.set_defaults(run=run_spgemm)


def run_spgemm(args: argparse.Namespace, out: Output) -> int:
    from compiler.frontend.matrix import dimensions, read_matrix, write_matrix
    from compiler.spgemm import KERNELS
    from sim.spgemm import spgemm

    check_level(args)
    operation = args.op or ("a*a" if args.b is None else "a*b")
    if (operation == "a*b") != (args.b is not None):
        raise UsageError(f"--op {operation}: {'B.mtx is missing' if args.b is None else 'takes no B.mtx'}")
    a = read_matrix(args.a)
    b = read_matrix(args.b) if args.b is not None else a.T if operation == "a*at" else a
    (rows, inner), (others, columns) = dimensions(a), dimensions(b)
    if inner != others:
        raise UsageError(f"--op {operation}: {rows} x {inner} times {others} x {columns}: the shapes do not match")
    params = load_config(args.config, "spgemm")
    if args.numbers is not None:
        try:
            params = replace(params, number_format=NUMBER_FORMATS[args.numbers])
        except ValueError as error:
            raise UsageError(f"--numbers {args.numbers}: {error}") from error
    log.info("multiplying")
    started = time.perf_counter()
    c, report = spgemm(a, b, params, level=args.level, memory=args.memory, kernel=KERNELS[args.kernel],
                       hints=args.hints, ordered=not args.unsorted, check=True, xclbin=args.xclbin)
    record = {
        "engine": "spgemm", "level": args.level, "op": operation, "numbers": params.numbers, "kernel": args.kernel,
        **asdict(report),
    }
    record["wall_s"] = time.perf_counter() - started
    if args.output is not None:
        write_matrix(args.output, c)
    out.result(record, [f"{key}: {value}" for key, value in record.items()])
    return 0 if report.matches_reference and report.matches_golden is not False else 1
