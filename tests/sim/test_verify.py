"""`verify` on engines and programs that are wrong on purpose: does it name the place?"""

import re

import numpy as np
import pytest

from compiler.frontend import load_model
from compiler.llm import compile_model
from compiler.llm.registers import Register
from compiler.models import TINY
from compiler.program import Program
from golden.isa.llm import ISA, QUEUES, Binary
from golden.llm.effects import written
from golden.params import LlmParams
from sim.session import LlmSession
from sim.verify import lockstep, verify
from sim.verilog import engine_verilog

PARAMS = LlmParams()
LANE = 3
LAYER, VECTOR = 1, 1


@pytest.fixture(scope="module")
def program():
    return compile_model(load_model(TINY), PARAMS, context=64, top_k=3)


@pytest.fixture(scope="module")
def prompt(program):
    return program.tokenizer.encode("ROMEO:", bos=True)


@pytest.mark.parametrize(("memory", "size"), [("ideal", 1), ("random", 7)])
def test_a_right_engine_shows_no_difference(program, prompt, memory, size):
    """Every instruction of a prompt and of a decode step, alone and with others, cut wherever that falls."""
    for index in (0, 1):
        pair = lockstep(program, prompt[:3], index, memory, range(1 << 62), size)
        assert pair.difference is None
        assert pair.count > 250


def residual_sum(program, prompt):
    """(pc, element, bits) of a number of lane 3 that an addition of two vectors in layer 1 of the first chunk leaves in
    its second vector, and no vector instruction in that lane before."""
    session = LlmSession(program, "golden")
    executor, layers = session.device.executor, program.manifest["model"]["layers"]
    before, found = set(), []

    def look(pc, name, v):
        if name != "VEC" or found:
            return
        vectors = [executor.vmem.reshape(-1)[a : a + n].view(np.uint32) for a, n in written(PARAMS, name, v).vectors]
        here = layers - executor.registers[Register.LAYERS]
        if here == LAYER and v["binary"] == Binary.ADD and v["b_source"] == 0 and len(vectors) > VECTOR:
            elements = range(LANE, len(vectors[VECTOR]), PARAMS.sfu_lanes)
            bits = vectors[VECTOR].tolist()
            found.extend((pc, e, bits[e]) for e in elements if bits[e] not in before and bits.count(bits[e]) == 1)
        before.update(bit for vector in vectors for bit in vector[LANE :: PARAMS.sfu_lanes].tolist())

    executor.observe = look
    next(session.generate(prompt, 1))
    return found[len(found) // 2]


def test_a_wrong_engine_is_located_to_the_element(program, prompt, monkeypatch):
    """A lane of the vector unit that inverts the sign of one number, in generated Verilog."""
    pc, element, bits = residual_sum(program, prompt)
    sources = engine_verilog("llm", PARAMS)
    lane = re.compile(rf"(module \S*\.vector\.lane_{LANE} .*?\n  assign u = )(.*?);", re.DOTALL)
    wrong, count = lane.subn(rf"\1(\2) ^ {{(\2) == 32'h{bits:08x}, 31'd0}};", sources["lacuna_llm.v"])
    assert count == 1
    monkeypatch.setattr("sim.verilog.engine_verilog", lambda *_: {**sources, "lacuna_llm.v": wrong})
    result = verify(program, prompt, 1)
    assert not result["matches"]
    difference = result["difference"]
    assert difference["instruction"] == {"pc": pc, "text": ISA.to_text(program.instructions[pc])}
    place = ("position", "token_index", "layer", "place", "vector", "element", "together")
    assert [difference[key] for key in place] == [0, 0, LAYER, "buffer", VECTOR, element, 1]
    assert difference["golden"] == {"raw": f"0x{bits:08x}", "real": float(np.uint32(bits).view(np.float32))}
    assert difference["rtl"] == {"raw": f"0x{bits ^ 1 << 31:08x}", "real": -difference["golden"]["real"]}


@pytest.mark.slow
def test_a_wrong_arg_max_is_located_to_its_value(program, prompt, monkeypatch):
    """The lowest bit of it, of which neither the generated tokens nor the indices of the list know."""
    sources = engine_verilog("llm", PARAMS)
    unit = re.compile(r"(module \S*\.vector\.arg_max .*?\n  assign maximum = )(.*?);", re.DOTALL)
    wrong, count = unit.subn(r"\1(\2) ^ 32'd1;", sources["lacuna_llm.v"])
    assert count == 1
    monkeypatch.setattr("sim.verilog.engine_verilog", lambda *_: {**sources, "lacuna_llm.v": wrong})
    difference = verify(program, prompt, 1)["difference"]
    assert difference["instruction"]["text"].startswith("AMX")
    place = ("layer", "place", "element", "together")
    assert [difference[key] for key in place] == ["head", "arg-max", 1, 1]
    assert int(difference["golden"]["raw"], 16) ^ int(difference["rtl"]["raw"], 16) == 1


def test_a_missing_token_is_located_to_the_instruction_that_reads_too_early(program, prompt):
    """The array's results of the first product, used before they are there: right one by one, wrong together. What the
    first of the three instructions that turn them writes is overwritten before it is looked at."""
    array, vector = QUEUES.index("MV"), QUEUES.index("MISC")
    words, edges = list(program.instructions), []
    for queue, mask, other in (("MV", "release", vector), ("MISC", "wait", array)):
        decoded = ((pc, *ISA.decode(word)) for pc, word in enumerate(words))
        pc, fmt, fields = next((pc, f, v) for pc, f, v in decoded if f.queue == queue and v[mask] >> other & 1)
        words[pc] = ISA.encode(fmt.name, {**fields, mask: fields[mask] & ~(1 << other)})
        edges.append(pc)
    image = program.images["v"].copy()
    code = b"".join(word.to_bytes(ISA.bits // 8, "little") for word in words)
    at = program.manifest["program_address"]
    image[at : at + len(code)] = np.frombuffer(code, np.uint8)
    racing = Program(program.manifest, words, {**program.images, "v": image}, program.files)
    difference = verify(racing, prompt, 2)["difference"]
    assert (difference["token_index"], difference["layer"], difference["place"]) == (1, 0, "buffer")
    assert edges[1] <= difference["instruction"]["pc"] < edges[1] + 3
    assert difference["together"] > 1
