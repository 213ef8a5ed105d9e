"""Which VECs may start while those before them are under way, and which note exponents for a QNT."""

import numpy as np
import pytest

from compiler.llm.emit import Emitter
from compiler.llm.rows import Rows
from golden.configs import LLM
from golden.execution import ExecutionError
from golden.isa.llm import Alu, Binary, Reduce, Source, Unary
from golden.llm.executor import Executor
from golden.params import BLOCK

PARAMS = LLM["u280-core"]
LANES = PARAMS.sfu_lanes
X, Y, Z = Rows(0, 8), Rows(100, 8), Rows(200, 8)


def chained(*emissions):
    """The bit of every VEC that the functions in `emissions` emit."""
    e = Emitter(PARAMS)
    for emission in emissions:
        emission(e)
    return [fields.get("chained", 0) for name, fields in e.instructions if name == "VEC"]


def vec(dst, a, n=100, count=1, **fields):
    return lambda e: e.vec(dst, a, n, count=count, **fields)


def test_elements_in_the_order_they_are_written():
    assert chained(
        vec(X, X, binary=Binary.MUL, b=Y), vec(X, X, unary=Unary.EXP), vec(Z, X, binary=Binary.ADD, b=X), vec(X, Y)
    ) == [0, 1, 1, 1]


def test_the_first_of_all_and_the_first_behind_something_else_are_not_chained():
    assert chained(
        vec(X, X), lambda e: e.quantise(X, 100, 0, 8, count=1, n=100), vec(Y, Z), lambda e: e.anchor(), vec(Y, Z)
    ) == [0, 0, 0, 0]


def test_a_scalar_waits_for_its_reduction():
    total = vec(None, X, reduce=Reduce.SUM, to=5)
    assert chained(total, vec(Y, X), vec(X, X, binary=Binary.MUL, scalar=5)) == [0, 1, 0]
    assert chained(total, vec(X, X, binary=Binary.MUL, scalar=4)) == [0, 1]
    assert chained(vec(None, X, count=3, reduce=Reduce.SUM, to=3), vec(X, X, binary=Binary.MUL, scalar=5)) == [0, 0]


@pytest.mark.parametrize(
    ("written", "read", "allowed"),
    [
        (Rows(3), Rows(3), 1),
        (Rows(3), Rows(0), 1),  # row 3 is read at position 3, written at 0
        (Rows(0), Rows(3), 0),  # row 3 is read at position 0, written at 3
        (Rows(0), Rows(50), 1),
    ],
)
def test_rows_further_on(written, read, allowed):
    assert chained(vec(written, Z), vec(Rows(150), read)) == [0, allowed]


def test_lengths_and_strides():
    assert chained(vec(X, Y, 64), vec(Z, X, 100)) == [0, 1]
    assert chained(vec(X, Y, 100), vec(Z, X, 64)) == [0, 0]
    assert chained(vec(X, Y, 64, 4), vec(Z, X, 64, 4)) == [0, 1]
    assert chained(vec(X, Y, 64, 4), vec(Z, Rows(0, 4), 64, 4)) == [0, 0]
    assert chained(vec(X, Y, 64, 4), vec(Z, X, 64, 3)) == [0, 0]
    assert chained(vec(X, Y, 0, rn=9, most=64), vec(X, X, 0, rn=9, most=64)) == [0, 1]
    assert chained(vec(X, Y, 0, rn=9, most=64), vec(X, X, 0, rn=8, most=64)) == [0, 0]


def test_a_register_that_changes_is_another_length():
    of_nine = vec(X, Y, 0, rn=9, most=64), vec(X, X, 0, rn=9, most=64)
    assert chained(of_nine[0], lambda e: e.alu(Alu.ADD, 9, b=50), of_nine[1]) == [0, 0]
    assert chained(of_nine[0], lambda e: e.alu(Alu.ADD, 8, b=50), of_nine[1]) == [0, 1]


def test_a_period_reads_all_of_its_rows_at_once():
    assert chained(vec(X, Y), vec(Z, Y, binary=Binary.MUL, b=X, period=4)) == [0, 0]
    assert chained(vec(X, Y), vec(X, X, binary=Binary.MUL, b=Z, period=4)) == [0, 1]


@pytest.mark.parametrize(
    "second", [{"b": 2, "n": 64}, {"b_source": Source.SCALAR, "sb": 4, "binary": Binary.ADD, "b": 50, "n": 16}]
)
def test_golden_refuses_what_is_not_in_order(second):
    e = Emitter(PARAMS)
    e.add("VEC", n=64, a=0, b=50, store=1, reduce=Reduce.MAX, sd=4)
    e.add("VEC", a=90, store=1, chained=1, **second)
    e.add("HALT")
    with pytest.raises(ExecutionError, match="chained"):
        Executor(PARAMS, e.words(), {}).run()


