"""Packages of every engine for every card: scripts run in Tcl against stand-ins, XML and connectivity are read."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

import boards.files
from boards.builds import UnmappableError, build_for
from boards.cards import CARDS
from boards.package import UnsupportedFlowError, package_files
from boards.vitis import kernel_arguments
from golden.engines import ENGINES
from sim.verilog import engine_verilog
from tests.boards.vivado_stubs import Vivado
from tests.hw.shell.test_top import PARAMS

SMALL = {"llm": PARAMS, "spgemm": {"engines": 1, "axi_bits": 128, "banks": 2, "slots": 16, "contexts": 2,
                                   "number_format": 2, "probe_limit": 16}, "train": {"rows": 16, "columns": 2}}
CASES = [(engine, card) for engine in ENGINES for card in CARDS]

generate = boards.files.generate


@pytest.fixture(autouse=True)
def generated_once(monkeypatch):
    """The engines' Verilog takes seconds, and is the same for all cards."""
    monkeypatch.setattr(boards.files, "generate", lambda core, params: engine_verilog(core.NAME, params))


def small(engine, card, kernels=2):
    kernels = 1 if CARDS[card].memories[0].kind == "DDR" else kernels
    return build_for(engine, card, ENGINES[engine].params.from_dict(SMALL[engine]), kernels=kernels)


def written(files, folder):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize("card", CARDS)
def test_vivado_runs_the_project(card, tmp_path):
    build = small("spgemm", card)
    folder, vivado = written(package_files(build, "vivado"), tmp_path), Vivado()
    vivado.source(folder / "build.tcl")
    assert {path.name for path in vivado.files if path.suffix == ".v"} == {
        path.name for path in folder.glob("*.v")}
    assert vivado.named("create_project")[0][-1] == build.on.part
    reports = {call[-1] for name, call in vivado.calls if name.startswith("report_")}
    assert {path.rsplit("/")[-1] for path in reports} >= {"utilization.rpt", "timing.rpt"}
    if build.on.versal:
        buses = {f"k{number}/m_axi_{port}" for number in range(build.kernels) for port in ("c0", "p", "report")}
        assert {first for first, second in vivado.nets if second.startswith("noc/S")} == buses
        for pin in ("ap_clk", "ap_rst_n", "s_axi_control"):
            assert sum(second == f"k1/{pin}" for _, second in vivado.nets) == 1
        targets = [re.findall(r"HBM(\d+)_PORT(\d)", call[1]) for call in vivado.named("set_property")
                   if "HBM0_PORT0" in call[1] or "_PORT" in call[1]]
        own = [target for number, each in enumerate(targets) if number % 3 != 2 for target in each]
        assert len(own) == len(set(own)) == build.on.memories[0].channels
        assert targets[2::3] == targets[1::3]
    else:
        assert vivado.named("synth_design")[0][1] == "lacuna_spgemm_card"


def test_dies_have_a_kernel_each(tmp_path):
    build = small("spgemm", "u280", kernels=3)
    folder, vivado = written(package_files(build, "vivado"), tmp_path), Vivado()
    vivado.source(folder / "build.tcl")
    vivado.source(folder / "card.xdc")
    blocks = {call[0] for call in vivado.named("create_pblock")}
    assert [call[-1] for call in vivado.named("resize_pblock")] == ["SLR0", "SLR1", "SLR2"]
    assert blocks == {"kernel_0", "kernel_1", "kernel_2"}
    instances = re.findall(r"^  lacuna_spgemm_kernel (k\d) \(", (folder / "lacuna_spgemm_card.v").read_text(), re.M)
    cells = {call[-1] for call in vivado.named("add_cells_to_pblock")}
    assert cells == {f"{name}/engine" for name in instances}
    kernel = (folder / "lacuna_spgemm_kernel.v").read_text()
    assert re.search(r"^  lacuna_spgemm engine \(", kernel, re.MULTILINE)
    slices = {call[-1] for call in vivado.named("get_cells") if "-filter" in call}
    assert slices == {f"NAME =~ k{number}/*_axi_*/* && IS_SEQUENTIAL" for number in range(3)}
    assert re.search(r"^  \\lacuna_spgemm_kernel\.m_axi_p_ar_1  m_axi_p_ar_1 \(", kernel, re.MULTILINE)


