"""Training that is killed goes on from its last checkpoint with the same bits."""

import numpy as np
import pytest

from compiler.train.checkpoint import load_checkpoint
from compiler.train.data import data_set
from compiler.train.network import network_parts
from golden.train.network import AvgPool, BatchNorm, Conv2d, Linear, Network, ReLU
from golden.train.params import TrainParams
from golden.train.sparsity import Sparsity, macs
from golden.train.trainer import DivergedError, Optimiser, Trainer
from sim.train import train
from sim.train_rtl import RtlTrainer

NETWORK = Network(shape=(8, 8, 1), layers=(
    Conv2d(channels=16, kernel=3, stride=2, bias=False), BatchNorm(), ReLU(), AvgPool(kernel=3), Linear(features=4),
))  # fmt: skip
SMALL = TrainParams(rows=16, columns=2, x_words=512, w_steps=8192)
"""The engine of the other tests' "16 x 2", which is built once."""
PARTS = network_parts(SMALL, NETWORK, 8)


def trainer():
    return Trainer(NETWORK, "binary16", Sparsity(method="bdwp"), Optimiser(steps=7, batch=8), PARTS)


def test_killed(tmp_path):
    data, path = data_set("gratings"), tmp_path / "c"
    whole, told = trainer(), []
    report = train(whole, data, told=lambda *step: told.append(step))
    assert told == list(enumerate(report.loss))

    def kill(number, loss):
        if number == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(trainer(), data, output=path, every=2, told=kill)
    rest = trainer()
    load_checkpoint(path, rest)
    assert rest.step_number == 4
    again = train(rest, data)
    assert (again.first_step, again.loss, again.accuracy) == (4, report.loss[4:], report.accuracy)
    state = whole.model.state()
    assert all(np.array_equal(values, state[name]) for name, values in rest.model.state().items())
    assert report.macs == {name: 7 * value for name, value in macs(NETWORK, Sparsity(), 8)._asdict().items()}


def test_on_the_rtl():
    """What was trained in golden goes on there; the cycles' parts are all of them."""
    data, other = data_set("gratings"), trainer()
    train(other, data, 2)
    whole = trainer()
    expected = train(whole, data, 4)
    report = train(other, data, 2, level="rtl", params=SMALL, memory="ideal")
    assert report.matches_golden
    assert report.differs is None
    assert report.loss == expected.loss[2:]
    assert report.cycles is not None
    parts = [report.cycles[name] for name in ("ff", "bp", "wu", "sore", "other")]
    assert sum(parts) == report.cycles["total"]
    assert report.cycles["vector"] < report.cycles["other"]
    assert report.macs == {name: 2 * value for name, value in macs(NETWORK, Sparsity(), 8)._asdict().items()}


def test_a_difference_is_named():
    engine, data = RtlTrainer(trainer(), SMALL, "ideal"), data_set("gratings")
    weight = next(held for held in engine.program.held() if held.name == "4.weight, velocity")
    at = weight.at * SMALL.axi_bits // 8
    engine.device.write("m", at, bytes(b ^ 1 for b in engine.device.read("m", at, 1)))
    for _ in range(2):
        engine.step(data.images[:8], data.labels[:8])
    assert engine.differs == "step 0: 4.weight, velocity"
    assert engine.report()["matches_golden"] is False


def test_a_step_that_cannot_be_left_out():
    diverging = Trainer(NETWORK, "binary16", Sparsity(), Optimiser(steps=7, batch=8, loss_scale=2.0**40), PARTS)
    with pytest.raises(DivergedError, match="step 0: a gradient is not finite"):
        train(diverging, data_set("gratings"), 1, level="rtl", params=SMALL, memory="ideal")
