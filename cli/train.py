"""`lacuna train`: a network learns."""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError
from cli.output import Output, log
from cli.simulate import add_level_options, check_level

if TYPE_CHECKING:
    from golden.train.params import TrainParams
    from golden.train.trainer import Trainer

__all__ = ["add_verbs", "rtl_summary", "told"]

METHOD_NAMES = ("dense", "sr-ste", "sdgp", "sdwp", "bdwp")
"""Of `golden.train.sparsity.METHODS`."""
ABOUT = (
    "Trains a network with the training engine's arithmetic, bit for bit; at level rtl each step runs on the engine's "
    "RTL, as one program, and beside it in golden. The configuration, TOML, has the tables "
    "network, data, optimiser, sparsity and engine; bench/train_digits.toml is one."
)


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    verb = verbs.add_parser("train", parents=[common], help="train a network, dense or N:M sparse", description=ABOUT)
    verb.add_argument("config", type=Path, metavar="CONFIG.toml", help="network, data, optimiser")
    verb.add_argument("--steps", type=int, metavar="N", help="at most so many now; the schedule stays the file's")
    verb.add_argument("--method", choices=METHOD_NAMES, help="which passes are sparse; default: the file's")
    verb.add_argument("--sparsity", metavar="N:M", help="N of M weights stay; default: the file's")
    verb.add_argument("--seed", type=int, metavar="S", help="of weights and order; default: the file's")
    verb.add_argument("--resume", type=Path, metavar="CKPT", help="go on from a checkpoint of this network")
    verb.add_argument("-o", "--output", type=Path, metavar="CKPT", help="checkpoint (safetensors) to write")
    verb.add_argument("--emit", type=Path, metavar="PROG", help="write a step's program folder, as it begins, and stop")
    verb.add_argument("--every", type=int, default=100, metavar="N", help="also write it each N steps; default 100")
    add_level_options(verb, "ddr4")
    verb.set_defaults(run=run_train)


def run_train(args: argparse.Namespace, out: Output) -> int:
    from cli.train_config import load_training, pattern
    from compiler.train.checkpoint import load_checkpoint
    from compiler.train.data import data_set
    from compiler.train.network import network_parts
    from golden.train.trainer import Trainer
    from sim.train import train

    started = time.perf_counter()
    check_level(args)
    for name in ("steps", "every"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name} {value}: must be 1 or more")
    config = load_training(args.config)
    try:
        changes: dict[str, Any] = {} if args.method is None else {"method": args.method}
        sparsity = replace(config.sparsity, **changes, **(pattern(args.sparsity) if args.sparsity else {}))
        optimiser = config.optimiser if args.seed is None else replace(config.optimiser, seed=args.seed)
    except ValueError as error:
        raise UsageError(f"--method, --sparsity, --seed: {error}") from error
    if args.sparsity and sparsity.method == "dense":
        raise UsageError(f"--sparsity {args.sparsity}: method dense prunes nothing; choose another --method")
    with _rules_of(args.config):
        parts = network_parts(config.engine, config.network, optimiser.batch)
        trainer = Trainer(config.network, config.number_format, sparsity, optimiser, parts)
        data = data_set(config.data, config.data_path)
    if args.resume is not None:
        for name, (kept, now) in load_checkpoint(args.resume, trainer).items():
            log.warning("%s: %s was %s, is %s: not as it would have gone on", args.resume, name, kept, now)
    if args.emit is not None:
        return emit(args.emit, config.engine, trainer, out)
    with _rules_of(args.config):
        report = train(trainer, data, args.steps, level=args.level, params=config.engine, memory=args.memory,
                       output=args.output, every=args.every, xclbin=args.xclbin, **told(out, optimiser.steps))
    out.progress("")
    record = {
        "engine": "train", "level": args.level, "method": sparsity.method,
        "sparsity": None if sparsity.method == "dense" else sparsity.ratio, "data": config.data,
        "optimiser": optimiser.RULE.KIND,
        "seed": optimiser.seed, "number_format": config.number_format, **asdict(report), "checkpoint": args.output,
        "wall_s": time.perf_counter() - started,
    }
    out.result(record, summary(record))
    return 1 if report.matches_golden is False else 0


def emit(folder: Path, params: "TrainParams", trainer: "Trainer", out: Output) -> int:
    """The program of a step, with the model as it is in its memory."""
    from compiler.train.network import NetworkProgram

    program = NetworkProgram(params, trainer.model, trainer.optimiser.batch).program
    program.save(folder)
    size = len(program.images["m"])
    out.result({"engine": "train", "program": folder, "instructions": len(program.instructions), "image_bytes": size},
               [f"{folder}: {len(program.instructions)} instructions, {size:,} bytes of memory"])
    return 0


def told(out: Output, steps: int) -> dict[str, Callable[..., None]]:
    """Arguments of `sim.train.train` that make progress seen."""
    last = {"line": ""}

    def step(number: int, loss: float) -> None:
        last["line"] = f"step {number + 1}/{steps}: loss {loss:.4f}"
        out.progress(last["line"])

    def cycles(count: int) -> None:
        out.progress(f"{last['line']}; next step on the RTL, cycle {count:,}".lstrip("; "))

    return {"told": step, "watch": cycles}


@contextmanager
def _rules_of(config: Path) -> Iterator[None]:
    """What breaks a rule of ours is a fault of the configuration; errors that have a class say themselves what is."""
    try:
        yield
    except ValueError as error:
        if type(error) is not ValueError:
            raise
        raise UsageError(f"{config}: {error}") from error


def summary(record: dict[str, Any]) -> Sequence[str]:
    """Lines for people."""
    losses: list[float] = record["loss"]
    last = losses[-10:]
    return [
        f"method         {record['method']} {record['sparsity'] or ''}".rstrip(),
        f"steps          {record['steps']}, from {record['first_step']} on, {record['skipped']} left out",
        *([f"loss           {losses[0]:.4f}, at the end {sum(last) / len(last):.4f}"] if losses else []),
        f"test accuracy  {record['accuracy']:.2%} of {record['test_images']} images",
        f"MACs           {sum(record['macs'].values()):,}, dense {record['mac_ratio']:.3f} times as many",
        *rtl_summary(record),
        f"seconds        {record['wall_s']:.1f}",
    ]


def rtl_summary(record: dict[str, Any]) -> list[str]:
    """What there is at levels rtl and card."""
    if record["cycles"] is None:
        return []
    parts = {name: count for name, count in record["cycles"].items() if name not in ("total", "vector")}
    equal = "loss, weights, optimiser's states, masks and statistics of each step equal, bit for bit"
    return [
        f"golden         {equal if record['matches_golden'] else 'DIFFERENT: ' + record['differs']}",
        f"cycles         {record['cycles']['total']:,}: " + ", ".join(f"{name} {n:,}" for name, n in parts.items()),
        "utilisation    " + ", ".join(f"{name} {share:.1%}" for name, share in record["utilisation"].items()),
        *([f"memory         {record['bytes_read']:,} bytes read, {record['bytes_written']:,} written"]
          if record["bytes_read"] is not None else []),
    ]
