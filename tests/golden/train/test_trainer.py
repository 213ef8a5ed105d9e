"""Steps of training: deterministic, learning, and stopping where numbers are none."""

from dataclasses import replace

import numpy as np
import pytest

from golden.float16 import HALVES
from golden.train.network import BatchNorm, Conv2d, GlobalAvgPool, Linear, MaxPool, Network, ReLU, Residual
from golden.train.sparsity import METHODS, Sparsity
from golden.train.trainer import OPTIMISERS, AdamOptimiser, DivergedError, Optimiser, Trainer

NETWORK = Network(shape=(6, 6, 1), layers=(
    Conv2d(channels=16, kernel=3, padding=1, bias=False), BatchNorm(), ReLU(), MaxPool(kernel=2),
    Residual(body=(Conv2d(channels=16, kernel=3, padding=1), ReLU(), Conv2d(channels=16, kernel=1))),
    GlobalAvgPool(), Linear(features=3),
))  # fmt: skip
RNG = np.random.default_rng(11)
LABELS = RNG.integers(0, 3, 48)
IMAGES = (RNG.standard_normal((3, 6, 6, 1))[LABELS] + 0.5 * RNG.standard_normal((48, 6, 6, 1))).astype(np.float32)


def trainer(method="bdwp", number_format="binary16", **values):
    optimiser = Optimiser(**({"steps": 12, "batch": 16, "warmup": 2} | values))
    return Trainer(NETWORK, number_format, Sparsity(method=method), optimiser)


def run(found, steps):
    losses = []
    for _ in range(steps):
        chosen = found.batch(len(IMAGES))
        losses.append(found.step(IMAGES[chosen], LABELS[chosen]))
    return losses


@pytest.mark.parametrize("number_format", HALVES)
@pytest.mark.parametrize("method", METHODS)
def test_learns_and_repeats(method, number_format):
    steps = 8 if number_format == "binary16" else 2
    first, second = trainer(method, number_format), trainer(method, number_format)
    losses = run(first, steps)
    assert losses == run(second, steps)
    for name, values in first.model.state().items():
        assert np.array_equal(values, second.model.state()[name]), name
    if number_format == "binary16":
        assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("optimiser", [Optimiser(steps=4), AdamOptimiser(steps=4, decay=0.01)], ids=OPTIMISERS)
def test_channels_that_fill_groups_stay_zero(optimiser):
    found = Trainer(NETWORK, "binary16", Sparsity(), replace(optimiser, batch=16))
    run(found, 4)
    for name, inputs, outputs in (("0.weight", 1, 16), ("6.weight", 16, 3)):
        parameter = found.model.parameters()[name]
        for numbers in (parameter.w, *parameter.states.values()):
            assert numbers.any()
            assert not numbers[:, :, inputs:].any()
            assert not numbers[..., outputs:].any()


def adam(**values):
    return Trainer(NETWORK, "binary16", Sparsity(method="bdwp"), AdamOptimiser(
        **({"steps": 12, "batch": 16, "rate": 0.01, "schedule": "constant"} | values)))


def test_adam_learns():
    found = adam()
    losses = run(found, 8)
    assert losses[-1] < 0.9 * losses[0]
    assert [name for name in found.model.state() if name.startswith("6.weight")] == [
        "6.weight", "6.weight.first_moment", "6.weight.second_moment"]


def test_a_step_left_out_is_no_step_of_the_bias_correction():
    found = adam(loss_scale=2.0**24)
    run(found, 1)
    assert (found.skipped, found.step_number) == (1, 1)
    assert found.settings.numbers()["rate"] == pytest.approx(0.01)
    while found.skipped == found.step_number:
        run(found, 1)
    assert found.settings.numbers()["rate"] == pytest.approx(0.01 * np.sqrt(1.999) / 1.9)


@pytest.mark.parametrize(("values", "message"), [
    ({"beta1": 1.0}, "beta1 = 1.0: must be 0 or more and below 1"), ({"beta2": 1 - 1e-9}, "beta2"),
    ({"epsilon": 0.0}, "epsilon = 0.0: must be 1e-18"), ({"rate": -1.0}, "rate"),
])  # fmt: skip
def test_settings_of_adam_that_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        adam(**values)


