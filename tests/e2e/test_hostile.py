"""Whole engines as silicon may be: registers start at random and only a reset sets them, memories too; a row of a large
memory that is read in the cycle in which it is written comes out as garbage. Nothing of it may be seen."""

import re
from functools import partial

import numpy as np
import pytest

import sim.build
import sim.train_rtl
import sim.verilog
from compiler.frontend import load_model
from compiler.llm import compile_model
from compiler.llm.registers import DECODE
from compiler.models import TINY
from compiler.spgemm import plan_product
from compiler.train.data import data_set
from golden.engines import ENGINES
from golden.params import LlmParams
from hw.fabric.ram import RAM
from sim.build import build_engine
from sim.device import GoldenDevice, RtlDevice
from sim.session import prompt_run
from sim.train_rtl import RtlTrainer
from sim.verilog import engine_verilog
from tests.e2e.test_spgemm import SHAPES, random_csr
from tests.e2e.test_tiny import CHUNKS
from tests.sim.test_train import SMALL, trainer

SEEDS = (1, 2)
READ = "if (read_enable) read_data <= rows[read_address];"
GARBLED = """if (read_enable) begin
            read_data <= rows[read_address];
            if (write_enable != 0 && write_address == read_address)
                read_data <= ~rows[read_address] ^ (write_data << 1);
        end"""
INITIAL = re.compile(r"^(\s*reg (?:\[\d+:\d+\] )?(?!\\\$auto)\S+ *) = [^;]+;", re.MULTILINE)
"""A register with the value that it has before the first reset."""
SPGEMM = SHAPES["3 engines of 4 lanes, fp64"]


@pytest.fixture(autouse=True)
def hostile(monkeypatch):
    """Devices have such an engine; its registers' values change with their seed."""

    def changed(name, params):
        files = dict(engine_verilog(name, params))
        assert files[RAM.name].count(READ) == 1
        files[RAM.name] = files[RAM.name].replace(READ, GARBLED)
        texts = {name: INITIAL.subn(r"\1;", text) for name, text in files.items()}
        assert sum(count for _, count in texts.values()) > 100
        return {name: text for name, (text, _) in texts.items()}

    monkeypatch.setattr(sim.verilog, "engine_verilog", changed)
    monkeypatch.setattr(sim.build, "build_engine", partial(build_engine, randomize=True))


def memory_after(program, arguments, device):
    device.load(program)
    outcomes = [device.run(each) for each in arguments]
    memory = {port: device.read(port, 0, len(image)) for port, image in program.images.items()}
    return [outcome.results for outcome in outcomes], memory, tuple(outcome.cycles for outcome in outcomes)


def test_llm():
    model, params = load_model(TINY), LlmParams()
    program, tokens = compile_model(model, params, context=64), model.tokenizer.encode(CHUNKS, bos=True)
    table, prompt = prompt_run(program, tokens)
    at = program.manifest["prefill"]["prompt_at"]
    program.images["v"][at : at + len(table)] = np.frombuffer(table, np.uint8)
    runs = [prompt, (7, len(tokens), DECODE)]
    expected, cycles = memory_after(program, runs, GoldenDevice()), set()
    for seed in SEEDS:
        results, memory, taken = memory_after(program, runs, RtlDevice(seed=seed))
        assert (results, memory) == expected[:2], seed
        cycles.add(taken)
    assert len(cycles) == 1


def test_spgemm():
    rng = np.random.default_rng(9)
    a, b = random_csr(rng, 60, 40, 0.2, SPGEMM), random_csr(rng, 40, 300, 0.2, SPGEMM)
    plan = plan_product(a, b, SPGEMM)
    golden, rows, cycles = GoldenDevice(), [], set()
    golden.load(plan.program)
    golden.run(())
    for seed in SEEDS:
        device = RtlDevice(seed=seed)
        device.load(plan.program)
        cycles.add(device.run(()).cycles)
        rows.append(plan.collect(device.read)[0])
    expected = plan.collect(golden.read)[0]
    assert len(cycles) == 1
    for c in rows:
        assert (c.starts.tobytes(), c.columns.tobytes(), c.values.tobytes()) == (
            expected.starts.tobytes(), expected.columns.tobytes(), expected.values.tobytes())


def test_training(monkeypatch):
    data, cycles = data_set("gratings"), set()
    for seed in SEEDS:
        monkeypatch.setattr(sim.train_rtl, "open_device", lambda *_, seed=seed, **__: RtlDevice(seed=seed))
        engine = RtlTrainer(trainer(), SMALL)
        engine.step(data.images[:8], data.labels[:8])
        assert engine.differs is None
        cycles.add(engine.counters["cycles"])
    assert len(cycles) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_no_memory_is_read_through_an_address_register(engine):
    """That is how transparent ports become Verilog, which Vivado builds wrong without an attribute; there are none."""
    for text in engine_verilog(engine, ENGINES[engine].params()).values():
        assert not re.findall(r"\w+\[_\d+_\]", text)
