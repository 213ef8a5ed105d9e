"""Output- against weight-stationary on the training engine's RTL: `python -m bench.train_stationary`.

Forward products whose weights the array can hold (groups of k's up to its rows, and up to 8 S): the program that the
compiler makes, and the same one with weights that stay. Random numbers; both images are compared with golden's.
"""

import argparse
from dataclasses import replace

import numpy as np

from compiler.program import Program
from compiler.train.convolution import Convolution
from golden.isa.train import ISA
from golden.train.params import GROUP, TrainParams, slots

from .train_products import PARAMS, checked, program

__all__ = ["CASES", "main", "stationary"]

TALL = TrainParams(rows=64, columns=4, axi_bits=512, x_words=4096, w_steps=16384)
CASES = (
    ("16 x 4", PARAMS, Convolution(height=8, width=8, inputs=64, outputs=32), 8, (16, 16)),
    ("16 x 4", PARAMS, Convolution(height=8, width=8, inputs=256, outputs=32), 8, (2, 8)),
    ("16 x 4", PARAMS, Convolution(height=8, width=8, inputs=256, outputs=32), 8, (2, 16)),
    ("16 x 4", PARAMS, Convolution(height=8, width=8, inputs=16, outputs=32, kernel=3, padding=1), 8, (2, 4)),
    ("64 x 4", TALL, Convolution(height=8, width=8, inputs=256, outputs=32), 8, (2, 16)),
    ("64 x 4", TALL, Convolution(height=8, width=8, inputs=512, outputs=32), 8, (2, 8)),
)
"""(array, parameters, layer, images, N:M)."""


def stationary(made: Program) -> Program:
    """The program with weights that stay in the array."""
    words = []
    for word in made.instructions:
        fmt, fields = ISA.decode(word)
        words.append(ISA.encode(fmt.name, {**fields, "stationary": 1}) if fmt.name == "MM" else word)
    code = np.frombuffer(ISA.image(words), np.uint8)
    return replace(made, instructions=words, images={**made.images, "p": code})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--memory", default="ddr4", help="timing model; default ddr4")
    memory = parser.parse_args().memory
    print("| array | taps x inputs, pixels | N:M | groups, slots | sums stay, cycles | weights stay, cycles | over |")
    print("|---|---|---|---|---|---|---|")
    for array, params, layer, images, (n, m) in CASES:
        made = program("FF", (n, m), params, layer, images)
        sums, weights = (checked(some, memory)["cycles"] for some in (made, stationary(made)))
        groups, pixels = layer.taps * layer.inputs // GROUP, images * layer.height * layer.width
        print(f"| {array} | {layer.taps} x {layer.inputs}, {pixels} | {'dense' if n == m else f'{n}:{m}'} | {groups}, "
              f"{slots(n, m)} | {sums:,} | {weights:,} | {weights / sums:.2f} |", flush=True)


if __name__ == "__main__":
    main()
