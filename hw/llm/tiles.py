"""Which tile is prepared, fed, summed and read out: the control of the matrix engine."""

import functools

from amaranth.hdl import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from golden.isa.llm import SLOTS
from golden.params import LlmParams
from hw.fabric.pipeline import strobes

from .layouts import tile_layout
from .readout import readout_layout

__all__ = ["TileControl", "tile_command_layout"]


@functools.cache
def tile_command_layout(params: LlmParams) -> data.StructLayout:
    """An MV or MM instruction, operands resolved; `empty`: nothing to do."""
    return data.StructLayout({
        "tile": tile_layout(),
        "out": unsigned((params.vmem_rows - 1).bit_length()),
        "stride": unsigned((params.vmem_rows - 1).bit_length()),
        "base": unsigned((params.xbuf_blocks - 1).bit_length()),
        "slot": range(SLOTS),
        "tokens": unsigned(5),
        "early": unsigned(8),
        "empty": unsigned(1),
    })


class TileControl(wiring.Component):
    """Tiles go through the array in order, up to three at once: the lanes prepare one while the one before is summed
    and the results of the one before that are read out.

    A tile is prepared while the lanes are idle and at most one other waits for its read-out, which must have the same
    `shared`. It is fed when its command has come and the feeders are idle; and its header, if it has minima.

    Attributes:
        command: MV or MM. ahead: its payload is that of the next command, though `valid` may be low, and stays.
        finished: strobe: of the oldest command's results as many rows as `early` says are written. busy: there are
            commands whose results are not all written.
        illegal: the command is an MM of no or too many tokens; the array stands.
        tile, start: to the lanes, START_CYCLES before `lanes_idle` and `header` tell of them; prepared.
        lanes_idle, header: all lanes can take the next tile; lane 0 has read the header, with `exponent`.
        fed, base, feed: tile, first block and strobe for the feeders. feeders_idle: they can take the next.
        out_ready: all results of a tile are there. read, job: strobe and job for the read-out; told, read_busy: of it.
    """

    START_CYCLES = 3

    def __init__(self, params: LlmParams):
        self.params = params
        super().__init__({
            "command": In(stream.Signature(tile_command_layout(params))),
            "ahead": In(1),
            "finished": Out(1),
            "busy": Out(1),
            "illegal": Out(1),
            "tile": Out(tile_layout()),
            "start": Out(1),
            "lanes_idle": In(1),
            "header": In(1),
            "exponent": In(signed(10)),
            "fed": Out(tile_layout()),
            "base": Out(range(params.xbuf_blocks)),
            "feed": Out(1),
            "feeders_idle": In(1),
            "out_ready": In(1),
            "read": Out(1),
            "job": Out(readout_layout(params)),
            "told": In(1),
            "read_busy": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        held = Signal(tile_command_layout(p), reset_less=True)
        prepare, push, tiles = Signal(), Signal(), Signal(range(3))  # tiles: prepared and not read
        next_one = self.command.payload
        fresh = Cat(*strobes(m, self.start, self.START_CYCLES - 1, "start")).any()
        free = self.lanes_idle & ~fresh & Mux(next_one.tile.shared == held.tile.shared, tiles < 2, tiles == 0)
        wrong_tokens = next_one.tile.shared & ((next_one.tokens == 0) | (next_one.tokens > p.tokens))
        m.d.sync += [self.start.eq(prepare), tiles.eq(tiles + prepare - self.read)]
        m.d.comb += self.tile.eq(held.tile)
        before = Signal(signed(10), reset_less=True)  # exponent of the tile before `held`
        with m.If(prepare):
            m.d.sync += [held.eq(next_one), before.eq(self.exponent)]

        m.submodules.jobs = jobs = SyncFIFO(width=1 + readout_layout(p).size, depth=2)
        accepted = Signal()
        m.d.comb += accepted.eq(self.command.valid & self.command.ready)
        with m.FSM():
            with m.State("NEXT"):
                with m.If(self.ahead):
                    with m.If(next_one.empty):
                        m.next = "EMPTY"
                    with m.Elif(wrong_tokens):
                        m.next = "ILLEGAL"
                    with m.Elif(free):
                        m.d.comb += prepare.eq(1)
                        m.next = "PREPARED"
            with m.State("PREPARED"):
                ready = self.feeders_idle & (~held.tile.minimum | (self.header & ~fresh))
                m.d.comb += [self.command.ready.eq(ready & jobs.w_rdy), push.eq(accepted)]
                with m.If(accepted):
                    m.d.sync += [self.fed.eq(held.tile), self.base.eq(held.base)]
                    m.next = "NEXT"
            with m.State("EMPTY"):
                m.d.comb += self.command.ready.eq(jobs.w_rdy)
                with m.If(accepted):
                    m.next = "NEXT"
            with m.State("ILLEGAL"):
                m.d.comb += self.illegal.eq(self.command.valid)
        m.d.sync += self.feed.eq(push)
        self._read_out(m, jobs, held, accepted, push, Mux(tiles == 2, before, self.exponent))
        return m

    def _read_out(self, m, jobs, held, accepted, fed, exponent):
        """Jobs wait for the results in a FIFO; of an empty tile (not `fed`) nothing is to be read."""
        new, job, real = Signal(self.job.shape()), Signal(self.job.shape()), Signal()
        m.d.comb += [
            new.shared.eq(held.tile.shared),
            new.rows.eq(held.tile.rows),
            new.tokens.eq(Mux(held.tile.shared, held.tokens, 1)),
            new.row.eq(held.out),
            new.stride.eq(held.stride),
            new.slot.eq(held.slot),
            new.early.eq(held.early),
            jobs.w_data.eq(Cat(new, fed)),
            jobs.w_en.eq(accepted),
            Cat(job, real).eq(jobs.r_data),
            self.job.eq(job),
            self.job.exponent.eq(exponent),
        ]
        writing, nothing = Signal(), Signal()
        m.d.sync += writing.eq(self.read_busy | self.read)
        m.d.comb += [
            self.read.eq(jobs.r_rdy & real & self.out_ready & ~self.read_busy),
            nothing.eq(jobs.r_rdy & ~real & ~self.read_busy & ~writing),
            jobs.r_en.eq(self.read | nothing),
            self.finished.eq(self.told | nothing),
            self.busy.eq(jobs.r_rdy | writing | self.read_busy),
        ]
