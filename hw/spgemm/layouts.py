"""What the units of a row engine hand to each other."""

import functools

from amaranth.hdl import unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.isa.spgemm import COUNT_BITS, FIRST_BITS
from golden.spgemm.params import SpgemmParams

__all__ = [
    "CHUNK_ID_BITS", "NUMBER_BITS", "SERIAL_BITS", "arrival_layout", "bank_line_layout", "chunk_layout",
    "element_layout", "elements_port", "entry_layout", "held_layout", "line_layout", "numbers_port", "order_layout",
    "products_layout", "request_layout", "row_layout", "stored_layout", "update_layout", "use_layout",
]

SERIAL_BITS = 16
"""Of a row's serial number. A slot belongs to the row whose serial it has, so a new one clears it; 0 is nobody's."""


CHUNK_ID_BITS = 16
NUMBER_BITS = 32
"""Of a row's length or a chunk's id in the results."""


def _bits(count: int) -> int:
    """Of an index below `count`, a power of two; at least 1."""
    return max(1, (count - 1).bit_length())


@functools.cache
def entry_layout(p: SpgemmParams) -> data.FlexibleLayout:
    """An entry of A as it lies in memory: see `golden.spgemm.memory.entry_type`."""
    return data.FlexibleLayout(8 * p.element_bytes, {
        "says": data.Field(32, 0), "first": data.Field(FIRST_BITS, 32),
        "count": data.Field(COUNT_BITS, 32 + FIRST_BITS), "hint": data.Field(1, 62), "last": data.Field(1, 63),
        "value": data.Field(p.value_bits, 8 * p.element_bytes - 64),
    })  # fmt: skip


@functools.cache
def chunk_layout() -> data.StructLayout:
    """A chunk for a row engine: `entries` entries from memory word `word` of the channel."""
    return data.StructLayout({"id": unsigned(CHUNK_ID_BITS), "word": unsigned(32), "entries": unsigned(32)})


@functools.cache
def row_layout(p: SpgemmParams) -> data.StructLayout:
    """A row at work: it has 2**regions contexts from `context` on, which is a multiple of that, and one half of the
    banks' values. Two rows at work differ in `context` or `half`.
    """
    return data.StructLayout({
        "context": unsigned(_bits(p.contexts)), "half": unsigned(1),
        "regions": unsigned(_bits(p.contexts.bit_length())), "serial": unsigned(SERIAL_BITS),
    })


@functools.cache
def order_layout(p: SpgemmParams) -> data.StructLayout:
    """Rows and chunks in the order in which they leave: row `row`, or (`chunk`) the beginning of chunk `id`."""
    return data.StructLayout({"chunk": unsigned(1), "id": unsigned(CHUNK_ID_BITS), "row": row_layout(p)})


@functools.cache
def use_layout(p: SpgemmParams) -> data.StructLayout:
    """What a line of B is for: its elements `mask` times `value`, for the row that has the contexts `context` and on.

    `first`, `last`: the row's first and last line. `opens`: with `first`: it is a chunk's first row.
    """
    return data.StructLayout({
        "context": row_layout(p)["context"].shape, "first": unsigned(1), "last": unsigned(1), "opens": unsigned(1),
        "regions": row_layout(p)["regions"].shape, "mask": unsigned(p.lanes), "value": unsigned(p.value_bits),
    })


@functools.cache
def request_layout(p: SpgemmParams) -> data.StructLayout:
    """Line `line` of B, or none if `dry`; the mask is empty then. `hint`: it is not asked for again soon."""
    return data.StructLayout({
        "use": use_layout(p), "dry": unsigned(1), "hint": unsigned(1),
        "line": unsigned(FIRST_BITS - _bits(p.lanes)),
    })


@functools.cache
def arrival_layout(p: SpgemmParams) -> data.StructLayout:
    """A requested line; the contexts of its row may still be another's if it is the first."""
    return data.StructLayout({"use": use_layout(p), "data": data.ArrayLayout(stored_layout(p), p.lanes)})


