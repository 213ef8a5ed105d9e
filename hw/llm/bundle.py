"""Assembles bundles from bit planes or raw bytes: the dequantiser's datapath."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.params import BLOCK, LlmParams

__all__ = ["BundleAssembler"]


class BundleAssembler(wiring.Component):
    """Shifts the planes of a beat into 16 slots, `planes` a cycle, and says when a bundle is complete.

    A beat may end one bundle and begin the next (odd widths); it never ends two.
    Latency 0 (the completed bundle is combinational at the beat that completes it), one beat a cycle.

    Attributes:
        beat, take: the lane's beat and the strobe that consumes it.
        begin: strobe: the next beat starts a bundle (no planes are held).
        width: bits of a value; signed_values; indexed: four index planes come first; raw: bytes instead of planes.
        complete: this beat completes a bundle; weights, index: the bundle.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "beat": In(params.lane_bits),
            "take": In(1),
            "begin": In(1),
            "width": In(4),
            "signed_values": In(1),
            "indexed": In(1),
            "raw": In(1),
            "complete": Out(1),
            "weights": Out(data.ArrayLayout(signed(8), BLOCK)),
            "index": Out(data.ArrayLayout(unsigned(4), BLOCK)),
        })

    def elaborate(self, platform):
        m = Module()
        planes = self.params.planes
        raw_beats = 8 // planes

        weights = Signal(BLOCK * 8, reset_less=True)
        index = Signal(BLOCK * 4, reset_less=True)
        left = Signal(range(13))
        total = Signal(range(13))
        m.d.comb += total.eq(Mux(self.raw, raw_beats, self.width + Mux(self.indexed, 4, 0)))

        def step(name: str, w: Value, ix: Value, remaining: Value, plane: Value) -> tuple[Value, Value]:
            in_index, first = Signal(name=f"{name}_in_index"), Signal(name=f"{name}_first")
            m.d.comb += [in_index.eq(remaining > self.width), first.eq(remaining == self.width)]
            new_w, new_ix = [], []
            for slot in range(BLOCK):
                bit, old, old_ix = plane[slot], w.word_select(slot, 8), ix.word_select(slot, 4)
                fill = Cat(bit, (bit & self.signed_values).replicate(7))
                new_w.append(Mux(in_index, old, Mux(first, fill, Cat(bit, old[:7]))))
                new_ix.append(Mux(in_index, Cat(bit, old_ix[:3]), old_ix))
            stepped_w, stepped_ix = Signal(BLOCK * 8, name=f"{name}_weights"), Signal(BLOCK * 4, name=f"{name}_index")
            m.d.comb += [stepped_w.eq(Cat(*new_w)), stepped_ix.eq(Cat(*new_ix))]
            return stepped_w, stepped_ix

        done_weights = Signal(BLOCK * 8)
        done_index = Signal(BLOCK * 4)
        next_weights = Signal(BLOCK * 8)
        next_index = Signal(BLOCK * 4)
        next_left = Signal(range(13))
        w1, ix1 = step("first_plane", weights, index, left, self.beat[:BLOCK])
        if planes == 1:
            m.d.comb += [
                self.complete.eq(left == 1),
                Cat(done_weights, done_index).eq(Cat(w1, ix1)),
                Cat(next_weights, next_index).eq(Cat(w1, ix1)),
                next_left.eq(left - 1),
            ]
        else:
            straddle = left == 1
            w2, ix2 = step("second_plane", w1, ix1, Mux(straddle, total, left - 1), self.beat[BLOCK:])
            m.d.comb += [
                self.complete.eq(left <= 2),
                Cat(done_weights, done_index).eq(Mux(straddle, Cat(w1, ix1), Cat(w2, ix2))),
                Cat(next_weights, next_index).eq(Cat(w2, ix2)),
                next_left.eq(Mux(straddle, total - 1, left - 2)),
            ]
        with m.If(self.raw):
            shifted = Cat(weights, self.beat)[self.params.lane_bits :]
            m.d.comb += [
                self.complete.eq(left == 1),
                Cat(done_weights, next_weights).eq(shifted.replicate(2)),
                next_left.eq(left - 1),
            ]
        with m.If(self.take):
            m.d.sync += [weights.eq(next_weights), index.eq(next_index)]
            m.d.sync += left.eq(Mux(next_left == 0, total, next_left))
        with m.If(self.begin):
            m.d.sync += left.eq(total)
        m.d.comb += [self.weights.as_value().eq(done_weights), self.index.as_value().eq(done_index)]
        return m
