"""`lacuna demo spgemm`: the square of a real matrix on the simulated RTL, checked against golden and SciPy."""

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cli.config import add_config_option, load_config
from cli.output import Output, log
from cli.simulate import add_memory_option

__all__ = ["add_engine", "summary"]

ABOUT = (
    "Multiplies a matrix by itself on the SpGEMM engine: plans the product, generates the engine's Verilog, builds it "
    "in Verilator (what is in the cache, build/ or $LACUNA_BUILD, is not made again) and runs it with the HBM model. "
    "The matrix comes from the package PyAMG, which `make demo` installs."
)


def add_engine(engines, common: argparse.ArgumentParser) -> None:
    from compiler.frontend.gallery import GALLERY

    spgemm = engines.add_parser("spgemm", parents=[common], help="a sparse product on the RTL", description=ABOUT)
    spgemm.add_argument("--matrix", choices=tuple(GALLERY), default="bar", help="of PyAMG's gallery; default bar")
    spgemm.add_argument(
        "-o", "--output", type=Path, default=Path("build/demo-spgemm"), metavar="DIR",
        help="folder for C and the report; default build/demo-spgemm",
    )  # fmt: skip
    add_memory_option(spgemm, "hbm2")
    add_config_option(spgemm)
    spgemm.set_defaults(run=run_spgemm)


def run_spgemm(args: argparse.Namespace, out: Output) -> int:
    from compiler.frontend.gallery import gallery_matrix
    from compiler.frontend.matrix import dimensions, write_matrix
    from golden.engines import ENGINES
    from sim.device import build_rtl
    from sim.spgemm import spgemm

    started = time.perf_counter()
    params, a = load_config(args.config, "spgemm"), gallery_matrix(args.matrix)
    log.info("building the RTL")
    build_rtl("spgemm", params)
    log.info("%s: %d x %d with %d entries", args.matrix, *dimensions(a), a.nnz)
    c, report = spgemm(a, a, params, level="rtl", memory=args.memory, check=True)
    args.output.mkdir(parents=True, exist_ok=True)
    write_matrix(args.output / "C.mtx", c)
    record = asdict(report) | {
        "matrix": args.matrix, "memory": args.memory,
        "assumed_clock_mhz": ENGINES["spgemm"].clock_mhz, "wall_s": time.perf_counter() - started,
        "c": args.output / "C.mtx", "report": args.output / "report.json",
    }
    record["report"].write_text(out.dumps(out.record(record)) + "\n", encoding="utf-8")
    out.result(record, summary(record))
    return 0 if report.matches_golden and report.matches_reference else 1


def summary(record: dict[str, Any]) -> list[str]:
    """The lines for people at the end of the demo."""
    counters, engines = record["counters"], record["config"]["engines"]
    waits = {name: counters[name] / engines / record["cycles"] for name in (
        "lines", "memory_wait", "no_request", "bank_wait", "idle")}
    return [
        f"C = A A                  {record['rows']} x {record['cols']}, {record['nnz_c']} elements, "
        + ("equal to golden" if record["matches_golden"] else "DIFFERENT from golden")
        + (" and to SciPy, bit for bit" if record["matches_reference"] else ", DIFFERENT from SciPy"),
        f"multiplications          {record['macs']:,}, {record['macs_per_cycle']:.2f} a cycle",
        f"cycles                   {record['cycles']:,} ({record['gflops']:.2f} GFLOP/s at "
        f"{record['assumed_clock_mhz']} MHz, an assumed clock)",
        f"memory traffic           {record['bytes_read'] + record['bytes_written']:,} bytes, "
        f"{record['traffic_ratio']:.2f} x the least possible",
        f"share of peak bandwidth  {record['bandwidth_share']:.1%}",
        f"probes a multiplication  {record['probes_per_mac']:.3f}",
        "cycles of a row engine   " + ", ".join(f"{name} {share:.1%}" for name, share in waits.items()),
        f"simulated in             {record['run_s']:.1f} s of {record['wall_s']:.1f} s in all",
        f"C and report             {record['c']}, {record['report']}",
    ]
