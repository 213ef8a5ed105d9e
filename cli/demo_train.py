"""`lacuna demo train`: a network learns on the simulated RTL, checked against golden, and to the end in golden."""

import argparse
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cli.options import positive
from cli.output import Output, log
from cli.simulate import add_memory_option
from cli.train import rtl_summary, told

__all__ = ["add_engine", "summary"]

ABOUT = (
    "A small convolutional network learns with N:M sparse weights, its first steps on the training engine's RTL, each "
    "as one program and each compared with golden, bit for bit; golden then trains on to the end, and a dense network "
    "of the same start beside it. What is in the cache (build/ or $LACUNA_BUILD) is not made again. The digits come "
    "from the package scikit-learn, which `make demo` installs."
)
EXAMPLE = Path(__file__).resolve().parents[1] / "bench" / "train_demo.toml"
WINDOW = 20
"""Steps over which the picture's thick lines are means."""


def add_engine(engines, common: argparse.ArgumentParser) -> None:
    train = engines.add_parser("train", parents=[common], help="a network learns on the RTL", description=ABOUT)
    train.add_argument("--config", type=Path, default=EXAMPLE, metavar="CONFIG.toml",
                       help="of `lacuna train`; default bench/train_demo.toml")
    train.add_argument("--steps", type=positive, default=8, metavar="N", help="on the RTL; default 8")
    train.add_argument(
        "-o", "--output", type=Path, default=Path("build/demo-train"), metavar="DIR",
        help="folder for checkpoint, picture and report; default build/demo-train",
    )  # fmt: skip
    add_memory_option(train, "ddr4")
    train.set_defaults(run=run_train)


def run_train(args: argparse.Namespace, out: Output) -> int:
    from cli.train_config import load_training
    from compiler.train.data import data_set
    from compiler.train.network import network_parts
    from golden.train.sparsity import Sparsity
    from golden.train.trainer import Trainer
    from sim.device import build_rtl
    from sim.train import train

    started = time.perf_counter()
    config = load_training(args.config)
    data = data_set(config.data, config.data_path)
    parts = network_parts(config.engine, config.network, config.optimiser.batch)
    log.info("building the RTL")
    build_rtl("train", config.engine)

    def trainer(sparsity: Sparsity) -> Trainer:
        return Trainer(config.network, config.number_format, sparsity, config.optimiser, parts)

    args.output.mkdir(parents=True, exist_ok=True)
    steps, shown = config.optimiser.steps, told(out, config.optimiser.steps)

    def step(number: int, loss: float) -> None:
        shown["told"](number, loss)
        log.info("step %d on the RTL: loss %.4f", number + 1, loss)

    sparse, dense = trainer(config.sparsity), trainer(replace(config.sparsity, method="dense"))
    on_rtl = train(sparse, data, args.steps, level="rtl", params=config.engine, memory=args.memory, told=step,
                   watch=shown["watch"])
    out.progress("")
    log.info("golden trains on, %s, then dense", config.sparsity.method)
    to_the_end = train(sparse, data, output=args.output / "checkpoint.safetensors", told=shown["told"])
    beside = train(dense, data, told=shown["told"])
    out.progress("")
    losses = {"sparse": on_rtl.loss + to_the_end.loss, "dense": beside.loss}
    picture(args.output / "loss.png", losses, len(on_rtl.loss), f"{config.sparsity.method} {pattern(config)}")
    record: dict[str, Any] = {
        "engine": "train", "data": config.data, "method": config.sparsity.method, "sparsity": pattern(config),
        "memory": args.memory, "steps": steps, "rtl": asdict(on_rtl), "losses": losses,
        "accuracy": {"sparse": to_the_end.accuracy, "dense": beside.accuracy}, "test_images": beside.test_images,
        "matches_golden": on_rtl.matches_golden, "picture": args.output / "loss.png",
        "checkpoint": args.output / "checkpoint.safetensors", "report": args.output / "report.json",
        "wall_s": time.perf_counter() - started,
    }
    record["report"].write_text(out.dumps(out.record(record)) + "\n", encoding="utf-8")
    out.result(record, summary(record))
    return 0 if on_rtl.matches_golden else 1


def pattern(config) -> str:
    return f"{config.sparsity.n}:{config.sparsity.m}"


def picture(path: Path, losses: dict[str, list[float]], on_rtl: int, method: str) -> None:
    """Loss curves; those steps that ran on the RTL are marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (name, values), colour in zip(losses.items(), ("tab:blue", "tab:orange"), strict=True):
        label = f"{method}, golden" if name == "sparse" else "dense, golden"
        axes.plot(range(1, len(values) + 1), values, color=colour, alpha=0.25, linewidth=0.8)
        means = [sum(values[max(0, last - WINDOW) : last]) / min(last, WINDOW) for last in range(1, len(values) + 1)]
        axes.plot(range(1, len(values) + 1), means, color=colour, label=f"{label}, mean of {WINDOW} steps")
    axes.plot(range(1, on_rtl + 1), losses["sparse"][:on_rtl], "o", color="tab:blue", markersize=4,
              label=f"{method}, these steps on the RTL, equal to golden")
    axes.set(xlabel="step", ylabel="loss", yscale="log", title="Loss of training")
    axes.legend()
    figure.savefig(path, dpi=120)


def summary(record: dict[str, Any]) -> list[str]:
    """The lines for people at the end of the demo."""
    rtl, accuracy, method = record["rtl"], record["accuracy"], f"{record['method']} {record['sparsity']}"
    first, last = rtl["loss"][0], rtl["loss"][-1]
    return [
        f"on the RTL     {rtl['steps']} steps, loss {first:.4f} to {last:.4f}",
        *rtl_summary(rtl),
        f"in golden      to step {record['steps']}: test accuracy of {record['test_images']} images",
        f"               {method} {accuracy['sparse']:.2%}, dense {accuracy['dense']:.2%}",
        f"RTL and golden {record['rtl']['train_s']:.1f} s of {record['wall_s']:.1f} s in all",
        f"loss curves    {record['picture']}; checkpoint and report beside it",
    ]
