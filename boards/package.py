"""A folder that Vivado or Vitis builds: Verilog, scripts, constraints."""

from .builds import Build
from .files import rtl_files, synthesised
from .versal import block_design_tcl
from .vitis import connectivity, kernel_xml, link_script, package_tcl
from .vivado import CONSTRAINTS, card_name, card_verilog, constraints, project_tcl

__all__ = ["UnsupportedFlowError", "package_files"]


class UnsupportedFlowError(ValueError):
    """The card has no such flow; the message says what it has. Exit code 3."""


def package_files(build: Build, flow: str) -> dict[str, str]:
    """File name -> text. `vivado`: `build.tcl`; `vitis`: `package.tcl`, `kernel.xml`, `connectivity.cfg`, `link.sh`.

    Raises:
        UnsupportedFlowError, UnmappableError: see there.
    """
    if flow == "vitis" and build.on.platform is None:
        raise UnsupportedFlowError(f"{build.on.title}: no Vitis platform links RTL kernels for it here; "
                                   "take --flow vivado, which makes a block design")
    files = rtl_files(build)
    if flow == "vitis":
        return files | {"package.tcl": package_tcl(build, synthesised(files)), "kernel.xml": kernel_xml(build),
                        "connectivity.cfg": connectivity(build), "link.sh": link_script(build)}
    if build.on.versal:
        return files | {"build.tcl": block_design_tcl(build, synthesised(files))}
    files[f"{card_name(build)}.v"] = card_verilog(build)
    return files | {"build.tcl": project_tcl(build, synthesised(files)), CONSTRAINTS: constraints(build)}
