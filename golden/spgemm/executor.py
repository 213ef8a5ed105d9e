"""Golden executor of the SpGEMM engine: runs a program on memory images, bit exact.

Chunks that are not fixed go to the row engines in turn; on the hardware, to the next one that is idle. So C may lie in
other channels there, but every chunk's rows are the same.
"""

from collections import Counter

import numpy as np

from golden.execution import ExecutionError
from golden.isa.formats import IsaError
from golden.isa.spgemm import COUNT_BITS, FIRST_BITS, ISA, Hash

from .memory import element_type, entry_type
from .order import bank_of, depths
from .params import SpgemmParams
from .piece import decode_piece
from .product import ARITHMETIC, Elements, merge
from .record import COUNTERS, RECORD_BYTES
from .slots import displacements, home_slots

__all__ = ["Executor"]

AT_ONCE = 1 << 21
"""Products that are handled together, if a row has no more."""


class Executor:
    """The engine with a program.

    Attributes:
        images: port -> uint8 array, the memory; replaced by longer ones where C goes beyond their ends.
        results: none. counters: of the last run, summed over the row engines.
    """

    results: tuple[int, ...] = ()

    def __init__(self, params: SpgemmParams, program: list[int], images: dict[str, np.ndarray]) -> None:
        self.params, self.program, self.images = params, program, images
        self.counters: dict[str, int] = {}

    def run(self, arguments: tuple[int, ...] = ()) -> int:
        """Execute until HALT; returns its code.

        Raises:
            ExecutionError: the instruction, and what is wrong with it.
        """
        engines: list[_RowEngine] | None = None
        turn = 0
        for pc, word in enumerate(self.program):
            try:
                fmt, v = ISA.decode(word)
                match fmt.name:
                    case "SET":
                        engines = [_RowEngine(self.params, v) for _ in range(self.params.engines)]
                    case "CHUNK" if engines is None:
                        raise ValueError("no SET before it")
                    case "CHUNK":
                        assert engines is not None
                        number = v["engine"] if v["fixed"] else turn % len(engines)
                        turn += not v["fixed"]
                        engines[number].chunk(self.images[f"c{number}"], v)
                    case "HALT":
                        self._finish(engines or [])
                        return v["code"]
            except (ValueError, IndexError, IsaError, _OverflowError) as error:
                status = "overflow" if isinstance(error, _OverflowError) else "illegal"
                raise ExecutionError(f"instruction {pc} ({_text(word)}): {error}", status) from error
        raise ExecutionError("the program ends without HALT", "program_size")

    def _finish(self, engines: list["_RowEngine"]) -> None:
        total: Counter[str] = Counter()
        for number, engine in enumerate(engines):
            port = f"c{number}"
            for at, data in engine.written():
                self.images[port] = _stored(self.images[port], at, data)
            total.update(engine.counters)
        self.counters = dict(total)


def _text(word: int) -> str:
    try:
        return ISA.to_text(word)
    except IsaError:
        return f"{word:#x}"


def _stored(image: np.ndarray, at: int, data: np.ndarray) -> np.ndarray:
    """The image with `data` at byte `at`."""
    if at + len(data) > len(image):
        image = np.concatenate([image, np.zeros(at + len(data) - len(image), np.uint8)])
    image[at : at + len(data)] = data
    return image


class _OverflowError(Exception):
    """An element finds no slot."""


