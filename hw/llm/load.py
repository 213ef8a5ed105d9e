"""LD unit: weights to the lanes, vectors to the global buffer."""

import functools

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.params import LlmParams
from hw.fabric.axi import ADDRESS_BITS, command_layout

from .vector_load import VectorLoad, vector_load_layout, vector_load_ports

__all__ = ["LoadUnit", "load_layout"]


@functools.cache
def load_layout(params: LlmParams) -> data.StructLayout:
    """An LD instruction, operands resolved. `lanes`: LDW, of `n` lane words from `a` on."""
    return data.StructLayout({"lanes": unsigned(1), **vector_load_layout().members})


class LoadUnit(wiring.Component):
    """LDW hands one read command to every weight channel and is done. LDV and LDG load vectors; LDWs behind one start
    while it runs, and finish after it.

    Attributes:
        finished: strobe: the oldest instruction is done. busy: there is one.
        channels: a command stream a weight channel. bases: base address of the weight channels.
        vector, base, words, write_*: see VectorLoad.
    """

    OVERLAP = 16
    """Instructions at once."""

    def __init__(self, params: LlmParams):
        self.params = p = params
        super().__init__({
            "command": In(stream.Signature(load_layout(p))),
            "finished": Out(1),
            "channels": Out(stream.Signature(command_layout())).array(p.channels),
            "bases": In(ADDRESS_BITS).array(p.channels),
            **vector_load_ports(p),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.vectors = vectors = VectorLoad(p)
        wiring.connect(m, vectors.vector, wiring.flipped(self.vector))
        wiring.connect(m, wiring.flipped(self.words), vectors.words)
        command = self.command.payload
        pending = Signal(p.channels)
        address, beats = Signal(32, reset_less=True), Signal(32, reset_less=True)
        for c, channel in enumerate(self.channels):
            m.d.comb += [
                channel.valid.eq(pending[c]),
                channel.payload.address.eq(self.bases[c] + address),
                channel.payload.beats.eq(beats),
            ]
            with m.If(channel.ready):
                m.d.sync += pending[c].eq(0)

        loading, handing = Signal(), Signal()
        behind = Signal(range(self.OVERLAP))  # LDWs that are done and wait for the vector before them
        handed = handing & (pending == 0)
        free = ~handing | handed
        m.d.comb += [
            *(vectors.command.payload[name].eq(command[name]) for name in vector_load_layout().members),
            vectors.command.valid.eq(self.command.valid & ~command.lanes & self.command.ready),
            self.command.ready.eq(
                Mux(command.lanes, free, ~handing & ~loading & (behind == 0) & vectors.command.ready)
            ),
            self.finished.eq(Mux(loading, ~vectors.busy, handed | (behind != 0))),
            self.busy.eq(loading | handing | (behind != 0)),
            *(getattr(self, name).eq(getattr(vectors, name)) for name in ("write_valid", "write_elements", "write_row",
                                                                      "write_data")),
            vectors.write_ready.eq(self.write_ready),
            vectors.base.eq(self.base),
        ]
        m.d.sync += behind.eq(behind + handed - (self.finished & ~loading))
        with m.If(handed):
            m.d.sync += handing.eq(0)
        with m.If(loading & ~vectors.busy):
            m.d.sync += loading.eq(0)
        with m.If(self.command.valid & self.command.ready):
            with m.If(command.lanes):
                m.d.sync += [address.eq(command.a), beats.eq(command.n << (p.lane_words - 1)), handing.eq(1)]
                m.d.sync += pending.eq(Mux(command.n == 0, 0, (1 << p.channels) - 1))
            with m.Else():
                m.d.sync += loading.eq(1)
        return m
