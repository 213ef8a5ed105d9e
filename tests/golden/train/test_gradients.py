"""Gradients of layers and of a whole network against finite differences in float64, and against PyTorch's autograd.

Tolerances: numbers between layers have 11 bits, so a tensor that went through a few layers is off by some 2^-11 of
its largest element; sums of binary32 and its functions (2^-17) are far better.
"""

import numpy as np
import pytest

from golden.float16 import BINARY16
from golden.train.network import ReLU, padded_channels
from tests.golden.train.networks import LAYERS, SMALL, layered, made, rounded
from tests.golden.train.reference import cross_entropy, differences, forward

LAYER = 2.0**-9
"""Largest error of a gradient of one to three layers, of its largest element."""
NETWORK = 0.02
"""Of the gradients of a network of ten layers: the norm of the error, of their norm."""
SCALE = 64.0


def run(model, x, dy):
    """Outputs [n, classes], dX [n, h, w, c] and gradients by name, of a chain whose outputs' gradient is dy."""
    y = model.chain.forward(model.images(x), True)
    bits = BINARY16.narrow(dy.astype(np.float32))
    padded = np.pad(bits, ((0, 0), (0, padded_channels(dy.shape[1]) - dy.shape[1])))
    dx = BINARY16.widen(model.chain.backward(padded[:, None, None], True))
    assert not dx[..., x.shape[-1]:].any()
    return BINARY16.widen(y)[:, 0, 0, : dy.shape[1]], dx[..., : x.shape[-1]], gradients(model)


def gradients(model):
    """By name, in PyTorch's shapes."""
    kept = {name: parameter.w for name, parameter in model.parameters().items()}
    for parameter in model.parameters().values():
        parameter.w = parameter.gradient
    found = {name: values for name, values in model.state().items() if name in kept}
    for name, parameter in model.parameters().items():
        parameter.w = kept[name]
    return found


def case(name):
    """No number that a ReLU gets is so near 0 that rounding could move it to the other side."""
    network, rng = layered(name), np.random.default_rng(len(name))
    kinds = [type(placed.layer) for placed in network.placed]
    before = network.placed[: kinds.index(ReLU) if ReLU in kinds else 0]
    while True:
        model = made(network, seed=int(rng.integers(1000)))
        x = rounded(rng.standard_normal((3, *network.shape)))
        if np.abs(forward(before, model.state(), x)).min() > 2.0**-10:
            return network, model, x, rounded(rng.standard_normal((3, network.classes)))


def near(found, exact, tolerance):
    assert found.shape == exact.shape
    assert np.abs(found - exact).max() <= tolerance * np.abs(exact).max() + 1e-7


@pytest.mark.parametrize("name", LAYERS)
def test_layer_against_differences(name):
    network, model, x, dy = case(name)
    state = {key: values.astype(np.float64) for key, values in model.state().items()}
    y, dx, found = run(model, x, dy)
    near(y, forward(network.placed, state, x)[:, 0, 0], LAYER)

    def loss():
        return float((forward(network.placed, state, x)[:, 0, 0] * dy).sum())

    rng = np.random.default_rng(1)
    places = rng.choice(x.size, 60, replace=False)
    exact = np.zeros(x.shape)
    exact.flat[places] = differences(loss, x, places)
    assert np.abs(dx.flat[places] - exact.flat[places]).max() <= LAYER * max(np.abs(dx).max(), 1e-3)
    for key, gradient in found.items():
        some = rng.choice(gradient.size, min(gradient.size, 30), replace=False)
        exact = differences(loss, state[key], some)
        assert np.abs(gradient.flat[some] - exact).max() <= LAYER * np.abs(gradient).max()


def small():
    rng = np.random.default_rng(3)
    return made(SMALL, seed=3), rounded(rng.standard_normal((8, *SMALL.shape))), rng.integers(0, SMALL.classes, 8)


def test_network_against_differences():
    model, x, labels = small()
    state = {key: values.astype(np.float64) for key, values in model.state().items()}
    value = model.gradients(x, labels, SCALE)

    def loss():
        return cross_entropy(forward(SMALL.placed, state, x)[:, 0, 0], labels)

    assert abs(value - loss()) < 2e-3 * value
    rng = np.random.default_rng(4)
    for name, gradient in gradients(model).items():
        some = rng.choice(gradient.size, min(gradient.size, 25), replace=False)
        exact = differences(loss, state[name], some)
        assert np.linalg.norm(gradient.flat[some] / SCALE - exact) <= NETWORK * np.linalg.norm(exact), name


torch_reason = "torch is an optional extra: pip install torch"


def torch_forward(torch, chain, state, x):
    """x: [n, c, h, w]."""
    f = torch.nn.functional
    for name, layer, _, _, body, skip in chain:
        kind = type(layer).__name__
        if kind in ("Conv2d", "Linear"):
            x = f.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"),
                         getattr(layer, "stride", 1), getattr(layer, "padding", 0))
        elif kind == "BatchNorm":
            x = f.batch_norm(x, None, None, state[f"{name}.weight"], state[f"{name}.bias"], True, 0, layer.epsilon)
        elif kind == "ReLU":
            x = f.relu(x)
        elif kind == "MaxPool":
            x = f.max_pool2d(x, layer.kernel, layer.step)
        elif kind == "AvgPool":
            x = f.avg_pool2d(x, layer.kernel, layer.step)
        elif kind == "GlobalAvgPool":
            x = x.mean((2, 3), keepdim=True)
        else:
            x = torch_forward(torch, body, state, x) + torch_forward(torch, skip, state, x)
    return x


def in_torch(torch, model, x):
    state = {key: torch.tensor(values, dtype=torch.float64, requires_grad=True)
             for key, values in model.state().items()}
    images = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    return state, images, torch_forward(torch, model.network.placed, state, images)[:, :, 0, 0]


@pytest.mark.parametrize("name", LAYERS)
def test_layer_against_torch(name):
    torch = pytest.importorskip("torch", reason=torch_reason)
    _, model, x, dy = case(name)
    state, images, logits = in_torch(torch, model, x)
    (logits * torch.tensor(dy)).sum().backward()
    y, dx, found = run(model, x, dy)
    near(y, logits.detach().numpy(), LAYER)
    near(dx, images.grad.numpy().transpose(0, 2, 3, 1), LAYER)
    for key, gradient in found.items():
        near(gradient, state[key].grad.numpy(), LAYER)


def test_network_against_torch():
    torch = pytest.importorskip("torch", reason=torch_reason)
    model, x, labels = small()
    state, _, logits = in_torch(torch, model, x)
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
    loss.backward()
    assert abs(model.gradients(x, labels, SCALE) - loss.item()) < 2e-3 * loss.item()
    for name, gradient in gradients(model).items():
        exact = state[name].grad.numpy()
        assert np.linalg.norm(gradient / SCALE - exact) <= NETWORK * np.linalg.norm(exact), name
