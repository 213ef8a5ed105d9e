"""The queue in which elements of C become memory words."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.ram import Ram

from .layouts import elements_port, held_layout

__all__ = ["ElementQueue"]


class ElementQueue(wiring.Component):
    """Words of elements, whole ones only; each lane is a RAM of its own, so that elements go straight to their word.

    Elements of a cycle take the next free lanes, around the word's end. Up to a word a cycle in and out; a word is
    offered LATENCY cycles after its last element. No back-pressure but `room`.

    Attributes:
        elements: as in `elements_port`. room: knows of a word 3 cycles after it has come; MARGIN more fit.
        words: the words. waiting: how many wait behind the one that is offered, a cycle ago.
    """

    DEPTH = 512
    MARGIN = 16
    LATENCY = 2

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        super().__init__({
            "elements": In(elements_port(p)),
            "words": Out(stream.Signature(data.ArrayLayout(held_layout(p), p.lanes))),
            "waiting": Out(range(self.DEPTH)),
        })

    def elaborate(self, platform):
        m = Module()
        mask, lanes = self.elements.mask, self.params.lanes
        # the word that fills and the one behind it; lanes that the former has
        row, next_row, filled = Signal(range(self.DEPTH)), Signal(range(self.DEPTH), init=1), Signal(lanes)
        whole, first, free = Signal(), Signal(range(self.DEPTH)), Signal()
        m.d.comb += [whole.eq((filled | mask).all()), free.eq(~self.words.valid | self.words.ready)]
        m.d.sync += [
            filled.eq(Mux(whole, filled & mask, filled | mask)),
            self.waiting.eq(row - first), self.elements.room.eq(self.waiting <= self.DEPTH - 1 - self.MARGIN),
        ]  # fmt: skip
        with m.If(whole):
            m.d.sync += [row.eq(next_row), next_row.eq(next_row + 1)]
        with m.If(free):
            m.d.sync += self.words.valid.eq(first != row)
            with m.If(first != row):
                m.d.sync += first.eq(first + 1)
        words = []
        for lane in range(lanes):
            m.submodules[f"lane_{lane}"] = ram = Ram(width=held_layout(self.params).size, depth=self.DEPTH)
            m.d.comb += [
                ram.write_enable.eq(mask[lane]), ram.write_address.eq(Mux(filled[lane], next_row, row)),
                ram.write_data.eq(self.elements.data[lane]),
                ram.read_enable.eq(free), ram.read_address.eq(first),
            ]  # fmt: skip
            words.append(ram.read_data)
        m.d.comb += self.words.payload.eq(Cat(*words))
        return m
