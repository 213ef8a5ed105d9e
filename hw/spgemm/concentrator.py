"""Picks the elements of a group of banks and closes the gaps between them, behind those that came before."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.pipeline import delay

from .layouts import held_layout

__all__ = ["Concentrator"]


class Concentrator(wiring.Component):
    """Element number i of all that have come leaves in lane i modulo `lanes`; a group of `lanes` banks a cycle.

    First an element's lane gets the lowest bit right, then the others: elements that meet would have to be a multiple
    of 2, 4, .. apart in number and are not so far apart in lane. A multiplexer of four is one LUT a bit, as one of two
    is: if the group's number has an odd number of bits, the last of them is followed together with the first bit of
    the lane. What chooses is known a cycle before and encoded.

    Attributes:
        data, group, mask: of all banks; which banks come, and which of these have an element.
        flush: strobe: zeros fill the lanes from the next element's to the last one, if that isn't all of them. No group
            in this cycle and the one before.
        out_mask, out: LATENCY cycles later.
    """

    LATENCY = 3

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        self.lanes, self.groups = p.lanes, p.banks // p.lanes
        self.bits, self.element_bits = self.lanes.bit_length() - 1, held_layout(p).size
        super().__init__({
            "mask": In(p.lanes),
            "group": In(range(max(2, self.groups))),
            "data": In(data.ArrayLayout(held_layout(p), p.banks)),
            "flush": In(1),
            "out_mask": Out(p.lanes),
            "out": Out(data.ArrayLayout(held_layout(p), p.lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        crosses, sources = self._routes(m)
        banks = [element.as_value() for element in self.data]
        group_bits = self.groups.bit_length() - 1
        late = group_bits % 2
        zeros = Signal()
        m.d.sync += zeros.eq(self.flush)
        last = [delay(m, self.group[0], 1, "last")] if late else []
        planes = []
        for plane in range(1 << late):
            members = [banks[group * self.lanes : (group + 1) * self.lanes]
                       for group in range(plane, self.groups, 1 << late)]  # fmt: skip
            planes.append(self._stage(
                m, f"plane_{plane}", list(zip(*members, strict=True)), [list(self.group)[late:group_bits]] * self.lanes
            ))  # fmt: skip
        even = self._stage(
            m, "even", [[plane[lane ^ cross] for plane in planes for cross in (0, 1)] for lane in range(self.lanes)],
            [[cross, *last] for cross in crosses], zeros,
        )  # fmt: skip
        packed = self._stage(
            m, "packed", [[even[lane ^ 2 * step] for step in range(self.lanes // 2)] for lane in range(self.lanes)],
            sources,
        )  # fmt: skip
        m.d.comb += self.out.eq(Cat(*packed))
        return m

    def _stage(self, m, name, choices, selects, zeros=None):
        """Registers: of the choices for each lane the one that is selected."""
        stage = []
        for lane, (values, select) in enumerate(zip(choices, selects, strict=True)):
            element = Signal(self.element_bits, name=f"{name}_{lane}", reset_less=True)
            m.d.sync += element.eq(_chosen(values, select))
            if zeros is not None:
                with m.If(zeros):
                    m.d.sync += element.eq(0)
            stage.append(element)
        return stage

    def _routes(self, m):
        """(a cycle after `mask`, whether a lane takes the element of its neighbour; a cycle later, from which lane it
        takes one then: that many steps of 2 away, by exclusive or)."""
        lanes, bits, mask = self.lanes, self.bits, self.mask
        # `odd` is the lowest bit of `base` a cycle earlier
        odd, base, total = Signal(), Signal(bits), Signal(bits + 1)
        came, crosses = Signal(lanes), Signal(lanes)
        m.d.sync += [
            odd.eq((odd ^ mask.xor()) & ~self.flush), base.eq(base + total),
            total.eq(Mux(self.flush, (-base)[:bits], _ones(mask, bits + 1))),
        ]  # fmt: skip
        if bits > 1:  # of two lanes there is nothing to route behind the first step
            m.d.sync += came.eq(mask)
        targets = []
        for lane in range(lanes):
            before = Signal(bits, name=f"before_{lane}", reset_less=True)
            target = Signal(bits, name=f"target_{lane}")
            m.d.sync += [
                before.eq(_ones(mask[:lane], bits)),
                crosses[lane ^ 1].eq(mask[lane] & ((_ones(mask[:lane], 1) ^ odd) != (lane & 1))),
            ]  # fmt: skip
            m.d.comb += target.eq(base + before)
            targets.append(target)

        here = [crosses[lane] | (came[lane] & (targets[lane][0] == (lane & 1))) for lane in range(lanes)]
        moved = [Mux(crosses[lane], targets[lane ^ 1], targets[lane])[1:] for lane in range(lanes)]
        sources, written = [], Signal(lanes)
        for lane in range(lanes):
            source = [Signal(name=f"source_{lane}_{bit}", reset_less=True) for bit in range(bits - 1)]
            for bit in range(bits - 1):
                steps = [step for step in range(lanes // 2) if step >> bit & 1]
                m.d.sync += source[bit].eq(
                    Cat(*(here[lane ^ 2 * step] & (moved[lane ^ 2 * step] == lane >> 1) for step in steps)).any()
                )
            m.d.sync += written[lane].eq((lane - base)[:bits] < total)
            sources.append(source)
        m.d.sync += self.out_mask.eq(written)
        return crosses, sources


def _chosen(values, select):
    """Of 2**len(select) values the one that is selected."""
    values = list(values)
    for bit in select:
        values = [Mux(bit, odd, even) for even, odd in zip(values[::2], values[1::2], strict=True)]
    return values[0]


def _ones(value, width):
    """How many bits are one, modulo 2**width: by full adders, which are fewer levels than a chain of sums."""
    columns = [list(value), *([] for _ in range(width))]
    for weight in range(width):
        column, carries = columns[weight], columns[weight + 1]
        while len(column) > 1:
            a, b, c = (column.pop(0) if column else Const(0) for _ in range(3))
            column.append(a ^ b ^ c)
            carries.append(a & b | a & c | b & c)
    return Cat(*(column[0] if column else Const(0) for column in columns[:width]))
