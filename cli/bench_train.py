"""`lacuna bench train`: a step of a network on the training engine, sparse next to dense."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.config import add_config_option, load_config
from cli.errors import UsageError
from cli.options import positive
from cli.output import Output, log
from cli.simulate import add_memory_option
from cli.train import METHOD_NAMES

if TYPE_CHECKING:
    from sim.train_rtl import StepReport

__all__ = ["add_engine", "summary"]

NETWORK_NAMES = ("resnet9", "resnet18", "vgg", "vgg19")
"""Of `golden.train.networks.NETWORKS`."""
ENGINE = Path("train-16x4")
CHANNELS, CLASSES = 3, 10
ABOUT = (
    "One step, forward pass, loss, backward pass and update, as one program on the RTL: dense, and with sparse "
    "weights. Same engine, same network, same batch of random numbers; both steps' losses, weights, "
    "optimiser's states, masks and statistics are compared with golden's."
)


def add_engine(engines, common: argparse.ArgumentParser) -> None:
    verb = engines.add_parser("train", parents=[common], help="a training step, sparse and dense", description=ABOUT)
    verb.add_argument("--network", choices=NETWORK_NAMES, default="resnet9", help="default resnet9")
    verb.add_argument("--width", type=positive, default=32, metavar="C", help="channels of the first layer; default 32")
    verb.add_argument("--image", type=positive, default=16, metavar="N", help="N x N pixels, of 3 channels; default 16")
    verb.add_argument("--batch", type=positive, default=8, metavar="N", help="images of the step; default 8")
    verb.add_argument("--method", nargs="+", choices=[name for name in METHOD_NAMES if name != "dense"],
                      default=["bdwp"], help="default bdwp")
    verb.add_argument("--sparsity", nargs="+", default=["2:8"], metavar="N:M",
                      help="with each method; default 2:8")
    verb.add_argument("--level", choices=("golden", "model", "rtl"), default="rtl",
                      help="golden: multiplications and the array's steps only; model: cycles, too, as the cycle model "
                           "has them, in seconds to minutes for full networks; default rtl")
    verb.add_argument("--without-dense", action="store_true", help="sparse steps only, with nothing to compare them to")
    verb.add_argument("-o", "--output", type=Path, metavar="FILE", help="keep the results there as they come")
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
        chosen = [Sparsity(method=method, **pattern(text)) for method in args.method for text in args.sparsity]
    except ValueError as error:
        raise UsageError(f"--network, --width, --image, --sparsity: {error}") from error

    def measured(sparsity: Sparsity) -> StepReport:
        name = sparsity.method if sparsity.method == "dense" else f"{sparsity.method} {sparsity.ratio}"
        then = {"rtl": ", then running on the RTL", "model": ", then through the cycle model"}.get(args.level, "")
        log.info("%s: compiling%s", name, then)
        report = measure_step(network, params, sparsity, args.batch, level=args.level, memory=args.memory,
                              watch=lambda count: out.progress(f"{name}: cycle {count:,}"))
        out.progress("")
        return report

    dense, results, record = None if args.without_dense else measured(Sparsity()), [], {}
    for sparsity in chosen:
        report = measured(sparsity)
        results.append({"method": sparsity.method, "sparsity": sparsity.ratio, **ratios(dense, report),
                        **asdict(report)})
        equal = [each["matches_golden"] for each in (*([] if dense is None else [asdict(dense)]), *results)]
        record = {
            "engine": "train", "level": args.level, "memory": args.memory, "params": params.to_dict(),
            "assumed_clock_mhz": ENGINES["train"].clock_mhz, "network": args.network, "width": args.width,
            "image": args.image, "batch": args.batch, "speedup_vs_dense": results[0]["speedup_vs_dense"],
            "matches_golden": None if None in equal else all(equal), "dense": None if dense is None else asdict(dense),
            "results": results,
        }
        if args.output is not None:
            args.output.write_text(out.dumps(out.record(record)) + "\n", encoding="utf-8")
    out.result(record, summary(record))
    return 1 if record["matches_golden"] is False else 0


def ratios(dense: "StepReport | None", report: "StepReport") -> dict[str, float | None]:
    """What the dense step takes over what the sparse one takes: multiplications, the array's steps, cycles."""
    if dense is None:
        return dict.fromkeys(("macs_ratio", "steps_ratio", "speedup_vs_dense"))
    return {
        "macs_ratio": sum(dense.macs.values()) / sum(report.macs.values()),
        "steps_ratio": sum(dense.steps.values()) / sum(report.steps.values()),
        "speedup_vs_dense": dense.total / report.total if dense.total and report.total else None,
    }


def summary(record: dict[str, Any]) -> list[str]:
    """Lines for people."""
    lines = [] if record["dense"] is None else [f"dense      {parts(record['dense'])}"]
    for result in record["results"]:
        name = f"{result['method']} {result['sparsity']}"
        lines.append(f"{name:10} {parts(result)}")
        if record["dense"] is not None:
            text = f"multiplications {result['macs_ratio']:.3f}, steps of the array {result['steps_ratio']:.3f}"
            if result["speedup_vs_dense"] is not None:
                text += f", cycles {result['speedup_vs_dense']:.3f}"
            lines.append(f"{'':10} dense over it: {text}")
    if record["matches_golden"] is not None:
        lines.append("golden     " + ("equal, bit for bit" if record["matches_golden"] else "DIFFERENT"))
    elif record["level"] == "model":
        lines.append("cycles     by the cycle model")
    return lines


def parts(report: dict[str, Any]) -> str:
    """Cycles by what the array does, or its steps where nothing ran."""
    counted = report["cycles"] or report["steps"]
    total = "" if report["total"] is None or report["cycles"] else f"; step {report['total']:,}"
    return ", ".join(f"{kind} {count:,}" for kind, count in counted.items() if kind != "vector") + total
