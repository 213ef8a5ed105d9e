"""What may touch results of the array before all of them are written: positions counted by hand."""

import pytest

from golden.isa.llm import ISA, QUEUES
from golden.llm.early import EarlyResults
from golden.params import LlmParams

PARAMS = LlmParams()
LANES, ROWS_OF_A_LANE_ROW = PARAMS.sfu_lanes, PARAMS.row_groups // PARAMS.sfu_lanes
MV, MISC, ST = (1 << QUEUES.index(name) for name in ("MV", "MISC", "ST"))
ROWS = 4
"""Vector rows that a product with this many lane rows writes, from row 10 on."""
PRODUCT = f"MV a=10 n=1 rows={ROWS // ROWS_OF_A_LANE_ROW} release={MISC}"


def enter(*lines):
    early = EarlyResults(PARAMS)
    for line in lines:
        fmt, values = ISA.decode(ISA.from_text(line))
        early.enter(fmt.name, dict(values))


def vec(row, rows, more=""):
    return f"VEC b={row} n={rows * LANES} reduce=2 {more}"


def test_rows_in_order_behind_the_first():
    enter(f"{PRODUCT} early=1", vec(10, ROWS, f"wait={MV}"))


def test_without_early_everything_is_there():
    enter(PRODUCT, vec(13, 1, f"wait={MV}"))


@pytest.mark.parametrize("early", [1, 2, 3, 4])
def test_a_row_is_there_behind_the_ones_before_it(early):
    lines = f"{PRODUCT} early={early}", vec(13, 1, f"wait={MV}")
    if early == 4:
        enter(*lines)
    else:
        with pytest.raises(ValueError, match=rf"touch row 13 when {early} of .*: this one is number 3"):
            enter(*lines)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("between", ["VEC b=100 n={n} reduce=2", "AMX b=100 n={n}", "QNT b=100 n={n}",
                                     "QNT b=100 n={n} repeat=1 stride_b=9"])
def test_instructions_before_take_a_position_a_row(between, rows):
    positions = rows * (2 if "repeat" in between else 1)
    lines = f"{PRODUCT} early=1", f"{between.format(n=rows * LANES)} wait={MV}", vec(12, 2)
    if positions >= 2:
        enter(*lines)
    else:
        with pytest.raises(ValueError, match="touch row 12"):
            enter(*lines)


def test_short_sums_take_eight_positions():
    enter(f"{PRODUCT} early=1", f"VEC b=100 n=1 reduce=1 wait={MV}", vec(13, 1))


def test_a_write_is_a_touch():
    with pytest.raises(ValueError, match="touch row 11"):
        enter(f"{PRODUCT} early=1", f"VEC a=11 b=100 n=1 store=1 wait={MV}")


def test_quantiser_reads_in_order():
    enter(f"{PRODUCT} early=1", f"QNT b=10 n={2 * LANES} repeat=1 stride_b=2 wait={MV}")
    with pytest.raises(ValueError, match="touch row 12"):
        enter(f"{PRODUCT} early=1", f"QNT b=12 n={2 * LANES} wait={MV}")


def test_before_the_token():
    with pytest.raises(ValueError, match="row 10, which the array writes, before it takes the token"):
        enter(f"{PRODUCT} early=4", vec(10, 1))


def test_the_token_of_another_product():
    with pytest.raises(ValueError, match="row 10, which the array writes, before it takes the token"):
        enter(f"MV a=50 n=1 rows=1 release={MISC}", f"{PRODUCT} early=4", vec(10, 1, f"wait={MV}"))


@pytest.mark.parametrize("line", [f"STV b=9 n={2 * LANES}", "LDV b=10 n=1", "LDG b=13 n=1"])
@pytest.mark.parametrize("taken", [False, True])
def test_other_queues_know_nothing(line, taken):
    before = [f"VEC b=100 n=1 reduce=2 wait={MV}"] if taken else []
    with pytest.raises(ValueError, match="of whose writing by the array only MISC knows"):
        enter(f"{PRODUCT} early=1", *before, line)


def test_other_queues_behind_the_last_row():
    enter(f"{PRODUCT} early=1", vec(100, ROWS - 1, f"wait={MV}"), f"STV b=10 n={ROWS * LANES}")


def test_only_misc_gets_the_token():
    with pytest.raises(ValueError, match="only MISC may get its token"):
        enter(f"MV a=10 n=1 rows=1 early=1 release={MISC | ST}")


def test_vectors_of_an_mm_are_written_one_behind_the_other():
    product = f"MM a=10 stride=20 tokens=2 n=1 rows={ROWS // ROWS_OF_A_LANE_ROW} release={MISC} early=1"
    enter(product, f"VEC b=10 stride_b=20 repeat=1 n={ROWS * LANES} reduce=2 wait={MV}")
    with pytest.raises(ValueError, match=r"touch row 30 when 4 .*number 4"):
        enter(product, f"VEC b=10 stride_b=20 repeat=1 n={(ROWS - 1) * LANES} reduce=2 wait={MV}")


def test_a_number_that_lies_at_the_arg_max():
    with pytest.raises(ValueError, match="which row that is may not be there yet"):
        enter(f"{PRODUCT} early=1", f"PUT at_best=1 source=3 wait={MV}")


def test_no_product_no_results():
    enter(f"MV a=10 n=0 rows=1 early=1 release={MISC}", vec(13, 1, f"wait={MV}"))
