"""Datapath of the golden LLM engine: state on the chip, and what each instruction but SYS's does to it."""

from dataclasses import dataclass

import numpy as np

from golden import float32 as f32
from golden.isa.llm import SCALARS, SLOTS, Binary, Put, Reduce, Source, Unary
from golden.params import BLOCK, LlmParams

from . import vector
from .noted import NotedVector, blocks_of, check_noted
from .numerics import EX_MAX, QuantisedVector, convert, quantise
from .positions import UnderWay, check_independent, repetitions
from .stream import kv_offsets
from .tiles import LaneStream

__all__ = ["MASK", "Datapath", "Trace"]

MASK = 0xFFFFFFFF
LARGEST_NUMBER = 0xFFFFFF
"""Of a row that LDG loads."""


@dataclass
class Trace:
    """What a run did: instructions executed, products made, bytes that crossed the memory ports."""

    instructions: int = 0
    macs: int = 0
    bytes_read: int = 0
    bytes_written: int = 0


class Datapath:
    """The engine without its sequencer.

    A method `_name` for each instruction that is not of SYS takes its fields, A, B and N resolved.

    Attributes:
        images: port name ("w0".., "v") -> uint8 array, changed in place.
        best: (ordering key, index) of the running arg-max. results: the result word, 0 before the first AMX.
    """

    def __init__(self, params: LlmParams, images: dict[str, np.ndarray]) -> None:
        self.params = p = params
        self.images, self.trace = images, Trace()
        self.vmem = np.zeros((p.vmem_rows, p.sfu_lanes), np.float32)
        self.q = np.zeros((p.tokens, p.ksplit, p.xbuf_blocks, BLOCK), np.int64)
        self.shift = np.zeros((p.tokens, p.ksplit, p.xbuf_blocks), np.int64)
        self.exponents = [0] * SLOTS
        self.scalars = np.zeros(SCALARS, np.float32)
        self.under_way = UnderWay(p.sfu_lanes)
        self.noted: list[NotedVector] = []
        self.best: tuple[int, int] | None = None
        self.results = (0,)
        self.lanes = LaneStream(p.ksplit)

    def _rows(self, count: int) -> int:
        return -(-count // self.params.sfu_lanes)

    def _vector(self, row: int, count: int) -> np.ndarray:
        rows = self._rows(count)
        if row + rows > self.params.vmem_rows:
            raise IndexError(f"vector rows {row}..{row + rows} leave the global buffer of {self.params.vmem_rows}")
        return self.vmem[row : row + rows].reshape(-1)[:count]

    def _whole(self, row: int, count: int) -> np.ndarray:
        return self._vector(row, self._rows(count) * self.params.sfu_lanes)

    def _slice(self, port: str, address: int, count: int, unit: int = 1) -> np.ndarray:
        """`count` bytes from `address`, which must be a multiple of `unit`."""
        if address % unit:
            raise ValueError(f"port {port}: {address:#x} is not a multiple of {unit}")
        image = self.images[port]
        if address + count > len(image):
            raise IndexError(f"port {port}: {address:#x} + {count} leaves the image of {len(image)} bytes")
        return image[address : address + count]

    def _ldw(self, v: dict[str, int]) -> None:
        p = self.params
        parts = []
        for c in range(p.channels):
            data = self._slice(f"w{c}", v["a"], v["n"] * p.word_bytes, p.word_bytes)
            parts.append(data.view("<u2").reshape(v["n"], p.lanes_per_channel, p.planes))
            self.trace.bytes_read += data.nbytes
        self.lanes.append(v["a"], np.concatenate(parts, 1))

    def _ldv(self, v: dict[str, int]) -> None:
        data = self._slice("v", v["a"], 4 * v["n"], self.params.beat_bytes)
        self._vector(v["b"], v["n"])[:] = data.view("<f4")
        self.trace.bytes_read += data.nbytes

    def _ldg(self, v: dict[str, int]) -> None:
        word = self._slice("v", v["a"], 4, 4)
        self.trace.bytes_read += word.nbytes
        number = int(word.view("<u4")[0]) & LARGEST_NUMBER
        self._ldv({**v, "a": (v["table"] + number * v["stride"]) & MASK})

    def _stv(self, v: dict[str, int]) -> None:
        first = v["a"] // 4 % self.params.sfu_lanes
        if first and first + v["n"] > self.params.sfu_lanes:
            raise ValueError(f"{v['n']} elements from element {first} of a row of memory on leave the row")
        data = self._slice("v", v["a"], 4 * v["n"], 4)
        data[:] = self._vector(v["b"], first + v["n"])[first:].astype("<f4").view(np.uint8)
        self.trace.bytes_written += data.nbytes

    def _stk(self, v: dict[str, int]) -> None:
        p = self.params
        if v["count"] % BLOCK:
            raise ValueError(f"count = {v['count']}: must be a multiple of {BLOCK}")
        number, token = np.arange(v["count"] // BLOCK), np.arange(v["repeat"] + 1)[:, None]
        values = self.q[0, number % p.ksplit, v["b"] + token * v["stride_b"] + number // p.ksplit]
        places = kv_offsets(p, v).reshape(-1, 2)
        for (channel, offset), value in zip(places.tolist(), values.reshape(-1).tolist(), strict=True):
            self._slice(f"w{channel}", v["a"] + offset, 1)[0] = value & 0xFF
        self.trace.bytes_written += len(places)

    def _mv(self, v: dict[str, int]) -> None:
        self._multiply(v, 1, 0)

    def _mm(self, v: dict[str, int]) -> None:
        if not 1 <= v["tokens"] <= self.params.tokens:
            raise ValueError(f"{v['tokens']} tokens; the array multiplies 1 to {self.params.tokens} at once")
        self._multiply(v, v["tokens"], v["stride"])

    def _multiply(self, v: dict[str, int], tokens: int, stride: int) -> None:
        """The next tile times the vectors of the first `tokens` activation buffers."""
        p = self.params
        if not v["n"]:
            return
        v["rows" if v["grow"] else "blocks"] = v["n"]
        if v["rows"] > p.acc_depth:
            raise ValueError(f"{v['rows']} rows a lane, acc_depth is {p.acc_depth}")
        tile, blocks = self.lanes.take(v), v["blocks"]
        if v["b"] + blocks > p.xbuf_blocks:
            raise IndexError(f"blocks {v['b']}..{v['b'] + blocks} leave the activation buffer of {p.xbuf_blocks}")
        for token in range(tokens):
            base = slice(v["b"], v["b"] + blocks)
            x = self.q[token, :, base] << self.shift[token, :, base, None]
            acc = tile.times(x, 1 << v["group_log2"])
            exponent = tile.header.exponent + self.exponents[(v["slot"] + token) % SLOTS]
            row = v["a"] + token * stride
            self._vector(row, len(acc))[:] = convert(acc, exponent)
        self.trace.macs += tile.macs * tokens

    def _operand(self, source: int, row: int, count: int, scalar: int, immediate: int, period: int = 0) -> np.ndarray:
        match Source(source):
            case Source.VECTOR if period:
                once = self._whole(row, period * self.params.sfu_lanes).reshape(period, -1)
                return once[np.arange(self._rows(count)) % period].reshape(-1)
            case Source.VECTOR:
                return self._whole(row, count)
            case Source.SCALAR:
                return np.full(self._rows(count) * self.params.sfu_lanes, self.scalars[scalar], np.float32)
            case Source.IMMEDIATE:
                bits = np.full(self._rows(count) * self.params.sfu_lanes, immediate, np.uint32)
                return f32.from_bits(bits)

    def _vec(self, v: dict[str, int]) -> None:
        parts = repetitions(v)
        self.noted = []
        if v["noted"] and not v["store"]:
            raise ValueError("noted: it stores nothing")
        if len(parts) > 1:
            check_independent(parts, self.params.sfu_lanes)
        self.under_way.enter(parts)
        for r in parts:
            n = r["n"]
            a = self._operand(r["a_source"], r["b"], n, r["sa"], 0)
            b = self._operand(r["b_source"], r["b_row"], n, r["sb"], r["immediate"], r["period"])
            u = vector.unary(Unary(r["unary"]), vector.binary(Binary(r["binary"]), a, b))
            if r["reduce"]:
                self.scalars[r["sd"]] = vector.reduce(Reduce(r["reduce"]), u[:n], self.params.sfu_lanes)
            if r["store"]:  # u may be a view of rows that this changes
                self._whole(r["a"], n)[:] = u
            if v["noted"]:
                self.noted.append(NotedVector(r["a"], self._vector(r["a"], n).copy()))

    def _qnt(self, v: dict[str, int]) -> None:
        p = self.params
        group, blocks = 1 << v["group_log2"], blocks_of(v["n"], v["pad"], v["round_log2"])
        if v["n_step"] * v["repeat"] > v["pad"]:
            raise ValueError(f"pad = {v['pad']} elements, the last repetition has {v['repeat']} more than N")
        if v["noted"]:
            check_noted(p, v, self.noted, self._vector)
        self.noted = []
        number = np.arange(blocks)
        column = number // group % p.ksplit
        local = v["a"] + number // group // p.ksplit * group + number % group
        for t in range(v["repeat"] + 1):
            n = v["n"] + t * v["n_step"]
            x = np.zeros(blocks * BLOCK, np.float32)
            x[:n] = self._vector(v["b"] + t * v["stride_b"], n)
            result: QuantisedVector = quantise(x, bool(v["flat"]))
            token = v["token"] + t * v["token_step"]
            place = local + t * v["stride_a"]
            self.q[token, column, place] = result.q.reshape(-1, BLOCK)
            self.shift[token, column, place] = result.shift
            self.exponents[(v["slot"] + t) % SLOTS] = result.exponent
            if v["flat"]:
                biased = max(result.exponent + EX_MAX + 127, 0)
                self.scalars[(v["sd"] + t) % SCALARS] = f32.from_bits(np.uint32(biased << 23))

    def _amx(self, v: dict[str, int]) -> None:
        self.noted = []
        self.best = vector.arg_max(self._vector(v["b"], v["n"]), v["a"], None if v["first"] else self.best)
        if not v["keep"]:
            self.results = (self.best[1],)

    def _put(self, v: dict[str, int]) -> None:
        self.noted = []
        source, scalars = Put(v["source"]), self.scalars.view(np.uint32)
        if self.best is None and (v["at_best"] or source in (Put.INDEX, Put.VALUE)):
            raise ValueError("there is no arg-max")
        key, index = self.best or (0, 0)
        of_all = {Put.INDEX: index, Put.VALUE: vector.value_bits(key), Put.LOWEST: vector.LOWEST}
        for t in range(v["repeat"] + 1):
            row, element = divmod(v["n"] + index * v["at_best"] + t, self.params.sfu_lanes)
            number = scalars[(v["sa"] + t) % SCALARS] if source == Put.SCALAR else of_all[source]
            self.vmem.view(np.uint32)[v["a"] + row, element] = number
