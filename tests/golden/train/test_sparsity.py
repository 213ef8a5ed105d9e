"""Which layers and passes are sparse, and how many multiplications that leaves (sat.md, section 5)."""

import numpy as np
import pytest

from golden.float16 import BINARY16
from golden.train import convolution
from golden.train.network import BatchNorm, Conv2d, GlobalAvgPool, Linear, MaxPool, Network, ReLU, Residual
from golden.train.networks import resnet18, vgg19
from golden.train.params import PATTERNS
from golden.train.sparsity import METHODS, Sparsity, macs, sparse_layers
from golden.train.update import Sgd
from tests.golden.train.networks import made

CHAIN = Network(shape=(4, 4, 16), layers=(
    Conv2d(channels=16, kernel=1, bias=False), Conv2d(channels=32, kernel=3, padding=1, bias=False),
    Conv2d(channels=24, kernel=1, bias=False), GlobalAvgPool(), Linear(features=16, bias=False),
))  # fmt: skip


def block(channels, *after):
    return Conv2d(channels=channels, kernel=3, padding=1, bias=False), BatchNorm(), ReLU(), *after


def residual(channels):
    return Residual(body=(*block(channels), *block(channels)))


RESNET9 = Network(shape=(32, 32, 3), layers=(
    *block(64), *block(128, MaxPool(kernel=2)), residual(128), *block(256, MaxPool(kernel=2)),
    *block(512, MaxPool(kernel=2)), residual(512), MaxPool(kernel=4), Linear(features=10),
))  # fmt: skip


def test_resnet9_has_the_published_counts():
    dense = macs(RESNET9, Sparsity(), 1)
    assert (round(dense.ff / 1e9, 3), round(sum(dense) / 1e9, 3)) == (0.379, 1.136)
    for method, pattern, ratio in (("bdwp", (2, 4), 1.498), ("bdwp", (2, 8), 1.994), ("bdwp", (2, 16), 2.390),
                                   ("sr-ste", (2, 8), 1.332), ("sdwp", (2, 8), 1.332), ("sdgp", (2, 8), 1.332)):
        sparse = Sparsity(method=method, n=pattern[0], m=pattern[1])
        assert round(sum(dense) / sum(macs(RESNET9, sparse, 1)), 3) == pytest.approx(ratio, abs=0.0015)


@pytest.mark.parametrize(("network", "counts", "ratios"), [
    (vgg19(64, (32, 32, 3), 100), (0.398, 1.193), (1.498, 1.994, 2.390)),
    (resnet18(64, (64, 64, 3), 200), (2.222, 6.658), (1.498, 1.996, 2.393)),
])  # fmt: skip
def test_vgg19_and_resnet18_have_the_published_counts(network, counts, ratios):
    dense = macs(network, Sparsity(), 1)
    assert (round(dense.ff / 1e9, 3), round(sum(dense) / 1e9, 3)) == counts
    for m, ratio in zip((4, 8, 16), ratios, strict=True):
        sparse = macs(network, Sparsity(method="bdwp", n=2, m=m), 1)
        assert sum(dense) / sum(sparse) == pytest.approx(ratio, abs=0.0015)


def test_which_layers():
    """Not the first one, the last one, and those with channels that M does not divide; unless told otherwise."""
    assert sparse_layers(CHAIN, Sparsity(method="dense")) == frozenset()
    assert sparse_layers(CHAIN, Sparsity(method="bdwp", n=2, m=8)) == {"1", "2"}
    assert sparse_layers(CHAIN, Sparsity(method="bdwp", n=2, m=16)) == {"1"}
    told = Network(shape=(4, 4, 16), layers=(
        Conv2d(channels=16, kernel=1, sparse=True), Conv2d(channels=32, kernel=1, sparse=False),
        Conv2d(channels=24, kernel=1), GlobalAvgPool(), Linear(features=16, sparse=True),
    ))  # fmt: skip
    assert sparse_layers(told, Sparsity(method="sdgp", n=1, m=4)) == {"0", "2", "4"}
    with pytest.raises(ValueError, match=r"layer 4 \(Linear\): sparse = True: M = 16 must divide its channels, 24 and"):
        sparse_layers(told, Sparsity(method="bdwp", n=2, m=16))


