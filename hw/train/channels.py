"""The channel file, and what is done with its rows: LDC, STC, CHN."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA, Channel
from golden.train.params import TrainParams
from hw.fabric.block import instantiate
from hw.fabric.isa_layout import instruction_layout
from hw.fabric.pipeline import strobes
from hw.fabric.ram import Ram

from .channel_lane import CHANNEL_LANE_MODULE, ChannelLane
from .layouts import addressed_layout
from .wuve import SETTINGS

__all__ = ["Channels"]


class Channels(wiring.Component):
    """One instruction at a time. CHN takes a row a cycle and ChannelLane's cycles more, LDC two cycles a row, STC
    three: it has two memory words.

    Attributes:
        arguments: of the run. instruction: the word, stable while one runs. load, store, operate: strobes: it is an
            LDC, STC or CHN.
        done: strobe: its rows are written, or its words given. wrong: strobe: rows beyond the file, or no operation.
        beats: memory words of an LDC, which somebody asks for. words: of an STC.
        read, read_row, read_data: a row for others, a cycle later, while no instruction runs here.
        write, write_row, write_data: likewise.
    """

    def __init__(self, params: TrainParams):
        self.params = params
        row, numbers = range(params.channel_rows), 32 * params.word
        super().__init__({
            "arguments": In(32).array(len(SETTINGS)), "instruction": In(ISA.bits),
            "load": In(1), "store": In(1), "operate": In(1), "done": Out(1), "wrong": Out(1),
            "beats": In(stream.Signature(params.axi_bits)),
            "words": Out(stream.Signature(addressed_layout(params))),
            "read_row": In(row), "read_data": Out(numbers),
            "write": In(1), "write_row": In(row), "write_data": In(numbers),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        self.move, self.chn = (data.View(instruction_layout(ISA, name), self.instruction) for name in ("LDC", "CHN"))
        files = []
        for name in ("a", "b"):  # both operands of a row are read at once
            m.submodules[f"file_{name}"] = ram = Ram(width=32 * p.word, depth=p.channel_rows)
            files.append(ram)
        self.reads = [Signal(range(p.channel_rows), name=f"read_{name}") for name in "ab"]
        self.write_en, self.write_at = Signal(), Signal(range(p.channel_rows))
        self.written = Signal(32 * p.word)
        for ram, read in zip(files, self.reads, strict=True):
            m.d.comb += [ram.read_address.eq(read), ram.write_enable.eq(self.write_en),
                         ram.write_address.eq(self.write_at), ram.write_data.eq(self.written)]
        m.d.comb += [self.read_data.eq(files[0].read_data), self.reads[0].eq(self.read_row),
                     self.write_en.eq(self.write), self.write_at.eq(self.write_row),
                     self.written.eq(self.write_data)]
        number, done_rows, lanes = Signal(13), Signal(13), self._lanes(m, files)
        row = (self.move.row + number)[:len(self.write_at)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += number.eq(0)
                with m.If(self.load):
                    m.next = "LOAD"
                with m.If(self.store):
                    m.next = "READ"
                with m.If(self.operate):
                    m.next = "OPERATE"
                with m.If(self._wrong()):
                    m.d.comb += self.wrong.eq(1)
                    m.next = "IDLE"
            self._load(m, number, row)
            self._store(m, number, row, files[0])
            self._operate(m, number, done_rows, *lanes)
        return m

    def _wrong(self):
        move, chn = self.move, self.chn
        beyond = (move.row + move.rows > self.params.channel_rows) | (move.rows == 0)
        rows = [chn.a + chn.rows, Mux(chn.constant, 0, chn.b + chn.rows), chn.d + chn.rows]
        operands = Cat(*(row > self.params.channel_rows for row in rows)).any() | (chn.rows == 0)
        return ((self.load | self.store) & beyond) | (self.operate & (
            operands | (chn.op > Channel.EXP) | (chn.argument > len(SETTINGS))))

    def _load(self, m, number, row):
        first, half = Signal(self.params.axi_bits, reset_less=True), Signal()
        with m.State("LOAD"):
            m.d.comb += [self.beats.ready.eq(1), self.write_at.eq(row),
                         self.written.eq(Cat(first, self.beats.payload)), self.write_en.eq(self.beats.valid & half)]
            with m.If(self.beats.valid):
                m.d.sync += [first.eq(self.beats.payload), half.eq(~half), number.eq(number + half)]
                with m.If(half & (number == self.move.rows - 1)):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"

    def _store(self, m, number, row, file):
        half = Signal()
        with m.State("READ"):
            m.d.comb += self.reads[0].eq(row)
            m.next = "WRITE"
        with m.State("WRITE"):
            m.d.comb += [
                self.reads[0].eq(row), self.words.valid.eq(1),
                self.words.payload.address.eq(self.move.address + (number << 1) + half),
                self.words.payload.data.eq(file.read_data.word_select(half, self.params.axi_bits)),
            ]
            with m.If(self.words.ready):
                m.d.sync += [half.eq(~half), number.eq(number + half)]
                with m.If(half):
                    m.next = "READ"
                with m.If(half & (number == self.move.rows - 1)):
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"

    def _lanes(self, m, files):
        """(strobe: rows are read for the lanes; strobe: results are there; results)."""
        chn, results, goes, constant = self.chn, [], Signal(), Signal(32)
        m.d.comb += constant.eq(chn.value)
        for number, argument in enumerate(self.arguments, 1):
            with m.If(chn.argument == number):
                m.d.comb += constant.eq(argument)
        for k in range(self.params.word):
            lane = instantiate(m, CHANNEL_LANE_MODULE, ChannelLane.PORTS, f"lane_{k}")
            b = Mux(chn.constant, constant, files[1].read_data.word_select(k, 32))
            m.d.comb += [lane.a.eq(files[0].read_data.word_select(k, 32)), lane.b.eq(b), lane.op.eq(chn.op)]
            results.append(lane.o)
        function = chn.op >= Channel.RSQRT
        written = [strobes(m, goes & is_one, 1 + latency, name)[-1] for is_one, latency, name in (
            (~function, ChannelLane.ARITHMETIC, "sums"), (function, ChannelLane.FUNCTION, "functions"))]
        return goes, Cat(written).any(), Cat(results)

    def _operate(self, m, number, done_rows, goes, writes, results):
        chn, bits = self.chn, len(self.write_at)
        with m.State("OPERATE"):
            m.d.comb += [
                self.reads[0].eq((chn.a + number)[:bits]), self.reads[1].eq((chn.b + number)[:bits]),
                goes.eq(number != chn.rows), self.write_en.eq(writes), self.written.eq(results),
                self.write_at.eq((chn.d + done_rows)[:bits]),
            ]
            m.d.sync += number.eq(number + goes)
            with m.If(writes):
                m.d.sync += done_rows.eq(done_rows + 1)
                with m.If(done_rows == chn.rows - 1):
                    m.d.sync += done_rows.eq(0)
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
