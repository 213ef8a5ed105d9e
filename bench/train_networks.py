"""Cycles of a step of full networks on the training engine, by the cycle model: `python -m bench.train_networks`.

The networks of sat.md, section 5, on arrays of a VCU1525's size, dense and with BDWP, next to the limit of the products
alone: multiplications of the dense step over those of the sparse one. Nothing runs on the RTL; `bench.train_cycles`
shows how far the model is from it.
"""

import argparse
from dataclasses import replace

from golden.configs import TRAIN
from golden.engines import ENGINES
from golden.train.networks import NETWORKS
from golden.train.params import TrainParams
from golden.train.sparsity import Sparsity
from sim.train_rtl import measure_step

__all__ = ["CASES", "CONFIGS", "PATTERNS", "main"]

VCU1525 = TRAIN["train-vcu1525"]
assert isinstance(VCU1525, TrainParams)
CONFIGS = {
    "32 x 32": replace(VCU1525, w_steps=65536),
    "64 x 16": replace(VCU1525, rows=64, columns=16, x_words=32768, w_steps=65536),
    "128 x 8": replace(VCU1525, rows=128, columns=8, w_steps=65536),
}
"""1,024 USPEs each; a tile has 256, 128 or 64 columns. W holds a tile of a dense layer of 3 x 3 taps and 512 channels,
X of 64 x 16 two images of 64 x 64 pixels."""
PATTERNS = ((2, 4), (2, 8), (2, 16))
CASES = (
    *(("resnet9", 64, 32, 10, 64, config) for config in CONFIGS),
    ("vgg19", 64, 32, 100, 64, "64 x 16"), ("resnet18", 64, 64, 200, 16, "64 x 16"),
)  # fmt: skip
"""(network, width, pixels of a line, classes, images, configuration)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", nargs="*", type=int, default=range(len(CASES)), help="numbers of CASES; default all")
    parser.add_argument("--memory", default="ddr4", help="timing model; default ddr4")
    args = parser.parse_args()
    mhz = ENGINES["train"].clock_mhz
    print(f"| network, images | array | N:M | step, cycles | ms at {mhz} MHz | array multiplies | utilisation "
          "| over dense | limit | of it |\n|---|---|---|---|---|---|---|---|---|---|")
    for case in args.cases:
        name, width, size, classes, images, config = CASES[case]
        network, params, dense = NETWORKS[name](width, (size, size, 3), classes), CONFIGS[config], None
        for pattern in (None, *PATTERNS):
            sparsity = Sparsity(method="bdwp", n=pattern[0], m=pattern[1]) if pattern else Sparsity()
            found = measure_step(network, params, sparsity, images, level="model", memory=args.memory)
            total, macs = found.total or 0, sum(found.macs.values())
            dense = dense or (total, macs)
            over, limit = dense[0] / total, dense[1] / macs
            print(f"| {name} {width}, {images} of {size} x {size} | {config} "
                  f"| {'{}:{}'.format(*pattern) if pattern else 'dense'} | {total:,} | {total / mhz / 1000:,.1f} | "
                  f"{100 * sum(found.steps.values()) / total:.1f}% | {100 * (found.utilisation or {})['all']:.1f}% | "
                  f"{over:.3f} | {limit:.3f} | {100 * over / limit:.1f}% |", flush=True)


if __name__ == "__main__":
    main()
