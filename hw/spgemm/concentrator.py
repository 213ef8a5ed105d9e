"""Closes the gaps between a group's elements, behind those that came before."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Concentrator"]


class Concentrator(wiring.Component):
    """Element number i of all that have come leaves in lane i modulo `lanes`; a group a cycle, in order.

    A butterfly of log2(lanes) stages, a register behind each, that corrects the lowest bit of the lane first: elements
    that meet would have to be a multiple of 2, 4, .. apart in number and are not so far apart in lane.

    Attributes:
        mask: lanes of a group that have an element; `data` follows LEAD cycles later.
        restart: strobe: the next element leaves in lane 0; no group within LEAD cycles before.
        out_mask, out: LATENCY cycles behind `data`.
    """

    LEAD = 2

    def __init__(self, lanes: int, width: int):
        if lanes < 2 or lanes & (lanes - 1):
            raise ValueError(f"lanes = {lanes!r}: must be a power of two from 2 on")
        self.lanes = lanes
        self.bits = self.LATENCY = lanes.bit_length() - 1
        super().__init__({
            "mask": In(lanes),
            "data": In(data.ArrayLayout(width, lanes)),
            "restart": In(1),
            "out_mask": Out(lanes),
            "out": Out(data.ArrayLayout(width, lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        mask, targets = self._targets(m)
        elements = [self.data[lane] for lane in range(self.lanes)]
        for bit in range(self.bits):
            mask, targets, elements = self._stage(m, bit, mask, targets, elements)
        m.d.comb += [self.out_mask.eq(mask), *(out.eq(element) for out, element in
                                               zip(self.out, elements, strict=True))]  # fmt: skip
        return m

    def _targets(self, m):
        """(mask when the data comes, lane to which each of its elements goes)."""
        early, mask = Signal(self.lanes), Signal(self.lanes)
        base, total = Signal(self.bits), Signal(self.bits)
        m.d.sync += [early.eq(self.mask), mask.eq(early), total.eq(_ones(self.mask, self.bits)), base.eq(base + total)]
        with m.If(self.restart):
            m.d.sync += base.eq(0)
        targets = []
        for lane in range(self.lanes):
            before = Signal(self.bits, name=f"before_{lane}", reset_less=True)
            target = Signal(self.bits, name=f"target_{lane}", reset_less=True)
            m.d.sync += [before.eq(_ones(self.mask[:lane], self.bits)), target.eq(base + before)]
            targets.append(target)
        return mask, targets

    def _stage(self, m, bit, mask, targets, elements):
        after = Signal(self.lanes, name=f"mask_{bit}")
        moved, carried = [], []
        for lane in range(self.lanes):
            other = lane ^ 1 << bit
            stays = mask[lane] & (targets[lane][bit] == lane >> bit & 1)
            comes = mask[other] & (targets[other][bit] == lane >> bit & 1)
            element = Signal.like(elements[lane], name=f"element_{bit}_{lane}", reset_less=True)
            m.d.sync += [after[lane].eq(stays | comes), element.eq(Mux(comes, elements[other], elements[lane]))]
            carried.append(element)
            if bit + 1 < self.bits:
                target = Signal(self.bits, name=f"target_{bit}_{lane}", reset_less=True)
                m.d.sync += target.eq(Mux(comes, targets[other], targets[lane]))
                moved.append(target)
        return after, moved, carried


def _ones(value, width):
    """How many bits are one, modulo 2**width: by full adders, which are fewer levels than a chain of sums."""
    columns = [list(value), *([] for _ in range(width))]
    for weight in range(width):
        column, carries = columns[weight], columns[weight + 1]
        while len(column) > 1:
            a, b, c = (column.pop(0) if column else Const(0) for _ in range(3))
            column.append(a ^ b ^ c)
            carries.append(a & b | a & c | b & c)
    return Cat(*(column[0] if column else Const(0) for column in columns[:width]))
