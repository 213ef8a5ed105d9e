"""Sums of the array on their way to memory."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from golden.floats import BINARY32
from golden.train.params import GROUP, INTERLEAVE, TrainParams
from hw.fabric.answers import AnswerWatch
from hw.fabric.float16 import Narrow
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram
from hw.fabric.sure_fifo import SureFIFO

from .layouts import addressed_layout
from .pixel_walk import mm_layout
from .uspe import SLOT_BITS

__all__ = ["Sums"]

TILES = 4
"""Whose sums are held: one that leaves, one that comes, and those that few rounds have opened meanwhile, as sums come
some 2 x 8 rows after a tile's last round."""


class Sums(wiring.Component):
    """TILES tiles of sums: one comes out of the array, a vector of its columns a cycle, one leaves row by row. A row in
    16 bits takes a cycle for each of its 8 vectors, in binary32 for each vector or memory word, whichever are more;
    a cycle more a row.

    Attributes:
        mm: instructions, in the order of their tiles; at most QUEUE under way.
        room: a tile's sums may come. tile: strobe: they will, of `tile_rows` rows, row 0 first if `tile_stationary`;
            they are the instruction's last if `tile_last`.
        sums, valid: see Stce.
        words: to memory. answered: strobe: one is there. finished: strobe: all of the oldest instruction's are.
        busy: there is one. wrong: strobe: an instruction's rows have other words than there are.
    """

    QUEUE = 2
    FLIGHT = 8
    """Words that may be behind the one that is asked for."""

    def __init__(self, params: TrainParams):
        self.params = params
        super().__init__({
            "mm": In(stream.Signature(mm_layout())), "room": Out(1), "tile": In(1),
            "tile_rows": In(range(params.rows + 1)), "tile_last": In(1),
            "tile_stationary": In(1), "sums": In(BINARY32.bits).array(params.columns), "valid": In(1),
            "words": Out(stream.Signature(addressed_layout(params))), "answered": In(1),
            "finished": Out(1), "busy": Out(1), "wrong": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        row_bits = p.rows.bit_length() - 1
        m.submodules.memory = memory = Ram(width=BINARY32.bits * p.columns, depth=TILES * p.rows * INTERLEAVE)
        m.submodules.instructions = instructions = SyncFIFO(width=mm_layout().size, depth=self.QUEUE)
        m.submodules.watch = watch = AnswerWatch(1, self.QUEUE)
        mm = data.View(mm_layout(), instructions.r_data)
        tile = Signal(data.StructLayout({"rows": row_bits + 1, "last": 1}))
        m.submodules.tiles = tiles = SyncFIFO(width=tile.shape().size, depth=TILES)
        reserved, under_way = Signal(range(TILES + 1)), Signal(range(self.QUEUE + 1))
        tile_ends, whole = Signal(), Signal()  # the tile that leaves, the one that comes
        m.d.comb += [
            instructions.w_data.eq(self.mm.payload), instructions.w_en.eq(self.mm.valid & self.mm.ready),
            self.mm.ready.eq(under_way != self.QUEUE), instructions.r_en.eq(tile_ends & tile.last),
            self.busy.eq(under_way != 0), self.finished.eq(watch.finished),
            tiles.w_data.eq(Cat(self.tile_rows, self.tile_last)), tiles.w_en.eq(self.tile), tiles.r_en.eq(tile_ends),
            tile.eq(tiles.r_data), self.room.eq(reserved != TILES),
            watch.sent.eq(self.words.valid & self.words.ready), watch.answered.eq(self.answered),
        ]
        m.d.sync += [
            reserved.eq(reserved + self.tile - tile_ends),
            under_way.eq(under_way + instructions.w_en - self.finished),
        ]
        most = Mux(self.mm.payload.wide, 2, 1) * (p.tile_columns // p.word)
        out_words = self.mm.payload.out_words
        m.d.sync += self.wrong.eq(instructions.w_en & ((out_words == 0) | (out_words > most)))
        self._receive(m, memory, whole)
        full = Signal(range(TILES + 1))
        m.d.sync += full.eq(full + whole - tile_ends)
        self._leave(m, memory, mm, tile, full != 0, tile_ends, watch)
        return m

    def _receive(self, m, memory, whole):
        """Vectors into the memory. The last row comes first, and all of them, if weights are not stationary."""
        rows = self.params.rows
        at, buffer = Signal(range(rows * INTERLEAVE)), Signal(range(TILES))
        sum_, row = at[:3], at[3:]
        m.submodules.expected = expected = SyncFIFO(width=1 + len(row), depth=TILES)
        stationary, last = expected.r_data[0], expected.r_data[1:]
        m.d.comb += [
            expected.w_data.eq(Cat(self.tile_stationary, Mux(self.tile_stationary, self.tile_rows - 1, rows - 1))),
            expected.w_en.eq(self.tile), expected.r_en.eq(whole),
            memory.write_enable.eq(self.valid), memory.write_data.eq(Cat(self.sums)),
            memory.write_address.eq(Cat(sum_, Mux(stationary, row, ~row), buffer)),
            whole.eq(self.valid & sum_.all() & (row == last)),
        ]
        with m.If(self.valid):
            m.d.sync += at.eq(at + 1)
        with m.If(whole):
            m.d.sync += [at.eq(0), buffer.eq(buffer + 1)]

    def _leave(self, m, memory, mm, tile, full, tile_ends, watch):
        """Rows out of the memory, as words with their addresses."""
        p = self.params
        narrow_vectors = p.word // p.columns  # of a word
        wide_vectors, wide_words = max(1, p.word // (2 * p.columns)), max(1, 2 * p.columns // p.word)
        piece_words = 2 * GROUP // p.word
        row, buffer, opened = Signal(range(p.rows)), Signal(range(TILES)), Signal()
        vector, of_word = Signal(4), Signal(range(max(2, narrow_vectors)))
        words_left, row_last = Signal(8, reset_less=True), Signal(reset_less=True)
        half, piece_word = Signal(), Signal()
        address, line, image, target = (Signal(32, name=name, reset_less=True)
                                        for name in ("address", "line", "image", "target"))
        x_left, y_left = Signal(12, reset_less=True), Signal(12, reset_less=True)
        reads, word_ends, row_ends, begins = Signal(), Signal(), Signal(), Signal()
        m.submodules.out = out = SureFIFO(width=1 + addressed_layout(p).size, depth=2 * self.FLIGHT, margin=self.FLIGHT)
        room = out.room

        vector_ends = ~mm.wide | (half == wide_words - 1)
        m.d.comb += [
            word_ends.eq(of_word == Mux(mm.wide, wide_vectors - 1, narrow_vectors - 1)),
            row_ends.eq(reads & word_ends & (words_left == 0)), tile_ends.eq(row_ends & row_last),
            memory.read_address.eq(Cat(vector[:3], row, buffer)), memory.read_enable.eq(reads),
        ]
        with m.FSM():
            with m.State("ROW"):  # `target` is the row's address in the next cycle
                m.d.comb += begins.eq(full)
                m.d.sync += [vector.eq(0), of_word.eq(0), half.eq(0), piece_word.eq(0),
                             words_left.eq(mm.out_words - 1), row_last.eq(row == tile.rows - 1)]
                with m.If(full):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += reads.eq(room)
                with m.If(row_ends):
                    m.next = "ROW"
        with m.If(reads):
            m.d.sync += half.eq(half + 1)
            with m.If(vector_ends):
                m.d.sync += [half.eq(0), vector.eq(vector + 1)]
            m.d.sync += of_word.eq(of_word + 1)
            with m.If(word_ends):
                m.d.sync += [of_word.eq(0), words_left.eq(words_left - 1), piece_word.eq(~piece_word),
                             target.eq(target + 1)]
                with m.If(mm.wide & (piece_word == piece_words - 1)):
                    m.d.sync += [piece_word.eq(0), target.eq(target + mm.out_piece - (piece_words - 1))]
        with m.If(row_ends):
            m.d.sync += row.eq(row + 1)
        with m.If(tile_ends):
            m.d.sync += [row.eq(0), buffer.eq(buffer + 1)]

        with m.If(begins):
            m.d.sync += [opened.eq(1), target.eq(address)]
            with m.If(~opened):
                m.d.sync += [target.eq(mm.out), line.eq(mm.out), image.eq(mm.out), x_left.eq(mm.nx - 1),
                             y_left.eq(mm.ny - 1), address.eq(mm.out)]
        line_ends = x_left == 0
        image_ends = line_ends & (y_left == 0)
        next_line = Mux(image_ends, image + mm.out_n, line + mm.out_y)
        with m.If(row_ends & ~mm.spread):
            m.d.sync += [address.eq(Mux(line_ends, next_line, address + mm.out_x)),
                         x_left.eq(Mux(line_ends, mm.nx - 1, x_left - 1))]
            with m.If(line_ends):
                m.d.sync += [line.eq(next_line), y_left.eq(Mux(image_ends, mm.ny - 1, y_left - 1))]
            with m.If(image_ends):
                m.d.sync += image.eq(next_line)
        with m.If(row_ends & mm.spread):
            group_ends = row[:SLOT_BITS].all()
            m.d.sync += address.eq(Mux(group_ends, line + mm.out_y, address + mm.out_x))
            with m.If(group_ends):
                m.d.sync += line.eq(line + mm.out_y)
        with m.If(tile_ends & tile.last):
            m.d.sync += opened.eq(0)
        last = Signal()
        m.d.comb += last.eq(tile_ends & tile.last)
        self._words(m, memory, mm, reads, word_ends, last, half, target, out)
        m.d.sync += watch.close.eq(self.words.valid & self.words.ready & out.r_data[0])

    def _words(self, m, memory, mm, reads, word_ends, last, half, target, out):
        """Vectors that are read become words: 1 cycle of the memory, those of Narrow, one to gather."""
        p, after = self.params, 1 + Narrow.LATENCY
        narrowed = []
        for column in range(p.columns):
            m.submodules[f"narrow_{column}"] = narrow = Narrow(p.half)
            m.d.comb += [narrow.ce.eq(1), narrow.i.eq(memory.read_data.word_select(column, BINARY32.bits))]
            narrowed.append(narrow.o)
        vector = delay(m, memory.read_data, Narrow.LATENCY, "vector")
        wide, wide_part, halves = delay(m, mm.wide, after, "wide"), vector, Cat(narrowed)
        if len(vector) > p.axi_bits:  # a vector is two words
            wide_part = Mux(delay(m, half, after, "half"), vector[p.axi_bits:], vector[:p.axi_bits])
        taken = strobes(m, reads, after, "reads")[-1]
        whole = strobes(m, reads & word_ends, after + 1, "whole")[-1]
        word = Signal(p.axi_bits, reset_less=True)
        with m.If(taken):
            m.d.sync += word.eq(Mux(wide, Cat(word, wide_part)[-p.axi_bits:], Cat(word, halves)[-p.axi_bits:]))
        m.d.comb += [
            out.w_en.eq(whole),
            out.w_data.eq(Cat(delay(m, last, after + 1, "last"), delay(m, target, after + 1, "target"), word)),
            self.words.valid.eq(out.r_rdy), self.words.payload.as_value().eq(out.r_data[1:]),
            out.r_en.eq(self.words.ready),
        ]
