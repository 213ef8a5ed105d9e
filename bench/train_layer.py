"""Cycles of a layer's whole step on the training engine's RTL: `python -m bench.train_layer`.

The convolution of `bench.train_products` with batch norm and ReLU: forward, backward to input and weights, update of
the weights with compact ones for the next step, as one program. Methods are dense, one direction (SR-STE's forward,
SDWP's backward pass) and both (BDWP). Cycles of units overlap, and so may add up to more than the step. The memory
afterwards is compared with golden's.
"""

import argparse

import numpy as np

from bench.train_products import IMAGES, LAYER, PARAMS, checked
from compiler.train.block import ConvBlock
from compiler.train.emit import Emitter
from compiler.train.memory import Memory
from golden.train.update import Sgd

__all__ = ["METHODS", "main"]

DENSE = (16, 16)
METHODS = {
    "dense": (DENSE, DENSE), "FF 2:8 (SR-STE)": ((2, 8), DENSE), "BP 2:8 (SDWP)": (DENSE, (2, 8)),
    "BDWP 2:4": ((2, 4), (2, 4)), "BDWP 2:8": ((2, 8), (2, 8)), "BDWP 2:16": ((2, 16), (2, 16)),
}
"""N:M of the forward and of the backward pass."""
SETTINGS = Sgd(rate=0.1, momentum=0.9, decay=5e-4, unscale=2.0**-10)
UNITS = ("load", "matrix", "vector", "update")


def program(ff, bp):
    """A step's program."""
    rng, memory, emitter = np.random.default_rng(1), Memory(PARAMS), Emitter()
    pixels = IMAGES * LAYER.height * LAYER.width

    def tensor(channels):
        return memory.put(PARAMS.half.narrow(rng.standard_normal((pixels, channels)).astype(np.float32)))

    weights = (0.05 * rng.standard_normal((LAYER.kernel**2, LAYER.inputs, LAYER.outputs))).astype(np.float32)
    gamma, beta = rng.standard_normal((2, LAYER.outputs)).astype(np.float32)
    block = ConvBlock(PARAMS, memory, emitter, LAYER, IMAGES, ff=ff, bp=bp, weights=weights, gamma=gamma, beta=beta)
    x, dz, z, dx = (tensor(channels) for channels in (LAYER.inputs, LAYER.outputs, LAYER.outputs, LAYER.inputs))
    block.forward(x, z)
    block.backward(dz, x, dx)
    block.update()
    return memory.program(emitter.words())


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--memory", default="ddr4", help="timing model; default ddr4")
    memory = parser.parse_args().memory
    print("| method | step, cycles | over dense | " + " | ".join(UNITS) + " | bytes read | written |")
    print("|---|---|---|" + "---|" * (len(UNITS) + 2))
    dense = None
    for name, (ff, bp) in METHODS.items():
        found = checked(program(ff, bp), memory, tuple(SETTINGS.registers().values()))
        dense = dense or found["cycles"]
        units = " | ".join(f"{found[f'{unit}_cycles']:,}" for unit in UNITS)
        print(f"| {name} | {found['cycles']:,} | {dense / found['cycles']:.3f} | {units} | {found['bytes_read']:,} | "
              f"{found['bytes_written']:,} |", flush=True)


if __name__ == "__main__":
    main()
