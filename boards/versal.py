"""Text for Vivado on a Versal: kernels in a block design with CIPS and a network on chip with the HBM's controllers."""

from hw.shell.core import REPORT
from hw.shell.kernel import CONTROL, port_bus

from .builds import Build
from .tcl import braced, script

__all__ = ["block_design_tcl"]

DESIGN = "card"
PCS = 2
"""Pseudo-channels of an HBM channel, which has two ports of the network for each."""
REPORT_MBPS = 5
"""What the network is asked for a few words a run."""


def block_design_tcl(build: Build, sources: list[str]) -> str:
    """For `vivado -mode batch`: project, block design, implementation, reports.

    The host reaches control registers by CIPS' M_AXI_FPD; each memory port has the pseudo-channels of `Build.places`.
    """
    places, names = list(build.places()), [f"k{number}" for number in range(build.kernels)]
    cips = ("PS_USE_M_AXI_FPD 1 PS_NUM_FABRIC_RESETS 1 PS_USE_PMCPL_CLK0 1 "
            f"PMC_CRP_PL0_REF_CTRL_FREQMHZ {build.clock_mhz}")
    channels = build.on.memories[0].channels // PCS
    clock, reset = "[get_bd_pins cips/pl0_ref_clk]", "[get_bd_pins reset/peripheral_aresetn]"
    lines = [
        f"create_project -force {DESIGN} [file join $here project] -part {build.on.part}",
        *(f"add_files -norecurse [file join $here {name}]" for name in sources),
        "update_compile_order -fileset sources_1",
        f"create_bd_design {DESIGN}",
        "create_bd_cell -type ip -vlnv xilinx.com:ip:versal_cips cips",
        f"set_property -dict [list CONFIG.PS_PMC_CONFIG {braced(cips)}] [get_bd_cells cips]",
        "create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset",
        f"connect_bd_net {clock} [get_bd_pins reset/slowest_sync_clk]",
        "connect_bd_net [get_bd_pins cips/pl0_resetn] [get_bd_pins reset/ext_reset_in]",
        *(f"create_bd_cell -type module -reference {build.kernel} {name}" for name in names),
        "create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control",
        f"set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI {len(names)} CONFIG.NUM_CLKS 1] "
        "[get_bd_cells control]",
        "connect_bd_intf_net [get_bd_intf_pins cips/M_AXI_FPD] [get_bd_intf_pins control/S00_AXI]",
        *(f"connect_bd_intf_net [get_bd_intf_pins control/M{number:02}_AXI] [get_bd_intf_pins {name}/{CONTROL}]"
          for number, name in enumerate(names)),
        "create_bd_cell -type ip -vlnv xilinx.com:ip:axi_noc noc",
        f"set_property -dict [list CONFIG.NUM_SI {len(places)} CONFIG.NUM_MI 0 CONFIG.NUM_CLKS 1 "
        f"CONFIG.HBM_NUM_CHNL {channels} CONFIG.NUM_HBM_BLI 0] [get_bd_cells noc]",
    ]
    for number, place in enumerate(places):
        pin = f"[get_bd_intf_pins noc/S{number:02}_AXI]"
        each = REPORT_MBPS if place.port == REPORT else round(1000 * build.on.memories[0].gbps / 2)
        reached = " ".join(f"HBM{pc // PCS}_PORT{pc % PCS * 2} {braced(f'read_bw {{{each}}} write_bw {{{each}}}')}"
                           for pc in range(place.first, place.last + 1))
        lines += [
            f"set_property -dict [list CONFIG.CONNECTIONS {braced(reached)}] {pin}",
            f"connect_bd_intf_net [get_bd_intf_pins {names[place.kernel]}/{port_bus(place.port)}] {pin}",
        ]
    clocked = [*(f"{name}/ap_clk" for name in names), "control/aclk", "noc/aclk0", "cips/m_axi_fpd_aclk"]
    lines += [f"connect_bd_net {clock} [get_bd_pins {pin}]" for pin in clocked]
    lines += [f"connect_bd_net {reset} [get_bd_pins {pin}]"
              for pin in [*(f"{name}/ap_rst_n" for name in names), "control/aresetn"]]
    return script([
        *lines,
        "assign_bd_address",
        "validate_bd_design",
        "save_bd_design",
        f"make_wrapper -files [get_files {DESIGN}.bd] -top -import",
        f"set_property top {DESIGN}_wrapper [current_fileset]",
        "launch_runs impl_1 -to_step write_device_image -jobs 8",
        "wait_on_run impl_1",
        "open_run impl_1",
        "file mkdir [file join $here reports]",
        "report_utilization -hierarchical -file [file join $here reports utilization.rpt]",
        "report_timing_summary -max_paths 20 -file [file join $here reports timing.rpt]",
        "close_project",
    ])  # fmt: skip