@functools.cache
def stored_layout(p: SpgemmParams) -> data.FlexibleLayout:
    """An element of B or C as it lies in memory: see `golden.spgemm.memory.element_type`."""
    size = 8 * p.element_bytes
    return data.FlexibleLayout(size, {
        "column": data.Field(32, 0), "value": data.Field(p.value_bits, size - p.value_bits),
    })  # fmt: skip


@functools.cache
def line_layout(p: SpgemmParams) -> data.StructLayout:
    """A line of B for `row`, which ends with it if `last`: its elements `mask` times `value`."""
    return data.StructLayout({
        "row": row_layout(p), "last": unsigned(1), "mask": unsigned(p.lanes), "value": unsigned(p.value_bits),
        "data": data.ArrayLayout(stored_layout(p), p.lanes),
    })


@functools.cache
def held_layout(p: SpgemmParams) -> data.StructLayout:
    """An element of C in a bank."""
    return data.StructLayout({"column": unsigned(p.column_bits), "value": unsigned(p.value_bits)})


@functools.cache
def _product_layout(p: SpgemmParams) -> data.StructLayout:
    """`slot`: where in the row's region of slots probing begins."""
    return data.StructLayout({
        "column": unsigned(p.column_bits), "value": unsigned(p.value_bits), "slot": unsigned(_bits(p.slots)),
    })


@functools.cache
def products_layout(p: SpgemmParams) -> data.StructLayout:
    """Products of a line, and the bank of each."""
    return data.StructLayout({
        "row": row_layout(p), "last": unsigned(1), "mask": unsigned(p.lanes),
        "bank": data.ArrayLayout(unsigned(_bits(p.banks)), p.lanes),
        "products": data.ArrayLayout(_product_layout(p), p.lanes),
    })


@functools.cache
def bank_line_layout(p: SpgemmParams) -> data.StructLayout:
    """A line for banks that share a queue; each one's products are its mask. All may be empty if `last`."""
    return data.StructLayout({
        "row": row_layout(p), "last": unsigned(1), "masks": data.ArrayLayout(unsigned(p.lanes), p.queue_banks),
        "products": data.ArrayLayout(_product_layout(p), p.lanes),
    })


@functools.cache
def element_layout(p: SpgemmParams) -> data.StructLayout:
    """A product for a bank's tag table (`some`), or none; `end`: the row's last for this bank."""
    return data.StructLayout({
        "some": unsigned(1), "end": unsigned(1), "row": row_layout(p), "product": _product_layout(p),
    })


@functools.cache
def update_layout(p: SpgemmParams) -> data.StructLayout:
    """A product for a bank's values (`some`), or none: the element at `address`, whose first one it is if `first`.

    `end`: the row's last for this bank, which has `count` elements.
    """
    return data.StructLayout({
        "some": unsigned(1), "end": unsigned(1), "first": unsigned(1), "half": unsigned(1),
        "context": unsigned(_bits(p.contexts)), "address": unsigned(_bits(2 * p.slots)),
        "column": unsigned(p.column_bits), "value": unsigned(p.value_bits), "count": unsigned(p.slots.bit_length()),
    })


def elements_port(p: SpgemmParams) -> wiring.Signature:
    """Elements of C on their way to words: `data` in the lanes `mask`, which are the next free ones of the word that
    fills, around its end. While there is no `room` no more reads begin."""
    return wiring.Signature({
        "mask": Out(p.lanes), "data": Out(data.ArrayLayout(held_layout(p), p.lanes)), "room": In(1),
    })  # fmt: skip


def numbers_port() -> wiring.Signature:
    """Rows' lengths and chunks' ids on their way to words. While there is no `room` no more rows are counted."""
    return wiring.Signature({"valid": Out(1), "number": Out(NUMBER_BITS), "room": In(1)})
