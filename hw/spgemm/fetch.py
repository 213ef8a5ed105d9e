"""Fetches the entries of A, chunk by chunk, into a buffer that has room for all that is asked for."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.axi import ADDRESS_BITS, AxiReader, axi_read
from hw.fabric.sure_fifo import SureFIFO

from .layouts import chunk_layout

__all__ = ["EntryFetch"]

BURSTS = 2
"""That the buffer holds."""


class EntryFetch(wiring.Component):
    """Responses never wait: lines of B come through the same port behind them.

    Attributes:
        chunks: taken when the one before has been asked for and handed on. walk: the same chunks.
        words: memory words of their entries. base: byte address of the channel. axi: reads.
        busy: from the cycle after a chunk was taken until one after its last word was. error, clear: as in AxiReader.
    """

    def __init__(self, params: SpgemmParams):
        self.params = params
        super().__init__({
            "chunks": In(stream.Signature(chunk_layout())), "walk": Out(stream.Signature(chunk_layout())),
            "words": Out(stream.Signature(params.axi_bits)), "base": In(ADDRESS_BITS),
            "axi": Out(axi_read(params.axi_bits)), "busy": Out(1), "error": Out(1), "clear": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        depth = BURSTS * p.burst_beats
        m.submodules.reader = reader = AxiReader(p.axi_bits, burst_beats=p.burst_beats, outstanding=p.outstanding)
        m.submodules.buffer = buffer = SureFIFO(width=p.axi_bits, depth=depth)
        chunk = Signal.like(self.chunks.payload, reset_less=True)
        beats = Signal(32, reset_less=True)
        taken, to_read, to_walk = Signal(), Signal(), Signal()
        shift, lane_bits = p.beat_bytes.bit_length() - 1, p.lanes.bit_length() - 1
        m.d.comb += [
            self.chunks.ready.eq(~to_read & ~to_walk), taken.eq(self.chunks.valid & self.chunks.ready),
            reader.command.valid.eq(to_read),
            reader.command.payload.address.eq(self.base + (chunk.word << shift)),
            reader.command.payload.beats.eq(beats),
            self.walk.valid.eq(to_walk),
            self.walk.payload.eq(chunk),
            buffer.w_data.eq(reader.o.payload), buffer.w_en.eq(reader.o.valid), reader.o.ready.eq(1),
            self.words.payload.eq(buffer.r_data), self.words.valid.eq(buffer.r_rdy), buffer.r_en.eq(self.words.ready),
            self.error.eq(reader.error), reader.clear.eq(self.clear),
        ]
        with m.If(reader.command.ready):
            m.d.sync += to_read.eq(0)
        with m.If(self.walk.ready):
            m.d.sync += to_walk.eq(0)
        with m.If(taken):
            m.d.sync += [chunk.eq(self.chunks.payload), to_read.eq(1), to_walk.eq(1)]
            m.d.sync += beats.eq((self.chunks.payload.entries + p.lanes - 1) >> lane_bits)
        m.d.sync += self.busy.eq(taken | to_read | to_walk | reader.busy | buffer.r_rdy)
        self._ask(m, reader, depth)
        return m

    def _ask(self, m, reader, depth):
        """Requests pass on when the buffer has room for their words, which is looked at a cycle ahead."""
        free = Signal(range(depth + 1), init=depth)  # places of the buffer for which nothing is on its way
        behind, may_ask = free + ~reader.axi.arlen[: len(free)], Signal()  # less arlen + 1; carries if they are free
        asked = reader.axi.arvalid & may_ask & self.axi.arready
        m.d.sync += [
            free.eq(Mux(asked, behind[:-1], free) + (self.words.valid & self.words.ready)),
            may_ask.eq(reader.axi.arvalid & behind[-1] & ~asked),
        ]
        m.d.comb += [
            self.axi.arvalid.eq(reader.axi.arvalid & may_ask), reader.axi.arready.eq(self.axi.arready & may_ask),
            self.axi.araddr.eq(reader.axi.araddr), self.axi.arlen.eq(reader.axi.arlen),
            self.axi.rready.eq(reader.axi.rready),
            *(getattr(reader.axi, name).eq(getattr(self.axi, name)) for name in ("rdata", "rresp", "rlast", "rvalid")),
        ]