def noted(*emissions):
    """The bit of every VEC and QNT that the functions in `emissions` emit; golden agrees that it may be set."""
    e = Emitter(PARAMS)
    for register in (8, 9):
        e.alu(Alu.ADD, register, b=50)
    for emission in emissions:
        emission(e)
    e.barrier()
    e.add("HALT")
    Executor(PARAMS, e.words(), {"w0": np.zeros(64, np.uint8), "v": np.zeros(4096, np.uint8)}).run()
    return [(name, fields["noted"]) for name, fields in e.instructions if fields.get("noted")]


def qnt(source, n=100, count=1, most=None, **fields):
    return lambda e: e.quantise(source, most or n, 0, 8, count=count, token_step=1, n=n, **fields)


def writes(name, row):
    """Something that another queue writes to a row."""
    return lambda e: e.add(name, writes=[e.span(row, 1)])


BOTH = [("VEC", 1), ("QNT", 1)]


def test_a_vec_notes_what_the_qnt_behind_it_quantises():
    assert noted(vec(X, Y), qnt(X)) == BOTH
    assert noted(vec(X, X), vec(X, Y, unary=Unary.EXP, reduce=Reduce.SUM), qnt(X, round_log2=3)) == BOTH
    assert noted(vec(X, Y, count=4), qnt(X, count=4)) == BOTH
    assert noted(vec(X, Y, 50, count=4, n_step=1), qnt(X, 50, 4, n_step=1, pad=3)) == BOTH
    assert noted(vec(X, Y, 0, rn=9, most=64), qnt(X, 0, rn=9, most=64)) == BOTH
    assert noted(vec(X, Y), qnt(X), vec(X, Y), qnt(X)) == BOTH * 2


@pytest.mark.parametrize("quantise", [
    qnt(Y), qnt(Rows(1, 8)), qnt(X, 99), qnt(X, count=4), qnt(X, 50, rn=9, most=100), qnt(X, 100, rb=1),
])
def test_something_else_is_quantised(quantise):
    assert noted(vec(X, Y), quantise) == []


def test_repetitions_that_differ():
    four = vec(X, Y, count=4)
    assert noted(four, qnt(X)) == []
    assert noted(four, qnt(X, count=3)) == []
    assert noted(four, qnt(Rows(0, 9), count=4)) == []
    assert noted(four, qnt(X, count=4, n_step=1, pad=3)) == []
    assert noted(vec(Rows(0, 4), Y, count=4), qnt(Rows(0, 4), count=4)) == []
    assert noted(vec(Rows(0), Y, count=4), qnt(Rows(0), count=4)) == []


@pytest.mark.parametrize("between", [
    vec(Z, Y), vec(None, X, reduce=Reduce.SUM), qnt(Y), lambda e: e.add("PUT", a=300), lambda e: e.add("VEC", n=1),
    lambda e: e.add("AMX", n=1, b=300, first=1), lambda e: e.barrier(), lambda e: e.anchor(),
    writes("LDV", 6),
])
def test_something_between_vec_and_qnt(between):
    assert noted(vec(X, Y), between, qnt(X)) == []


def test_other_queues_between():
    assert noted(vec(X, Y), writes("LDV", 7), writes("MV", 20), lambda e: e.alu(Alu.ADD, 9), qnt(X)) == BOTH


def test_the_register_of_n_between():
    by_nine = vec(X, Y, 0, rn=9, most=64), qnt(X, 0, rn=9, most=64)
    assert noted(by_nine[0], lambda e: e.alu(Alu.ADD, 8, b=1), by_nine[1]) == BOTH
    assert noted(by_nine[0], lambda e: e.alu(Alu.ADD, 9, b=10), by_nine[1]) == []
    assert noted(by_nine[0], qnt(X, 0, rn=8, most=64)) == []


def test_no_more_blocks_than_exponents_are_kept_of():
    most, rows = PARAMS.noted_blocks // 4, PARAMS.noted_blocks * BLOCK // 4 // LANES
    out = Rows(0, rows + 1)
    for n, pad, round_log2, expected in (
        (most * BLOCK, 0, 0, BOTH), (most * BLOCK - 8, 9, 0, []), ((most - 6) * BLOCK - 8, 9, 3, BOTH),
        (16, 0, 7, BOTH),
    ):
        assert noted(vec(out, Rows(30_000, rows), n, 4), qnt(out, n, 4, pad=pad, round_log2=round_log2)) == expected
