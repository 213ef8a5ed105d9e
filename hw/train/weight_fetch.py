"""The W buffer, and the weights that a step gets out of it."""

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.train.params import TrainParams
from hw.fabric.pipeline import delay
from hw.fabric.ram import Ram

from .stce import weight_layout
from .uspe import SLOT_BITS

__all__ = ["WeightFetch"]


class WeightFetch(wiring.Component):
    """The weights of a step, LATENCY 3 cycles later; one a cycle. Rows of the RAMs are memory words, of several steps.

    Attributes:
        row: of the buffer, a step's. dense: without indices: all columns have index `slot`. weights: of the columns.
        write_values, write_index, write_row, write_data: a memory word of values, or of indices, into the buffer.
    """

    LATENCY = 3

    def __init__(self, params: TrainParams):
        self.params = params
        words = params.w_steps // params.steps_of_word["values"]
        super().__init__({
            "row": In(range(params.w_steps)), "dense": In(1), "slot": In(SLOT_BITS),
            "weights": Out(weight_layout(params)),
            "write_values": In(1), "write_index": In(1), "write_row": In(range(words)),
            "write_data": In(params.axi_bits),
        })

    def elaborate(self, platform):
        m = Module()
        p = self.params
        dense, slot = delay(m, self.dense, 2, "dense"), delay(m, self.slot, 2, "slot")
        reads = []
        for name, bits, enable in (("values", 16, self.write_values), ("index", SLOT_BITS, self.write_index)):
            steps = p.steps_of_word[name]
            low = steps.bit_length() - 1
            m.submodules[name] = ram = Ram(width=p.axi_bits, depth=p.w_steps // steps)
            m.d.comb += [
                ram.write_enable.eq(enable), ram.write_address.eq(self.write_row),
                ram.write_data.eq(self.write_data), ram.read_address.eq(self.row[low:]),
            ]
            word, step = delay(m, ram.read_data, 1, f"{name}_word"), delay(m, self.row[:low], 2, f"{name}_step")
            reads.append(word.word_select(step, bits * p.columns))
        values, index = reads
        index = Mux(dense, slot.replicate(p.columns), index)
        for column, weight in enumerate(self.weights):
            m.d.comb += [
                weight.value.eq(delay(m, values.word_select(column, 16), 1, f"value_{column}")),
                weight.index.eq(delay(m, index.word_select(column, SLOT_BITS), 1, f"index_{column}")),
            ]
        return m
