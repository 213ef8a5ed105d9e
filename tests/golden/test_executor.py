"""Programs that the golden executor refuses, with the instruction and the reason."""

import numpy as np
import pytest

from golden.execution import ExecutionError
from golden.isa.llm import ISA
from golden.llm.executor import Executor
from golden.params import LlmParams

PARAMS = LlmParams()
BEAT, ROW = PARAMS.beat_bytes, PARAMS.sfu_lanes * 4


def run(*lines):
    images = {port: np.zeros(4096, np.uint8) for port in ("w0", "v")}
    return Executor(PARAMS, [ISA.from_text(line) for line in lines], images).run()


@pytest.mark.parametrize(("line", "reason"), [
    (f"LDW a={BEAT - 1} n=1", f"port w0: 0x1f is not a multiple of {BEAT}"),
    (f"LDV a={BEAT // 2} n=1", f"port v: 0x10 is not a multiple of {BEAT}"),
    ("LDG a=2 n=1", "port v: 0x2 is not a multiple of 4"),
    (f"LDG n=1 table=4 stride={BEAT}", f"port v: 0x4 is not a multiple of {BEAT}"),
    (f"STV a={ROW + 8} n=3", "3 elements from element 2 of a row of memory on leave the row"),
    ("STV a=2 n=1", "port v: 0x2 is not a multiple of 4"),
    ("STV a=4080 n=5", r"port v: 0xff0 \+ 20 leaves the image of 4096 bytes"),
    ("LDV a=4096 n=4", r"port v: 0x1000 \+ 16 leaves the image of 4096 bytes"),
    ("STK count=24", "count = 24: must be a multiple of 16"),
    ("STK n=14 repeat=2", "tokens 14 .. 16: must lie in the same"),
    ("VEC reduce=2", "N = 0: at least one element"),
    ("VEC store=1", "N = 0: at least one element"),
    ("VEC n=1 noted=1", "noted: it stores nothing"),
    ("VEC n=1 noted=1 reduce=1", "noted: it stores nothing"),
    ("QNT n=1 noted=1", "noted: right before it no VEC has noted exponents"),
    ("QNT pad=4", "N = 0: at least one element"),
    ("AMX first=1", "N = 0: at least one element"),
    ("PUT at_best=1", "there is no arg-max"),
    ("PUT source=1", "there is no arg-max"),
    ("PUT source=2", "there is no arg-max"),
    (f"PUT n={PARAMS.vmem_rows * PARAMS.sfu_lanes} source=3", f"index {PARAMS.vmem_rows} is out of bounds"),
    ("HALT a=256", "code 256; the largest is 255"),
])
def test_refused(line, reason):
    with pytest.raises(ExecutionError, match=rf"instruction 1 \({line}.*\): {reason}"):
        run("NOP", line, "HALT")


def test_no_number_is_put_behind_the_buffer_at_the_arg_max():
    with pytest.raises(ExecutionError, match=rf"PUT source=3 at_best=1.*index {PARAMS.vmem_rows} is out of bounds"):
        run(f"AMX a={PARAMS.vmem_rows * PARAMS.sfu_lanes} n=1 first=1", "PUT source=3 at_best=1", "HALT")


def test_program_without_end():
    with pytest.raises(ExecutionError, match="instruction 2 lies behind the program of 2"):
        run("NOP", "NOP")


def test_halt_returns_its_code_plus_register():
    assert run("ALU b=200 rd=3", "HALT a=55 ra=3") == 255


NOTED = "VEC a=8 n=14 noted=1 store=1 repeat=2 n_step=1 stride_a=4 stride_b=20"
QUANTISE = "QNT b=8 n=14 noted=1 repeat=2 n_step=1 stride_b=4 pad=2"
ADD_ONE = "binary=1 b_source=2 immediate=0x3F800000"


def test_what_is_noted_is_quantised():
    between = ("NOP", "ALU rd=3 b=7", "LDV n=8 b=100", "LDV n=1 b=7", "MV n=0", f"STV n=8 a={BEAT} b=8")
    assert run(NOTED, QUANTISE, NOTED, *between, QUANTISE, "HALT") == 0
    assert run(NOTED.replace("repeat=2 n_step=1", "n_step=1"), QUANTISE.replace("repeat=2 n_step=1", ""), "HALT") == 0
    assert run("ALU rd=2 b=10", "VEC ra=2 a=1 n=14 store=1 noted=1", "ALU rd=3 b=4", "QNT rn=3 n=10 b=11 noted=1",
               "HALT") == 0


@pytest.mark.parametrize(("line", "reason"), [
    (QUANTISE.replace("repeat=2", "repeat=1"), "2 repetitions, the VEC before it has 3"),
    (QUANTISE.replace("b=8", "b=9"), "repetition 0 has 14 elements from row 9, .* has stored 14 from row 8"),
    (QUANTISE.replace("n=14", "n=13"), "repetition 0 has 13 elements from row 8, .* has stored 14 from row 8"),
    (QUANTISE.replace("n_step=1", "n_step=0"), "repetition 1 has 14 elements .* has stored 15"),
    (QUANTISE.replace("stride_b=4", "stride_b=5"), "repetition 1 has 15 elements from row 13, .* from row 12"),
    (f"{QUANTISE} round_log2=7", f"384 blocks, the quantiser keeps exponents of {PARAMS.noted_blocks}"),
])
def test_something_else_is_noted(line, reason):
    with pytest.raises(ExecutionError, match=rf"instruction 1 \(QNT .*noted=1.*\): noted: {reason}"):
        run(NOTED, line, "HALT")


@pytest.mark.parametrize("between", [
    "VEC n=1", "QNT n=1", "AMX n=1 first=1", "PUT a=100", NOTED.replace("noted=1 ", ""),
])
def test_noted_right_before(between):
    with pytest.raises(ExecutionError, match=r"instruction 2 .*: noted: right before it no VEC has noted exponents"):
        run(NOTED, between, QUANTISE, "HALT")


def test_noted_and_changed_since():
    with pytest.raises(ExecutionError, match=r"instruction 2 .*: noted: repetition 1 is no longer what the VEC before"):
        run(f"{NOTED} {ADD_ONE}", "LDV b=12 n=1", QUANTISE, "HALT")


def test_noted_and_overwritten_by_a_later_repetition():
    with pytest.raises(ExecutionError, match="noted: repetition 0 is no longer what the VEC before"):
        run(f"VEC n=1 reduce=2 sd=2 {ADD_ONE}", "VEC a=8 n=4 a_source=1 sa=1 scalar_step=1 repeat=1 noted=1 store=1",
            "QNT b=8 n=4 repeat=1 noted=1", "HALT")
