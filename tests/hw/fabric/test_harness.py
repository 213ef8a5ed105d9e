"""The cocotb harness and runner themselves: streams pass, and every kind of failure is seen."""

import pytest
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tests.hw.runner import run_cocotb, top_ports


class StreamRegister(wiring.Component):
    """One register; with `drops_valid` it breaks the stream rules by withdrawing what was not taken."""

    def __init__(self, *, drops_valid=False):
        self.drops_valid = drops_valid
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(self.o.ready | ~self.o.valid)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        if self.drops_valid:
            with m.Elif(self.o.valid):
                m.d.sync += self.o.valid.eq(0)
        return m


def run(testcase, *, component=None, stall=0.0, module="tests.hw.fabric.cocotb_harness"):
    component = component or StreamRegister()
    name = "stream_register_bad" if component.drops_valid else "stream_register"
    return run_cocotb(component, top=name, test_module=module, testcase=testcase,
                      parameters={"seed": 1, "stall": stall, "count": 300})


@pytest.mark.parametrize("stall", [0.0, 0.5, 0.9])
def test_streams(stall):
    assert run("passes", stall=stall) == 1


def test_a_hung_test_fails():
    with pytest.raises(AssertionError, match="not done after 100 cycles"):
        run("waits_for_one_too_many")


def test_withdrawn_valid_fails():
    with pytest.raises(AssertionError, match="valid withdrawn before ready"):
        run("passes", component=StreamRegister(drops_valid=True), stall=0.5)


def test_no_test_ran_fails():
    with pytest.raises(AssertionError, match="0 of 0"):
        run("no_such_test")


def test_missing_module_fails():
    with pytest.raises(AssertionError):
        run(None, module="tests.hw.fabric.no_such_module")


def test_other_warnings_stop_the_build():
    latch = ("module latch(input wire [3:0] a, output wire [3:0] o); reg [3:0] q;\n"
             "always @(*) if (a[0]) q = a; assign o = q; endmodule\n")
    with pytest.raises(AssertionError, match="LATCH"):
        run_cocotb(latch, top="latch", test_module="none", parameters={})


def test_top_ports():
    text = """module other(input x); endmodule
    module \\top (clk, a, o); // comment, input no;
      input clk; wire clk; input signed [3:0] a; output [7:0] \\o.p ; wire inner;
    endmodule
    module ansi #(parameter W = 3) (input wire [W-1:0] a, output reg b); endmodule"""
    assert top_ports(text, "top") == ["clk", "a", "o.p"]
    assert top_ports(text, "ansi") == ["a", "b"]
    with pytest.raises(ValueError, match="no module 'absent'"):
        top_ports(text, "absent")
