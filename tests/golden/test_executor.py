"""Programs that the golden executor refuses, with the instruction and the reason."""

import numpy as np
import pytest

from golden.isa.llm import ISA
from golden.llm.executor import ExecutionError, Executor
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
