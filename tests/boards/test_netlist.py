"""Modules of Verilog: which are the same, how often they are there, what a unit is."""

import pytest

from boards.netlist import Design, Instance

SIDE = r"""
module \top.{} (clk, a, y);
  input clk;
  wire clk;
  input [3:0] a;
  output [3:0] y;
  lacuna_ram #(
    .DEPTH(32'd64),
    .WIDTH(32'd512)
  ) ram (
    .clk(clk)
  );
  assign y = a;
endmodule
"""
TEXT = SIDE.format("left") + SIDE.format("right") + r"""
module top(clk, a, y);
  input clk;
  input [3:0] a;
  output [3:0] y;
  wire [3:0] between;
  \top.left  left (
    .clk(clk),
    .a(a),
    .y(between)
  );
  \top.right  right (
    .clk(clk),
    .a(between),
    .y(y)
  );
endmodule
"""


def test_modules_that_differ_in_names_are_one():
    design = Design([TEXT], "top")
    assert design.keys[r"\top.left"] == design.keys[r"\top.right"]
    assert sorted(design.counts.values()) == [1, 2]
    assert design.modules[r"\top.left"].instances == (Instance("lacuna_ram", "ram", (("DEPTH", 64), ("WIDTH", 512))),)


def test_a_changed_bit_makes_two():
    design = Design([TEXT.replace("assign y = a", "assign y = ~a", 1)], "top")
    assert design.keys[r"\top.left"] != design.keys[r"\top.right"]


def test_small_modules_belong_to_the_unit_around_them():
    design = Design([TEXT], "top")
    top = design.keys["top"]
    assert design.units == [top]
    assert design.members(top)[design.keys[r"\top.left"]] == 2
    assert "blackbox" not in design.verilog(top)


def test_named_units_are_black_boxes_in_others():
    design = Design([TEXT], "top", {r"\top.left"})
    top, side = design.keys["top"], design.keys[r"\top.left"]
    assert design.units == [side, top]
    assert design.children(top) == {side: 2}
    text = design.verilog(top)
    assert text.count("(* blackbox *)") == 1
    assert text.count(f"  {side}  ") == 2


def test_a_module_that_is_missing_is_named():
    with pytest.raises(ValueError, match=r"module \\top.right is not in the Verilog"):
        Design([TEXT.replace(r"module \top.right ", "module other ")], "top")
