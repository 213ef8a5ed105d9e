"""`lacuna package`: what Vivado or Vitis builds for a card; neither is needed to write it."""

import argparse
from pathlib import Path

from boards.cards import FLOWS
from cli.config import add_config_option
from cli.output import Output, log
from cli.rtl import add_board_options, chosen_build, record_of, write_files
from golden.engines import ENGINES

__all__ = ["add_verbs"]


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    package = verbs.add_parser("package", parents=[common], help="write a Vivado or Vitis project for a card")
    package.add_argument("--engine", choices=tuple(ENGINES), required=True)
    add_board_options(package)
    package.add_argument("--flow", choices=FLOWS, required=True, help="vivado: project or block design; vitis: kernel")
    package.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write")
    add_config_option(package)
    package.set_defaults(run=run_package)


def run_package(args: argparse.Namespace, out: Output) -> int:
    from boards.package import package_files

    build = chosen_build(args, args.kernels)
    places = [{"kernel": place.kernel, "port": place.port, "memory": place.memory} for place in build.places()]
    log.info("%s: %d x %s", build.on.title, build.kernels, build.kernel)
    files = package_files(build, args.flow)
    record = {**record_of(build, files), "flow": args.flow, "part": build.on.part, "kernels": build.kernels,
              "clock_mhz": build.clock_mhz, "memory": places}  # fmt: skip
    write_files(args.output, files, record, out)
    command = "sh {}/link.sh" if args.flow == "vitis" else "vivado -mode batch -source {}/build.tcl"
    out.result({**record, "output": args.output},
               [*(str(args.output / name) for name in sorted(files)), "", f"next: {command.format(args.output)}"])
    return 0