class _RowEngine:
    def __init__(self, params: SpgemmParams, places: dict[str, int]) -> None:
        self.params, self.places = params, places
        self.hash_by, self.arithmetic = Hash(places["hash"]), ARITHMETIC[params.numbers]
        if places["scan"] and not places["apart"]:
            raise ValueError("scan without apart")
        self.numbers: list[np.ndarray] = []
        self.elements: list[np.ndarray] = []
        self.counters = dict.fromkeys(COUNTERS[:5], 0)

    def chunk(self, image: np.ndarray, v: dict[str, int]) -> None:
        """Multiply a chunk's rows; raises ValueError where the engine would stop with an error."""
        p = self.params
        if not v["n"]:
            raise ValueError("a chunk without entries")
        begin = v["a"] * p.beat_bytes
        words = image[begin : begin + v["n"] * p.element_bytes]
        if len(words) != v["n"] * p.element_bytes:
            raise ValueError("the chunk goes beyond the memory")
        entries = words.view(entry_type(p))
        values, places = entries["value"], entries["place"].astype(np.int64)
        first, count = decode_piece(places & (1 << FIRST_BITS) - 1, places >> FIRST_BITS & (1 << COUNT_BITS) - 1,
                                    p.lanes)
        last = places >> 31
        if not last[-1]:
            raise ValueError("the chunk ends inside a row")
        row = np.cumsum(last) - last
        rows = int(last.sum())
        regions = self._regions(entries["says"], count, last)
        size = np.zeros(rows, np.int64)
        size[row] = p.region << regions
        self.numbers.append(np.array([v["id"]], np.uint32))
        self.counters["lines"] += int(np.sum((count == 0) & (last == 1)))
        done = np.cumsum(np.bincount(row, count, rows).astype(np.int64))
        at = 0
        while at < rows:
            end = max(at + 1, int(np.searchsorted(done, (done[at - 1] if at else 0) + AT_ONCE, side="right")))
            some = slice(*np.searchsorted(row, (at, end)))
            self._rows(image, row[some] - at, values[some], first[some], count[some], size[at:end])
            at = end

    def _regions(self, said: np.ndarray, count: np.ndarray, last: np.ndarray) -> np.ndarray:
        """int64 [entries]: logarithm of the contexts of the entry's row."""
        says = (count == 0) & (last == 0)
        if said[says].max(initial=0) > self.params.contexts.bit_length() - 1:
            raise ValueError(f"a row asks for more than the {self.params.contexts} contexts")
        latest = np.maximum.accumulate(np.where(says, np.arange(len(said)), -1))
        return np.where(latest < 0, 0, said[latest].astype(np.int64))

    def _rows(self, image: np.ndarray, row: np.ndarray, values: np.ndarray, first: np.ndarray, count: np.ndarray,
              size: np.ndarray) -> None:
        p = self.params
        source = np.repeat(np.arange(len(row)), count)
        within = np.arange(len(source)) - np.repeat(np.cumsum(count) - count, count)
        at = self.places["b"] * p.lanes + first[source] + within
        memory = image[: len(image) // p.element_bytes * p.element_bytes].view(element_type(p))[at]
        made = self.arithmetic.mul(values[source], memory["value"])
        columns = memory["column"].astype(np.int64)
        if columns.max(initial=0) >> p.column_bits:
            raise ValueError(f"column {columns.max()} has more than {p.column_bits} bits")
        elements = merge(row[source], columns, made, self.arithmetic)
        self.counters["lines"] += int(np.sum((first + count - 1) // p.lanes - first // p.lanes + 1, where=count > 0))
        self._leave(elements, size)

    def _leave(self, elements: Elements, size: np.ndarray) -> None:
        p = self.params
        bank = bank_of(elements.columns, p.banks)
        depth = depths(elements, bank, p.banks)
        of_row = size[elements.rows]
        home = home_slots(elements.columns, of_row, self.hash_by, self.places["shift"])
        away = displacements(elements.rows * p.banks + bank, depth, home, of_row)
        lost = np.flatnonzero(away >= np.minimum(of_row, p.probe_limit))
        if len(lost):
            raise _OverflowError(
                f"bank {bank[lost[0]]} overflows: no slot within {p.probe_limit} for an element of column "
                f"{elements.columns[lost[0]]}"
            )
        # one after the other in the order of the depths, or each where its tag lies
        order = np.lexsort((bank, (home + away) % of_row if self.places["scan"] else depth, elements.rows))
        stored = np.zeros(len(order), element_type(p))
        stored["column"], stored["value"] = elements.columns[order], elements.values[order]
        self.elements.append(stored.view(np.uint8))
        self.numbers.append(np.bincount(elements.rows, minlength=len(size)).astype(np.uint32))
        self.counters["elements"] += len(elements.rows)
        self.counters["products"] += elements.products
        self.counters["probing"] += int(np.sum(away * elements.times))

    def written(self) -> list[tuple[int, np.ndarray]]:
        """(byte address, data) of what goes to memory, in whole memory words."""
        numbers = np.concatenate(self.numbers) if self.numbers else np.zeros(0, np.uint32)
        elements = np.concatenate(self.elements) if self.elements else np.zeros(0, np.uint8)
        self.counters["numbers"] = len(numbers)
        record = np.zeros(RECORD_BYTES // 4, np.uint32)
        record[: len(self.counters)] = list(self.counters.values())
        word = self.params.beat_bytes
        at = self.places["n"] * word
        return [(at, record.view(np.uint8)), (at + RECORD_BYTES, _whole(numbers, word)),
                (self.places["c"] * word, _whole(elements, word))]


def _whole(numbers: np.ndarray, word: int) -> np.ndarray:
    """As bytes, with zeros up to a whole memory word."""
    data = np.ascontiguousarray(numbers).view(np.uint8)
    return np.concatenate([data, np.zeros(-len(data) % word, np.uint8)])
