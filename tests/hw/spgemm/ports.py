"""Sources for the ports without back-pressure but `room`, which they overrun as far as they may."""

import functools
import random

from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.element_queue import ElementQueue
from hw.spgemm.layouts import held_layout
from hw.spgemm.number_words import NumberWords

__all__ = ["ElementSource", "NumberSource", "element_bits", "packed_words"]


@functools.cache
def element_bits(p):
    return held_layout(p).size


def packed_words(numbers, width, lanes):
    """Words of `lanes` numbers, the last one with zeros behind."""
    return [sum(number << width * i for i, number in enumerate(numbers[at : at + lanes]))
            for at in range(0, len(numbers), lanes)]  # fmt: skip


class Source:
    """`lag`: cycles without room in which something still comes."""

    def __init__(self, dut, lag, stall):
        self.dut, self.lag, self.stall = dut, lag, stall
        self.random = random.Random(f"{type(self).__name__}{stall}")
        self.without_room = self.most_without_room = 0

    async def cycle(self, room):
        await FallingEdge(self.dut.clk)
        self.without_room = 0 if int(room.value) else self.without_room + 1
        self.most_without_room = max(self.most_without_room, self.without_room)
        await RisingEdge(self.dut.clk)

    @property
    def may(self):
        return self.without_room < self.lag and self.random.random() >= self.stall


class ElementSource(Source):
    """`sizes`: elements of a group, as many as there are lanes if not given."""

    def __init__(self, dut, p, stall=0.0, lag=ElementQueue.MARGIN - 3):
        super().__init__(dut, lag, stall)
        self.p, self.lane = p, 0
        dut.elements__mask.value = 0

    async def send(self, elements, sizes=None):
        elements, lanes, bits = list(elements), self.p.lanes, element_bits(self.p)
        while elements:
            group = elements[: self.random.choice(sizes or [lanes])] if self.may else []
            data, mask = self.random.getrandbits(bits * lanes), 0
            for element in group:
                data = data & ~((1 << bits) - 1 << bits * self.lane) | element << bits * self.lane
                mask |= 1 << self.lane
                self.lane = (self.lane + 1) % lanes
            self.dut.elements__data.value, self.dut.elements__mask.value = data, mask
            del elements[: len(group)]
            await self.cycle(self.dut.elements__room)
        self.dut.elements__mask.value = 0


class NumberSource(Source):
    def __init__(self, dut, stall=0.0, lag=NumberWords.MARGIN - 3):
        super().__init__(dut, lag, stall)
        dut.numbers__valid.value = 0

    async def send(self, numbers):
        numbers = list(numbers)
        while numbers:
            valid = self.may
            self.dut.numbers__valid.value = int(valid)
            self.dut.numbers__number.value = numbers.pop(0) if valid else self.random.getrandbits(32)
            await self.cycle(self.dut.numbers__room)
        self.dut.numbers__valid.value = 0
