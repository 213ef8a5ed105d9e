"""Writes of overlapping instructions, and which of them have their responses."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AnswerWatch"]


class AnswerWatch(wiring.Component):
    """Tells when all writes of an instruction are answered, while later instructions write already.

    A memory port answers its writes in order. `finished` comes two cycles after the last answer, or later.

    Args:
        ports: memory ports. depth: instructions that may wait, a power of two.

    Attributes:
        sent, answered: a bit a port: a write leaves, is answered; at most OUTSTANDING of a port lie between.
        close: strobe, with `room`: the writes since the one before are an instruction's, perhaps none.
        finished: strobe: the oldest instruction's are answered. busy: some instruction waits.
    """

    OUTSTANDING = 31

    def __init__(self, ports: int, depth: int):
        self.ports, self.depth = ports, depth
        super().__init__({
            "sent": In(ports), "answered": In(ports), "close": In(1), "room": Out(1), "finished": Out(1),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        counts = data.ArrayLayout(range(2 * (self.OUTSTANDING + 1)), self.ports)
        sent, answered = Signal(counts), Signal(counts)
        for port in range(self.ports):
            m.d.sync += [
                sent[port].eq(sent[port] + self.sent[port]),
                answered[port].eq(answered[port] + self.answered[port]),
            ]
        first, end, level = Signal(range(self.depth)), Signal(range(self.depth)), Signal(range(self.depth + 1))
        seen = Signal(data.ArrayLayout(self.ports, self.depth))
        for place in range(self.depth):
            last = Signal(counts, name=f"last_{place}", reset_less=True)
            met = Cat(*(answered[port] == last[port] for port in range(self.ports)))
            m.d.sync += seen[place].eq(seen[place] | met)
            with m.If(self.close & (end == place)):
                m.d.sync += [last.eq(sent), seen[place].eq(0)]
        m.d.comb += [
            self.room.eq(level != self.depth),
            self.busy.eq(level != 0),
            self.finished.eq((level != 0) & seen[first].all()),
        ]
        m.d.sync += [
            end.eq(end + self.close), first.eq(first + self.finished),
            level.eq(level + self.close - self.finished),
        ]
        return m