@pytest.mark.parametrize(("values", "message"), [
    ({"method": "bwdp"}, "method = 'bwdp': must be one of dense, sr-ste"), ({"n": 3, "m": 8}, "N:M = '3:8'"),
    ({"n": 16, "m": 16}, "N:M = '16:16'"), ({"method": "bdwp", "regulariser": -1}, "regulariser = -1"),
    ({"method": "sdwp", "regulariser": 1e-4}, "method sdwp uses all weights in the forward pass"),
])
def test_what_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Sparsity(**values)


def passes(method, pattern=(2, 8)):
    """Outputs and input gradient of layer 1 of CHAIN, by its operation."""
    model = made(CHAIN, sparsity=Sparsity(method=method, n=pattern[0], m=pattern[1]))
    layer, rng = model.chain.operations[1], np.random.default_rng(10)
    x, dy = (BINARY16.narrow(rng.standard_normal((2, 4, 4, count), np.float32)) for count in (16, 32))
    y = layer.forward(x, True)
    return model, (x, dy, y, layer.backward(dy, True), layer.parameters["weight"].gradient)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_passes(method, pattern):
    """Each pass is the dense product with what the method leaves of an operand; the weight gradient is always dense."""
    model, (x, dy, y, dx, dw) = passes(method, pattern)
    weight, geometry, does = model.parameters()["1.weight"].half, convolution.Geometry(1, 1), METHODS[method]
    forward = np.where(convolution.forward_mask(weight, *pattern), weight, 0) if does.forward else weight
    backward = convolution.pruned_gradient(weight, *pattern) if does.backward else weight
    gradient = convolution.pruned_gradient(dy, *pattern) if does.gradient else dy
    dense = 16, 16
    assert np.array_equal(
        y, convolution.multiplied(x, convolution.forward_columns(forward, *dense), geometry, BINARY16))
    assert np.array_equal(dx, convolution.input_gradient(
        gradient, convolution.backward_columns(backward, *dense), geometry, (4, 4), BINARY16))
    assert np.array_equal(dw, convolution.weight_gradient(x, dy, (3, 3), geometry, BINARY16))
    share = pattern[0] / pattern[1]
    for pruned, is_pruned in ((forward, does.forward), (backward, does.backward), (gradient, does.gradient)):
        assert np.mean(pruned != 0) == pytest.approx(share if is_pruned else 1, abs=0.001)


def test_methods_differ_where_they_must():
    made_by = {method: passes(method)[1] for method in METHODS}
    same = {part: [[np.array_equal(made_by[a][part], made_by[b][part]) for b in METHODS] for a in METHODS]
            for part in (2, 3)}
    forward, backward = ([[a == b for b in found] for a in found] for found in (
        [does.forward for does in METHODS.values()], [(does.backward, does.gradient) for does in METHODS.values()]))
    assert same == {2: forward, 3: backward}


@pytest.mark.parametrize(("method", "regulariser"), [("sr-ste", None), ("bdwp", 1e-3), ("bdwp", None), ("dense", None)])
def test_regulariser(method, regulariser):
    """Decays, beside all weights, those that the forward pass does not use; not those of dense layers."""
    model = made(CHAIN, sparsity=Sparsity(method=method, regulariser=regulariser))
    before = {name: parameter.w.copy() for name, parameter in model.parameters().items()}
    kept = {f"{name}.weight": convolution.forward_mask(model.parameters()[f"{name}.weight"].half, 2, 8)
            for name in model.sparse}
    for parameter in model.parameters().values():
        parameter.gradient = np.zeros_like(parameter.w)
    extra = model.sparsity.decay
    assert extra == {"sr-ste": 2e-4, "dense": 0, "bdwp": regulariser or 0}[method]
    model.update(Sgd(rate=1.0, decay=0.01, regulariser=extra))
    for name, parameter in model.parameters().items():
        decay = np.where(kept.get(name, True), 0.01, 0.01 + extra)
        np.testing.assert_allclose(parameter.w, before[name] * (1 - decay), rtol=3e-7)
