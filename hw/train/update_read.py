"""What an UPD reads: gradients, master weights, their optimiser's states and which were dropped, side by side."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, TrainParams
from hw.fabric.axi import ADDRESS_BITS, command_layout
from hw.fabric.pipeline import strobes
from hw.fabric.sure_fifo import SureFIFO

from .block_walk import BlockWalk
from .dropped import PIECE_BITS, DroppedWeights
from .layouts import pattern_layout
from .part_sums import PartSums
from .turns import in_turns
from .wuve import step_layout

__all__ = ["UpdateRead"]

BLOCKS = ("gradient", "masters")
KINDS = (*BLOCKS, "index")
GRADIENT, MASTERS, INDEX = (1 << number for number in range(len(KINDS)))
"""Turns of KINDS."""


class UpdateRead(wiring.Component):
    """Asks for a block's gradient, part after part, then for its masters in turns, each only where there is place: so
    beats never wait, and loads on the same port do not either. AHEAD of each are asked for and not yet given. With
    `masked` FF's indices of a line of blocks are asked for before its first block.

    Attributes:
        start: strobe; taps, groups, parts, part, gradient, masters, masked, index, pattern: the instruction's, the last
            two FF's, stable. base: of the port.
        commands, beats: of an AxiReader. o: `update_lanes` weights, in the order of memory.
    """

    AHEAD = 4
    REQUESTS = 32
    """That may be under way, as no kind has more than AHEAD + 1."""

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "start": In(1), "taps": In(8), "groups": In(12), "parts": In(8), "part": In(32),
            **dict.fromkeys(KINDS, In(32)), "masked": In(1), "pattern": In(pattern_layout()), "base": In(ADDRESS_BITS),
            "commands": Out(stream.Signature(command_layout())), "beats": In(stream.Signature(params.axi_bits)),
            "o": Out(stream.Signature(step_layout(params))),
        })

    def elaborate(self, platform):
        m = Module()
        asked, added, given = Signal(len(KINDS)), Signal(), Signal()  # a part of a gradient is added, a block given
        m.submodules.dropped = dropped = DroppedWeights(self.params, ahead=self.AHEAD)
        m.d.comb += [dropped.start.eq(self.start), dropped.index.eq(self.index), dropped.pattern.eq(self.pattern)]
        self._ask(m, dropped, asked, added, given)
        fifos = self._receive(m, dropped, asked)
        self._give(m, dropped, fifos, added, given)
        return m

    def _ask(self, m, dropped, asked, added, given):
        p, masters = self.params, len(self.params.masters) * self.params.block_words
        m.submodules.walk = walk = BlockWalk(p)
        asking, last, turn, moves = Signal(), Signal(), Signal(len(KINDS), init=GRADIENT), Signal()
        left, last_part, one = Signal.like(self.parts), Signal(), self.parts == 1
        late = strobes(m, self.start & self.masked, 2, "late")[-1]  # words of the first line are counted
        of_parts, of_blocks = (self._room(m, asked[number], leaves, KINDS[number])
                               for number, leaves in ((0, added), (1, given)))  # fmt: skip
        at, to = self._following(m, dropped, asked, turn, moves, last_part, self.masked & walk.line_ends)
        room, none = ~(turn[0] & ~of_parts) & ~(turn[1] & ~of_blocks), turn[2] & dropped.none
        low = (p.axi_bits // 8).bit_length() - 1
        m.d.comb += [
            walk.start.eq(self.start), walk.taps.eq(self.taps), walk.groups.eq(self.groups), walk.next.eq(asked[1]),
            self.commands.valid.eq(asking & room & ~none), self.commands.payload.address.eq(self.base + (at << low)),
            self.commands.payload.beats.eq(Mux(turn[2], dropped.count, Mux(turn[1], masters, p.block_words))),
            moves.eq(asking & (none | (room & self.commands.ready))), dropped.asked.eq(moves & turn[2]),
            asked.eq(turn & (moves & ~none).replicate(len(KINDS))),
        ]
        m.d.sync += last.eq(walk.last)
        with m.If(moves):
            m.d.sync += turn.eq(to)
        with m.If(asked[0] & ~last_part):
            m.d.sync += [left.eq(left - 1), last_part.eq(left == 2)]
        with m.If(asked[1]):
            m.d.sync += [left.eq(self.parts), last_part.eq(one), asking.eq(~last)]
        with m.If(late):
            m.d.sync += asking.eq(1)
        with m.If(self.start):
            m.d.sync += [asking.eq(~self.masked), turn.eq(Mux(self.masked, INDEX, GRADIENT)), left.eq(self.parts),
                         last_part.eq(one)]  # fmt: skip

    def _following(self, m, dropped, asked, turn, moves, last_part, new_line):
        """(word at which this request begins, turn of the next one)."""
        p = self.params
        at, following, to = Signal(32, reset_less=True), Signal(32), Signal(len(KINDS))
        gradient, masters = firsts = [Signal(32, name=f"{kind}_first", reset_less=True) for kind in BLOCKS]
        m.d.comb += [following.eq(gradient), to.eq(GRADIENT)]
        with m.If(turn[0] & ~last_part):
            m.d.comb += following.eq(at + self.part)
        with m.If(turn[0] & last_part):
            m.d.comb += [following.eq(masters), to.eq(MASTERS)]
        with m.If(turn[1] & new_line):
            m.d.comb += [following.eq(dropped.at), to.eq(INDEX)]
        with m.If(moves):
            m.d.sync += at.eq(following)
        place_bits = (p.axi_bits // PIECE_BITS).bit_length() - 1
        with m.If(self.start):
            m.d.sync += at.eq(Mux(self.masked, self.index >> place_bits, self.gradient))
        for number, (kind, first, turns) in enumerate(zip(BLOCKS, firsts, (1, len(p.masters)), strict=True)):
            with m.If(asked[number] & last_part):
                m.d.sync += first.eq(first + turns * p.block_words)
            with m.If(self.start):
                m.d.sync += first.eq(getattr(self, kind))
        return at, to

    def _room(self, m, comes, leaves, name):
        """A further block fits."""
        reserved, room = Signal(range(self.AHEAD + 1), name=f"{name}_reserved"), Signal(init=1, name=f"{name}_room")
        following = Signal.like(reserved)
        m.d.comb += following.eq(reserved + comes - leaves)
        m.d.sync += [reserved.eq(following), room.eq(following != self.AHEAD)]
        return room

    def _receive(self, m, dropped, asked):
        """FIFOs of gradients and of each of the masters. Beats come as they were asked for."""
        p = self.params
        most = max(len(dropped.count), (len(p.masters) * p.block_words).bit_length())
        layout = data.StructLayout({"kind": len(KINDS), "beats": most})
        m.submodules.requests = requests = SureFIFO(width=layout.size, depth=self.REQUESTS)
        request, fifos = data.View(layout, requests.r_data), []
        number = Signal(most, init=1)
        ends = self.beats.valid & (number == request.beats)
        m.d.comb += [
            self.beats.ready.eq(1), requests.w_en.eq(asked.any()),
            requests.w_data.eq(Cat(asked, self.commands.payload.beats[:len(number)])), requests.r_en.eq(ends),
            dropped.word.eq(self.beats.payload), dropped.write.eq(self.beats.valid & request.kind[2]),
        ]
        with m.If(self.beats.valid):
            m.d.sync += number.eq(Mux(ends, 1, number + 1))
        given = self.beats.valid & request.kind[1]
        masters = [request.kind[1] & turn for turn in in_turns(m, len(p.masters), given)]
        for bit, kind in zip((request.kind[0], *masters), ("gradient", *p.masters), strict=True):
            fifo = SureFIFO(width=p.axi_bits, depth=self.AHEAD * p.block_words)
            m.submodules[kind] = fifo
            m.d.comb += [fifo.w_en.eq(self.beats.valid & bit), fifo.w_data.eq(self.beats.payload)]
            fifos.append(fifo)
        return fifos

    def _give(self, m, dropped, fifos, added, given):
        p = self.params
        m.submodules.sums = sums = PartSums(p)
        gradient, *others = fifos
        o = Signal(step_layout(p), reset_less=True)
        adds, takes = Signal(), Signal()
        (part,), _, part_ends = self._cut(m, [gradient], adds, "part")
        masters, number, block_ends = self._cut(m, others, takes, "block")
        m.d.comb += [
            sums.start.eq(self.start), sums.parts.eq(self.parts), sums.i.valid.eq(gradient.r_rdy),
            sums.i.payload.eq(part), adds.eq(sums.i.valid & sums.i.ready), added.eq(part_ends), given.eq(block_ends),
            sums.o.ready.eq(Cat(fifo.r_rdy for fifo in others).all() & (~self.o.valid | self.o.ready)
                            & (dropped.ready | ~self.masked)),
            dropped.number.eq(number), dropped.next.eq(given & self.masked),
            takes.eq(sums.o.valid & sums.o.ready), self.o.payload.eq(o),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(takes):
            m.d.sync += [self.o.valid.eq(1), o.pruned.eq(Mux(self.masked, dropped.pruned, 0)),
                         o.gradient.eq(sums.o.payload),
                         *(o[name].eq(numbers) for name, numbers in zip(p.masters, masters, strict=True))]

    def _cut(self, m, fifos, takes, name):
        """([the next `update_lanes` numbers of each], which ones of a block, strobe: its last ones are taken)."""
        p = self.params
        number = Signal(range(GROUP * GROUP // p.update_lanes), name=f"{name}_number")
        of_word = (p.word // 2 // p.update_lanes).bit_length() - 1
        step, bits = number[:of_word], 32 * p.update_lanes
        m.d.sync += number.eq(number + takes)
        m.d.comb += [fifo.r_en.eq(takes & (step.all() if of_word else 1)) for fifo in fifos]
        numbers = [fifo.r_data.word_select(step, bits) if of_word else fifo.r_data for fifo in fifos]
        return numbers, number, takes & number.all()
