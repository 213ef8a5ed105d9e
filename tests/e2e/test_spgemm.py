"""Whole products on the RTL, equal to golden bit for bit, whatever the memory does."""

import json
import os
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from cli.bench_spgemm import operands
from compiler.spgemm import KERNELS, Kernel, is_scipys, plan_product, stored
from golden.configs import SPGEMM
from golden.execution import ERROR_CODES
from golden.isa.spgemm import ISA, Hash
from golden.spgemm.csr import Csr
from golden.spgemm.order import bank_of
from golden.spgemm.params import SpgemmParams
from golden.spgemm.product import ARITHMETIC
from golden.spgemm.record import COUNTERS
from hw.spgemm.element_queue import ElementQueue
from hw.spgemm.layouts import SERIAL_BITS
from sim.device import DeviceError, GoldenDevice, RtlDevice
from sim.spgemm import multiply, spgemm

SHAPES = {
    "3 engines of 4 lanes, fp64": SpgemmParams(
        engines=3, axi_bits=512, number_format=3, banks=8, slots=64, contexts=4, probe_limit=32, cache_lines=32,
        window=16, ring=32, burst_beats=4, outstanding=8, in_flight=4),
    "2 lanes, int32": SpgemmParams(
        axi_bits=128, number_format=2, banks=2, slots=16, contexts=4, probe_limit=16, cache_lines=8, cache_ways=2,
        window=8, ring=16, burst_beats=2, outstanding=2, in_flight=2),
    "8 lanes": SpgemmParams(engines=2, block_lines=2),
}  # fmt: skip
DATA = Path(os.environ.get("LACUNA_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "matrices"
INDEX = json.loads((DATA / "index.json").read_text()) if (DATA / "index.json").exists() else []
SMALL = [entry for entry in INDEX if entry["mults"] < 200_000]
INT32 = tomllib.loads((Path(__file__).resolve().parents[2] / "bench" / "spgemm_int32.toml").read_text())["engine"]
SIZES = {"two engines, int32": (SpgemmParams(**INT32), "ideal"), "U280": (SPGEMM["spgemm-u280"], "hbm2")}


def random_csr(rng, rows, columns, density, params):
    matrix = scipy.sparse.csr_array(scipy.sparse.random_array((rows, columns), density=density, rng=rng))
    whole = params.numbers == "int32"
    matrix.data = rng.integers(-99, 100, matrix.nnz).astype(float) if whole else rng.standard_normal(matrix.nnz)
    return stored(matrix, params.numbers, "A")


def assert_equal_to_golden(a, b, params, memory, **options):
    c, report = multiply(a, b, params, level="rtl", memory=memory, **options)
    expected, golden = multiply(a, b, params, level="golden", memory=memory, **options)
    for name in ("starts", "columns"):
        np.testing.assert_array_equal(getattr(c, name), getattr(expected, name))
    assert c.values.tobytes() == expected.values.tobytes()
    assert is_scipys(c, a, b)
    for name in COUNTERS[:4]:
        assert report.counters[name] == golden.counters[name], name
    assert report.macs == report.counters["products"]
    return report


@pytest.mark.parametrize("memory", ["ideal", "random", "hbm2"])
@pytest.mark.parametrize("shape", SHAPES)
def test_products(shape, memory):
    params, rng = SHAPES[shape], np.random.default_rng(7)
    for rows, inner, columns, density in (
        (40, 30, 50, 0.2), (1, 60, 300, 0.5), (200, 3, 5, 0.3), (50, 50, 2000, 0.02), (30, 30, 30, 1.0), (5, 1, 1, 1.0),
        (100, 100, 100, 0.005),
    ):  # fmt: skip
        a, b = random_csr(rng, rows, inner, density, params), random_csr(rng, inner, columns, density, params)
        report = assert_equal_to_golden(a, b, params, memory)
        waits = sum(report.counters[name] for name in ("lines", "no_request", "memory_wait", "bank_wait", "idle"))
        begin_and_end = report.cycles - waits / params.engines  # the program's first word, what is left at the end
        most = 120 if memory == "ideal" else 500
        if memory == "random":  # takes a word about every 8 cycles, so that most of C may be left
            most += 8 * min(report.counters["elements"] / params.lanes / params.engines, ElementQueue.DEPTH)
        assert 0 < begin_and_end < most, "the breakdown does not add up to the cycles"


@pytest.mark.parametrize("hash_by", [Hash.LOW, Hash.HIGH])
def test_other_hashes_and_fixed_chunks(hash_by):
    params, rng = SHAPES["3 engines of 4 lanes, fp64"], np.random.default_rng(8)
    a = random_csr(rng, 60, 60, 0.2, params)
    assert_equal_to_golden(a, a, params, "ideal", kernel=Kernel(hash_by=hash_by, fixed=True))


@pytest.mark.parametrize("memory", ["ideal", "random", "hbm2"])
@pytest.mark.parametrize("shape", SHAPES)
def test_kernels(shape, memory):
    params, rng = SHAPES[shape], np.random.default_rng(10)
    for rows, inner, columns, density in (
        (60, 40, 70, 0.15), (1, 60, 300, 0.5), (200, 3, 5, 0.3), (50, 50, 2000, 0.02), (5, 1, 1, 1.0),
        (100, 100, 100, 0.005),
    ):  # fmt: skip
        a, b = random_csr(rng, rows, inner, density, params), random_csr(rng, inner, columns, density, params)
        reports = {name: assert_equal_to_golden(a, b, params, memory, kernel=kernel)
                   for name, kernel in KERNELS.items()}  # fmt: skip
        for name in ("v1", "v2", "v3"):
            lookups = reports[name].counters["hits"], reports[name].counters["misses"]
            assert lookups == (0, sum(reports["ours"].counters[key] for key in ("hits", "misses"))), name


@pytest.mark.parametrize("shape", SHAPES)
def test_apart_alone(shape):
    """Dense rows in windows, cached, with every hash."""
    params, rng = SHAPES[shape], np.random.default_rng(11)
    a = random_csr(rng, 70, 70, 0.1, params)
    for hash_by in Hash:
        assert_equal_to_golden(a, a, params, "random", kernel=Kernel(hash_by=hash_by, apart=True))


def test_hints_change_what_is_read_alone():
    """A row of B that every other row of A wants stays in the cache while others, wanted once, pass."""
    params = SHAPES["2 lanes, int32"]
    count = 4 * params.cache_lines
    columns = np.stack([np.zeros(count, np.int32), np.arange(1, count + 1, dtype=np.int32)], axis=1).reshape(-1)
    a = Csr(count + 1, 2 * np.arange(count + 1), columns, np.ones(2 * count, np.int32))
    b = Csr(2, 2 * np.arange(count + 2), np.tile(np.arange(2, dtype=np.int32), count + 1),
            np.ones(2 * (count + 1), np.int32))
    plain, hinted = (assert_equal_to_golden(a, b, params, "ideal", hints=hints) for hints in (False, True))
    assert hinted.counters["misses"] == count + 1
    assert plain.counters["misses"] >= hinted.counters["misses"]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_edges(shape):
    params = SHAPES[shape]
    for a, b in ((np.zeros((3, 4)), np.ones((4, 2))), (np.ones((1, 5)), np.ones((5, 1))),
                 (np.zeros((0, 3)), np.zeros((3, 0))), (np.ones((4, 0)), np.ones((0, 4)))):
        c, report = spgemm(scipy.sparse.csr_array(a), scipy.sparse.csr_array(b), params, level="rtl", check=True)
        assert report.matches_reference
        np.testing.assert_array_equal(c.toarray(), a @ b)


def assert_as_published(entry, params, memory):
    report = assert_equal_to_golden(*operands(DATA, entry, params.numbers, 1), params, memory)
    assert (report.macs, report.nnz_c) == (entry["mults"], entry["nnzC"])


@pytest.mark.parametrize("entry", SMALL, ids=[entry["name"] for entry in SMALL])
def test_real_matrices(entry):
    assert_as_published(entry, SHAPES["8 lanes"], "hbm2")


@pytest.mark.slow
@pytest.mark.parametrize("entry", INDEX, ids=[entry["name"] for entry in INDEX])
@pytest.mark.parametrize("size", SIZES)
def test_every_matrix(size, entry):
    """An hour for both sizes."""
    assert_as_published(entry, *SIZES[size])


def test_a_chain():
    params, rng = SHAPES["8 lanes"], np.random.default_rng(9)
    matrix = scipy.sparse.csr_array(rng.integers(-2, 3, (25, 25)) * (rng.random((25, 25)) < 0.2))
    squared, _ = spgemm(matrix, matrix, params, level="rtl")
    cubed, report = spgemm(squared, matrix, params, level="rtl", check=True)
    assert report.matches_reference
    np.testing.assert_array_equal(cubed.toarray(), np.linalg.matrix_power(matrix.toarray(), 3))


def small_plan(params, **options):
    a = random_csr(np.random.default_rng(3), 30, 30, 0.2, params)
    return a, plan_product(a, a, params, **options)


def test_a_device_runs_again():
    """With memory and tables as the first run left them."""
    params = SHAPES["3 engines of 4 lanes, fp64"]
    a, plan = small_plan(params)
    device = RtlDevice("random")
    device.load(plan.program)
    for _ in range(3):
        device.run(())
        c, _ = plan.collect(device.read)
        assert is_scipys(c, a, a)


@pytest.mark.parametrize("shape", SHAPES)
def test_modes_change_from_run_to_run(shape):
    """Without a reset, with tables as the run before left them."""
    params, rng, device = SHAPES[shape], np.random.default_rng(12), RtlDevice("random")
    for turn, name in enumerate(("ours", "v1", "v1", "v3", "v2", "ours", "v2", "v3", "v3", "v1")):
        a = random_csr(rng, 40, 40, rng.choice([0.05, 0.3]), params)
        plan = plan_product(a, a, params, kernel=KERNELS[name], careful=1)
        if turn == 0:
            device.load(plan.program)
        for port, image in plan.program.images.items():
            device.write(port, 0, image.tobytes())
        device.replace(plan.program.instructions)
        device.run(())
        c, _ = plan.collect(device.read)
        golden = GoldenDevice()
        golden.load(plan.program)
        golden.run(())
        expected, _ = plan.collect(golden.read)
        assert is_scipys(c, a, a), (turn, name)
        assert (c.columns.tobytes(), c.values.tobytes()) == (expected.columns.tobytes(), expected.values.tobytes())


@pytest.mark.parametrize("kernel", ["ours", "v2"])
def test_more_rows_than_serials(kernel):
    """Some walk while the last serial is given."""
    params, rng = SHAPES["2 lanes, int32"], np.random.default_rng(13)
    a, b = random_csr(rng, (1 << SERIAL_BITS) + 500, 30, 0.1, params), random_csr(rng, 30, 2, 0.9, params)
    assert_equal_to_golden(a, b, params, "ideal", kernel=KERNELS[kernel])


def run_changed(plan, words, level=RtlDevice):
    device = level()
    device.load(replace(plan.program, instructions=words, images=plan.program.images | {
        "p": np.frombuffer(ISA.image(words), np.uint8)}))
    with pytest.raises(DeviceError) as caught:
        device.run(())
    return caught.value.status


@pytest.mark.parametrize("level", [GoldenDevice, RtlDevice])
def test_programs_that_are_refused(level):
    params = SHAPES["3 engines of 4 lanes, fp64"]
    _, plan = small_plan(params)
    words = plan.program.instructions
    assert run_changed(plan, words[:-1], level) == ERROR_CODES["program_size"]
    assert run_changed(plan, [words[0], 0x77, words[-1]], level) == ERROR_CODES["illegal"]
    assert run_changed(plan, [words[1], words[-1]], level) == ERROR_CODES["illegal"]
    scan_alone = ISA.encode("SET", ISA.decode(words[0])[1] | {"scan": 1})
    assert run_changed(plan, [scan_alone, *words[1:]], level) == ERROR_CODES["illegal"]


def test_an_error_response_ends_the_run():
    """Entries, lines and results beyond the end of the memory."""
    params = SHAPES["3 engines of 4 lanes, fp64"]
    _, plan = small_plan(params)
    put, chunk, *_, halt = plan.program.instructions
    (_, places), (_, read) = ISA.decode(put), ISA.decode(chunk)
    beyond = (256 << 20) // params.beat_bytes
    for name, status in (("b", "axi_read"), ("c", "axi_write"), ("n", "axi_write")):
        words = [ISA.encode("SET", {**places, name: beyond}), chunk, halt]
        assert run_changed(plan, words) == ERROR_CODES[status], name
    words = [put, ISA.encode("CHUNK", {**read, "a": beyond}), halt]
    assert run_changed(plan, words) == ERROR_CODES["axi_read"]


@pytest.mark.parametrize("level", ["golden", "rtl"])
def test_a_bank_that_overflows_is_planned_for_again(level):
    params, count = SHAPES["8 lanes"], 600
    columns = np.arange(100_000)
    columns = columns[bank_of(columns, params.banks) == 0][:count].astype(np.int32)
    one = ARITHMETIC[params.numbers].dtype.type(1)
    b = Csr(100_000, np.array([0, count]), columns, np.full(count, one))
    a = Csr(1, np.array([0, 1]), np.zeros(1, np.int32), np.full(1, one))
    c, report = multiply(a, b, params, level=level, memory="ideal")
    assert is_scipys(c, a, b)
    assert report.plans > 1
