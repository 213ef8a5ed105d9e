"""Sparse times sparse on the SpGEMM engine, from and to `scipy.sparse`."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import scipy.sparse

from compiler.spgemm import OURS, Kernel, Plan, compulsory_bytes, is_scipys, plan_product, stored, to_scipy
from golden.engines import ENGINES
from golden.execution import ERROR_CODES
from golden.spgemm.csr import Csr
from golden.spgemm.params import SpgemmParams
from golden.spgemm.product import multiplications

from .device import DeviceError, Outcome, open_device
from .timing import TimingModel

__all__ = ["Report", "compared", "multiply", "spgemm"]

TIMED = ("cycles", "macs_per_cycle", "gflops", "bytes_read", "bytes_written", "traffic_ratio", "bandwidth_share",
         "bank_stall_cycles")
CAREFUL = 6
"""Plans that are tried, each with windows half as large, if banks overflow."""


@dataclass(frozen=True)
class Report:
    """What a product took. None: not known at this level.

    Attributes:
        macs: products that were made. cycles: from start to done; the clock is an assumption.
        traffic_ratio: bytes_read and bytes_written over compulsory_bytes. bandwidth_share: of the channels' peak.
        probes_per_mac: slots that a product looked at, which golden counts. bank_stall_cycles: no line entered the
            multipliers as a bank had no room; of all row engines.
        matches_reference: see `is_scipys`. matches_golden: the RTL's C is golden's bit for bit and in order. None: not
            compared.
        counters: see `golden.spgemm.record`, summed over the row engines.
        parted_rows: heavy rows that were cut at columns. plans: that were tried until no bank overflowed.
        plan_s: seconds that planning took, of all plans. layout_s: that writing A and B as the engine reads them took.
        run_s: of the run, simulated or golden.
    """

    rows: int
    cols: int
    nnz_a: int
    nnz_b: int
    nnz_c: int
    macs: int
    cycles: int | None
    macs_per_cycle: float | None
    gflops: float | None
    bytes_read: int | None
    bytes_written: int | None
    compulsory_bytes: int
    traffic_ratio: float | None
    bandwidth_share: float | None
    probes_per_mac: float | None
    bank_stall_cycles: int | None
    matches_reference: bool | None
    matches_golden: bool | None
    counters: dict[str, int]
    parted_rows: int
    plans: int
    plan_s: float
    layout_s: float
    run_s: float
    config: dict[str, Any]


def spgemm(a: scipy.sparse.sparray, b: scipy.sparse.sparray, params: SpgemmParams | None = None, *,
           level: str = "golden", memory: str = "hbm2", xclbin: Path | None = None, kernel: Kernel = OURS,
           hints: bool = False, ordered: bool = True, check: bool = False) -> tuple[scipy.sparse.csr_array, Report]:
    """(A B, what it took). An element in which products cancel stays, as 0.

    Args:
        params: of the engine; its kind of numbers is what values are converted to.
        level, xclbin: see `sim.device.open_device`. memory: timing of the memories at level rtl.
        kernel: how the engine works. hints: see `plan_product`.
        ordered: rows in ascending columns; else in the order in which they leave the engine.
        check: compare with SciPy, and at level rtl with golden.

    Raises:
        UnsuitableValuesError: values beyond the range of the numbers, or not whole.
        DoesNotFitError: too large for a memory channel.
        ValueError: shapes that do not match, or what `canonical` refuses.
        DeviceError: the run failed.
    """
    p = params or SpgemmParams()
    left, right = stored(a, p.numbers, "A"), stored(b, p.numbers, "B")
    if left.columns_in_all != right.rows:
        sizes = f"A is {left.rows} x {left.columns_in_all}, B {right.rows} x {right.columns_in_all}"
        raise ValueError(f"{sizes}: they cannot be multiplied")
    c, report = multiply(left, right, p, level=level, memory=memory, kernel=kernel, hints=hints, xclbin=xclbin)
    if check:
        report = replace(report, matches_reference=is_scipys(c, left, right))
    if check and level != "golden":
        report = compared(c, report, left, right, p, kernel, hints)
    result = to_scipy(c)
    if ordered:
        result.sort_indices()
    return result, report


def multiply(a: Csr, b: Csr, p: SpgemmParams, *, level: str, memory: str,
             kernel: Kernel = OURS, hints: bool = False, xclbin: Path | None = None) -> tuple[Csr, Report]:
    """As `spgemm`, for matrices as the engine has them; the columns of a row of C in the order in which they leave."""
    plan_s = layout_s = 0.0
    for careful in range(CAREFUL):
        plan = plan_product(a, b, p, kernel=kernel, hints=hints, careful=careful)
        plan_s, layout_s = plan_s + plan.plan_s, layout_s + plan.layout_s
        device = open_device(level, memory, xclbin=xclbin)
        device.load(plan.program)
        began = time.perf_counter()
        try:
            outcome = device.run(())
        except DeviceError as error:
            if error.status != ERROR_CODES["overflow"] or careful == CAREFUL - 1:
                raise
            continue
        ran = time.perf_counter() - began
        c, counters = plan.collect(device.read)
        return c, _report(a, b, c, plan, outcome, counters, memory, careful + 1, (plan_s, layout_s, ran))
    raise AssertionError("no plan was tried")


def compared(c: Csr, report: Report, a: Csr, b: Csr, p: SpgemmParams, kernel: Kernel = OURS,
             hints: bool = False) -> Report:
    """The RTL's report with what golden has found: whether it is the same, and the probes."""
    expected, golden = multiply(a, b, p, level="golden", memory="ideal", kernel=kernel, hints=hints)
    same = all(x.tobytes() == y.tobytes() for x, y in (
        (c.starts, expected.starts), (c.columns, expected.columns), (c.values, expected.values)))
    return replace(report, matches_golden=same, probes_per_mac=golden.probes_per_mac)


