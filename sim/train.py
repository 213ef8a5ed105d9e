"""Training of a network on the training engine: level golden, NumPy with the engine's arithmetic, or rtl."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.train.checkpoint import save_checkpoint
from compiler.train.data import DataSet
from golden.train.params import TrainParams
from golden.train.sparsity import Sparsity, macs
from golden.train.trainer import Trainer

from .train_rtl import RtlReport, RtlTrainer

__all__ = ["Report", "train"]


@dataclass(frozen=True, kw_only=True)
class Report(RtlReport):
    """What training did.

    Attributes:
        loss: of each step of this run. accuracy: share of the test images that is right at the end. test_images: these.
        steps: of this run. first_step: its first one, from 0 on.
        skipped, loss_scale: steps that were left out since step 0 as a gradient was not finite; what it is now.
        sparse_layers: names of the layers that are pruned.
        macs: multiplications of this run's steps by kind, ff, bp and wu, without those of filled channels.
        mac_ratio: those of dense training over these.
        train_s: of the steps.
        matches_golden: loss, weights, states of the optimiser, masks and running statistics after each step are
            golden's, bit for bit. differs: the step, and the first of these that is not; there the run ends. cycles,
            utilisation, bytes_read, bytes_written: see `sim.train_rtl.RtlTrainer.report`. All None at level golden.
    """

    loss: list[float]
    accuracy: float
    test_images: int
    steps: int
    first_step: int
    skipped: int
    loss_scale: float
    sparse_layers: list[str]
    macs: dict[str, int]
    mac_ratio: float
    train_s: float


def train(trainer: Trainer, data: DataSet, steps: int | None = None, *, level: str = "golden",
          params: TrainParams | None = None, memory: str = "ddr4", output: Path | None = None, every: int = 100,
          told: Callable[[int, float], Any] = lambda *_: None, watch: Callable[[int], None] | None = None,
          xclbin: Path | None = None) -> Report:
    """Trains to the end of the optimiser's steps.

    Args:
        steps: at most so many. output: checkpoint that is written at the end and each `every` steps.
        level, xclbin: see `sim.device.open_device`. params: of the engine, not at level golden. memory: at level rtl.
        told: called after each step with its number and loss. watch: at level rtl: called with a run's cycles so far.

    Raises:
        ValueError: the data do not fit the network, or a batch has more images than there are.
        DivergedError: see `Trainer.step`; the checkpoint stays as it was.
        UnsupportedNetworkError, DoesNotFitError: at level rtl, see `compiler.train.network.NetworkProgram`.
    """
    model, optimiser = trainer.model, trainer.optimiser
    network = model.network
    if data.shape != network.shape or data.classes > network.classes:
        raise ValueError(f"the network takes images {network.shape} of {network.classes} classes, the data have "
                         f"{data.shape} of {data.classes}")
    left = max(optimiser.steps - trainer.step_number, 0)
    first, count, loss = trainer.step_number, left if steps is None else min(left, steps), []
    engine = None
    if level != "golden":
        engine = RtlTrainer(trainer, params or TrainParams(), memory, watch, level=level, xclbin=xclbin)
    started = time.perf_counter()
    for number in range(first, first + count):
        chosen = trainer.batch(len(data.images))
        loss.append((engine or trainer).step(data.images[chosen], data.labels[chosen]))
        told(number, loss[-1])
        if engine is not None and engine.differs is not None:
            break
        if output is not None and (number + 1) % every == 0:
            save_checkpoint(output, trainer)
    seconds = time.perf_counter() - started
    if output is not None:
        save_checkpoint(output, trainer)
    of_step = macs(network, model.sparsity, optimiser.batch)
    return Report(
        loss=loss, accuracy=trainer.accuracy(data.test_images, data.test_labels), test_images=len(data.test_images),
        steps=len(loss), first_step=first, skipped=trainer.skipped, loss_scale=trainer.loss_scale,
        sparse_layers=sorted(model.sparse), macs={name: len(loss) * value for name, value in of_step._asdict().items()},
        mac_ratio=sum(macs(network, Sparsity(), optimiser.batch)) / sum(of_step), train_s=seconds,
        **({} if engine is None else engine.report()),
    )
