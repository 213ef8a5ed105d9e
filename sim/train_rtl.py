"""A trainer's steps on the RTL, each compared with golden's."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compiler.train.network import NetworkProgram, network_parts
from golden.train.network import Network
from golden.train.params import TrainParams
from golden.train.sparsity import Sparsity, macs
from golden.train.trainer import OPTIMISERS, DivergedError, Trainer

from .device import open_device
from .train_cycles import CycleModel

__all__ = ["RtlReport", "RtlTrainer", "StepReport", "measure_step"]


@dataclass(frozen=True, kw_only=True)
class RtlReport:
    """What steps on the RTL have shown: fields of `RtlTrainer.report`. None is what was not run."""

    matches_golden: bool | None = None
    differs: str | None = None
    cycles: dict[str, int] | None = None
    utilisation: dict[str, float] | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None


@dataclass(frozen=True, kw_only=True)
class StepReport(RtlReport):
    """A step of a network.

    Attributes:
        macs: multiplications by kind, ff, bp and wu, without those of filled channels. steps: cycles in which the array
            multiplies.
        total: cycles of the step. None is what was not run, or not told by the model.
    """

    macs: dict[str, int]
    steps: dict[str, int]
    total: int | None = None


class RtlTrainer:
    """Does a trainer's steps on the RTL, or on a card, and lets the trainer do them, too.

    Attributes:
        program: that does a step. differs: the first step whose results are not golden's, and which of these; None: all
            are.
        steps, counters: that were done; the engine's counters, summed up.

    Args:
        trainer: its model is what the program starts with. watch: called with a run's cycles so far.
        level, memory, xclbin: see `sim.device.open_device`.
    """

    def __init__(self, trainer: Trainer, params: TrainParams, memory: str = "ddr4",
                 watch: Callable[[int], None] | None = None, *, level: str = "rtl", xclbin: Path | None = None) -> None:
        self.trainer, self.params, self.differs = trainer, params, None
        self.program = NetworkProgram(params, trainer.model, trainer.optimiser.batch)
        self.device = open_device(level, memory, watch=watch, xclbin=xclbin)
        self.device.load(self.program.program)
        self.steps, self.counters = 0, Counter()

    def step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """A step on a batch; returns the RTL's loss.

        Raises:
            DivergedError: see `Trainer.step`; or a gradient is not finite: the engine has made its updates then, so
                that the step cannot be left out.
        """
        trainer, number = self.trainer, self.trainer.step_number
        arguments = self.program.arguments(trainer.settings, trainer.loss_scale)
        for at, data in self.program.batch(images, labels):
            self.device.write("m", at, data)
        self.counters.update(self.device.run(arguments).counters)
        self.steps += 1
        loss, skipped = self.program.found(self._read, labels), trainer.skipped
        expected = trainer.step(images, labels)
        if trainer.skipped > skipped:
            raise DivergedError(f"step {number}: a gradient is not finite with loss scale {2 * trainer.loss_scale:g}; "
                                "at level rtl take a smaller loss_scale")
        if self.differs is None:
            name = "loss" if loss != expected else self.program.differing(self._read)
            self.differs = None if name is None else f"step {number}: {name}"
        return loss

    def report(self) -> dict[str, Any]:
        """Sums over the steps: fields of `RtlReport`.

        cycles: ff, bp, wu: the array's first row multiplies for forward pass, backward pass, weight gradients; sore:
            it does not, but weights are updated and compact ones made; other: the rest, of which in `vector` the vector
            unit works; total: of all but `vector`.
        utilisation: multiplications without those of filled channels over what all USPEs could make in these cycles;
            all: in the whole step.
        """
        counters, steps = self.counters, self.steps
        cycles = {kind: steps * count for kind, count in self.program.steps().items()}
        if sum(cycles.values()) != counters["steps"]:
            raise AssertionError(f"the array multiplied in {counters['steps']} cycles, expected were {cycles}")
        cycles["sore"] = counters["update_alone"]
        cycles["other"] = counters["cycles"] - sum(cycles.values())
        cycles |= {"vector": counters["vector_alone"], "total": counters["cycles"]}
        trainer, uspes = self.trainer, self.params.rows * self.params.columns
        made = macs(trainer.model.network, trainer.model.sparsity, trainer.optimiser.batch)._asdict()
        shares = {kind: steps * made[kind] / (cycles[kind] * uspes) for kind in made if cycles[kind]}
        shares["all"] = steps * sum(made.values()) / (cycles["total"] * uspes) if steps else 0.0
        return {
            "matches_golden": self.differs is None, "differs": self.differs, "cycles": cycles, "utilisation": shares,
            "bytes_read": counters.get("bytes_read"), "bytes_written": counters.get("bytes_written"),
        }

    def _read(self, at: int, count: int) -> bytes:
        return self.device.read("m", at, count)


def measure_step(network: Network, params: TrainParams, sparsity: Sparsity, images: int, *, level: str = "rtl",
                 memory: str = "ddr4", watch: Callable[[int], None] | None = None) -> StepReport:
    """The first step of a network on a batch of random numbers; level golden: what can be told without running it;
    level model: cycles by `sim.train_cycles`.

    Raises:
        UnsupportedNetworkError, DoesNotFitError: see `compiler.train.network.NetworkProgram`.
    """
    parts = network_parts(params, network, images)
    optimiser = OPTIMISERS[params.optimiser_name](steps=1, batch=images, loss_scale=64.0)
    trainer = Trainer(network, params.format_name, sparsity, optimiser, parts)
    made = macs(network, sparsity, images)._asdict()
    if level != "rtl":
        program = NetworkProgram(params, trainer.model, images)
        if level == "golden":
            return StepReport(macs=made, steps=program.steps())
        found, uspes = CycleModel(params, program.instructions, memory).cycles, params.rows * params.columns
        return StepReport(macs=made, steps=program.steps(), total=found.total,
                          utilisation={"all": sum(made.values()) / (found.total * uspes)})
    engine, rng = RtlTrainer(trainer, params, memory, watch), np.random.default_rng(1)
    numbers = rng.standard_normal((images, *network.shape)).astype(np.float32)
    engine.step(numbers, rng.integers(0, network.classes, images))
    report = engine.report()
    return StepReport(macs=made, steps=engine.program.steps(), total=report["cycles"]["total"], **report)
