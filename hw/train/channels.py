"""The channel file and operations on its rows: CHN."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.train import ISA, Channel
from golden.train.params import TrainParams
from hw.fabric.block import instantiate
from hw.fabric.isa_layout import instruction_layout
from hw.fabric.pipeline import strobes
from hw.fabric.ram import Ram

from .channel_lane import CHANNEL_LANE_MODULE, ChannelLane

__all__ = ["Channels"]


class Channels(wiring.Component):
    """One instruction at a time, a row a cycle and ChannelLane's cycles more.

    Attributes:
        arguments: of the run. instruction: the word, stable while one runs. operate: strobe: it is a CHN.
        done: strobe: its rows are written. wrong: strobe: rows beyond the file, or no operation.
        read_row, read_data: a row for others, a cycle later, while no instruction runs here.
        write, write_row, write_data: likewise, to those lanes of a row that `write` has a bit for.
    """

    def __init__(self, params: TrainParams):
        self.params = params
        row, numbers = range(params.channel_rows), 32 * params.word
        super().__init__({
            "arguments": In(32).array(len(params.arguments)), "instruction": In(ISA.bits),
            "operate": In(1), "done": Out(1), "wrong": Out(1),
            "read_row": In(row), "read_data": Out(numbers),
            "write": In(params.word), "write_row": In(row), "write_data": In(numbers),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        self.chn = data.View(instruction_layout(ISA, "CHN"), self.instruction)
        files = []
        for name in ("a", "b"):  # both operands of a row are read at once
            m.submodules[f"file_{name}"] = ram = Ram(width=32 * p.word, depth=p.channel_rows, parts=p.word)
            files.append(ram)
        self.reads = [Signal(range(p.channel_rows), name=f"read_{name}") for name in "ab"]
        self.write_en, self.write_at = Signal(p.word), Signal(range(p.channel_rows))
        self.written = Signal(32 * p.word)
        for ram, read in zip(files, self.reads, strict=True):
            m.d.comb += [ram.read_address.eq(read), ram.write_enable.eq(self.write_en),
                         ram.write_address.eq(self.write_at), ram.write_data.eq(self.written)]
        m.d.comb += [self.read_data.eq(files[0].read_data), self.reads[0].eq(self.read_row),
                     self.write_en.eq(self.write), self.write_at.eq(self.write_row),
                     self.written.eq(self.write_data)]
        number, done_rows, lanes = Signal(13), Signal(13), self._lanes(m, files)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += number.eq(0)
                with m.If(self.operate):
                    m.next = "OPERATE"
                with m.If(self._wrong()):
                    m.d.comb += self.wrong.eq(1)
                    m.next = "IDLE"
            self._operate(m, number, done_rows, *lanes)
        return m

    def _wrong(self):
        chn = self.chn
        rows = [chn.a + chn.rows, Mux(chn.constant, 0, chn.b + Mux(chn.same, 1, chn.rows)), chn.d + chn.rows]
        beyond = Cat(*(row > self.params.channel_rows for row in rows)).any() | (chn.rows == 0)
        return self.operate & (beyond | (chn.op > Channel.EXP) | (chn.argument > len(self.params.arguments)))

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
                self.reads[0].eq((chn.a + number)[:bits]),
                self.reads[1].eq((chn.b + Mux(chn.same, 0, number))[:bits]),
                goes.eq(number != chn.rows), self.write_en.eq(writes.replicate(len(self.write_en))),
                self.written.eq(results), self.write_at.eq((chn.d + done_rows)[:bits]),
            ]
            m.d.sync += number.eq(number + goes)
            with m.If(writes):
                m.d.sync += done_rows.eq(done_rows + 1)
                with m.If(done_rows == chn.rows - 1):
                    m.d.sync += done_rows.eq(0)
                    m.d.comb += self.done.eq(1)
                    m.next = "IDLE"
