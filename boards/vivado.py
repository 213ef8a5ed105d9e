"""Texts for Vivado: kernels on their dies, out of context, from synthesis to reports."""

from hw.shell.kernel import kernel_ports

from .builds import Build
from .tcl import braced, script

__all__ = ["card_name", "card_verilog", "constraints", "project_tcl"]

TOP = "card"
CONSTRAINTS = "card.xdc"


def card_name(build: Build) -> str:
    return f"lacuna_{build.engine}_{TOP}"


def card_verilog(build: Build) -> str:
    """Verilog of all kernels beside each other, `k0` and on; one clock, one reset, all other ports of each of them."""
    inner, shared = list(kernel_ports(build.core, build.params)), ("ap_clk", "ap_rst_n")
    ports, cells = [f"input {name}" for name in shared], []
    for number in range(build.kernels):
        names = {name: name if name in shared else f"k{number}_{name}" for name, *_ in inner}
        ports += [f"{'input' if inward else 'output'} {f'[{width - 1}:0] ' if width > 1 else ''}{names[name]}"
                  for name, width, inward in inner if name not in shared]
        connections = ",\n    ".join(f".{name}({outside})" for name, outside in names.items())
        cells.append(f"  {build.kernel} k{number} (\n    {connections}\n  );")
    head = ",\n  ".join(ports)
    return "\n".join([f"module {card_name(build)}(\n  {head}\n);", *cells, "endmodule", ""])


def constraints(build: Build) -> str:
    """XDC: clock, reset, and each kernel's engine on its die; its register slices may cross to the next one."""
    lines = [f"create_clock -name ap_clk -period {1000 / build.clock_mhz:.3f} [get_ports ap_clk]",
             "set_false_path -from [get_ports ap_rst_n]"]
    for number in range(build.kernels):
        if (die := build.slr(number)) is None:
            continue
        block = f"kernel_{number}"
        lines += [f"create_pblock {block}", f"resize_pblock [get_pblocks {block}] -add SLR{die}",
                  f"add_cells_to_pblock [get_pblocks {block}] [get_cells k{number}/engine]"]
        if build.slices:
            lines.append(f"set_property USER_SLL_REG true [get_cells -hierarchical -filter "
                         f"{braced(f'NAME =~ k{number}/*_axi_*/* && IS_SEQUENTIAL')}]")
    return "\n".join([*lines, ""])


def project_tcl(build: Build, sources: list[str]) -> str:
    """For `vivado -mode batch`: a project, synthesis and implementation out of context, since the ports are more than
    the package's pins; reports in `reports`."""
    files = [*sources, CONSTRAINTS]
    reports = {"report_utilization -hierarchical": "utilization", "report_timing_summary -max_paths 20": "timing",
               "report_design_analysis -logic_level_distribution": "levels", "report_methodology": "methodology",
               "report_drc": "drc"}
    top = card_name(build)
    return script([
        f"create_project -force {top} [file join $here project] -part {build.on.part}",
        *(f"add_files -norecurse -fileset {'constrs_1' if name == CONSTRAINTS else 'sources_1'} "
          f"[file join $here {name}]" for name in files),
        f"set_property top {top} [current_fileset]",
        "update_compile_order -fileset sources_1",
        f"synth_design -top {top} -part {build.on.part} -mode out_of_context -flatten_hierarchy rebuilt",
        "opt_design",
        "place_design -directive Explore",
        "phys_opt_design",
        "route_design -directive Explore",
        "file mkdir [file join $here reports]",
        *(f"{command} -file [file join $here reports {name}.rpt]" for command, name in reports.items()),
        f"write_checkpoint -force [file join $here {top}.dcp]",
        "close_project",
    ])  # fmt: skip
