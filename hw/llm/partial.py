"""Integer sums of a scale group, of every row and both vectors, behind a chain."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.llm.numerics import EX_MAX
from golden.params import LlmParams

from .layouts import PAIR, PARTIAL_BITS, ROW_BITS, product_layout

__all__ = ["GroupSums"]


class GroupSums(wiring.Component):
    """sum[bank][row][vector] += product << shift; both results of a pass in one cycle, as their rows differ in parity.

    One bank of groups is summed while the other is read and cleared. One pass a cycle, no back-pressure; a sum is
    complete 2 cycles after its last product.

    Attributes:
        product: from the chain. shift: of each half of the activation buffer and each vector.
        group_end: strobe: all products of a group are in, with `half`, `bank` and `tile_last`.
        read_*: read port, combinational; clear: the sum becomes 0. sweep: so do the sums of `read_row` and of the row
            that differs in the last bit, in both banks and of both vectors; no product may come then.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "product": In(product_layout()),
            "shift": In(data.ArrayLayout(data.ArrayLayout(3, PAIR), 2)),
            "group_end": Out(1),
            "half": Out(1),
            "bank": Out(1),
            "tile_last": Out(1),
            "read_bank": In(1),
            "read_vector": In(1),
            "read_row": In(ROW_BITS),
            "read_data": Out(signed(PARTIAL_BITS)),
            "clear": In(1),
            "sweep": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        depth = self.params.vpu_rows // 2
        product, tags = self.product, self.product.tags
        s1_tags = Signal.like(tags, reset_less=True)
        valid = Signal()
        m.d.sync += [s1_tags.eq(tags), valid.eq(tags.valid)]
        m.d.comb += [
            self.half.eq(s1_tags.half),
            self.bank.eq(s1_tags.bank),
            self.tile_last.eq(s1_tags.tile_last),
            self.group_end.eq(valid & s1_tags.group_last),
        ]
        shift = Signal(data.ArrayLayout(3, PAIR))
        m.d.comb += shift.eq(Mux(tags.half, self.shift[1], self.shift[0]))
        read_parity = self.read_row.xor()
        found = []
        for parity in range(2):
            is_first, used = Signal(name=f"is_first_{parity}"), Signal(name=f"used_{parity}")
            at = Signal(range(depth), name=f"at_{parity}", reset_less=True)
            m.d.comb += is_first.eq(tags.row.xor() == parity)
            m.d.sync += [
                used.eq(tags.valid & (is_first | tags.second)),
                at.eq(Mux(is_first, tags.row, tags.second_row) >> 1),
            ]
            for vector in range(PAIR):
                shifted = Signal(signed(20 + EX_MAX), name=f"shifted_{parity}_{vector}", reset_less=True)
                m.d.sync += shifted.eq(Mux(is_first, product.first[vector], product.second[vector]) << shift[vector])
                for bank in range(2):
                    name = f"bank_{bank}_{parity}_{vector}"
                    m.submodules[name] = memory = Memory(shape=signed(PARTIAL_BITS), depth=depth, init=[])
                    write, read = memory.write_port(), memory.read_port(domain="comb")
                    mine, cleared = Signal(name=f"{name}_mine"), Signal(name=f"{name}_cleared")
                    m.d.comb += [
                        mine.eq(used & (s1_tags.bank == bank)),
                        cleared.eq(self.sweep | (self.clear & (self.read_bank == bank) & (self.read_vector == vector)
                                                 & (read_parity == parity))),
                        read.addr.eq(Mux(mine, at, self.read_row >> 1)),
                        write.addr.eq(read.addr),
                        write.en.eq(mine | cleared),
                        write.data.eq(Mux(mine, read.data + shifted, 0)),
                    ]
                    found.append((bank, parity, vector, read.data))
        with m.Switch(self.read_bank):
            for bank in range(2):
                with m.Case(bank):
                    with m.Switch(read_parity):
                        for parity in range(2):
                            with m.Case(parity):
                                of_vector = [d for b, p, _, d in found if (b, p) == (bank, parity)]
                                m.d.comb += self.read_data.eq(Mux(self.read_vector, of_vector[1], of_vector[0]))
        return m
