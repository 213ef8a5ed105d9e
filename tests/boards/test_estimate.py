"""Operators against synthesis, levels across modules, verdicts."""

from dataclasses import replace

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

import boards.synthesis
from boards.analytic import coarse_netlists, count_module, memory_share
from boards.builds import build_for
from boards.cards import CARDS
from boards.estimate import analytic, resources, synthesised
from boards.netlist import Design
from boards.synthesis import SynthesisError, map_design, synthesise
from golden.engines import ENGINES
from golden.spgemm.params import SpgemmParams
from hw.shell.convert import to_verilog
from hw.spgemm.line_queue import LineQueue
from hw.train.channel_lane import ChannelLane
from hw.train.uspe import Uspe
from tests.boards.test_package import small

UNITS = {"Uspe": Uspe, "ChannelLane": ChannelLane, "LineQueue": lambda: LineQueue(SpgemmParams())}
BOUNDS = {"lut": 0.25, "ff": 0.25, "bram36": 0.10, "uram": 0.10, "dsp": 0.10}


def by_synthesis(made):
    text = to_verilog(made(), "unit")
    design, total = Design([text], "unit"), dict.fromkeys(BOUNDS, 0.0)
    for key, unit in map_design(design).items():
        for name, amount in resources(unit).items():
            total[name] += design.counts[key] * amount
    return total


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(boards.synthesis, "BUILD", tmp_path)


@pytest.mark.parametrize("name", UNITS)
def test_operators_come_near_synthesis(name):
    (counted, *inside) = [count_module(netlist) for _, netlist in sorted(
        coarse_netlists([("unit", UNITS[name](), None)]).items())]
    second = by_synthesis(UNITS[name])
    for resource, bound in BOUNDS.items():
        first = sum(getattr(one, resource) for one in (counted, *inside))
        assert abs(first - second[resource]) <= bound * max(second[resource], 1), resource


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_operators_of_engines_come_near_synthesis(engine, monkeypatch):
    """Also what `python -m bench.estimate_fit` prints; some ten minutes each."""
    monkeypatch.undo()
    build = build_for(engine, None)
    first, second = analytic(build).total, synthesised(build).total
    for resource, bound in BOUNDS.items():
        assert abs(first[resource] - second[resource]) <= bound * max(second[resource], 1), resource


class Parity(wiring.Component):
    """XOR of six bits: a LUT."""

    def __init__(self):
        super().__init__({"a": In(6), "y": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.y.eq(self.a.xor())
        return m


class Chain(wiring.Component):
    """Registers, a Parity, another one of it and more registers, a register."""

    def __init__(self):
        super().__init__({"a": In(6), "b": In(5), "y": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.first, m.submodules.second = first, second = Parity(), Parity()
        held, more = Signal(6), Signal(5)
        m.d.sync += [held.eq(self.a), more.eq(self.b), self.y.eq(second.y)]
        m.d.comb += [first.a.eq(held), second.a[0].eq(first.y), second.a[1:].eq(more)]
        return m


def test_levels_are_joined_across_modules():
    text = to_verilog(Chain(), "chain")
    apart = Design([text], "chain", {r"\chain.first", r"\chain.second"})
    mapped = map_design(apart)
    assert mapped[apart.keys["chain"]].levels == 2
    parity = mapped[apart.keys[r"\chain.first"]]
    assert parity.through == {"y[0]": dict.fromkeys((f"a[{bit}]" for bit in range(6)), 1)}
    assert (parity.starts, parity.ends) == ({}, {})
    together = Design([text], "chain")
    assert map_design(together)[together.keys["chain"]].levels == 2


def test_netlists_are_made_once(monkeypatch):
    text = to_verilog(Parity(), "parity")
    first = map_design(Design([text], "parity"))
    monkeypatch.setattr(boards.synthesis, "synthesise", None)
    assert map_design(Design([text], "parity")) == first


def test_what_yosys_says_is_in_the_error():
    with pytest.raises(SynthesisError, match="syntax error"):
        synthesise({"m": "module m(; endmodule"})


@pytest.mark.parametrize(("width", "depth", "share"), [
    (72, 512, (1.0, 0)), (36, 512, (0.5, 0)), (73, 512, (1.5, 0)), (18, 1024, (0.5, 0)), (72, 2048, (0, 1)),
    (512, 16384, (0, 32))])  # fmt: skip
def test_memories(width, depth, share):
    assert memory_share(width, depth) == share


def test_a_cell_of_no_resource_is_an_error():
    unit = next(iter(map_design(Design([to_verilog(Parity(), "parity")], "parity")).values()))
    with pytest.raises(ValueError, match="cell XYZ is of no known resource"):
        resources(replace(unit, cells={"XYZ": 1}))


def test_verdict():
    build = small("spgemm", "u280", kernels=1)
    found = analytic(build)
    assert found.fits
    total = {name: sum(share[name] for share in found.blocks.values()) for name in found.total}
    assert total == pytest.approx(found.total)
    assert found.percent["dsp"] == 100 * found.total["dsp"] / 9_024
    many = analytic(replace(build, kernels=4000))
    assert (many.fits, many.over[0]) == (False, "lut")
    known = analytic(replace(build, card="v80"))
    assert known.percent["lut"] is None
    assert known.percent["dsp"] == 100 * found.total["dsp"] / CARDS["v80"].dsp
