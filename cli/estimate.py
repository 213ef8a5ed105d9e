"""`lacuna estimate`: what an engine takes of a card, and whether it fits."""

import argparse
from dataclasses import asdict

from cli.config import add_config_option
from cli.output import Output, log
from cli.rtl import add_board_options, chosen_build
from golden.engines import ENGINES

__all__ = ["add_verbs"]

DOES_NOT_FIT = 4
PATHS = 10
TIGHT = 80.0


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    verb = verbs.add_parser("estimate", parents=[common], help="resources that an engine takes of a card; does it fit")
    verb.add_argument("--engine", choices=tuple(ENGINES), required=True)
    add_board_options(verb)
    verb.add_argument("--yosys", action="store_true",
                      help="synthesise each module (minutes; kept in build/synth) instead of weighing operators")
    add_config_option(verb)
    verb.set_defaults(run=run_estimate)


def run_estimate(args: argparse.Namespace, out: Output) -> int:
    from boards.estimate import analytic, synthesised

    build = chosen_build(args, args.kernels)
    log.info("%s: %d x %s", build.on.title, build.kernels, build.kernel)
    found = synthesised(build, out.milestone) if args.yosys else analytic(build)
    out.progress("")
    names, head = list(found.total), f"{'one kernel':24}"
    lines = [head + "".join(f"{name:>12}" for name in names)]
    lines += [f"{block:24}" + "".join(f"{share[name]:12,.10g}" for name in names)
              for block, share in sorted(found.blocks.items(), key=lambda item: -item[1]["lut"])]
    lines += ["", f"{f'{build.kernels} kernels':24}" + "".join(f"{found.total[name]:12,.10g}" for name in names),
              f"{'% of ' + build.on.title:24}" + "".join(
                  f"{'?' if (share := found.percent[name]) is None else f'{share:.1f}':>12}" for name in names), ""]
    lines.append(f"{found.method}: " + (f"does not fit, too much {', '.join(found.over)}" if found.over else "fits")
                 + ("" if found.over or max(share or 0 for share in found.percent.values()) < TIGHT else ", tightly"))
    if found.paths:
        lines += ["", "most LUTs between registers:"]
        lines += [f"{path.levels:3} {path.module}: {path.first} .. {path.last}" for path in found.paths[:PATHS]]
    out.result({"engine": build.engine, "board": build.card, "params": build.params.to_dict(), "kernels": build.kernels,
                "slices": build.slices, **{key: value for key, value in asdict(found).items() if key != "paths"},
                "paths": [asdict(path) for path in found.paths]}, lines)  # fmt: skip
    return DOES_NOT_FIT if found.over else 0
