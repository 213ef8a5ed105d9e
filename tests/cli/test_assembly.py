"""`asm` and `disasm` are inverse; faults are named by line and instruction."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.assembly import assemble, disassemble
from compiler.models import TINY
from golden.isa.formats import IsaError
from golden.isa.llm import ISA
from tests.golden.test_isa import TABLES, instructions

SOURCE = """\
# loads a tile and stops
LDW wait=2 release=4 a=0x40 n=16

MV rows=0x10 slot=3 n=2  # in any order
HALT
"""


@given(st.sampled_from(TABLES).flatmap(lambda isa: st.lists(instructions((isa,)), max_size=8)))
def test_words_survive_text(program):
    for isa in {isa.name: isa for isa, _, _ in program}.values():
        words = [isa.encode(name, values) for _, name, values in program]
        assert assemble(isa, "\n".join(disassemble(isa, words))) == words


def test_asm_then_disasm(lacuna, lacuna_json, tmp_path):
    source, image = tmp_path / "program.s", tmp_path / "program.bin"
    source.write_text(SOURCE)
    code, record = lacuna_json("asm", source, "-o", image)
    assert (code, record["instructions"], record["bytes"]) == (0, 3, 3 * 32)
    assert image.stat().st_size == record["bytes"]
    text = ["LDW wait=2 release=4 a=64 n=16", "MV n=2 rows=16 slot=3", "HALT"]
    assert lacuna("disasm", image) == (0, "\n".join(text) + "\n", "")
    assert lacuna_json("disasm", image)[1]["instructions"] == text


def test_an_image_is_little_endian():
    word = ISA.encode("HALT", {"a": 0x01020304})
    assert ISA.image([word])[:8] == bytes([18, 0, 0, 0, 4, 3, 2, 1])


def test_a_fault_in_the_text_names_file_and_line(lacuna, tmp_path):
    source = tmp_path / "program.s"
    source.write_text("NOP\n\nHALT a=-1\n")
    code, _, stderr = lacuna("asm", source, "-o", tmp_path / "image")
    assert code == 2
    assert f"{source}: line 3: HALT.a = -1" in stderr
    assert not (tmp_path / "image").exists()


def test_bytes_that_are_no_text_are_refused(lacuna, tmp_path):
    source = tmp_path / "program.s"
    source.write_bytes(b"\xff\xfe")
    assert lacuna("asm", source, "-o", tmp_path / "image")[0] == 2


def test_an_illegal_instruction_is_named(lacuna, tmp_path):
    with pytest.raises(IsaError, match="instruction 1: illegal opcode 31"):
        disassemble(ISA, [0, 31])
    image = tmp_path / "image"
    image.write_bytes(ISA.image([31]))
    assert lacuna("disasm", image)[0] == 2


def test_a_cut_image_is_refused(lacuna, tmp_path):
    image = tmp_path / "image"
    image.write_bytes(bytes(33))
    code, _, stderr = lacuna("disasm", image)
    assert code == 2
    assert "33 bytes" in stderr


def test_inspect_compares_with_unrolled_programs(lacuna_json, tmp_path):
    assert lacuna_json("compile", TINY, "-o", tmp_path / "prog", "--context", "32")[0] == 0
    code, record = lacuna_json("inspect", tmp_path / "prog")
    assert code == 0
    assert record["instruction_bytes"] == record["instructions"] * 32 == sum(record["opcodes"].values()) * 32
    sizes = [record["unrolled"][name]["bytes"] for name in ("bucketed_merged", "bucketed", "per_length")]
    assert record["instruction_bytes"] < sizes[0] <= sizes[1] < sizes[2]
