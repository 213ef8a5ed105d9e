"""What an UPD reads: gradients, master weights and velocities, side by side."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, TrainParams
from hw.fabric.axi import ADDRESS_BITS, command_layout
from hw.fabric.sure_fifo import SureFIFO

from .block_walk import BlockWalk
from .part_sums import PartSums
from .wuve import step_layout

__all__ = ["UpdateRead"]

KINDS = ("gradient", "w", "v")


class UpdateRead(wiring.Component):
    """Asks for a block's gradient, part after part, then for its w and v, each only where there is place for it: so
    beats never wait, and loads on the same port do not either. BLOCKS of each of KINDS are asked for and not yet given.

    Attributes:
        start: strobe; taps, groups, parts, part, gradient, w, v: the instruction's, stable. base: of the port.
        commands, beats: of an AxiReader. o: `update_lanes` weights, in the order of memory.
    """

    BLOCKS = 4
    REQUESTS = 16
    """That may be under way, as no kind has more than BLOCKS."""

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "start": In(1), "taps": In(8), "groups": In(12), "parts": In(8), "part": In(32),
            **dict.fromkeys(KINDS, In(32)), "base": In(ADDRESS_BITS),
            "commands": Out(stream.Signature(command_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "o": Out(stream.Signature(step_layout(params))),
        })

    def elaborate(self, platform):
        m = Module()
        asked, added, given = Signal(len(KINDS)), Signal(), Signal()  # a part of a gradient is added, a block given
        self._ask(m, asked, added, given)
        fifos = self._receive(m, asked)
        self._give(m, fifos, added, given)
        return m

    def _ask(self, m, asked, added, given):
        p = self.params
        m.submodules.walk = walk = BlockWalk(p)
        asking, last, turn = Signal(), Signal(), Signal(len(KINDS), init=1)
        at = Signal(32, reset_less=True)
        firsts = [Signal(32, name=f"{kind}_first", reset_less=True) for kind in KINDS]
        left, last_part, one = Signal.like(self.parts), Signal(), self.parts == 1
        taken = self.commands.valid & self.commands.ready
        of_parts, of_blocks = (self._room(m, asked[number], leaves, KINDS[number])
                               for number, leaves in ((0, added), (1, given)))  # fmt: skip
        room = Mux(turn[0], of_parts, of_blocks | turn[2])
        low = (p.axi_bits // 8).bit_length() - 1
        m.d.comb += [
            walk.start.eq(self.start), walk.taps.eq(self.taps), walk.groups.eq(self.groups), walk.next.eq(asked[2]),
            self.commands.valid.eq(asking & room), self.commands.payload.beats.eq(p.block_words),
            self.commands.payload.address.eq(self.base + (at << low)),
            asked.eq(turn & taken.replicate(len(KINDS))),
        ]
        m.d.sync += last.eq(walk.last)
        for number, first in enumerate(firsts):
            with m.If(asked[number] & last_part):
                m.d.sync += [at.eq(firsts[(number + 1) % len(KINDS)]), first.eq(first + p.block_words)]
        with m.If(taken & (~turn[0] | last_part)):
            m.d.sync += turn.eq(turn.rotate_left(1))
        with m.If(asked[0] & ~last_part):
            m.d.sync += [left.eq(left - 1), last_part.eq(left == 2), at.eq(at + self.part)]
        with m.If(asked[2]):
            m.d.sync += [left.eq(self.parts), last_part.eq(one), asking.eq(~last)]
        with m.If(self.start):
            m.d.sync += [
                asking.eq(1), at.eq(self.gradient), left.eq(self.parts), last_part.eq(one),
                *(first.eq(getattr(self, kind)) for kind, first in zip(KINDS, firsts, strict=True)),
            ]

    def _room(self, m, comes, leaves, name):
        """A further block fits."""
        reserved, room = Signal(range(self.BLOCKS + 1), name=f"{name}_reserved"), Signal(init=1, name=f"{name}_room")
        following = Signal.like(reserved)
        m.d.comb += following.eq(reserved + comes - leaves)
        m.d.sync += [reserved.eq(following), room.eq(following != self.BLOCKS)]
        return room

    def _receive(self, m, asked):
        """FIFOs of KINDS. Beats come as they were asked for."""
        words = self.params.block_words
        m.submodules.kinds = kinds = SureFIFO(width=len(KINDS), depth=self.REQUESTS)
        place, fifos = Signal(range(words)), []
        m.d.comb += [
            self.beats.ready.eq(1), kinds.w_en.eq(asked.any()), kinds.w_data.eq(asked),
            kinds.r_en.eq(self.beats.valid & place.all()),
        ]
        m.d.sync += place.eq(place + self.beats.valid)
        for number, kind in enumerate(KINDS):
            fifo = SureFIFO(width=self.params.axi_bits, depth=self.BLOCKS * words)
            m.submodules[kind] = fifo
            m.d.comb += [fifo.w_en.eq(self.beats.valid & kinds.r_data[number]), fifo.w_data.eq(self.beats.payload)]
            fifos.append(fifo)
        return fifos

    def _give(self, m, fifos, added, given):
        p = self.params
        m.submodules.sums = sums = PartSums(p)
        gradient, *others = fifos
        o, adds, takes = Signal(step_layout(p), reset_less=True), Signal(), Signal()
        (part,), part_ends = self._cut(m, [gradient], adds, "part")
        (w, v), block_ends = self._cut(m, others, takes, "block")
        m.d.comb += [
            sums.start.eq(self.start), sums.parts.eq(self.parts), sums.i.valid.eq(gradient.r_rdy),
            sums.i.payload.eq(part), adds.eq(sums.i.valid & sums.i.ready), added.eq(part_ends), given.eq(block_ends),
            sums.o.ready.eq(Cat(fifo.r_rdy for fifo in others).all() & (~self.o.valid | self.o.ready)),
            takes.eq(sums.o.valid & sums.o.ready), self.o.payload.eq(o),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(takes):
            m.d.sync += [self.o.valid.eq(1), o.pruned.eq(0), o.gradient.eq(sums.o.payload), o.w.eq(w), o.v.eq(v)]

    def _cut(self, m, fifos, takes, name):
        """([the next `update_lanes` numbers of each], strobe: the last ones of a block are taken)."""
        p = self.params
        number = Signal(range(GROUP * GROUP // p.update_lanes), name=f"{name}_number")
        of_word = (p.word // 2 // p.update_lanes).bit_length() - 1
        step, bits = number[:of_word], 32 * p.update_lanes
        m.d.sync += number.eq(number + takes)
        m.d.comb += [fifo.r_en.eq(takes & (step.all() if of_word else 1)) for fifo in fifos]
        return [fifo.r_data.word_select(step, bits) if of_word else fifo.r_data for fifo in fifos], takes & number.all()
