"""The driver for cards against a stand-in for pyxrt, which shows the engine's RTL as XRT would."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from boards.builds import build_for
from boards.vitis import kernel_xml
from compiler.frontend import load_model
from compiler.llm import compile_model
from compiler.models import TINY
from compiler.spgemm import is_scipys
from compiler.train.data import data_set
from golden.execution import ERROR_CODES
from golden.isa.spgemm import ISA
from golden.params import LlmParams
from sim.build import ToolMissingError
from sim.device import DeviceError, RtlDevice
from sim.session import LlmSession
from sim.spgemm import multiply
from sim.train import train
from sim.xrt import XrtDevice
from tests.e2e.test_spgemm import SHAPES, random_csr, small_plan
from tests.e2e.test_tiny import prompt_of
from tests.sim import pyxrt_standin
from tests.sim.test_train import SMALL, trainer

SPGEMM = SHAPES["3 engines of 4 lanes, fp64"]


@pytest.fixture(autouse=True)
def pyxrt(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyxrt", pyxrt_standin)


@pytest.fixture
def xclbin(tmp_path):
    def made(engine, params, **more):
        path = tmp_path / f"{engine}.xclbin"
        path.write_text(json.dumps({"engine": engine, "params": params.to_dict(),
                                    "kernel_xml": kernel_xml(build_for(engine, None, params)), **more}))
        return path

    return made


def test_a_prompt_is_answered_as_golden_does(xclbin):
    model, params = load_model(TINY), LlmParams()
    program, found = compile_model(model, params, context=64), {}
    for level, card in (("golden", None), ("card", xclbin("llm", params, memory="random"))):
        session = LlmSession(program, level, xclbin=card)
        found[level] = [step.token for step in session.generate(prompt_of(model), 4)]
        report = session.report()
    assert found["card"] == found["golden"]
    assert (report["bytes_read"], report["bandwidth_share"]) == (None, None)
    assert len(report["cycles_per_token"]) == 3


def test_results_and_counters_are_the_registers(xclbin):
    """As `RtlDevice` reads them; a second run, too."""
    _, plan = small_plan(SPGEMM)
    card, rtl = XrtDevice(xclbin("spgemm", SPGEMM)), RtlDevice()
    card.load(plan.program)
    rtl.load(plan.program)
    for _ in range(2):
        found, expected = card.run(()), rtl.run(())
        assert found.results == expected.results
        assert found.counters == {name: expected.counters[name] for name in rtl.core.COUNTERS}
        for port, image in plan.program.images.items():
            assert card.read(port, 0, len(image)) == rtl.read(port, 0, len(image))


def test_a_product(xclbin):
    rng = np.random.default_rng(8)
    a, b = random_csr(rng, 40, 30, 0.2, SPGEMM), random_csr(rng, 30, 60, 0.2, SPGEMM)
    c, report = multiply(a, b, SPGEMM, level="card", memory="ideal", xclbin=xclbin("spgemm", SPGEMM))
    assert is_scipys(c, a, b)
    assert report.cycles
    assert report.bytes_read is None


def test_steps_of_training(xclbin):
    data, other = data_set("gratings"), trainer()
    expected = train(trainer(), data, 2)
    report = train(other, data, 2, level="card", params=SMALL, xclbin=xclbin("train", SMALL))
    assert report.matches_golden
    assert report.loss == expected.loss


def test_an_error_has_its_status_and_loading_starts_anew(xclbin):
    a, plan = small_plan(SPGEMM)
    words = [plan.program.instructions[0], 0x77, plan.program.instructions[-1]]
    bad = replace(plan.program, instructions=words,
                  images=plan.program.images | {"p": np.frombuffer(ISA.image(words), np.uint8)})
    card = XrtDevice(xclbin("spgemm", SPGEMM))
    card.load(bad)
    with pytest.raises(DeviceError, match="status 1, instruction") as caught:
        card.run(())
    assert caught.value.status == ERROR_CODES["illegal"]
    card.load(plan.program)
    card.run(())
    assert is_scipys(plan.collect(card.read)[0], a, a)


def test_no_end_and_no_report(xclbin):
    _, plan = small_plan(SPGEMM)
    card = XrtDevice(xclbin("spgemm", SPGEMM), limit_ms=0)
    card.load(plan.program)
    with pytest.raises(DeviceError, match="ERT_CMD_STATE_TIMEOUT after at most 0 ms"):
        card.run(())
    card = XrtDevice(xclbin("spgemm", SPGEMM))
    card.load(plan.program)
    card.handle.set_arg(card.arguments["report_enable"], 0)
    with pytest.raises(DeviceError, match="report has not reached memory"):
        card.run(())


def test_what_xrt_refuses(xclbin):
    _, plan = small_plan(SPGEMM)
    path = xclbin("spgemm", SPGEMM)
    for device, said in ((XrtDevice(path, card=1), "Could not open device"),
                         (XrtDevice(path, kernel=1), "No such kernel 'lacuna_spgemm_kernel:{lacuna_spgemm_kernel_2}'")):
        with pytest.raises(DeviceError, match=said):
            device.load(plan.program)


def test_another_package(xclbin):
    _, plan = small_plan(SPGEMM)
    path = xclbin("spgemm", SPGEMM)
    manifest = path.parent / "manifest.json"
    manifest.write_text(json.dumps({"engine": "spgemm", "params": SPGEMM.to_dict()}))
    XrtDevice(path).load(plan.program)
    manifest.write_text(json.dumps({"engine": "spgemm", "params": replace(SPGEMM, engines=1).to_dict()}))
    with pytest.raises(DeviceError, match=r"manifest\.json it has engine spgemm with parameters"):
        XrtDevice(path).load(plan.program)


def test_no_pyxrt(xclbin, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyxrt", None)
    _, plan = small_plan(SPGEMM)
    with pytest.raises(ToolMissingError, match="pyxrt cannot be imported"):
        XrtDevice(xclbin("spgemm", SPGEMM)).load(plan.program)