@pytest.mark.parametrize("engine", ENGINES)
def test_vitis_packages_and_links(engine, tmp_path):
    build = small(engine, "u280")
    folder, vivado = written(package_files(build, "vitis"), tmp_path), Vivado()
    vivado.source(folder / "package.tcl")
    assert vivado.named("package_xo")[0][2].endswith(f"{build.kernel}.xo")
    ports = vivado.modules()[build.kernel]
    kernel = ElementTree.parse(folder / "kernel.xml").getroot().find("kernel")
    assert kernel is not None
    buses = {port.get("name"): port for port in kernel.iter("port")}
    assert {f"{name}_arvalid" for name in buses} == {name for name in ports if name.endswith("_arvalid")}
    offsets = {entry["name"]: entry["offset"] for entry in json.loads((folder / "registers.json").read_text())}
    for number, argument in enumerate(kernel.iter("arg")):
        name, pointer = argument.get("name", ""), argument.get("addressQualifier") == "1"
        assert argument.get("id") == str(number)
        assert int(argument.get("offset", ""), 16) == offsets[f"{name}_low" if pointer else name]
        assert argument.get("port") in buses
    pointers = [argument.get("port") for argument in kernel.iter("arg") if argument.get("addressQualifier") == "1"]
    assert sorted(pointers) == sorted(buses.keys() - {"s_axi_control"})
    text = (folder / "connectivity.cfg").read_text()
    mapped = re.findall(r"^sp=(\w+)\.(\w+):HBM\[([\d:]+)\]$", text, re.MULTILINE)
    assert sorted((kernel, bus) for kernel, bus, _ in mapped) == sorted(
        (instance, bus) for instance in build.instances for bus in buses if bus != "s_axi_control")
    where = {(kernel, bus): text for kernel, bus, text in mapped}
    for instance in build.instances:
        assert where.pop((instance, "m_axi_report")) == where[instance, list(buses)[-2]]
    channels = [channel for text in where.values()
                for channel in range(int(text.split(":")[0]), int(text.split(":")[-1]) + 1)]
    assert len(channels) == len(set(channels)) <= 32
    assert f"nk={build.kernel}:{build.kernels}:" in text
    assert build.on.platform is not None
    assert build.on.platform in (folder / "link.sh").read_text()


@pytest.mark.parametrize(("engine", "card"), CASES)
def test_usual_builds_have_memory_for_every_port(engine, card):
    build = build_for(engine, card)
    places = list(build.places())
    assert len(places) == build.kernels * len(build.core.masters(build.params))
    assert max(place.last for place in places) < build.on.memories[0].channels


def test_too_many_ports_are_refused():
    build = replace(build_for("llm", "u280"), kernels=4)
    with pytest.raises(UnmappableError, match="36 AXI ports, Alveo U280 has 32 HBM channels"):
        list(build.places())


def test_vitis_has_no_platform_for_versal():
    with pytest.raises(UnsupportedFlowError, match="--flow vivado"):
        package_files(small("spgemm", "v80"), "vitis")


def test_the_same_bytes_every_time(monkeypatch):
    first = package_files(small("spgemm", "u280"), "vitis")
    monkeypatch.setattr(boards.files, "generate", generate)
    assert package_files(small("spgemm", "u280"), "vitis") == first


def test_arguments_are_in_xrts_order():
    names = [name for name, *_ in kernel_arguments(small("train", "u280"))]
    assert names[:6] == ["program_words", "program_address", "report_enable", "base_0", "base_1", "report"]
