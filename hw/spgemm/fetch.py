"""Fetches the entries of A, chunk by chunk, into a buffer that has room for all that is asked for."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.axi import ADDRESS_BITS, AxiReader, axi_read

from .layouts import chunk_layout

__all__ = ["EntryFetch"]

BURSTS = 2
"""That the buffer holds."""


class EntryFetch(wiring.Component):
    """Responses never wait: lines of B come through the same port behind them.

    Attributes:
        chunks: taken when the one before has been asked for and handed on. walk: the same chunks.
        words: memory words of their entries. base: byte address of the channel. axi: reads.
        busy: a chunk is here, or words of it. error, clear: as in AxiReader.
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
        m.submodules.buffer = buffer = SyncFIFO(width=p.axi_bits, depth=depth)
        chunk = Signal.like(self.chunks.payload, reset_less=True)
        to_read, to_walk = Signal(), Signal()
        shift, lane_bits = p.beat_bytes.bit_length() - 1, p.lanes.bit_length() - 1
        m.d.comb += [
            self.chunks.ready.eq(~to_read & ~to_walk),
            reader.command.valid.eq(to_read),
            reader.command.payload.address.eq(self.base + (chunk.word << shift)),
            reader.command.payload.beats.eq((chunk.entries + p.lanes - 1) >> lane_bits),
            self.walk.valid.eq(to_walk),
            self.walk.payload.eq(chunk),
            buffer.w_data.eq(reader.o.payload), buffer.w_en.eq(reader.o.valid), reader.o.ready.eq(buffer.w_rdy),
            self.words.payload.eq(buffer.r_data), self.words.valid.eq(buffer.r_rdy), buffer.r_en.eq(self.words.ready),
            self.busy.eq(to_read | to_walk | reader.busy | buffer.r_rdy),
            self.error.eq(reader.error), reader.clear.eq(self.clear),
        ]
        with m.If(reader.command.ready):
            m.d.sync += to_read.eq(0)
        with m.If(self.walk.ready):
            m.d.sync += to_walk.eq(0)
        with m.If(self.chunks.valid & self.chunks.ready):
            m.d.sync += [chunk.eq(self.chunks.payload), to_read.eq(1), to_walk.eq(1)]

        reserved = Signal(range(depth + 1))  # words in the buffer or on their way
        may_ask = Signal()
        asked = reader.axi.arvalid & may_ask & self.axi.arready
        taken = self.words.valid & self.words.ready
        m.d.sync += reserved.eq(reserved + Mux(asked, reader.axi.arlen + 1, 0) - taken)
        m.d.comb += [
            may_ask.eq(reserved + reader.axi.arlen < depth),
            self.axi.arvalid.eq(reader.axi.arvalid & may_ask), reader.axi.arready.eq(self.axi.arready & may_ask),
            self.axi.araddr.eq(reader.axi.araddr), self.axi.arlen.eq(reader.axi.arlen),
            self.axi.rready.eq(reader.axi.rready),
            *(getattr(reader.axi, name).eq(getattr(self.axi, name)) for name in ("rdata", "rresp", "rlast", "rvalid")),
        ]
        return m
