"""The pixels of an MM one after the other: where they lie in the X buffer and in the image."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA
from golden.train.params import TrainParams
from hw.fabric.isa_layout import instruction_layout

__all__ = ["POSITION_BITS", "PixelWalk", "mm_layout", "pixel_layout"]

POSITION_BITS = 17
"""Of a position in an image, signed: 4,095 pixels, 15 apart, and a border."""


def mm_layout() -> data.FlexibleLayout:
    return instruction_layout(ISA, "MM")


def pixel_layout(params: TrainParams) -> data.StructLayout:
    """`row` of X for tap 0; `x`, `y` in the image; `exists`: it is one of the instruction's."""
    return data.StructLayout({
        "row": (params.x_words - 1).bit_length(), "x": signed(POSITION_BITS), "y": signed(POSITION_BITS), "exists": 1,
    })


class PixelWalk(wiring.Component):
    """A table of DEPTH = 2 `rows` pixels, filled by one a cycle; behind the last one come some that do not exist.

    Who asks for a further pixel at most every cycle, from the second cycle behind `restart` on, finds it there, as long
    as no more than `rows` before it are not free.

    Attributes:
        mm: the instruction, stable. restart: strobe: from pixel 0 on, and none is held any more.
        number, pixel: pixel `number` modulo DEPTH, a cycle later.
        free: so many more of the oldest pixels are not asked for again.
    """

    def __init__(self, params: TrainParams):
        self.params, self.DEPTH = params, 2 * params.rows
        super().__init__({
            "mm": In(mm_layout()), "restart": In(1),
            "number": In(range(self.DEPTH)), "pixel": Out(pixel_layout(params)),
            "free": In(range(params.rows + 1)),
        })

    def elaborate(self, platform):
        m = Module()
        mm, layout = self.mm, pixel_layout(self.params)
        m.submodules.table = table = Memory(shape=layout.size, depth=self.DEPTH, init=[],
                                            attrs={"ram_style": "distributed"})
        write, read = table.write_port(), table.read_port(domain="comb")
        pixel, line, image = Signal(layout, reset_less=True), Signal(len(self.pixel.row), reset_less=True), Signal(
            len(self.pixel.row), reset_less=True)
        x_left, y_left, left = Signal(12, reset_less=True), Signal(12, reset_less=True), Signal(20, reset_less=True)
        at, walking = Signal(range(self.DEPTH)), Signal()
        held = Signal(range(self.DEPTH + 1))
        makes = Signal()
        m.d.comb += [
            makes.eq(walking & ~held[-1]),
            write.en.eq(makes), write.addr.eq(at), write.data.eq(pixel),
            read.addr.eq(self.number),
        ]  # fmt: skip
        m.d.sync += [self.pixel.as_value().eq(read.data), held.eq(held + makes - self.free)]
        with m.If(makes):
            line_ends, image_ends = x_left == 0, (x_left == 0) & (y_left == 0)
            next_line = Mux(image_ends, image + mm.step_n, line + mm.step_y)
            m.d.sync += [
                at.eq(at + 1), left.eq(left - 1), pixel.exists.eq(pixel.exists & (left != 0)),
                x_left.eq(Mux(line_ends, mm.nx - 1, x_left - 1)),
                pixel.row.eq(Mux(line_ends, next_line, pixel.row + mm.step_x)),
                pixel.x.eq(Mux(line_ends, mm.x0, pixel.x + mm.stride_x)),
            ]  # fmt: skip
            with m.If(line_ends):
                m.d.sync += [
                    line.eq(next_line),
                    y_left.eq(Mux(image_ends, mm.ny - 1, y_left - 1)),
                    pixel.y.eq(Mux(image_ends, mm.y0, pixel.y + mm.stride_y)),
                ]
            with m.If(image_ends):
                m.d.sync += image.eq(image + mm.step_n)
        with m.If(self.restart):
            m.d.sync += [
                walking.eq(1), at.eq(0), held.eq(0),
                Cat(pixel.row, line, image).eq(mm.x[:len(line)].replicate(3)),
                pixel.x.eq(mm.x0), pixel.y.eq(mm.y0), pixel.exists.eq(1),
                x_left.eq(mm.nx - 1), y_left.eq(mm.ny - 1), left.eq(mm.pixels - 1),
            ]  # fmt: skip
        return m
