"""Texts for Vitis: an RTL kernel (UG1393: kernel.xml, package_xo) and how v++ links it."""

from xml.etree import ElementTree

from hw.shell.kernel import CONTROL, port_bus

from .builds import Build
from .tcl import braced, script

__all__ = ["connectivity", "kernel_arguments", "kernel_xml", "link_script", "package_tcl"]

VENDOR, LIBRARY, VERSION = "lacuna", "kernel", "1.0"
XO = "{}.xo"


def kernel_arguments(build: Build) -> list[tuple[str, int, str | None]]:
    """(name, offset, memory port or None for a number) of what a host sets, in the order of XRT's argument numbers."""
    offsets = {register.name: register.offset for register in build.core.registers(build.params)}
    numbers = [(name, offset, None) for name, offset in offsets.items()
               if name.startswith(("program_", "argument_")) or name == "report_enable"]
    pointers = [(base, offsets[f"{base}_low"], port) for port, base in build.core.base_registers(build.params).items()]
    return sorted([*numbers, *pointers], key=lambda argument: argument[1])


def kernel_xml(build: Build) -> str:
    """The kernel's description: ports, and arguments with their offsets."""
    root = ElementTree.Element("root", versionMajor="1", versionMinor="6")
    kernel = ElementTree.SubElement(
        root, "kernel", name=build.kernel, language="ip_c", vlnv=f"{VENDOR}:{LIBRARY}:{build.kernel}:{VERSION}",
        attributes="", preferredWorkGroupSizeMultiple="0", workGroupSize="1", interrupt="true",
        hwControlProtocol="ap_ctrl_hs")
    ports = ElementTree.SubElement(kernel, "ports")
    ElementTree.SubElement(ports, "port", name=CONTROL, mode="slave", range="0x1000", dataWidth="32",
                           portType="addressable", base="0x0")
    for name, bits in build.core.masters(build.params).items():
        ElementTree.SubElement(ports, "port", name=port_bus(name), mode="master", range="0xFFFFFFFFFFFFFFFF",
                               dataWidth=str(bits), portType="addressable", base="0x0")
    arguments = ElementTree.SubElement(kernel, "args")
    for number, (name, offset, port) in enumerate(kernel_arguments(build)):
        size, kind = (8, "void*") if port else (4, "uint")
        ElementTree.SubElement(
            arguments, "arg", name=name, addressQualifier="1" if port else "0", id=str(number),
            port=port_bus(port) if port else CONTROL, size=hex(size), offset=hex(offset), hostOffset="0x0",
            hostSize=hex(size), type=kind)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def package_tcl(build: Build, sources: list[str]) -> str:
    """For `vivado -mode batch`: the Verilog becomes an IP, the IP an .xo.

    Args:
        sources: beside the script.
    """
    core = "[ipx::current_core]"
    buses = [CONTROL, *map(port_bus, build.core.masters(build.params))]
    return script([
        f"create_project -force package [file join $here package] -part {build.on.part}",
        *(f"add_files -norecurse [file join $here {name}]" for name in sources),
        f"set_property top {build.kernel} [current_fileset]",
        "update_compile_order -fileset sources_1",
        f"ipx::package_project -root_dir [file join $here ip] -vendor {VENDOR} -library {LIBRARY} "
        "-taxonomy /KernelIP -import_files -set_current true",
        f"set_property core_revision 1 {core}",
        f"set_property sdx_kernel true {core}",
        f"set_property sdx_kernel_type rtl {core}",
        f"set_property supported_families {braced('')} {core}",
        f"set_property auto_family_support_level level_2 {core}",
        *(f"ipx::associate_bus_interfaces -busif {bus} -clock ap_clk {core}" for bus in buses),
        f"ipx::associate_bus_interfaces -clock ap_clk -reset ap_rst_n {core}",
        f"ipx::create_xgui_files {core}",
        f"ipx::update_checksums {core}",
        f"ipx::check_integrity -kernel {core}",
        f"ipx::save_core {core}",
        "close_project",
        f"package_xo -force -xo_path [file join $here {XO.format(build.kernel)}] -kernel_name {build.kernel} "
        "-ip_directory [file join $here ip] -kernel_xml [file join $here kernel.xml]",
    ])  # fmt: skip


def connectivity(build: Build) -> str:
    """v++'s configuration: kernels, the memory of each AXI port, the die of each kernel, the clock."""
    lines = ["[connectivity]", f"nk={build.kernel}:{build.kernels}:{','.join(build.instances)}"]
    lines += [f"sp={build.instances[place.kernel]}.{port_bus(place.port)}:{place.memory}" for place in build.places()]
    dies = ((name, build.slr(number)) for number, name in enumerate(build.instances))
    lines += [f"slr={name}:SLR{die}" for name, die in dies if die is not None]
    clocks = [f"freqHz={build.clock_mhz * 1_000_000}:{name}.ap_clk" for name in build.instances]
    return "\n".join([*lines, "", "[clock]", *clocks, ""])


def link_script(build: Build) -> str:
    """Shell script: package, link, and where the result is."""
    return "\n".join([
        "#!/bin/sh",
        f"# {build.on.title}: an .xo with Vivado, an .xclbin with v++. PLATFORM: another platform than the usual one.",
        "set -eu",
        'cd "$(dirname "$0")"',
        f'PLATFORM="${{PLATFORM:-{build.on.platform}}}"',
        "vivado -mode batch -nojournal -source package.tcl",
        f'v++ -l -t hw --platform "$PLATFORM" --config connectivity.cfg --save-temps '
        f'-o {build.engine}.xclbin {XO.format(build.kernel)}',
        "",
    ])  # fmt: skip
