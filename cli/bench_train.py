"""`lacuna bench train`: a step of a network on the training engine, sparse next to dense."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cli.config import add_config_option, load_config
from cli.errors import UsageError
from cli.options import positive
from cli.output import Output, log
from cli.simulate import add_memory_option
from cli.train import METHOD_NAMES

__all__ = ["add_engine", "summary"]

NETWORK_NAMES = ("resnet9", "vgg")
"""Of `golden.train.networks.NETWORKS`."""
ENGINE = Path("train-16x4")
CHANNELS, CLASSES = 3, 10
ABOUT = (
    "One step, forward pass, loss, backward pass and update, as one program on the RTL: dense, and with sparse "
    "weights. Same engine, same network, same batch of random numbers; both steps' losses, weights, velocities, masks "
    "and statistics are compared with golden's."
)


def add_engine(engines, common: argparse.ArgumentParser) -> None:
    verb = engines.add_parser("train", parents=[common], help="a training step, sparse and dense", description=ABOUT)
    verb.add_argument("--network", choices=NETWORK_NAMES, default="resnet9", help="default resnet9")
    verb.add_argument("--width", type=positive, default=32, metavar="C", help="channels of the first layer; default 32")
    verb.add_argument("--image", type=positive, default=16, metavar="N", help="N x N pixels, of 3 channels; default 16")
    verb.add_argument("--batch", type=positive, default=8, metavar="N", help="images of the step; default 8")
    verb.add_argument("--method", choices=[name for name in METHOD_NAMES if name != "dense"], default="bdwp",
                      help="default bdwp")
    verb.add_argument("--sparsity", default="2:8", metavar="N:M", help="default 2:8")
    verb.add_argument("--level", choices=("golden", "rtl"), default="rtl",
                      help="golden: multiplications and the array's steps only; default rtl")
    add_memory_option(verb, "ddr4")
    add_config_option(verb)
    verb.set_defaults(run=run)


def run(args: argparse.Namespace, out: Output) -> int:
    from cli.train_config import pattern
    from golden.engines import ENGINES
    from golden.train.networks import NETWORKS
    from golden.train.sparsity import Sparsity
    from sim.train_rtl import StepReport, measure_step

    params = load_config(args.config or ENGINE, "train")
    try:
        network = NETWORKS[args.network](args.width, (args.image, args.image, CHANNELS), CLASSES)
        sparse = Sparsity(method=args.method, **pattern(args.sparsity))
    except ValueError as error:
        raise UsageError(f"--network, --width, --image, --sparsity: {error}") from error
    found: dict[str, StepReport] = {}
    for name, sparsity in (("dense", Sparsity()), ("sparse", sparse)):
        log.info("%s: compiling%s", name, ", then running on the RTL" if args.level == "rtl" else "")
        found[name] = measure_step(network, params, sparsity, args.batch, level=args.level, memory=args.memory,
                                   watch=lambda count, name=name: out.progress(f"{name}: cycle {count:,}"))
        out.progress("")
    dense, other = found["dense"], found["sparse"]
    record = {
        "engine": "train", "level": args.level, "memory": args.memory, "params": params.to_dict(),
        "assumed_clock_mhz": ENGINES["train"].clock_mhz, "network": args.network, "width": args.width,
        "image": args.image, "batch": args.batch, "method": args.method, "sparsity": args.sparsity,
        "macs_ratio": sum(dense.macs.values()) / sum(other.macs.values()),
        "steps_ratio": sum(dense.steps.values()) / sum(other.steps.values()),
        "speedup_vs_dense": dense.total / other.total if dense.total and other.total else None,
        "matches_golden": None if other.matches_golden is None else dense.matches_golden and other.matches_golden,
        **{name: asdict(report) for name, report in found.items()},
    }
    out.result(record, summary(record))
    return 1 if record["matches_golden"] is False else 0


def summary(record: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = []
    for name in ("dense", "sparse"):
        report = record[name]
        parts = report["cycles"] or report["steps"]
        lines.append(f"{name:8}" + ", ".join(f"{kind} {count:,}" for kind, count in parts.items() if kind != "vector"))
    ratios = f"multiplications {record['macs_ratio']:.3f}, steps of the array {record['steps_ratio']:.3f}"
    lines.append(f"dense over {record['method']} {record['sparsity']}: {ratios}")
    if record["speedup_vs_dense"] is not None:
        lines.append(f"cycles of the whole step: {record['speedup_vs_dense']:.3f} times as fast as dense; "
                     + ("golden equal, bit for bit" if record["matches_golden"] else "DIFFERENT from golden"))
    return lines