def test_parts_of_a_batch():
    """Layers by name; others have all images in one sum."""
    found, whole = (Trainer(NETWORK, "binary16", Sparsity(), Optimiser(steps=12, batch=16), parts)
                    for parts in ({"4.body.0": 5}, None))  # fmt: skip
    run(found, 1)
    run(whole, 1)
    differs = [name for name, parameter in found.model.parameters().items()
               if not np.array_equal(parameter.gradient, whole.model.parameters()[name].gradient)]
    assert differs == ["4.body.0.weight"]
    for parts in ({"3": 5}, {"0": 0}):
        with pytest.raises(ValueError, match="part_images"):
            Trainer(NETWORK, "binary16", Sparsity(), Optimiser(steps=12), parts)


def test_seeds_differ():
    losses = [run(trainer(seed=seed), 2) for seed in (0, 1)]
    assert losses[0] != losses[1]
    orders = [trainer(seed=seed).batch(48).tolist() for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_an_epoch_has_each_image_once():
    found, seen = trainer(), []
    for number in range(6):
        found.step_number = number
        seen.append(found.batch(50))
    for epoch in (seen[:3], seen[3:]):
        assert len(set(np.concatenate(epoch).tolist())) == 48
    with pytest.raises(ValueError, match="batch = 16: must be at most the number of images, 15"):
        found.batch(15)


def test_schedules():
    cosine = Optimiser(steps=10, warmup=2, rate=0.4)
    rates = [cosine.rate_of(step) for step in range(11)]
    assert rates[:3] == [0.2, 0.4, 0.4]
    assert rates[6] == pytest.approx(0.2)
    assert rates[10] == pytest.approx(0)
    constant = Optimiser(steps=10, warmup=4, rate=0.4, schedule="constant")
    assert [constant.rate_of(step) for step in (0, 3, 9)] == [0.1, 0.4, 0.4]


def test_loss_scale_does_not_matter_but_for_rounding():
    """Powers of two: as no gradient is subnormal or infinite, the losses are the same bits."""
    assert run(trainer("dense", loss_scale=2.0**10), 3) == run(trainer("dense", loss_scale=2.0**11), 3)


def test_dynamic_loss_scale():
    """A gradient that is not finite: the step is left out, the scale halved, and nothing else changes."""
    found = trainer(loss_scale=2.0**24)
    before = found.model.state()
    run(found, 1)
    assert (found.skipped, found.loss_scale, found.step_number) == (1, 2.0**23, 1)
    for name, values in found.model.state().items():
        assert ("running" in name) != np.array_equal(values, before[name])
    run(found, 11)
    assert 1 < found.skipped < 11
    fixed = trainer(loss_scale=2.0**24, dynamic_loss_scale=False)
    with pytest.raises(DivergedError, match=r"step 0: layer \S+ \(\w+\): gradient of \w+ has infinite.* loss scale"):
        run(fixed, 1)


def test_numbers_that_are_none_stop():
    found = trainer()
    run(found, 2)
    state = found.model.state()
    state["4.body.0.weight"][3, 2, 1, 1] = np.nan
    found.model.load(state)
    with pytest.raises(DivergedError, match=r"step 2: the loss is nan; layer 4.body.0 \(Conv2d\): output has infinite"):
        run(found, 1)
    found = trainer()
    with pytest.raises(DivergedError, match=r"step 0: the loss is nan; layer 0 \(Conv2d\)"):
        found.step(np.full((16, 6, 6, 1), np.inf), LABELS[:16])


@pytest.mark.parametrize(("values", "message"), [
    ({"steps": 0}, "steps = 0: must be a positive integer"), ({"batch": 1.5}, "batch = 1.5"), ({"seed": -1}, "seed"),
    ({"warmup": 13}, "warmup = 13: must be at most steps, 12"), ({"schedule": "step"}, "must be one of constant, cos"),
    ({"rate": 0.0}, "rate = 0.0: must be positive"), ({"momentum": 1.0}, "momentum"), ({"decay": -1.0}, "decay"),
    ({"loss_scale": 0.5}, "loss_scale = 0.5: must be 1 or more"),
])
def test_what_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        trainer(**values)


def test_state_that_does_not_fit():
    model, other = trainer().model, trainer().model.state()
    with pytest.raises(ValueError, match=r"tensor 0.weight: missing, expected \(\(16, 1, 3, 3\), 'float32'\)"):
        model.load({name: values for name, values in other.items() if name != "0.weight"})
    with pytest.raises(ValueError, match=r"tensor 9.weight: .* expected none of this name"):
        model.load(other | {"9.weight": other["0.weight"]})
    with pytest.raises(ValueError, match=r"images \(5, 5, 1\): the network's are \(6, 6, 1\)"):
        model.images(np.zeros((1, 5, 5, 1)))
