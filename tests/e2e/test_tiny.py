"""The tiny model, whole: compiled, on golden and on the RTL, at four engine shapes and under hostile memories."""

import numpy as np
import pytest

from compiler.frontend import load_model
from compiler.frontend.reference import logits
from compiler.llm import compile_model
from compiler.llm.prompt import PromptPlan
from compiler.models import TINY
from compiler.program import Program
from golden.isa.llm import ISA
from golden.params import LlmParams
from sim.device import DeviceError, RtlDevice
from sim.session import LlmSession
from sim.verify import verify

SHAPES = {
    "default": {},
    "one-column": {"axi_bits": 512, "ksplit": 1, "mpu_vpus": 4, "acc_depth": 16, "burst_beats": 8},
    "two-channels": {"channels": 2, "planes": 1, "ksplit": 2, "mpu_vpus": 2, "acc_depth": 32, "sfu_lanes": 8,
                     "fifo_depth": 64},
    "four-planes": {"planes": 4, "channels": 2, "ksplit": 1, "mpu_vpus": 2, "acc_depth": 32},
}
PROMPT = "ROMEO:"
CHUNKS = "ROMEO: But soft, what light"
"""More tokens than any shape takes at once, and not a multiple."""
TOP = 4


@pytest.fixture(scope="module")
def model():
    return load_model(TINY)


def compiled(model, shape, **options):
    return compile_model(model, LlmParams(**SHAPES[shape]), context=64, **options)


def prompt_of(model):
    return model.tokenizer.encode(PROMPT, bos=True)


@pytest.mark.parametrize("shape", SHAPES)
def test_golden_follows_the_floating_point_model(model, shape):
    """INT8 activations and weights may turn a close decision, nothing more: 15 of 16 greedy tokens agree."""
    session = LlmSession(compiled(model, shape), "golden")
    for _ in session.generate(prompt_of(model), 16):
        pass
    sequence = prompt_of(model) + session.tokens
    reference = logits(model, sequence[:-1]).argmax(1)[len(prompt_of(model)) - 1 :]
    assert int((reference == np.array(session.tokens)).sum()) >= 15


@pytest.mark.parametrize("shape", SHAPES)
def test_rtl_equals_golden(model, shape):
    """Tokens and every byte that the engine wrote, after every step, whatever the memories do."""
    program = compiled(model, shape)
    for memory, tokens in (("ideal", 3), ("random", 3), ("hbm2", 2)):
        result = verify(program, model.tokenizer.encode(CHUNKS, bos=True), tokens, memory=memory)
        assert result["matches"], f"{shape}, {memory}: {result['difference']}"


def test_listed_logits_of_the_rtl_equal_golden(model):
    """`verify` compares the list with the rest of the memory."""
    program = compiled(model, "two-channels", top_k=TOP)
    result = verify(program, model.tokenizer.encode(CHUNKS, bos=True), 3, memory="random")
    assert result["matches"], result["difference"]
    assert result["tokens"]["rtl"] == [top[0]["token"] for top in result["report"]["top"]]
    assert [len({one["token"] for one in top}) for top in result["report"]["top"]] == [TOP] * 3


@pytest.mark.parametrize("top_k", [1, TOP])
def test_decode_moves_only_weights_cache_and_vectors(model, top_k):
    """No activation leaves the chip: a token writes one row of K and V and their scales, a run its list, nothing
    else."""
    program = compiled(model, "default", top_k=top_k)
    session = LlmSession(program, "rtl")
    for _ in session.generate(prompt_of(model)[:2], 1):
        pass
    head, scale = 32, 4
    layers, kv_heads = model.config.layers, model.config.kv_heads
    written, listed = layers * kv_heads * 2 * (head + scale), {1: 0, TOP: 8 * TOP}[top_k]
    assert session.report()["bytes_written"] == PromptPlan.of(program.manifest).padded(2) * written + listed


def replaced(program, index, word):
    words = list(program.instructions)
    words[index] = word
    image = program.images["v"].copy()
    at = program.manifest["program_address"] + index * ISA.bits // 8
    image[at : at + ISA.bits // 8] = np.frombuffer(word.to_bytes(ISA.bits // 8, "little"), np.uint8)
    return Program(program.manifest, words, {**program.images, "v": image}, program.files)


def test_illegal_instruction_stops_the_engine_with_a_code(model):
    device = RtlDevice(max_cycles=20_000)
    device.load(replaced(compiled(model, "default"), 2, 31))
    with pytest.raises(DeviceError, match="status 1, instruction 3"):
        device.run((0, 0, 1))


def test_corrupt_weights_stop_the_engine_with_a_code(model):
    program = compiled(model, "default")
    images = {port: np.full_like(image, 0xFF) if port == "w0" else image for port, image in program.images.items()}
    device = RtlDevice(max_cycles=50_000)
    device.load(Program(program.manifest, program.instructions, images, program.files))
    with pytest.raises(DeviceError, match="status 2,"):
        device.run((0, 0, 1))


def test_read_outside_memory_stops_the_engine_with_a_code(model):
    program = compiled(model, "default")
    far = ISA.encode("LDV", {"a": 0xFFFFFF00, "n": 4, "release": 1 << 3})
    device = RtlDevice(max_cycles=20_000)
    device.load(replaced(program, 4, far))
    with pytest.raises(DeviceError, match="status 3,"):
        device.run((0, 0, 1))


def test_same_cycles_every_run(model):
    program = compiled(model, "default")
    cycles = []
    for _ in range(2):
        session = LlmSession(program, "rtl")
        cycles.append([step.cycles for step in session.generate(prompt_of(model)[:2], 2)])
    assert cycles[0] == cycles[1]
