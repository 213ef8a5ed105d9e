"""Lines of B, from the cache or from memory."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out, connect, flipped

from golden.spgemm.params import SpgemmParams
from hw.fabric.axi import axi_read
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram
from hw.fabric.sure_fifo import SureFIFO

from .cache_tags import CacheTags, found_layout
from .layouts import arrival_layout, request_layout
from .miss_queue import MissQueue

__all__ = ["LineCache"]


class LineCache(wiring.Component):
    """Looks up requests up to `window` ahead, as texture caches do: what hits, and the place of what does not, is
    decided in the order of the requests, and lines leave in that order, so none is replaced before it was used.

    A line a cycle, LATENCY cycles after its request if it is there; from memory as fast as it answers.

    Attributes:
        requests, lines: a line for each, also for dry ones, whose data mean nothing.
        axi: reads of a line each, see MissQueue. base: byte address of line 0, a multiple of a line.
        uncached: every line is read, not to change while a request is here.
        invalidate: strobe, before a run: nothing is here, and nothing comes in the next two cycles. ready: low while
            tags are swept; requests.ready follows a cycle later.
        error: sticky: a response that is not OKAY; `clear` resets it.
        hit, miss: strobe: a line was looked up. memory_wait: the next line waits for its response.
    """

    LATENCY = CacheTags.LATENCY + 6
    QUEUE = 32
    """Lines that wait until they are taken."""

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        super().__init__({
            "requests": In(stream.Signature(request_layout(p))), "lines": Out(stream.Signature(arrival_layout(p))),
            "axi": Out(axi_read(p.axi_bits)), "base": In(64), "uncached": In(1), "invalidate": In(1), "ready": Out(1),
            "error": Out(1), "clear": In(1), "hit": Out(1), "miss": Out(1), "memory_wait": Out(1),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        p = self.params
        m.submodules.tags = tags = CacheTags(p)
        m.submodules.window = window = SyncFIFOBuffered(width=found_layout(p).size, depth=p.window)
        connect(m, flipped(self.requests), tags.requests)
        held, room = Signal(range(p.window + 1)), Signal()  # requests that have no line yet
        taken, left = self.requests.valid & self.requests.ready, Signal()
        m.d.sync += [
            left.eq(window.r_en & window.r_rdy), held.eq(held + taken - left),
            room.eq((held <= p.window - 2) & tags.ready),  # one may be taken before it shows
        ]  # fmt: skip
        looked_up = tags.valid & ~tags.found.request.dry
        m.d.comb += [
            tags.room.eq(room), tags.uncached.eq(self.uncached), tags.invalidate.eq(self.invalidate),
            self.ready.eq(tags.ready), window.w_data.eq(tags.found), window.w_en.eq(tags.valid),
            self.hit.eq(looked_up & tags.found.hit), self.miss.eq(looked_up & ~tags.found.hit),
        ]  # fmt: skip
        self._lines(m, window, self._misses(m, tags.found.request.line))
        return m

    def _misses(self, m, line):
        """Stream of the blocks that misses read. The window bounds how many wait."""
        block = line[(self.params.block_lines - 1).bit_length():]
        m.submodules.reads = reads = SyncFIFO(width=len(block), depth=self.params.window)
        m.submodules.memory = memory = MissQueue(self.params)
        connect(m, reads.r_stream, memory.blocks)
        connect(m, memory.axi, flipped(self.axi))
        m.d.comb += [
            reads.w_data.eq(block), reads.w_en.eq(self.miss), memory.base.eq(self.base),
            self.error.eq(memory.error), memory.clear.eq(self.clear),
        ]
        return memory.contents

    def _lines(self, m, window, contents):
        """The window's first line goes to a queue that has room for all that are on their way, so that nothing waits
        between. A block that has come is written, and its line read a cycle later as if it had been there: a read does
        not see the write of the next one, which may replace it.
        """
        p = self.params
        found = data.View(found_layout(p), window.r_data)
        m.submodules.ram = ram = Ram(width=p.block_lines * p.axi_bits, depth=p.cache_lines // p.block_lines)
        m.submodules.queue = queue = SureFIFO(width=arrival_layout(p).size, depth=self.QUEUE)
        missed, go, room, leaves = Signal(), Signal(), Signal(), Signal()
        held = Signal(range(self.QUEUE + 1))  # lines behind the window
        valid = strobes(m, go, 3, "valid")
        number = delay(m, found.request.line & (p.block_lines - 1), 2, "number")
        line = Signal(arrival_layout(p), reset_less=True)
        m.d.comb += [
            missed.eq(~found.hit & ~found.request.dry),
            go.eq(window.r_rdy & (~missed | contents.valid) & room), window.r_en.eq(go),
            contents.ready.eq(go & missed), self.memory_wait.eq(window.r_rdy & missed & ~contents.valid),
            ram.write_enable.eq(go & missed), ram.write_address.eq(found.place), ram.write_data.eq(contents.payload),
            ram.read_address.eq(delay(m, found.place, 1, "place")),
            queue.w_data.eq(line), queue.w_en.eq(valid[-1]),
            self.lines.valid.eq(queue.r_rdy), self.lines.payload.eq(queue.r_data), queue.r_en.eq(self.lines.ready),
        ]  # fmt: skip
        m.d.sync += [
            line.use.eq(delay(m, found.request.use, 2, "use")),
            line.data.as_value().eq(ram.read_data.word_select(number, p.axi_bits)),
            leaves.eq(self.lines.valid & self.lines.ready), held.eq(held + go - leaves),
            room.eq(held <= self.QUEUE - 2),  # one may go before it shows
        ]  # fmt: skip
