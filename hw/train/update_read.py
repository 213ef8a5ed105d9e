"""What an UPD reads: gradients, master weights and velocities, side by side."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import TrainParams
from hw.fabric.axi import ADDRESS_BITS, command_layout
from hw.fabric.sure_fifo import SureFIFO

from .block_walk import BlockWalk
from .wuve import step_layout

__all__ = ["UpdateRead"]

KINDS = ("gradient", "w", "v")


class UpdateRead(wiring.Component):
    """Asks for a block of each of KINDS in turn, but only where there is place for all three: so beats never wait, and
    loads on the same port do not either. BLOCKS blocks are asked for and not yet given.

    Attributes:
        start: strobe; taps, groups, gradient, w, v: the instruction's, stable. base: of the port.
        commands, beats: of an AxiReader. o: `update_lanes` weights, in the order of memory.
    """

    BLOCKS = 4

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "start": In(1), "taps": In(8), "groups": In(12), **dict.fromkeys(KINDS, In(32)), "base": In(ADDRESS_BITS),
            "commands": Out(stream.Signature(command_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "o": Out(stream.Signature(step_layout(params))),
        })

    def elaborate(self, platform):
        m = Module()
        given = Signal()  # a block
        self._ask(m, given)
        fifos = self._receive(m)
        self._give(m, fifos, given)
        return m

    def _ask(self, m, given):
        words = self.params.block_words
        m.submodules.walk = walk = BlockWalk(self.params)
        addresses = [Signal(32, name=f"address_{kind}", reset_less=True) for kind in KINDS]
        turn, asking, last = Signal(len(KINDS), init=1), Signal(), Signal()
        reserved, room = Signal(range(self.BLOCKS + 1)), Signal(init=1)
        reserved_next = Signal.like(reserved)
        asked = self.commands.valid & self.commands.ready
        low = (self.params.axi_bits // 8).bit_length() - 1
        m.d.comb += [
            walk.start.eq(self.start), walk.taps.eq(self.taps), walk.groups.eq(self.groups),
            walk.next.eq(asked & turn[-1]),
            self.commands.valid.eq(asking & (room | ~turn[0])), self.commands.payload.beats.eq(words),
            self.commands.payload.address.eq(self.base + (addresses[0] << low)),
            reserved_next.eq(reserved + (asked & turn[0]) - given),
        ]  # fmt: skip
        m.d.sync += [reserved.eq(reserved_next), room.eq(reserved_next != self.BLOCKS), last.eq(walk.last)]
        with m.If(asked):
            m.d.sync += [turn.eq(turn.rotate_left(1)),
                         *(a.eq(b) for a, b in zip(addresses, [*addresses[1:], addresses[0] + words], strict=True))]
        with m.If(walk.next & last):
            m.d.sync += asking.eq(0)
        with m.If(self.start):
            m.d.sync += [asking.eq(1), *(a.eq(getattr(self, kind)) for a, kind in zip(addresses, KINDS, strict=True))]

    def _receive(self, m):
        words = self.params.block_words
        place, turn, fifos = Signal(range(words)), Signal(len(KINDS), init=1), []
        m.d.comb += self.beats.ready.eq(1)
        with m.If(self.beats.valid):
            m.d.sync += place.eq(place + 1)
            with m.If(place.all()):
                m.d.sync += turn.eq(turn.rotate_left(1))
        for number, kind in enumerate(KINDS):
            fifo = SureFIFO(width=self.params.axi_bits, depth=self.BLOCKS * words)
            m.submodules[kind] = fifo
            m.d.comb += [fifo.w_en.eq(self.beats.valid & turn[number]), fifo.w_data.eq(self.beats.payload)]
            fifos.append(fifo)
        return fifos

    def _give(self, m, fifos, given):
        p = self.params
        steps = p.word // 2 // p.update_lanes
        step, word = Signal(range(max(2, steps))), Signal(range(p.block_words))
        takes, word_ends = Signal(), Signal()
        o = Signal(step_layout(p), reset_less=True)
        m.d.comb += [
            takes.eq(Cat(fifo.r_rdy for fifo in fifos).all() & (~self.o.valid | self.o.ready)),
            word_ends.eq(takes & (step == steps - 1)), given.eq(word_ends & word.all()),
            *(fifo.r_en.eq(word_ends) for fifo in fifos), self.o.payload.eq(o),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(takes):
            m.d.sync += [self.o.valid.eq(1), step.eq(Mux(word_ends, 0, step + 1)), o.pruned.eq(0)]
            for kind, fifo in zip(KINDS, fifos, strict=True):
                m.d.sync += o[kind].eq(fifo.r_data.word_select(step, 32 * p.update_lanes))
        with m.If(word_ends):
            m.d.sync += word.eq(word + 1)
