"""Cycles of a convolution's three products on the training engine's RTL: `python -m bench.train_products`.

One layer, 3 x 3, 64 to 64 channels, 8 images of 8 x 8; random numbers. For each N:M the forward product, the one for
the input's gradient and the one for the weights' gradient, each from start to done as a program of its own: loads of
tensors and weights and writes of results are in the cycles. Utilisation: useful products over cycles and USPEs. The
step's speed-up over dense stands next to its limit, 3 / (1 + 2 N / M). A program's image is compared with golden's.
"""

import argparse

import numpy as np

from compiler.train.convolution import Convolution
from compiler.train.emit import Emitter
from compiler.train.memory import Memory
from compiler.train.products import Compact, Products
from compiler.train.weights import compact
from golden.train.params import GROUP, TrainParams, slots
from sim.device import GoldenDevice, RtlDevice

__all__ = ["PARAMS", "PATTERNS", "checked", "main", "measure"]

PARAMS = TrainParams(rows=16, columns=4, x_words=4096, w_steps=16384)
LAYER = Convolution(height=8, width=8, inputs=64, outputs=64, kernel=3, padding=1)
IMAGES = 8
PATTERNS = ((16, 16), (2, 4), (1, 4), (2, 8), (1, 8), (2, 16))
"""N:M; dense first."""
PRODUCTS = ("FF", "BP", "WU")


def program(kind, pattern, params=PARAMS, conv=LAYER, images=IMAGES):
    """Program of one of PRODUCTS."""
    rng, memory, emitter = np.random.default_rng(1), Memory(params), Emitter()
    products, size = Products(params, emitter), conv.height * conv.width

    def numbers(*shape):
        return params.half.narrow(rng.standard_normal(shape).astype(np.float32))

    def columns(k, count):
        n, m = pattern
        values, index = compact(numbers(conv.taps, k, count), n, m, params)
        return Compact(memory.put(values), memory.put(index), n, m)

    x, dy = (memory.put(numbers(images, size, channels)) for channels in (conv.inputs, conv.outputs))
    if kind == "FF":
        products.forward(conv, images, x, columns(conv.inputs, conv.outputs),
                         memory.room(images * size * conv.outputs // params.word))
    elif kind == "BP":
        products.input_gradient(conv, images, dy, columns(conv.outputs, conv.inputs),
                                memory.room(images * size * conv.inputs // params.word))
    else:
        products.weight_gradient(conv, images, x, dy,
                                 memory.room(conv.taps * conv.inputs * conv.outputs * 2 // params.word))
    return memory.program(emitter.words())


def checked(made, memory, arguments=()):
    """Counters of a program's run on the RTL; raises ValueError if its memory is not golden's afterwards."""
    rtl, golden, length = RtlDevice(memory), GoldenDevice(), len(made.images["m"])
    for device in (rtl, golden):
        device.load(made)
    counters = rtl.run(arguments).counters
    golden.run(arguments)
    if rtl.read("m", 0, length) != golden.read("m", 0, length):
        raise ValueError("the RTL differs from golden")
    return counters


def measure(kind, pattern, memory):
    """(cycles, utilisation)."""
    cycles = checked(program(kind, pattern), memory)["cycles"]
    dense = IMAGES * LAYER.out_height * LAYER.out_width * LAYER.inputs * LAYER.outputs * LAYER.kernel**2
    useful = dense * (1 if kind == "WU" else slots(*pattern) / GROUP)
    return cycles, useful / (cycles * PARAMS.rows * PARAMS.columns)


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--memory", default="ddr4", help="timing model; default ddr4")
    memory = parser.parse_args().memory
    print("| N:M | FF, cycles (utilisation) | BP | WU | step | over dense | limit | of it |")
    print("|---|---|---|---|---|---|---|---|")
    dense = None
    for n, m in PATTERNS:
        found = [measure(kind, (n, m), memory) for kind in PRODUCTS]
        step = sum(cycles for cycles, _ in found)
        dense = dense or step
        limit = 3 / (1 + 2 * n / m)
        cells = " | ".join(f"{cycles:,} ({100 * share:.1f}%)" for cycles, share in found)
        print(f"| {'dense' if n == m else f'{n}:{m}'} | {cells} | {step:,} | {dense / step:.3f} | {limit:.3f} | "
              f"{100 * dense / step / limit:.1f}% |", flush=True)


if __name__ == "__main__":
    main()
