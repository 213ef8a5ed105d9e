"""Networks from PyTorch modules compute what the modules do; skipped without PyTorch.

Tolerance: as of a network's gradients in tests/golden/train, numbers between layers have 11 bits.
"""

import numpy as np
import pytest

from compiler.train.torch_import import UnsupportedModuleError, from_torch
from golden.float16 import BINARY16
from golden.train.model import Model
from golden.train.sparsity import Sparsity
from tests.golden.train.networks import rounded

torch = pytest.importorskip("torch", reason="torch is an optional extra: pip install torch")
nn = torch.nn

OUTPUT = 0.01
"""Norm of the error, of the norm."""


class Block(nn.Module):
    def __init__(self, body, skip=None):
        super().__init__()
        self.body = body
        if skip is not None:
            self.skip = skip

    def forward(self, x):
        return self.body(x) + (self.skip(x) if hasattr(self, "skip") else x)


def conv(inputs, outputs, **values):
    return nn.Conv2d(inputs, outputs, 3, **({"padding": 1, "bias": False} | values))


MODULES = {
    "convolutions": lambda: nn.Sequential(
        nn.Sequential(conv(3, 16), nn.BatchNorm2d(16, eps=1e-3), nn.ReLU()), nn.Identity(), nn.MaxPool2d(3, 2),
        nn.Sequential(nn.Sequential(conv(16, 8, bias=True)), nn.ReLU(inplace=True)), nn.AvgPool2d(2, stride=1),
        nn.Flatten(), nn.Linear(8 * 2 * 2, 12), nn.ReLU(), nn.Linear(12, 5, bias=False)),
    "blocks": lambda: nn.Sequential(
        conv(3, 16), nn.BatchNorm2d(16),
        Block(nn.Sequential(conv(16, 16), nn.BatchNorm2d(16), nn.ReLU(), conv(16, 16))), nn.ReLU(),
        Block(nn.Sequential(conv(16, 32, stride=2), nn.BatchNorm2d(32)), nn.Conv2d(16, 32, 1, stride=2)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 4)),
}  # fmt: skip


def filled(module):
    """With statistics and weights that say which is which."""
    for tensor in module.state_dict().values():
        if tensor.dtype == torch.float32 and tensor.ndim == 1:
            tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return module.eval()


@pytest.mark.parametrize("name", MODULES)
def test_computes_the_same(name):
    torch.manual_seed(3)
    module = filled(MODULES[name]())
    network, state = from_torch(module, (7, 8, 3))
    model = Model(network, BINARY16, Sparsity())
    model.load(state, some=True)
    images = rounded(np.random.default_rng(4).standard_normal((6, 7, 8, 3)))
    with torch.no_grad():
        exact = module(torch.tensor(images.transpose(0, 3, 1, 2), dtype=torch.float32)).numpy()
    found = BINARY16.widen(model.logits(images))[:, : network.classes]
    assert np.linalg.norm(found - exact) <= OUTPUT * np.linalg.norm(exact)


def test_all_numbers_are_given():
    network, state = from_torch(MODULES["blocks"](), (7, 8, 3))
    known = Model(network, BINARY16, Sparsity()).state()
    assert state.keys() == {name for name in known if not name.endswith(".velocity")}


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.gate = conv(3, 3), conv(3, 3)


@pytest.mark.parametrize(("module", "message"), [
    (nn.Sequential(nn.Sequential(conv(3, 6, groups=3))), r"module 0.0 \(Conv2d\): groups = 3: must be 1"),
    (nn.Sequential(conv(3, 6, dilation=2)), r"module 0 \(Conv2d\): dilation = \(2, 2\): must be 1"),
    (nn.Sequential(conv(3, 6, padding_mode="reflect")), "padding_mode = 'reflect'"),
    (nn.Sequential(conv(3, 6, padding="same")), "padding = 'same': must be a number, the same for lines and pixels"),
    (nn.Sequential(nn.Conv2d(3, 6, (3, 1))), r"kernel_size = \(3, 1\): must be a number"),
    (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), r"module 0 \(MaxPool2d\): ceil_mode = True: must be False"),
    (nn.Sequential(nn.AvgPool2d(2, padding=1)), r"module 0 \(AvgPool2d\): padding = 1: must be 0"),
    (nn.Sequential(nn.AdaptiveAvgPool2d(2)), "output_size = 2: must be 1"),
    (nn.Sequential(nn.BatchNorm2d(3, affine=False)), "affine = False: must be True"),
    (nn.Sequential(nn.BatchNorm2d(3, momentum=None)), "momentum = None: must be a number"),
    (nn.Sequential(nn.Flatten(2)), r"module 0 \(Flatten\): start_dim = 2: must be 1"),
    (nn.Sequential(nn.ReLU(), nn.Dropout()), r"module 1 \(Dropout\): not supported; there are Sequential, .*Linear"),
    (nn.Sequential(Block(nn.Sequential(conv(3, 3), nn.GELU()))), r"module 0.body.1 \(GELU\): not supported"),
    (nn.Sequential(Block(nn.Sequential())), r"module 0 \(Block\): its body has no layers"),
    (Odd(), r"module \(the whole\) \(Odd\): not supported"),
    (nn.Sequential(conv(4, 6), nn.AdaptiveAvgPool2d(1)), r"module 0 \(Conv2d\): weight of \(6, 4, 3, 3\): its input has"
                                                         " 7 x 8 pixels of 3 channels"),
    (nn.Sequential(nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1)), r"module 0 \(BatchNorm2d\): weight of \(4,\): must have"
                                                                " the 3 channels of its input"),
])
def test_what_is_refused(module, message):
    with pytest.raises(UnsupportedModuleError, match=message):
        from_torch(module, (7, 8, 3))
