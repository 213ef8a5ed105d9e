"""golden.isa: encode and decode are inverse, out of range is refused by name, the documents are up to date."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.isa_docs import DOCS, documents
from golden.isa.formats import Field, Format, InstructionSet, IsaError
from golden.isa.llm import ISA, QUEUES


@st.composite
def instructions(draw):
    """Name and values of an instruction, each field anywhere in its range."""
    fmt = draw(st.sampled_from(ISA.formats))
    slots = (*ISA.common, *fmt.fields)
    return fmt.name, {field.name: draw(st.integers(field.minimum, field.maximum)) for field in slots}


SLOTS = [(fmt, field) for fmt in ISA.formats for field in (*ISA.common, *fmt.fields)]
SLOT_IDS = [f"{fmt.name}.{field.name}" for fmt, field in SLOTS]


@given(instructions())
def test_decode_returns_what_was_encoded(instruction):
    name, values = instruction
    word = ISA.encode(name, values)
    assert word >> ISA.bits == 0
    fmt, decoded = ISA.decode(word)
    assert (fmt.name, decoded) == (name, values)


@given(instructions())
def test_text_round_trip(instruction):
    word = ISA.encode(*instruction)
    assert ISA.from_text(ISA.to_text(word)) == word


@given(st.integers(0, (1 << ISA.bits) - 1))
def test_any_word_decodes_exactly_or_is_refused(word):
    try:
        fmt, values = ISA.decode(word)
    except IsaError:
        return
    assert ISA.encode(fmt.name, values) == word


@pytest.mark.parametrize(("fmt", "field"), SLOTS, ids=SLOT_IDS)
def test_range_ends_fit_and_what_lies_beyond_is_named(fmt, field):
    for value in (field.minimum, field.maximum):
        assert ISA.decode(ISA.encode(fmt.name, {field.name: value}))[1][field.name] == value
    for value in (field.minimum - 1, field.maximum + 1):
        with pytest.raises(IsaError, match=rf"{fmt.name}\.{field.name} = {value} is outside"):
            ISA.encode(fmt.name, {field.name: value})


def test_unused_opcodes_are_refused():
    used = {fmt.opcode for fmt in ISA.formats}
    assert len(used) == len(ISA.formats)
    for opcode in set(range(1 << ISA.opcode.width)) - used:
        with pytest.raises(IsaError, match=f"illegal opcode {opcode} "):
            ISA.decode(opcode)


def test_reserved_bits_are_refused():
    for fmt in ISA.formats:
        used = sum(((1 << field.width) - 1) << field.lo for field in ISA.slots(fmt))
        for bit in range(ISA.bits):
            if not used >> bit & 1:
                with pytest.raises(IsaError, match=f"{fmt.name}: reserved bits"):
                    ISA.decode(ISA.encode(fmt.name, {}) | 1 << bit)


def test_every_format_has_a_queue_and_every_queue_a_bit():
    assert {fmt.queue for fmt in ISA.formats} == set(QUEUES)
    for mask in ISA.common[:2]:
        assert mask.width == len(QUEUES)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("MOVE", "no instruction 'MOVE' in llm"),
        ("HALT b_row=1", "HALT has no field 'b_row'"),
        ("HALT opcode=1", "HALT has no field 'opcode'"),
        ("HALT a", "'a' is not field=integer"),
        ("HALT a=x", "'a=x' is not field=integer"),
        ("HALT a=-1", "HALT.a = -1 is outside"),
    ],
)
def test_bad_text_says_what_is_wrong(line, message):
    with pytest.raises(IsaError, match=message):
        ISA.from_text(line)


def test_signed_fields():
    formats = (Format("X", 0, "SYS", "", (Field("f", 4, 5, "", signed=True),)),)
    isa = InstructionSet("x", 16, Field("opcode", 0, 4, ""), (), formats)
    for value in range(-16, 16):
        word = isa.encode("X", {"f": value})
        assert isa.decode(word)[1] == {"f": value}
        assert isa.from_text(isa.to_text(word)) == word
    for value in (-17, 16):
        with pytest.raises(IsaError, match=rf"X\.f = {value} is outside -16\.\.15"):
            isa.encode("X", {"f": value})


def test_overlapping_fields_are_refused():
    opcode = Field("opcode", 0, 4, "")
    for lo in (3, 31):
        with pytest.raises(IsaError, match=r"X\.f overlaps another field or leaves the word"):
            InstructionSet("x", 32, opcode, (), (Format("X", 0, "SYS", "", (Field("f", lo, 2, ""),)),))


@pytest.mark.parametrize(("name", "text"), documents().items())
def test_documents_are_up_to_date(name, text):
    assert (DOCS / name).read_text(encoding="utf-8") == text, "run `make docs`"
