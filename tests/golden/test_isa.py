"""golden.isa: encode and decode are inverse, out of range is refused by name, the documents are up to date."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.isa_docs import DOCS, documents
from golden.isa.formats import Field, Format, InstructionSet, IsaError
from golden.isa.llm import ISA as LLM_ISA
from golden.isa.llm import QUEUES
from golden.isa.spgemm import ENTRY
from golden.isa.spgemm import ISA as SPGEMM_ISA

TABLES = (LLM_ISA, SPGEMM_ISA, ENTRY)


@st.composite
def instructions(draw, tables=TABLES):
    """A table, name and values of an instruction of it, each field anywhere in its range."""
    isa = draw(st.sampled_from(tables))
    fmt = draw(st.sampled_from(isa.formats))
    slots = (*isa.common, *fmt.fields)
    return isa, fmt.name, {field.name: draw(st.integers(field.minimum, field.maximum)) for field in slots}


SLOTS = [(isa, fmt, field) for isa in TABLES for fmt in isa.formats for field in (*isa.common, *fmt.fields)]
SLOT_IDS = [f"{isa.name}.{fmt.name}.{field.name}" for isa, fmt, field in SLOTS]


@given(instructions())
def test_decode_returns_what_was_encoded(instruction):
    isa, name, values = instruction
    word = isa.encode(name, values)
    assert word >> isa.bits == 0
    fmt, decoded = isa.decode(word)
    assert (fmt.name, decoded) == (name, values)


@given(instructions())
def test_text_round_trip(instruction):
    isa, name, values = instruction
    word = isa.encode(name, values)
    assert isa.from_text(isa.to_text(word)) == word


@given(st.sampled_from(TABLES), st.integers(min_value=0))
def test_any_word_decodes_exactly_or_is_refused(isa, bits):
    word = bits % (1 << isa.bits)
    try:
        fmt, values = isa.decode(word)
    except IsaError:
        return
    assert isa.encode(fmt.name, values) == word


@pytest.mark.parametrize(("isa", "fmt", "field"), SLOTS, ids=SLOT_IDS)
def test_range_ends_fit_and_what_lies_beyond_is_named(isa, fmt, field):
    for value in (field.minimum, field.maximum):
        assert isa.decode(isa.encode(fmt.name, {field.name: value}))[1][field.name] == value
    for value in (field.minimum - 1, field.maximum + 1):
        with pytest.raises(IsaError, match=rf"{fmt.name}\.{field.name} = {value} is outside"):
            isa.encode(fmt.name, {field.name: value})


@pytest.mark.parametrize("isa", TABLES, ids=lambda isa: isa.name)
def test_unused_opcodes_are_refused(isa):
    used = {fmt.opcode for fmt in isa.formats}
    assert len(used) == len(isa.formats)
    for opcode in set(range(1 << isa.opcode.width)) - used:
        with pytest.raises(IsaError, match=f"illegal opcode {opcode} "):
            isa.decode(opcode)


@pytest.mark.parametrize("isa", TABLES, ids=lambda isa: isa.name)
def test_reserved_bits_are_refused(isa):
    for fmt in isa.formats:
        used = sum(((1 << field.width) - 1) << field.lo for field in isa.slots(fmt))
        for bit in range(isa.bits):
            if not used >> bit & 1:
                with pytest.raises(IsaError, match=f"{fmt.name}: reserved bits"):
                    isa.decode(isa.encode(fmt.name, {}) | 1 << bit)


def test_every_format_has_a_queue_and_every_queue_a_bit():
    assert {fmt.queue for fmt in LLM_ISA.formats} == set(QUEUES)
    for mask in LLM_ISA.common[:2]:
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
        LLM_ISA.from_text(line)


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