def _report(a: Csr, b: Csr, c: Csr, plan: Plan, outcome: Outcome, counters: dict[str, int], memory: str, plans: int,
            seconds: tuple[float, float, float]) -> Report:
    p, cycles = plan.params, outcome.cycles
    macs, least = int(multiplications(a, b).sum()), compulsory_bytes(a, b, len(c.columns))
    timed: dict[str, Any] = dict.fromkeys(TIMED)
    if cycles is not None:
        clock_mhz = ENGINES["spgemm"].clock_mhz
        timed |= {"cycles": cycles, "macs_per_cycle": macs / cycles, "gflops": 2e-3 * macs * clock_mhz / cycles,
                  "bank_stall_cycles": counters["bank_wait"]}
        if "bytes_read" in outcome.counters:
            timed |= _traffic(outcome.counters, least, cycles * p.engines * (
                TimingModel.named(memory, clock_mhz).peak_bytes_per_ns * 1000 / clock_mhz or p.beat_bytes))
    return Report(
        rows=c.rows, cols=c.columns_in_all, nnz_a=len(a.columns), nnz_b=len(b.columns), nnz_c=len(c.columns), macs=macs,
        compulsory_bytes=least, counters=counters,
        probes_per_mac=1 + counters["probing"] / macs if macs and cycles is None else None,
        matches_reference=None, matches_golden=None, parted_rows=plan.windows.parted, plans=plans,
        plan_s=seconds[0], layout_s=seconds[1], run_s=seconds[2], config=p.to_dict(), **timed,
    )


def _traffic(counters: dict[str, int], least: int, most: float) -> dict[str, Any]:
    """The part of `TIMED` that tells of bytes. least: compulsory ones; most: that the channels move in that time."""
    read, written = counters["bytes_read"], counters["bytes_written"]
    return {"bytes_read": read, "bytes_written": written, "traffic_ratio": (read + written) / least if least else None,
            "bandwidth_share": (read + written) / most}
