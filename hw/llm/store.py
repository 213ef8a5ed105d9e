"""ST unit: vectors to memory, and the KV cache's in-place append."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.params import BLOCK, LlmParams
from hw.fabric.answers import AnswerWatch
from hw.fabric.axi import ADDRESS_BITS, beat_layout

from .layouts import block_layout

__all__ = ["StoreUnit", "store_layout"]


def store_layout(params: LlmParams) -> data.StructLayout:
    """An ST instruction, operands resolved; STK: `n` is the token, `count` the numbers."""
    return data.StructLayout({
        "cache": unsigned(1), "a": unsigned(32), "b": unsigned(32), "n": unsigned(32),
        "count": unsigned(16), "value": unsigned(1), "rows": unsigned(7), "blocks": unsigned(10),
    })


class StoreUnit(wiring.Component):
    """STV writes a row a beat, every 3 cycles. STK writes what of a block of 16 lies in a beat: 2 cycles, 3 the first.

    For K that is a lane's bytes (a block lies in one lane), for V a byte of up to 16 lanes (golden: `kv_offsets`).
    `rows` and `blocks` are powers of two (their logarithms are taken from the highest set bit), `count` is a multiple
    of 16. N = 0, or `count` = 0, stores nothing. An instruction has finished when all its writes are answered; the next
    one writes meanwhile.

    Attributes:
        finished: strobe: the oldest instruction has. busy: there is one.
        channels, vector: beats for the writers. answered: a response, by channel, then of the vector channel.
        bases, base: see LoadUnit.
        read_row, read_data, read_grant: global buffer; granted when the vector unit does not read.
        peek_block, peek_data: quantised blocks, one cycle later.
    """

    OVERLAP = 5
    """Instructions at once."""

    def __init__(self, params: LlmParams):
        self.params = p = params
        super().__init__({
            "command": In(stream.Signature(store_layout(p))),
            "finished": Out(1),
            "channels": Out(stream.Signature(beat_layout(p.axi_bits))).array(p.channels),
            "bases": In(ADDRESS_BITS).array(p.channels),
            "vector": Out(stream.Signature(beat_layout(p.axi_bits))),
            "base": In(ADDRESS_BITS),
            "answered": In(p.channels + 1),
            "read_row": Out(range(p.vmem_rows)),
            "read_data": In(p.sfu_lanes * 32),
            "read_grant": In(1),
            "peek_block": Out(range(p.xbuf_blocks)),
            "peek_data": In(block_layout()).array(p.ksplit),
            "busy": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        held = Signal(store_layout(p), reset_less=True)
        index = Signal(32)
        m.submodules.watch = watch = AnswerWatch(p.channels + 1, self.OVERLAP - 1)
        writers = [*self.channels, self.vector]
        m.d.comb += [
            self.busy.eq(1),
            watch.sent.eq(Cat(*(writer.valid & writer.ready for writer in writers))),
            watch.answered.eq(self.answered),
            self.finished.eq(watch.finished),
        ]

        row_bytes = p.sfu_lanes * 4
        copies = p.axi_bits // (p.sfu_lanes * 32)
        address = Signal(ADDRESS_BITS)
        left = Signal(32)
        m.d.comb += [address.eq(self.base + held.a + index * row_bytes), left.eq(held.n - index * p.sfu_lanes)]
        low = (p.beat_bytes - 1).bit_length()
        lane_bytes = p.lane_bits // 8
        words, first = Signal(p.sfu_lanes), Signal((p.sfu_lanes - 1).bit_length())
        m.d.comb += [
            first.eq(address[2 : (row_bytes - 1).bit_length()]),
            words.eq(Cat(*(left > k for k in range(p.sfu_lanes))) << first),
        ]
        row = Signal(p.sfu_lanes * 32, reset_less=True)
        strobe_row = Cat(*(w.replicate(4) for w in words))
        strobe = Signal(p.beat_bytes)
        offset = address[:low]
        row_offset = Signal(low)
        m.d.comb += row_offset.eq(offset & ~(row_bytes - 1) & (p.beat_bytes - 1))
        m.d.comb += strobe.eq(strobe_row << row_offset)
        m.d.comb += [
            self.read_row.eq(held.b + index),
            self.vector.payload.address.eq(Cat(Signal(low, name="aligned"), address[low:])),
            self.vector.payload.data.eq(row.replicate(copies)),
            self.vector.payload.strobe.eq(strobe),
        ]

        element = self._element_address(m, held, index)
        data, strobes = Signal(p.axi_bits, reset_less=True), Signal(p.beat_bytes, reset_less=True)
        target = Signal(32, reset_less=True)
        channel = Signal(range(max(2, p.channels)), reset_less=True)
        column = Signal(range(max(2, p.ksplit)))
        source_block = index >> 4
        column_bits = p.ksplit.bit_length() - 1
        m.d.comb += [
            column.eq(source_block[:column_bits] if column_bits else 0),
            self.peek_block.eq(held.b + (source_block >> column_bits)),
        ]
        block = Signal(block_layout())
        with m.Switch(column):
            for c in range(p.ksplit):
                with m.Case(c):
                    m.d.comb += block.eq(self.peek_data[c])
        for c, stream_out in enumerate(self.channels):
            m.d.comb += [
                stream_out.payload.address.eq(self.bases[c] + Cat(Signal(low, name=f"zero_{c}"), target[low:])),
                stream_out.payload.data.eq(data),
                stream_out.payload.strobe.eq(strobes),
            ]
        spread, word, step = self._beat(m, held, block, index)
        at = element[0][:low]
        accepted = Signal()
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.command.ready.eq(1), self.busy.eq(watch.busy)]
                m.d.sync += index.eq(0)
                with m.If(self.command.valid):
                    m.d.sync += held.eq(self.command.payload)
                    m.next = "CLOSE"
                    with m.If(self.command.payload.cache & (self.command.payload.count != 0)):
                        m.next = "PEEK"
                    with m.If(~self.command.payload.cache & (self.command.payload.n != 0)):
                        m.next = "READ"
            with m.State("READ"):
                with m.If(self.read_grant):
                    m.next = "CAPTURE"
            with m.State("CAPTURE"):
                m.d.sync += row.eq(self.read_data)
                m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += self.vector.valid.eq(1)
                with m.If(self.vector.ready):
                    m.d.sync += index.eq(index + 1)
                    m.next = "READ"
                    with m.If(left <= p.sfu_lanes):
                        m.next = "CLOSE"
            with m.State("PEEK"):
                m.next = "SPREAD"
            with m.State("SPREAD"):
                m.d.sync += [
                    data.eq(Mux(held.value, spread, word)),
                    strobes.eq(Mux(held.value, self._lanes_strobe() << at, ((1 << lane_bytes) - 1) << at)),
                    target.eq(held.a + element[0]),
                    channel.eq(element[1]),
                ]
                m.next = "PUT"
            with m.State("PUT"):
                for c, stream_out in enumerate(self.channels):
                    with m.If(channel == c):
                        m.d.comb += [stream_out.valid.eq(1), accepted.eq(stream_out.ready)]
                with m.If(accepted):
                    next_index = (index + step)[: len(index)]
                    m.d.sync += index.eq(next_index)
                    m.next = "SPREAD"
                    with m.If(next_index[:4] == 0):
                        m.next = "PEEK"
                    with m.If(next_index == held.count):
                        m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += watch.close.eq(watch.room)
                with m.If(watch.room):
                    m.next = "IDLE"
        return m

    @property
    def _lanes_a_beat(self):
        """Elements of a V block that lie in one beat: one a lane."""
        return min(BLOCK, self.params.lanes_per_channel, self.params.row_groups)

    def _lanes_strobe(self):
        return sum(1 << (lane * self.params.lane_bits // 8) for lane in range(self._lanes_a_beat))

    def _beat(self, m, held, block, index):
        """(data for V, data for K, elements in a beat) from element `index` of the block on."""
        p, values = self.params, block.q.as_value()
        lane_bytes, lanes = p.lane_bits // 8, self._lanes_a_beat
        within, step = index[:4], Signal(5)
        bytes_v = values.word_select(within[lanes.bit_length() - 1 :], 8 * lanes) if lanes < BLOCK else values
        word = values.word_select(within[lane_bytes.bit_length() - 1 :], p.lane_bits)
        bytes_of_lanes = [bytes_v.word_select(lane % lanes, 8) for lane in range(p.lanes_per_channel)]
        spread = Cat(*(byte.replicate(lane_bytes) for byte in bytes_of_lanes))
        m.d.comb += step.eq(Mux(held.value, lanes, lane_bytes))
        return spread, word.replicate(p.lanes_per_channel), step

    def _element_address(self, m, held, index):
        """(byte offset in the image, channel) of element `index`: golden.llm.stream.kv_offsets, combinational."""
        p = self.params
        row, inp = Mux(held.value, index, held.n), Mux(held.value, held.n, index)
        group_bits = p.row_groups.bit_length() - 1
        column_bits = p.ksplit.bit_length() - 1
        group, chain_row = row[:group_bits], Signal(32)
        block, local, column = Signal(32), Signal(32), Signal(max(1, column_bits))
        rows_log2, blocks_log2 = self._log2(m, held.rows, "rows"), self._log2(m, held.blocks, "blocks")
        m.d.comb += [
            chain_row.eq(row >> group_bits),
            block.eq(inp >> 4),
            column.eq(block[:column_bits] if column_bits else 0),
            local.eq(block >> column_bits),
        ]
        tile, row_in, block_in = Signal(32), Signal(32), Signal(32)
        m.d.comb += [
            tile.eq((chain_row >> rows_log2) + (local >> blocks_log2)),
            row_in.eq(chain_row & (held.rows - 1)[:7]),
            block_in.eq(local & (held.blocks - 1)[:10]),
        ]
        bundle, byte = Signal(32), Signal(32)
        m.d.comb += [
            bundle.eq((((tile << blocks_log2) + block_in) << rows_log2) + row_in),
            byte.eq((bundle << 4) + inp[:4]),
        ]
        lane_bytes = p.lane_bits // 8
        lane_shift = lane_bytes.bit_length() - 1
        lane = Cat(group, column[:column_bits]) if column_bits else group
        channel_lane_bits = p.lanes_per_channel.bit_length() - 1
        offset = (
            ((byte >> lane_shift) << (p.beat_bytes.bit_length() - 1))
            + (lane[:channel_lane_bits] << lane_shift)
            + byte[:lane_shift]
        )
        assert BLOCK == 16
        return offset, lane[channel_lane_bits:] if p.channels > 1 else 0

    @staticmethod
    def _log2(m, value, name):
        result = Signal(4, name=f"{name}_log2")
        for bit in range(len(value)):
            with m.If(value[bit]):
                m.d.comb += result.eq(bit)
        return result
