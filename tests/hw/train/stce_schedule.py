"""What goes into an Stce cycle by cycle for products, and what must come out."""

import numpy as np

from golden.floats import BINARY32
from golden.train.params import GROUP, INTERLEAVE, TrainParams
from golden.train.product import dense_columns, product
from hw.train.row_feed import control_layout
from hw.train.stce import Stce, weight_layout
from tests.hw.packing import packed

__all__ = ["StceSchedule"]

START = 17
"""Cycles from the load of a group's numbers to its first step."""


class StceSchedule:
    """Operations one after the other.

    Attributes:
        now: the cycle at which the next one can begin.
        vectors: bits [.., columns] of the sums that must come, in order. times: the cycles in which they must.
    """

    def __init__(self, params: TrainParams) -> None:
        self.params, self.now = params, 1
        self.control, self.word, self.weights, self.modes = {}, {}, {}, {}
        self.vectors, self.times = [], []
        self.dut = Stce(params)

    def say(self, cycle, **fields):
        said = self.control.setdefault(cycle, {})
        assert not said.keys() & fields.keys(), (cycle, said, fields)
        said.update(fields)

    def put_word(self, cycle, bits):
        assert cycle not in self.word, f"two words in cycle {cycle}"
        self.word[cycle] = sum(number << 16 * i for i, number in enumerate(bits.tolist()))

    def tile(self, x, values, index, *, last_gap=0):
        """Output-stationary, `rows` x 8 `columns` sums; `last_gap`: empty rounds before the last one."""
        p = self.params
        groups, slots, _ = values.shape
        period, per_word = INTERLEAVE * slots, p.word // GROUP
        begin = self.now
        for group in range(groups):
            at = begin + group * period
            if group % per_word == 0:
                self.say(at, load=1)
                for row in range(p.rows):
                    self.put_word(at + row, np.resize(x[row, GROUP * group :], p.word))
            for k in range(GROUP):
                self.say(at + 1 + k, write=1, place=GROUP * (group % 2) + k)
            self._steps(at + START, values, index, group, groups, last_gap)
        end = begin + START + groups * period + INTERLEAVE * last_gap
        self.now += -(-groups // per_word) * per_word * period + INTERLEAVE * last_gap
        self._expect(end, x, values, index)

    def spread_tile(self, x, y):
        """The same for dense columns y [k, 8 columns], where a word has a number for every row, x [rows, k]."""
        p = self.params
        values, index = dense_columns(y)
        groups, period = len(values), INTERLEAVE * GROUP
        begin = self.now + 1
        for group in range(groups):
            at = begin + group * period
            for k in range(GROUP):
                self.say(at + INTERLEAVE * k, write=1, spread=1, place=GROUP * (group % 2) + k)
                for block in range(0, p.rows, p.word):
                    column = x[block : block + p.word, GROUP * group + k]
                    self.put_word(at + INTERLEAVE * k + block // p.word, np.resize(column, p.word))
            self._steps(at + INTERLEAVE * (GROUP - 1) + 1, values, index, group, groups, 0)
        end = begin + INTERLEAVE * (GROUP - 1) + 1 + groups * period
        self._expect(end, x, values, index)
        self.now = end + p.rows

    def stationary(self, x, values, index):
        """Weight-stationary: x [any number of rows, 16 groups]."""
        p = self.params
        groups, slots, _ = values.shape
        for group in range(groups):
            for slot in range(slots):
                for j in range(INTERLEAVE):
                    self.say(self.now, store=1, row=group, slot=slot, sum=j)
                    self._weights(self.now, values, index, group, slot, j)
                    self.now += 1
        self.now += self.dut.OUTPUT + p.rows * INTERLEAVE + Stce.RING
        period = INTERLEAVE * slots
        self.modes[self.now] = {"stationary": 1, "slots_log2": slots.bit_length() - 1, "groups": groups % p.rows}
        begin = self.now + 3
        for number, row_numbers in enumerate(x):
            at = begin + number * period
            self.say(at, load=1)
            for row in range(p.rows):  # rows without weights get numbers too, which must not count
                mine = row_numbers[GROUP * (row % groups) : GROUP * (row % groups + 1)]
                word = np.roll(np.resize(mine, p.word), GROUP * row)  # its group is that of its number in the word
                word[: GROUP * (row % (p.word // GROUP))] = 0x7FFF
                self.put_word(at + row * (period + 1), word)
            for k in range(GROUP):
                self.say(at + 1 + k, write=1, place=GROUP * (number % 2) + k)
            for slot in range(slots):
                for j in range(INTERLEAVE):
                    self.say(at + START + INTERLEAVE * slot + j, on=1, half=number % 2, slot=slot, sum=j,
                             first=slot == 0, last=slot == slots - 1)
            leaves = at + START + period - INTERLEAVE + self.dut.OUTPUT_STATIONARY + period * (p.rows - 1)
            self.times += [leaves + j for j in range(INTERLEAVE)]
        sums = BINARY32.to_bits(product(x, values, index, p.half))
        self.vectors += sums.reshape(-1, p.columns).tolist()
        self.now = begin + len(x) * period + p.rows * (period + 1) + Stce.RING + self.dut.OUTPUT_STATIONARY
        self.modes[self.now] = {"stationary": 0, "groups": 0}
        self.now += Stce.RING

    def settle(self):
        self.now += self.dut.OUTPUT + self.params.rows * INTERLEAVE

    def _weights(self, cycle, values, index, group, slot, j):
        columns = slice(self.params.columns * j, self.params.columns * (j + 1))
        pairs = zip(values[group, slot, columns].tolist(), index[group, slot, columns].tolist(), strict=True)
        self.weights[cycle] = [{"value": value, "index": place} for value, place in pairs]

    def _steps(self, at, values, index, group, groups, last_gap):
        slots = values.shape[1]
        for slot in range(slots):
            last = group == groups - 1 and slot == slots - 1
            for j in range(INTERLEAVE):
                cycle = at + INTERLEAVE * (slot + last_gap * last) + j
                self.say(cycle, on=1, half=group % 2, slot=slot, sum=j, first=group == 0 and slot == 0, last=last)
                self._weights(cycle, values, index, group, slot, j)

    def _expect(self, end, x, values, index):
        p = self.params
        sums = BINARY32.to_bits(product(x, values, index, p.half))[::-1]
        self.vectors += sums.reshape(-1, p.columns).tolist()
        first = end - INTERLEAVE + self.dut.OUTPUT
        self.times += range(first, first + INTERLEAVE * p.rows)

    def inputs(self):
        """Port name -> value of every cycle."""
        p, cycles = self.params, self.now + Stce.RING
        control, weights = control_layout(p), weight_layout(p)
        ports = {
            "control": [packed(control, self.control.get(t, {})) for t in range(cycles)],
            "word": [self.word.get(t, 0) for t in range(cycles)],
            "weights": [packed(weights, self.weights[t]) if t in self.weights else 0
                        for t in range(cycles)],
        }
        modes = dict.fromkeys(("stationary", "slots_log2", "groups"), 0)
        held = {name: [] for name in modes}
        for t in range(cycles):
            modes |= self.modes.get(t, {})
            for name, value in modes.items():
                held[name].append(value)
        return ports | held
