"""The dequantiser: turns a lane's packed stream into passes of a chain (format: golden/llm/stream.py)."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.llm.stream import KEPT, SKIP, WIDTHS
from golden.params import BLOCK, LlmParams

from .bundle import BundleAssembler
from .issue import BundleIssue, bundle_layout
from .layouts import ROW_BITS, pass_layout, side_layout, tile_layout
from .window import PlaneWindow

__all__ = ["LaneDecoder"]


class LaneDecoder(wiring.Component):
    """Walks a tile: blocks of 16 inputs, inside them blocks of 16 rows, inside them bundles.

    A beat, at most a bundle a cycle while passes keep up; two bundles ahead. A block's passes leave when its inputs are
    in the sparse MUXes (`filled`), and a scale group is read when at most one waits for the accumulator (`group_free`).

    Attributes:
        lane: the packed stream, ready/valid.
        tile, start: the tile; `start` is a strobe while idle. Halves and banks go on from tile to tile.
        filled: strobe: one more block of inputs is in the sparse MUXes, or will be BundleIssue.LATENCY cycles later.
        group_free: strobe: the accumulator has finished a group.
        request, half, ends, grant: see BundleIssue. passes: to the chain (`tags.valid`), no back-pressure.
        side: scales and minima to the accumulator, one beat in a cycle of side_request and side_grant.
        header: the tile's header has been read into exponent and min_shift.
        idle: the tile's beats are read, which its last bundles may outlast.
        error: sticky until reset: an illegal descriptor.
    """

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "lane": In(stream.Signature(params.lane_bits)),
            "tile": In(tile_layout()),
            "start": In(1),
            "filled": In(1),
            "group_free": In(1),
            "request": Out(1),
            "half": Out(1),
            "ends": Out(1),
            "grant": In(1),
            "passes": Out(pass_layout()),
            "side_request": Out(1),
            "side_grant": In(1),
            "side": Out(side_layout(params)),
            "header": Out(1),
            "exponent": Out(signed(10)),
            "min_shift": Out(3),
            "idle": Out(1),
            "error": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        planes_log2 = self.params.planes.bit_length() - 1
        assembler = PlaneWindow if self.params.planes == PlaneWindow.PLANES else BundleAssembler
        m.submodules.assembler = asm = assembler(self.params)
        m.submodules.issue = issue = BundleIssue(self.params)
        m.d.comb += [
            self.passes.eq(issue.passes), self.request.eq(issue.request), self.half.eq(issue.half),
            self.ends.eq(issue.ends), issue.grant.eq(self.grant),
            issue.filled.eq(self.filled), asm.beat.eq(self.lane.payload),
        ]

        kb, last_kb = Signal(10), Signal(10)
        last_block, group_end = Signal(), Signal()  # block kb is the last of the tile, of its group
        run, described = Signal(9), Signal()  # more blocks of rows like this; there are some
        half, bank, rank_kind = Signal(), Signal(), Signal()
        kept, width, sign = Signal(3), Signal(3), Signal()
        word = Signal(ROW_BITS)
        groups = Signal(2)
        bitmap_bank = Signal()

        tile = self.tile
        last_row, row_block, last_rows = Signal(ROW_BITS), Signal(ROW_BITS - 4), Signal()  # last_row: of the tile
        first, here = Signal(4), Signal(4)  # row of the next bundle, last row, both in the block of rows

        m.d.comb += [
            asm.width.eq(self._table(m, width, WIDTHS)),
            asm.signed_values.eq(sign),
            asm.indexed.eq((kept == KEPT.index(1)) | (kept == KEPT.index(2)) | (kept == KEPT.index(4))),
            asm.raw.eq(tile.raw),
            asm.begin.eq(1),
        ]
        is12 = kept == KEPT.index(12)
        slots = [max(1, 8 if n == 12 else n) for n in KEPT]  # of a row; N = 12: of its first bundle
        size_log2 = self._table(m, kept, [n.bit_length() - 1 for n in slots])
        rows_behind = self._table(m, kept, [(BLOCK - 1) // n for n in slots])
        within = Signal(4)  # rows of a bundle behind its first
        kind_last = (first | within) == (here | within)
        rows_last = kind_last & ~(is12 & ~rank_kind)

        bundle = Signal(bundle_layout(), reset_less=True)
        full, room = Signal(), Signal()  # the assembler holds a bundle, `bundle` says what it is
        ended, empty = Signal(), Signal()
        block_last = (rows_last | empty) & last_rows
        m.d.comb += [
            room.eq(~full | issue.bundle.ready),
            issue.bundle.valid.eq(full),
            issue.bundle.payload.eq(bundle),
            issue.bundle.payload.weights.eq(asm.weights),
            issue.bundle.payload.index.eq(asm.index),
            issue.bundle.payload.high.eq(asm.high),
        ]
        with m.If(issue.bundle.ready):
            m.d.sync += full.eq(0)
        with m.If(ended | empty):
            m.d.sync += [
                full.eq(1),
                bundle.empty.eq(empty),
                bundle.size_log2.eq(Mux(is12 & rank_kind, 2, size_log2)),
                bundle.bitmap.eq(is12 | (kept == KEPT.index(8))),
                bundle.tail.eq(is12 & rank_kind),
                bundle.bitmap_bank.eq(bitmap_bank),
                bundle.row.eq(Cat(first, row_block)),
                bundle.more.eq(Mux(kind_last, here, ~0) & within),
                bundle.half.eq(half),
                bundle.bank.eq(bank),
                bundle.block_last.eq(block_last),
                bundle.group_last.eq(block_last & (group_end | last_block)),
                bundle.tile_last.eq(block_last & last_block),
            ]

        next_kept, next_width, next_run = self.lane.payload[:3], self.lane.payload[3:6], self.lane.payload[7:16]
        illegal, whole = Signal(reset_less=True), next_kept.matches(KEPT.index(0), KEPT.index(16))
        legal = next_kept.matches(*range(len(KEPT))) & next_width.matches(*range(len(WIDTHS))) & (next_run != 0)
        m.d.sync += illegal.eq(~legal | (tile.spread & ~whole))
        m.d.comb += [
            issue.bitmap_data.eq(self.lane.payload),
            issue.bitmap_word.eq(word),
            issue.bitmap_bank.eq(bitmap_bank),
            self.side.data.eq(self.lane.payload),
            self.side.word.eq(word),
            self.side.bank.eq(bank),
        ]
        enters, entered = Signal(), Signal()
        m.d.sync += [entered.eq(enters), groups.eq(groups + entered - self.group_free)]
        left, none_left = Signal(24), Signal()  # beats, before more are dropped
        with m.If(self.lane.valid & self.lane.ready):
            m.d.sync += [left.eq(left - 1), none_left.eq(none_left | (left == 1))]
        side_last = word == last_row >> planes_log2

        def take_side():
            m.d.comb += [
                self.side_request.eq(self.lane.valid),
                self.lane.ready.eq(self.side_grant),
                self.side.valid.eq(self.lane.valid & self.side_grant),
            ]

        def enter_kind():
            """Go to the state that reads the rest of a block of rows."""
            m.d.sync += [first.eq(0), rank_kind.eq(0), within.eq(rows_behind)]
            m.d.sync += [run.eq(run - 1), described.eq(tile.raw | (run != 1))]
            with m.If((kept == KEPT.index(8)) | is12):
                m.d.sync += bitmap_bank.eq(~bitmap_bank)
                m.next = "BITMAP"
            with m.Elif(kept == 0):
                m.next = "EMPTY"
            with m.Else():
                m.next = "PLANES"

        def enter_rows():
            m.d.sync += word.eq(0)
            with m.If(described):
                enter_kind()
            with m.Else():
                m.next = "DESCRIPTOR"

        def enter_group():
            m.d.sync += word.eq(0)
            with m.If((groups == 2) | (groups[0] & entered)):
                m.next = "GROUP"
            with m.Else():
                m.d.comb += enters.eq(1)
                with m.If(tile.scaled):
                    m.next = "SCALE"
                with m.Else():
                    enter_rows()

        def leave_rows():
            """After the last bundle of a block of rows."""
            next_row_block = Mux(last_rows, 0, row_block + 1)[: len(row_block)]
            next_is_last = next_row_block == last_row[4:]
            m.d.sync += [row_block.eq(next_row_block), last_rows.eq(next_is_last)]
            m.d.sync += here.eq(Mux(next_is_last, last_row[:4], BLOCK - 1))
            with m.If(~last_rows):
                enter_rows()
            with m.Else():
                next_kb = Signal.like(kb)
                m.d.comb += next_kb.eq(kb + 1)
                m.d.sync += [kb.eq(next_kb), half.eq(~half), last_block.eq(next_kb == last_kb)]
                m.d.sync += group_end.eq((next_kb[:8] | (0xFF << tile.group_log2))[:8].all())
                with m.If(last_block | group_end):
                    m.d.sync += bank.eq(~bank)
                with m.If(last_block):
                    m.next = "FINISH"
                with m.Elif(group_end):
                    enter_group()
                with m.Else():
                    enter_rows()

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.idle.eq(1)
                m.d.sync += [kb.eq(0), last_kb.eq(tile.blocks - 1), last_block.eq(tile.blocks == 1)]
                m.d.sync += [group_end.eq(tile.group_log2 == 0), described.eq(tile.raw)]
                m.d.sync += [left.eq(tile.beats), none_left.eq(tile.beats == 0)]
                m.d.sync += [row_block.eq(0), last_row.eq(tile.rows - 1), last_rows.eq(tile.rows <= BLOCK)]
                m.d.sync += here.eq(Mux(tile.rows <= BLOCK, tile.rows - 1, BLOCK - 1))
                with m.If(self.start):
                    m.d.sync += [self.header.eq(tile.raw), self.exponent.eq(0), self.min_shift.eq(0)]
                    m.d.sync += [kept.eq(KEPT.index(16)), width.eq(WIDTHS.index(8)), sign.eq(1)]
                    m.next = "HEADER"
                    with m.If(tile.raw):
                        m.next = "GROUP"
            with m.State("HEADER"):
                m.d.comb += self.lane.ready.eq(1)
                with m.If(self.lane.valid):
                    m.d.sync += [Cat(self.exponent, self.min_shift).eq(self.lane.payload[:13]), self.header.eq(1)]
                    enter_group()
            with m.State("GROUP"):
                enter_group()
            with m.State("SCALE"):
                take_side()
                with m.If(self.side.valid):
                    m.d.sync += word.eq(word + 1)
                    with m.If(side_last):
                        with m.If(tile.minimum):
                            m.d.sync += word.eq(0)
                            m.next = "MINIMUM"
                        with m.Else():
                            enter_rows()
            with m.State("MINIMUM"):
                take_side()
                m.d.comb += self.side.minimum.eq(1)
                with m.If(self.side.valid):
                    m.d.sync += word.eq(word + 1)
                    with m.If(side_last):
                        enter_rows()
            with m.State("DESCRIPTOR"):
                m.d.comb += self.lane.ready.eq(1)
                with m.If(self.lane.valid):
                    m.d.sync += [Cat(kept, width, sign).eq(self.lane.payload[:7]), run.eq(next_run)]
                    m.next = "BEGIN"
                    with m.If((self.lane.payload[:7] == SKIP) & (next_run != 0)):
                        m.next = "SKIP"
            with m.State("SKIP"):
                m.d.comb += self.lane.ready.eq(1)
                with m.If(self.lane.valid):
                    m.d.sync += run.eq(run - 1)
                    with m.If(run == 1):
                        m.next = "DESCRIPTOR"
            with m.State("BEGIN"):
                enter_kind()
                with m.If(illegal):
                    m.d.sync += self.error.eq(1)
                    m.next = "IDLE"
            with m.State("BITMAP"):
                m.d.comb += [self.lane.ready.eq(room), issue.bitmap_valid.eq(self.lane.valid & room)]
                with m.If(issue.bitmap_valid):
                    m.d.sync += word.eq(word + 1)
                    with m.If(word[:4] == here >> planes_log2):
                        m.next = "PLANES"
            with m.State("PLANES"):
                m.d.comb += [self.lane.ready.eq(room), asm.take.eq(self.lane.valid & room)]
                m.d.comb += ended.eq(asm.take & asm.ends)
                with m.If(asm.whole):
                    m.d.comb += [self.lane.ready.eq(0), asm.take.eq(room), ended.eq(room)]
                m.d.comb += asm.begin.eq(ended & rows_last)
                with m.If(ended):
                    m.d.sync += first.eq((first | within) + 1)
                    with m.If(kind_last):
                        m.d.sync += [first.eq(0), rank_kind.eq(1), within.eq(within | is12 << 1)]
                    with m.If(rows_last):
                        leave_rows()
            with m.State("EMPTY"):
                m.d.comb += empty.eq(last_rows & room)
                with m.If(~last_rows | room):
                    leave_rows()
            with m.State("FINISH"):
                m.d.comb += self.lane.ready.eq(~none_left)
                with m.If(none_left):
                    m.next = "IDLE"
        return m

    @staticmethod
    def _table(m, select, values):
        result = Signal(range(max(values) + 1))
        with m.Switch(select):
            for code, value in enumerate(values):
                with m.Case(code):
                    m.d.comb += result.eq(value)
        return result
