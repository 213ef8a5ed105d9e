"""Sparse online reduction engine: of each M numbers in a lane the N largest, as they come."""

from itertools import combinations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import GROUP, LONGEST

from .layouts import NUMBER_BITS, pattern_layout, piece_layout, row_layout

__all__ = ["Sore", "sore_row_layout"]

MAGNITUDE_BITS = NUMBER_BITS - 1
TOP = LONGEST - 1


def sore_row_layout() -> data.StructLayout:
    """A row, and N:M of the block that it opens; in further rows of the block the pattern has no meaning."""
    return data.StructLayout({"numbers": row_layout(), "pattern": pattern_layout()})


class Sore(wiring.Component):
    """`golden.train.prune.pieces`: a block of 16 rows in, S = 16 N / M pieces out, slot by slot; dense is 1:1.

    A lane holds LONGEST candidates; those of N:M are the last N places, the newest in place TOP. A number that stays
    closes the gap which the candidate that goes leaves: places from there on move down by one, it becomes the newest.
    So candidates stay in ascending order without multiplexers, and what a lane does is one enable for each place. Who
    goes is known from the order of each two candidates, registered; that of the new number and each of them is what a
    cycle compares.

    The first N rows of a group are taken into the places that the candidates of the group before leave: these move out
    of place LONGEST - N as pieces, row by row, or earlier, when no row comes. So with a taker that is always ready a
    row is taken every cycle; pieces come up to N in a row, and one that waits holds up rows after those for which
    there are places. Only a block with another N waits until the last one's pieces are gone, N cycles at most.

    Pieces are offered LATENCY cycles after the last row of their group was taken, whether or not further rows come.
    `i.ready` follows from `o.ready`. Data registers have no reset.

    Attributes:
        i: rows; a pattern is one of `pattern_logs`. o: pieces, the group's lowest index first.
    """

    LATENCY = 1

    def __init__(self):
        super().__init__({
            "i": In(stream.Signature(sore_row_layout())), "o": Out(stream.Signature(piece_layout())),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        pattern, held, place = Signal(pattern_layout()), Signal(pattern_layout(), reset_less=True), Signal(range(GROUP))
        opens = Signal(init=1)
        row = self.i.payload
        m.d.comb += pattern.eq(Mux(opens, row.pattern, held))
        take = self.i.valid & self.i.ready
        with m.If(take):
            m.d.sync += [held.eq(pattern), place.eq(place + 1), opens.eq(place == GROUP - 1)]

        moves, steps, active = self._places(m, pattern, held, place, opens, take)
        for lane in range(GROUP):
            number = row.numbers[lane]
            down, values = self._lane(m, lane, number, moves, steps, active)
            indices = [Signal(range(GROUP), name=f"index_{lane}_{at}", reset_less=True) for at in range(LONGEST)]
            for at in range(LONGEST):
                with m.If(down[at]):
                    m.d.sync += [values[at].eq(number if at == TOP else values[at + 1]),
                                 indices[at].eq(place if at == TOP else indices[at + 1])]  # fmt: skip
            with m.Switch(held.n):
                for log_n in range(LONGEST.bit_length()):
                    with m.Case(log_n):
                        leaves = LONGEST - (1 << log_n)
                        m.d.comb += [self.o.payload.values[lane].eq(values[leaves]),
                                     self.o.payload.index[lane].eq(indices[leaves])]  # fmt: skip
        return m

    def _places(self, m, pattern, held, place, opens, take):
        """What is in the places is the same in all lanes. (Which of them move, whatever the numbers are; a number is
        to be compared; places of N:M)."""
        active, piece, moves = Signal(LONGEST), Signal(LONGEST), Signal(LONGEST)
        filling, offered = Signal(init=1), Signal()
        used, used_next = Signal(range(LONGEST + 1)), Signal(range(LONGEST + 1))
        full = Signal()  # candidates that have not left and rows of the next group: as many as N
        last, fill, pop, other, steps = (Signal(name=name) for name in ("last", "fill", "pop", "other", "steps"))
        member, again = Signal(range(GROUP)), Signal(TOP)  # number of the row in its group; the next one fills too
        m.d.comb += [
            # while nothing is filled, every row is taken
            steps.eq(self.i.valid & ~filling), pop.eq(offered & self.o.ready), fill.eq(take & filling),
            active.eq(Cat(pattern.n >= (TOP - at).bit_length() for at in range(LONGEST))),
            member.eq(Cat(place[bit] & (pattern.m > bit) for bit in range(len(place)))),
            last.eq(Cat(place[bit] | (pattern.m <= bit) for bit in range(len(place))).all()),
            again.eq(Cat(active[TOP - 1 - at] & (member == at) for at in range(TOP))),
            other.eq(opens & offered & (self.i.payload.pattern.n != held.n)),
            self.i.ready.eq(~filling | (~other & (~full | self.o.ready))),
            self.o.valid.eq(offered),
            moves.eq(Mux(fill, active & (pop.replicate(LONGEST) | ~piece), piece & pop.replicate(LONGEST))),
            used_next.eq(used + fill - pop),
        ]  # fmt: skip
        m.d.sync += [used.eq(used_next), full.eq(used_next.bit_select(Mux(take, pattern.n, held.n), 1))]
        with m.If(take):
            m.d.sync += filling.eq(last | again.any())
        with m.If(take & last):
            m.d.sync += [piece.eq(active), offered.eq(1)]
        with m.Elif(pop):
            m.d.sync += [piece.eq(piece & piece >> 1), offered.eq((piece & piece >> 1).any())]
        return moves, steps, active

    def _lane(self, m, lane, number, moves, steps, active):
        """(which places move, values in them)."""
        values = [Signal(NUMBER_BITS, name=f"value_{lane}_{at}", reset_less=True) for at in range(LONGEST)]
        # of two places, the later one is larger; only of those that hold numbers of this group, and 0 for a place
        # outside of N:M, which so never goes
        later = {pair: Signal(name=f"later_{lane}_{pair[0]}_{pair[1]}", reset_less=True)
                 for pair in combinations(range(LONGEST), 2)}  # fmt: skip
        larger, goes, down = (Signal(LONGEST, name=f"{name}_{lane}") for name in ("larger", "goes", "down"))
        stays = Signal(name=f"stays_{lane}")
        m.d.comb += [
            larger.eq(Cat(number[:MAGNITUDE_BITS] > value[:MAGNITUDE_BITS] for value in values)),
            goes.eq(Cat(
                Cat(later[at, after] for after in range(at + 1, LONGEST)).all()
                & ~Cat(later[before, at] for before in range(at)).any()
                for at in range(LONGEST)
            )),
            stays.eq(steps & (goes & larger).any()),
            down.eq(moves | (Cat(goes[: at + 1].any() for at in range(LONGEST)) & stays.replicate(LONGEST))),
        ]  # fmt: skip
        for (at, after), order in later.items():
            with m.If(down[after]):
                if after == TOP:
                    m.d.sync += order.eq(active[at] & Mux(down[at], larger[at + 1], larger[at]))
                else:
                    m.d.sync += order.eq(Mux(down[at], later[at + 1, after + 1], later[at, after + 1]))
        return down, values
