"""Instruction formats as data: one table yields encoder, decoder, text form, documentation and C header.

A leaf module: imports neither NumPy nor Amaranth.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

__all__ = ["Field", "Format", "InstructionSet", "IsaError"]


class IsaError(ValueError):
    """An instruction that the table does not allow; the message names the field, its value and the range."""


@dataclass(frozen=True)
class Field:
    """`width` bits at bit `lo` of the instruction word (bit 0 is the least significant bit of byte 0)."""

    name: str
    lo: int
    width: int
    doc: str
    signed: bool = False

    @property
    def minimum(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        return (1 << (self.width - int(self.signed))) - 1

    def pack(self, value: int, where: str) -> int:
        value = int(value)
        if not self.minimum <= value <= self.maximum:
            raise IsaError(f"{where}.{self.name} = {value!r} is outside {self.minimum}..{self.maximum}")
        return (value & ((1 << self.width) - 1)) << self.lo

    def unpack(self, word: int) -> int:
        value = (word >> self.lo) & ((1 << self.width) - 1)
        return value - (1 << self.width) if self.signed and value >> (self.width - 1) else value


@dataclass(frozen=True)
class Format:
    """One instruction: its opcode, the queue (class) that executes it and its own fields."""

    name: str
    opcode: int
    queue: str
    doc: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        for field in self.fields:
            if field.name == name:
                return field
        raise IsaError(f"{self.name} has no field {name!r}; it has {', '.join(f.name for f in self.fields)}")


@dataclass(frozen=True)
class InstructionSet:
    """All formats of an engine.

    Args:
        bits: instruction width in bits.
        opcode: the field that selects the format.
        common: fields that every format has beside its own.
    """

    name: str
    bits: int
    opcode: Field
    common: tuple[Field, ...]
    formats: tuple[Format, ...]

    def __post_init__(self) -> None:
        for fmt in self.formats:
            used = 0
            for field in self.slots(fmt):
                mask = ((1 << field.width) - 1) << field.lo
                if used & mask or mask >> self.bits:
                    raise IsaError(f"{fmt.name}.{field.name} overlaps another field or leaves the word")
                used |= mask

    def slots(self, fmt: Format) -> Iterator[Field]:
        yield self.opcode
        yield from self.common
        yield from fmt.fields

    def by_name(self, name: str) -> Format:
        for fmt in self.formats:
            if fmt.name == name:
                return fmt
        raise IsaError(f"no instruction {name!r} in {self.name}; there are {', '.join(f.name for f in self.formats)}")

    def by_opcode(self, opcode: int) -> Format:
        for fmt in self.formats:
            if fmt.opcode == opcode:
                return fmt
        raise IsaError(f"illegal opcode {opcode!r} in {self.name}")

    def image(self, words: Iterable[int]) -> bytes:
        """Instruction words as they lie in memory, little-endian."""
        return b"".join(word.to_bytes(self.bits // 8, "little") for word in words)

    def encode(self, name: str, values: Mapping[str, int]) -> int:
        """The instruction word; fields not named are 0. Raises IsaError on an unknown field or a value out of range."""
        fmt = self.by_name(name)
        slots = {field.name: field for field in self.slots(fmt)}
        word = self.opcode.pack(fmt.opcode, name)
        for key, value in values.items():
            if key not in slots or key == self.opcode.name:
                raise IsaError(f"{name} has no field {key!r}; it has {', '.join(slots)}")
            word |= slots[key].pack(value, name)
        return word

    def decode(self, word: int) -> tuple[Format, dict[str, int]]:
        """Format and field values of a word. Raises IsaError for an illegal opcode or a set reserved bit."""
        fmt = self.by_opcode(self.opcode.unpack(word))
        values = {f.name: f.unpack(word) for f in self.slots(fmt) if f is not self.opcode}
        if self.encode(fmt.name, values) != word:
            raise IsaError(f"{fmt.name}: reserved bits are set in {word:#x}")
        return fmt, values

    def to_text(self, word: int) -> str:
        """Assembler form: `NAME field=value …`, zero fields left out."""
        fmt, values = self.decode(word)
        return " ".join([fmt.name, *(f"{key}={value}" for key, value in values.items() if value)])

    def from_text(self, line: str) -> int:
        name, *parts = line.split()
        values = {}
        for part in parts:
            key, _, value = part.partition("=")
            try:
                values[key] = int(value, 0)
            except ValueError:
                raise IsaError(f"{name}: {part!r} is not field=integer") from None
        return self.encode(name, values)

    def to_markdown(self) -> str:
        lines = [
            "<!-- generated by `python -m bench.isa_docs`; do not edit -->",
            f"# Instruction set of the {self.name} engine",
            "",
            f"Every instruction has {self.bits} bits, little-endian in memory. Bits not listed are zero.",
            "",
            "## Common fields",
            "",
            *_table((self.opcode, *self.common)),
        ]
        for fmt in self.formats:
            lines += [
                "",
                f"## {fmt.name}: opcode {fmt.opcode}, queue {fmt.queue}",
                "",
                fmt.doc,
                "",
                *_table(fmt.fields),
            ]
        return "\n".join(lines) + "\n"

    def to_c_header(self) -> str:
        prefix = f"LACUNA_{self.name.upper()}"
        lines = [
            "/* generated by `python -m bench.isa_docs`; do not edit */",
            f"#ifndef {prefix}_ISA_H\n#define {prefix}_ISA_H",
        ]
        lines.append(f"#define {prefix}_INSTRUCTION_BITS {self.bits}")
        for fmt in self.formats:
            lines.append(f"#define {prefix}_OP_{fmt.name} {fmt.opcode}")
            for field in self.slots(fmt):
                stem = f"{prefix}_{fmt.name}_{field.name.upper()}"
                lines.append(f"#define {stem}_LO {field.lo}\n#define {stem}_WIDTH {field.width}")
        return "\n".join([*lines, "#endif"]) + "\n"


def _table(fields: tuple[Field, ...]) -> list[str]:
    if not fields:
        return ["No fields of its own."]
    rows = [f"| {f.lo + f.width - 1}:{f.lo} | `{f.name}` | {'signed' if f.signed else ''} | {f.doc} |" for f in fields]
    return ["| bits | field | | meaning |", "|---|---|---|---|", *rows]
