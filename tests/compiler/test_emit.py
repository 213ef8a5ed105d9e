"""Which VECs may start while those before them are under way."""

import pytest

from compiler.llm.emit import Emitter
from compiler.llm.rows import Rows
from golden.configs import LLM
from golden.isa.llm import Binary, Reduce, Source, Unary
from golden.llm.executor import ExecutionError, Executor

LANES = 16
X, Y, Z = Rows(0, 8), Rows(100, 8), Rows(200, 8)


def chained(*emissions):
    """The bit of every VEC that the functions in `emissions` emit."""
    e = Emitter(LANES)
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


def test_a_period_reads_all_of_its_rows_at_once():
    assert chained(vec(X, Y), vec(Z, Y, binary=Binary.MUL, b=X, period=4)) == [0, 0]
    assert chained(vec(X, Y), vec(X, X, binary=Binary.MUL, b=Z, period=4)) == [0, 1]


@pytest.mark.parametrize(
    "second", [{"b": 2, "n": 64}, {"b_source": Source.SCALAR, "sb": 4, "binary": Binary.ADD, "b": 50, "n": 16}]
)
def test_golden_refuses_what_is_not_in_order(second):
    e = Emitter(LANES)
    e.add("VEC", n=64, a=0, b=50, store=1, reduce=Reduce.MAX, sd=4)
    e.add("VEC", a=90, store=1, chained=1, **second)
    e.add("HALT")
    with pytest.raises(ExecutionError, match="chained"):
        Executor(LLM["u280-core"], e.words(), {}).run()
