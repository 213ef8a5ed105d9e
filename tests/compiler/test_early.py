"""`early` of products, against what golden takes of the program, and against rows and positions counted by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.llm.emit import Emitter
from compiler.llm.product import multiply
from compiler.llm.rows import Rows
from golden.isa.llm import ISA, Reduce
from golden.llm.early import EarlyResults
from golden.params import LlmParams

PARAMS = LlmParams()
LANES, A_ROW = PARAMS.sfu_lanes, PARAMS.row_groups // PARAMS.sfu_lanes
N = 15
"""A register; what it holds is added to n."""


def product(e, first, rows, count=1, stride=0, **fields):
    """`rows` vector rows of each of `count` vectors."""
    assert rows % A_ROW == 0
    multiply(e, Rows(first, stride), rows * LANES, ("xbuf", 0, 1), count=count, n=1, rows=rows // A_ROW, **fields)


def read(e, first, rows, **fields):
    e.vec(None, Rows(first), rows * LANES, count=1, reduce=Reduce.MAX, to=0, **fields)


def early(e):
    """Of every product."""
    return [fields.get("early", 0) for name, fields in e.instructions if name in ("MV", "MM")]


def check(e, register=0):
    """Golden takes the program, `register` being what N holds."""
    golden = EarlyResults(PARAMS)
    for word in e.words():
        fmt, values = ISA.decode(word)
        values = dict(values)
        values["n"] += register * (values["rn"] == N)
        golden.enter(fmt.name, values)


def test_row_by_row():
    e = Emitter(PARAMS)
    product(e, 10, 8)
    read(e, 10, 8)
    assert early(e) == [1]
    check(e)


@pytest.mark.parametrize(("before", "first", "expected"), [(0, 13, 4), (1, 13, 3), (3, 13, 1), (0, 16, 7), (0, 17, 0)])
def test_a_later_row_waits_for_those_before_it(before, first, expected):
    """The last row of all is there with the last token: nothing is early about it."""
    e = Emitter(PARAMS)
    product(e, 10, 8)
    if before:
        read(e, 10, before)
    read(e, first, 1)
    assert early(e) == [expected]
    check(e)


def test_vectors_whose_rows_nobody_reads_come_between():
    e = Emitter(PARAMS)
    product(e, 10, 4, count=2, stride=20)
    e.vec(None, Rows(10, 20), 3 * LANES, count=2, reduce=Reduce.MAX, to=0)
    assert early(e) == [2]
    check(e)


@pytest.mark.parametrize("length", [1, 3 * LANES, 3 * LANES + 1, 4 * LANES])
def test_lengths_that_vary_together(length):
    """N elements of each of three vectors; MM writes whole rows of its lanes."""
    e = Emitter(PARAMS)
    product(e, 10, 4, count=3, stride=20, spare=A_ROW, grow=1, rn=N)
    e.vec(None, Rows(10, 20), 0, rn=N, most=4 * LANES, count=3, reduce=Reduce.MAX, to=0)
    assert early(e) == [2 * A_ROW + 1]
    fields = e.instructions[0][1]
    assert fields.pop("grow")
    assert fields.pop("rn")
    fields["rows"] = -(-length // PARAMS.row_groups)
    check(e, length)


def test_lengths_that_vary_alone():
    e = Emitter(PARAMS)
    product(e, 10, 4, count=2, stride=20)
    e.vec(None, Rows(10, 20), 0, rn=N, most=4 * LANES, count=2, reduce=Reduce.MAX, to=0)
    assert early(e) == [4]
    check(e, 1)


def test_others_wait_for_all():
    e = Emitter(PARAMS)
    product(e, 10, 8)
    read(e, 10, 8)
    e.add("STV", [("vmem", 10, 18)], n=8 * LANES, b=10)
    assert early(e) == [0]
    check(e)


@pytest.mark.parametrize(("rows", "expected"), [(8, 1), (7, 1), (6, 0)])
def test_behind_a_barrier_all_is_there(rows, expected):
    e = Emitter(PARAMS)
    product(e, 10, 8)
    read(e, 10, rows)
    e.barrier()
    e.anchor()
    assert early(e) == [expected]


def test_a_later_product_is_behind_an_earlier_one():
    e = Emitter(PARAMS)
    product(e, 10, 8)
    product(e, 30, 8)
    read(e, 30, 8)
    read(e, 17, 1)
    assert early(e) == [0, 1]
    check(e)


def test_a_later_product_may_overwrite_an_earlier_one():
    e = Emitter(PARAMS)
    product(e, 10, 8)
    read(e, 10, 8)
    product(e, 10, 8)
    read(e, 10, 8)
    assert early(e) == [1, 1]
    check(e)


@given(st.data())
def test_golden_takes_what_is_emitted(data):
    e, draw = Emitter(PARAMS), data.draw
    for _ in range(draw(st.integers(1, 4))):
        rows, count = A_ROW * draw(st.integers(1, 8)), draw(st.sampled_from([1, 1, 2, 3]))
        product(e, draw(st.integers(0, 30)), rows, count, stride=draw(st.integers(rows, 30 + rows)))
        for _ in range(draw(st.integers(0, 5))):
            elements, first = draw(st.integers(1, 20 * LANES)), draw(st.integers(0, 60))
            match draw(st.sampled_from(["VEC", "stored", "QNT", "AMX", "STV", "LDV", "barrier"])):
                case "VEC":
                    e.vec(None, Rows(first, 7), elements, count=draw(st.sampled_from([1, 2])), reduce=Reduce.MAX, to=0)
                case "stored":
                    e.vec(Rows(first), Rows(draw(st.integers(0, 60))), elements, count=1)
                case "QNT":
                    e.quantise(Rows(first, 7), elements, 0, 1, count=draw(st.sampled_from([1, 2])), n=elements)
                case "AMX":
                    e.add("AMX", [e.span(first, elements)], b=first, n=elements)
                case "STV":
                    e.add("STV", [e.span(first, elements)], b=first, n=elements)
                case "LDV":
                    e.add("LDV", [], [e.span(first, elements)], b=first, n=elements)
                case "barrier":
                    e.barrier()
                    e.anchor()
    check(e)
