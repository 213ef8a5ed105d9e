"""Largest exponents of the rows that come by: of every block of 16 and of every vector."""

from functools import reduce
from itertools import combinations
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.params import BLOCK, LlmParams
from hw.fabric.pipeline import delay, strobes

__all__ = ["LargestExponents", "exponent_layout"]

VECTORS = 16
"""Repetitions of an instruction at most."""


def exponent_layout(params: LlmParams) -> data.StructLayout:
    """A row's biased exponents, if `valid`.

    live: its elements that count, the first ones. first, last: of its vector. final: of an instruction's last vector.
    """
    return data.StructLayout({
        "valid": 1,
        "live": params.sfu_lanes,
        "first": 1,
        "last": 1,
        "final": 1,
        "exponents": data.ArrayLayout(8, params.sfu_lanes),
    })


class LargestExponents(wiring.Component):
    """A row a cycle, vectors one behind the other. Blocks count through all vectors of an instruction, modulo
    `noted_blocks`.

    LATENCY cycles from a row until its maxima can be read; `noted` is registered first: one more.

    Attributes:
        scanned, noted: rows that QNT reads, rows that a VEC writes; never while others are under way.
        ended, scanned_vector: strobe a cycle before the last row of a vector of `scanned` can be read; its maximum.
        block, of_block: number of a block; its maximum one cycle later. vector, of_vector: the same, in that cycle.
    """

    LATENCY = 3

    def __init__(self, params: LlmParams):
        self.params = p = params
        self.sub_bits = (BLOCK // p.sfu_lanes).bit_length() - 1
        super().__init__({
            "scanned": In(exponent_layout(p)),
            "noted": In(exponent_layout(p)),
            "ended": Out(1),
            "scanned_vector": Out(8),
            "block": In(range(p.noted_blocks)),
            "of_block": Out(8),
            "vector": In(range(VECTORS)),
            "of_vector": Out(8),
        })

    def elaborate(self, platform):
        m, p = Module(), self.params
        m.submodules.blocks = blocks = Memory(shape=8, depth=p.noted_blocks, init=[])
        m.submodules.vectors = vectors = Memory(shape=8, depth=VECTORS, init=[])
        block_write, block_read = blocks.write_port(), blocks.read_port()
        vector_write, vector_read = vectors.write_port(), vectors.read_port(domain="comb")

        # s1: a row of either kind
        noted_valid = strobes(m, self.noted.valid, 1, "noted_valid")[-1]
        s1 = Signal(exponent_layout(p))
        m.d.comb += [
            s1.eq(Mux(noted_valid, delay(m, self.noted, 1, "noted"), self.scanned)),
            s1.valid.eq(noted_valid | self.scanned.valid),
        ]

        # s2, s3: largest exponent of four elements, of the row
        lanes = [(s1.exponents[k], s1.live[k]) for k in range(p.sfu_lanes)]
        groups = [lanes[first : first + 4] for first in range(0, len(lanes), 4)]
        fours = [
            (delay(m, largest(m, four, f"largest_{k}"), 1, f"s2_{k}"), delay(m, four[0][1], 1, f"s2_live_{k}"))
            for k, four in enumerate(groups)
        ]
        s3 = delay(m, Mux(fours[0][1], largest(m, fours, "largest_of_row"), 0), 1, "s3_largest")
        s3_valid = strobes(m, s1.valid, 2, "s3_valid")[-1]
        s3_scanned = strobes(m, self.scanned.valid, 2, "s3_scanned")[-1]
        s3_first, s3_last, s3_final = (
            delay(m, getattr(s1, name), 2, f"s3_{name}") for name in ("first", "last", "final")
        )

        # s3: of the block and the vector so far
        running, so_far = Signal(8, reset_less=True), Signal(8, reset_less=True)
        part, block, vector = Signal(max(1, self.sub_bits)), Signal(range(p.noted_blocks)), Signal(range(VECTORS))
        opens, closes = (part == 0, part.all()) if self.sub_bits else (1, 1)
        of_block, of_vector = Signal(8), Signal(8)
        m.d.comb += [
            of_block.eq(Mux(opens | (s3 > running), s3, running)),
            of_vector.eq(Mux(s3_first | (s3 > so_far), s3, so_far)),
            block_write.en.eq(s3_valid),
            block_write.addr.eq(block),
            block_write.data.eq(of_block),
            vector_write.en.eq(s3_valid),
            vector_write.addr.eq(vector),
            vector_write.data.eq(of_vector),
            self.ended.eq(s3_scanned & s3_last),
            self.scanned_vector.eq(of_vector),
            block_read.addr.eq(self.block),
            self.of_block.eq(block_read.data),
            vector_read.addr.eq(self.vector),
            self.of_vector.eq(vector_read.data),
        ]
        with m.If(s3_valid):
            m.d.sync += [running.eq(of_block), so_far.eq(of_vector), part.eq(part + 1)]
            with m.If(closes | s3_last):
                m.d.sync += [part.eq(0), block.eq(block + 1)]
            with m.If(s3_last):
                m.d.sync += vector.eq(vector + 1)
                with m.If(s3_final):
                    m.d.sync += [block.eq(0), vector.eq(0)]
        return m


def largest(m, values, name):
    """Largest exponent of (exponent, live); behind one that is not live there is none."""
    wins = [[] for _ in values]
    for (i, (a, _)), (j, (b, b_live)) in combinations(enumerate(values), 2):
        first = Signal(name=f"{name}_is_{i}_not_{j}")
        m.d.comb += first.eq((a >= b) | ~b_live)
        wins[i].append(first)
        wins[j].append(~first)
    chosen = [Mux(Cat(*win).all(), exponent, 0) for (exponent, _), win in zip(values, wins, strict=True)]
    result = Signal(8, name=name)
    m.d.comb += result.eq(reduce(or_, chosen))
    return result
