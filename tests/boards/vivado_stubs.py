"""Tcl with stand-ins for the commands of Vivado that our scripts call: they record, and check what they can."""

import re
import tkinter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["PARTS", "Vivado"]

PARTS = {"xcu280-fsvh2892-2L-e", "xcu200-fsgd2104-2-e", "xcvu9p-fsgd2104-2L-e", "xcvh1582-vsva3697-2MP-e-S",
         "xcv80-lsva4737-2MHP-e-S"}  # fmt: skip
IPS = {  # pins and interfaces of IP that we connect; numbers by {}
    "versal_cips": {"M_AXI_FPD", "pl0_ref_clk", "pl0_resetn", "m_axi_fpd_aclk"},
    "proc_sys_reset": {"slowest_sync_clk", "ext_reset_in", "peripheral_aresetn"},
    "smartconnect": {"S00_AXI", "aclk", "aresetn", *(f"M{number:02}_AXI" for number in range(16))},
    "axi_noc": {"aclk0", *(f"S{number:02}_AXI" for number in range(64))},
}
RECORDED = (
    "update_compile_order", "synth_design", "opt_design", "place_design", "phys_opt_design", "route_design",
    "write_checkpoint", "close_project", "report_utilization", "report_timing_summary", "report_design_analysis",
    "report_methodology", "report_drc", "current_fileset", "current_core", "create_bd_design", "assign_bd_address",
    "validate_bd_design", "save_bd_design", "make_wrapper", "launch_runs", "wait_on_run", "open_run", "get_files",
    "create_clock", "set_false_path", "create_pblock", "resize_pblock", "get_pblocks", "add_cells_to_pblock",
    "ipx::current_core", "ipx::create_xgui_files", "ipx::update_checksums", "ipx::check_integrity", "ipx::save_core",
    "set_property",
)  # fmt: skip


class Vivado:
    """An interpreter that has only these commands beside Tcl's own: any other one is an error.

    Attributes:
        calls: (command, arguments) of all calls. files: that were added. nets: pins that were connected, in pairs.
    """

    def __init__(self) -> None:
        self.tcl = tkinter.Tcl()
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.files: list[Path] = []
        self.cells: dict[str, set[str]] = {}
        self.nets: list[tuple[str, str]] = []
        self.tcl.eval("namespace eval ipx {}")
        for name in RECORDED:
            self._define(name, lambda *_: "")
        for name in ("create_project", "add_files", "package_project", "associate_bus_interfaces", "package_xo",
                     "create_bd_cell", "get_bd_pins", "get_bd_intf_pins", "get_bd_cells", "connect_bd_net",
                     "connect_bd_intf_net", "get_ports", "get_cells"):  # fmt: skip
            prefix = "ipx::" if name in ("package_project", "associate_bus_interfaces") else ""
            self._define(prefix + name, getattr(self, name))

    def _define(self, name: str, does) -> None:
        def call(*arguments: str):
            self.calls.append((name, arguments))
            return does(*arguments) or ""

        self.tcl.createcommand(name, call)

    def source(self, path: Path) -> None:
        """Run a script; Tcl's errors, and the AssertionErrors of ours in them, are errors."""
        self.tcl.eval(f"source {{{path}}}")

    def named(self, command: str) -> list[tuple[str, ...]]:
        return [arguments for name, arguments in self.calls if name == command]

    def modules(self) -> dict[str, dict[str, str]]:
        """Ports and their directions, by module, of the added Verilog's tops."""
        found = {}
        for path in self.files:
            if path.suffix == ".v":
                found |= dict(_modules(path.read_text()))
        return found

    def create_project(self, *arguments: str) -> None:
        assert _option(arguments, "-part") in PARTS

    def add_files(self, *arguments: str) -> None:
        path = Path(arguments[-1])
        assert path.is_file(), path
        self.files.append(path)

    def package_project(self, *arguments: str) -> None:
        top = [values for *_, values in [call for call in self.named("set_property") if call[0] == "top"]]
        assert top, "no top"

    def associate_bus_interfaces(self, *arguments: str) -> None:
        (top,) = {call[1] for call in self.named("set_property") if call[0] == "top"}
        ports = self.modules()[top]
        assert ports[_option(arguments, "-clock")] == "input"
        if "-busif" in arguments:
            bus = _option(arguments, "-busif")
            assert {f"{bus}_awvalid", f"{bus}_wready", f"{bus}_arvalid", f"{bus}_rdata"} <= ports.keys(), bus
        else:
            assert ports[_option(arguments, "-reset")] == "input"

    def package_xo(self, *arguments: str) -> None:
        kernel = ElementTree.parse(_option(arguments, "-kernel_xml")).getroot().find("kernel")
        assert kernel is not None
        assert kernel.get("name") == _option(arguments, "-kernel_name")

    def create_bd_cell(self, *arguments: str) -> str:
        name = arguments[-1]
        assert name not in self.cells
        if "-reference" in arguments:
            ports = self.modules()[_option(arguments, "-reference")]
            self.cells[name] = {*ports, *(port.removesuffix("_awvalid") for port in ports if port.endswith("_awvalid"))}
        else:
            self.cells[name] = IPS[_option(arguments, "-vlnv").rsplit(":")[-1]]
        return name

    def get_bd_cells(self, name: str) -> str:
        assert name in self.cells, name
        return name

    def get_bd_pins(self, pin: str) -> str:
        cell, _, name = pin.partition("/")
        assert name in self.cells[cell], pin
        return pin

    get_bd_intf_pins = get_bd_pins

    def connect_bd_net(self, first: str, second: str) -> None:
        assert second not in {pin for _, pin in self.nets}, f"{second} has two drivers"
        self.nets.append((first, second))

    def connect_bd_intf_net(self, first: str, second: str) -> None:
        used = {pin for pair in self.nets for pin in pair}
        assert not {first, second} & used, (first, second)
        self.nets.append((first, second))

    def get_ports(self, name: str) -> str:
        assert any(name in ports for ports in self.modules().values()), name
        return name

    def get_cells(self, *arguments: str) -> str:
        return arguments[-1]


def _option(arguments: tuple[str, ...], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def _modules(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for name, body in re.findall(r"^module (\w+)\(([\s\S]*?)^endmodule", text, re.MULTILINE):
        declared = re.findall(r"^ *(input|output) (?:\[\d+:0\] )?(\w+)[;,]?$", body, re.MULTILINE)
        yield name, {port: way for way, port in declared}
