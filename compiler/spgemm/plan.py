"""A product as a program for the SpGEMM engine, and C from the memory that a run leaves."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from compiler.capacity import require
from compiler.program import Program
from golden.isa.spgemm import FIRST_BITS, ISA
from golden.spgemm.csr import Csr
from golden.spgemm.memory import element_type
from golden.spgemm.params import SpgemmParams
from golden.spgemm.record import COUNTERS, RECORD_BYTES

from .entries import HELD, HELD_IF_SHORT, Chunks, cut_chunks, encode_entries
from .hints import passing
from .kernel import OURS, Kernel
from .layout import place_rows, window_pieces
from .windows import Windows, plan_windows

__all__ = ["CHANNEL_BYTES", "Plan", "plan_product"]

CHANNEL_BYTES = 256 << 20
"""Of a pseudo-channel of HBM2 on a U280."""
PAGE = 4096


@dataclass(frozen=True)
class Plan:
    """A product on its way through the engine.

    Attributes:
        program: of the engine. windows, chunks: see there. rows, columns: of C.
        plan_s: seconds for windows and chunks. layout_s: for the memory images that say them.
    """

    program: Program
    params: SpgemmParams
    windows: Windows
    chunks: Chunks
    rows: int
    columns: int
    plan_s: float
    layout_s: float

    def collect(self, read: Callable[[str, int, int], bytes]) -> tuple[Csr, dict[str, int]]:
        """(C with the columns of a row in hash order, the row engines' counters summed) after a run.

        Args:
            read: bytes of a port's memory: port, address, count.

        Raises:
            ValueError: the memory does not hold every chunk once.
        """
        places = self.program.manifest["places"]
        totals: dict[str, int] = dict.fromkeys(COUNTERS, 0)
        of_chunk: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(self.chunks.at)
        windows = np.diff(self.chunks.begins)
        for engine in range(self.params.engines):
            port = f"c{engine}"
            record = np.frombuffer(read(port, places["numbers"], RECORD_BYTES), "<u4")
            counters = dict(zip(COUNTERS, record.tolist(), strict=False))
            totals = {name: totals[name] + counters[name] for name in COUNTERS}
            numbers = np.frombuffer(read(port, places["numbers"] + RECORD_BYTES, 4 * counters["numbers"]), "<u4")
            stored = read(port, places["c"], self.params.element_bytes * counters["elements"])
            elements = np.frombuffer(stored, element_type(self.params))
            at = begin = 0
            while at < len(numbers):
                number = int(numbers[at])
                if number >= len(of_chunk) or of_chunk[number] is not None:
                    raise ValueError(f"{port}: chunk {number} comes twice, or never was")
                lengths = numbers[at + 1 : at + 1 + windows[number]].astype(np.int64)
                end = begin + int(lengths.sum())
                of_chunk[number] = lengths, elements[begin:end]
                at, begin = at + 1 + int(windows[number]), end
        found = [part for part in of_chunk if part is not None]
        if len(found) < len(of_chunk):
            raise ValueError(f"{len(of_chunk) - len(found)} chunks are missing")
        lengths = np.concatenate([part[0] for part in found]) if found else np.zeros(0, np.int64)
        elements = np.concatenate([part[1] for part in found]) if found else np.zeros(
            0, element_type(self.params))
        per_row = np.bincount(self.windows.of_row, lengths, self.rows).astype(np.int64)
        starts = np.concatenate(([0], np.cumsum(per_row)))
        values = np.ascontiguousarray(elements["value"])
        return Csr(self.columns, starts, elements["column"].astype(np.int32), values), totals


def plan_product(a: Csr, b: Csr, params: SpgemmParams, *, kernel: Kernel = OURS, hints: bool = False,
                 careful: int = 0) -> Plan:
    """Plan C = A B.

    Args:
        a, b: columns of a row ascending, values of the engine's kind.
        hints: tell the cache which rows of B it need not keep, see `hints.passing`.
        careful: see `windows.capacities`.

    Raises:
        DoesNotFitError: A and B are too large for a memory channel.
    """
    require("columns of B", b.columns_in_all, 1 << params.column_bits, "take an engine with more column_bits")
    started = time.perf_counter()
    windows = plan_windows(a, b, params, careful)
    if kernel.fixed:
        begins = np.unique(np.linspace(0, len(windows.of_row), params.engines + 1).astype(np.int64))
    else:
        short = len(a.columns) <= HELD_IF_SHORT * params.ring * params.engines
        begins = cut_chunks(windows.work, params.engines, HELD_IF_SHORT if short else HELD)
    hint = np.zeros(len(a.columns), bool)
    if hints:
        first_window = np.cumsum(windows.parts) - windows.parts
        first_row = np.concatenate(([0], np.searchsorted(first_window, begins[1:-1]), [a.rows]))
        hint = passing(a, b, a.starts[first_row], params)
        if params.block_lines > 1:  # others share a short row's block
            hint &= (b.lengths >= (params.block_lines - 1) * params.lanes).take(a.columns)
    planned = time.perf_counter()
    first, total = place_rows(b.lengths, params.lanes)
    require("elements of B in a channel", total, 1 << FIRST_BITS, "multiply by fewer columns at a time")
    pieces = window_pieces(a, b, windows, first.astype(np.int32), hint, params.lanes)  # half the memory
    entries, chunks = encode_entries(pieces, windows.regions, begins, params)

    a_at = _up(total * params.element_bytes)
    numbers_at = _up(a_at + entries.nbytes)
    numbers_end = numbers_at + RECORD_BYTES + 4 * (len(windows.of_row) + len(chunks.at))
    c_at = _up(numbers_end)
    most = min(int(b.lengths[a.columns].sum()), a.rows * b.columns_in_all)  # elements, all in one channel
    require("bytes of A and B in a channel", c_at, CHANNEL_BYTES, "use fewer rows of A at a time")
    image = np.zeros(numbers_at, np.uint8)
    elements = image[: total * params.element_bytes].view(element_type(params))
    at = np.repeat(first - b.starts[:-1], b.lengths)
    at += np.arange(len(at))
    elements["column"][at], elements["value"][at] = b.columns, b.values
    image[a_at : a_at + entries.nbytes] = entries.view(np.uint8)
    word = params.beat_bytes
    bits = max(1, (b.columns_in_all - 1).bit_length())
    places = {"b": 0, "c": c_at // word, "n": numbers_at // word}
    modes = {"scan": kernel.scan, "apart": kernel.apart, "uncached": kernel.uncached}
    words = [ISA.encode("SET", {"hash": kernel.hash_by, "shift": 32 - bits, **modes, **places})]
    words += [
        ISA.encode("CHUNK", {"fixed": kernel.fixed, "engine": number if kernel.fixed else 0, "id": number,
                             "a": a_at // word + at * params.element_bytes // word, "n": count})
        for number, (at, count) in enumerate(zip(chunks.at.tolist(), chunks.entries.tolist(), strict=True))
    ]
    words.append(ISA.encode("HALT", {}))
    ports = [*(f"c{engine}" for engine in range(params.engines)), "p"]
    program = np.frombuffer(ISA.image(words), np.uint8)
    manifest = {
        "engine": "spgemm", "params": params.to_dict(), "instruction_bits": ISA.bits, "program_address": 0,
        "ports": ports, "places": {"numbers": numbers_at, "c": c_at},
        "memory_bytes": dict.fromkeys(ports[:-1], min(CHANNEL_BYTES, _up(c_at + params.element_bytes * most + word))),
    }
    images = dict.fromkeys(ports, image) | {"p": program}
    return Plan(Program(manifest, words, images, {}), params, windows, chunks, a.rows, b.columns_in_all,
                planned - started, time.perf_counter() - planned)


def _up(at: int) -> int:
    return -(-at // PAGE) * PAGE
