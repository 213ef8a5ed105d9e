"""Training that is killed goes on from its last checkpoint with the same bits."""

import numpy as np
import pytest

from compiler.train.checkpoint import load_checkpoint
from compiler.train.data import data_set
from golden.train.network import AvgPool, BatchNorm, Conv2d, Linear, Network, ReLU
from golden.train.sparsity import Sparsity, macs
from golden.train.trainer import Optimiser, Trainer
from sim.train import UnsupportedLevelError, train

NETWORK = Network(shape=(8, 8, 1), layers=(
    Conv2d(channels=16, kernel=3, stride=2, bias=False), BatchNorm(), ReLU(), AvgPool(kernel=3), Linear(features=4),
))  # fmt: skip


def trainer():
    return Trainer(NETWORK, "binary16", Sparsity(method="bdwp"), Optimiser(steps=7, batch=16))


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
    assert report.macs == {name: 7 * value for name, value in macs(NETWORK, Sparsity(), 16)._asdict().items()}


def test_what_is_refused():
    with pytest.raises(UnsupportedLevelError, match="level rtl: training does not run on the RTL yet"):
        train(trainer(), data_set("gratings"), level="rtl")
