"""The X buffer, and the words that the rows of the array get out of it."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import TrainParams
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram

from .pixel_walk import POSITION_BITS, PixelWalk, mm_layout
from .schedule import slot_layout
from .tap_walk import tap_layout

__all__ = ["WordFetch"]


class WordFetch(wiring.Component):
    """A word a cycle, LATENCY 4 cycles after its slot: the pixel, its tap's row and whether that lies in the image, the
    buffer, the word or zeros.

    Attributes:
        mm, restart, free: see PixelWalk. slot, tap: see Schedule.
        word: of the slot; without one, anything.
        write, write_row, write_data: a word into the buffer.
    """

    LATENCY = 4

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "mm": In(mm_layout()), "restart": In(1), "free": In(range(params.rows + 1)),
            "slot": In(slot_layout(params)), "tap": In(tap_layout(params)),
            "word": Out(params.axi_bits),
            "write": In(1), "write_row": In(range(params.x_words)), "write_data": In(params.axi_bits),
        })

    def elaborate(self, platform):
        m = Module()
        p, mm = self.params, self.mm
        m.submodules.pixels = pixels = PixelWalk(p)
        m.submodules.buffer = buffer = Ram(width=p.axi_bits, depth=p.x_words)
        m.d.comb += [
            pixels.mm.eq(mm), pixels.restart.eq(self.restart), pixels.free.eq(self.free),
            pixels.number.eq(self.slot.number),
            buffer.write_enable.eq(self.write), buffer.write_address.eq(self.write_row),
            buffer.write_data.eq(self.write_data),
        ]
        pixel = pixels.pixel
        s1_row = delay(m, self.tap.row + self.slot.further, 1, "s1_row")
        s1_x, s1_y = delay(m, self.tap.x, 1, "s1_x"), delay(m, self.tap.y, 1, "s1_y")
        s2_row, s2_exists = Signal(len(pixel.row), reset_less=True), delay(m, pixel.exists, 1, "s2_exists")
        s2_x, s2_y = Signal(POSITION_BITS, reset_less=True), Signal(POSITION_BITS, reset_less=True)
        m.d.sync += [
            s2_row.eq(pixel.row + s1_row),
            s2_x.eq(pixel.x + s1_x), s2_y.eq(pixel.y + s1_y),  # negative: beyond every width
        ]  # fmt: skip
        inside = s2_exists & (s2_x < mm.width) & (s2_y < mm.height)
        m.d.comb += [buffer.read_address.eq(s2_row), buffer.read_enable.eq(strobes(m, self.slot.valid, 2, "valid")[-1])]
        s3_inside = delay(m, inside, 1, "s3_inside")
        m.d.comb += self.word.eq(delay(m, buffer.read_data & s3_inside.replicate(p.axi_bits), 1, "s4_word"))
        return m
