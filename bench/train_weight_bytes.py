"""Bytes of weights that a step moves, a sparse weight: `python -m bench.train_weight_bytes`.

ResNet-9 of `lacuna bench train`, BDWP; counted in the program that runs, instruction by instruction: LDWs of compact
weights for forward and backward pass, and what UPD reads and writes, without gradients. Layers that are sparse only.
Beside it the arithmetic of sat.md, section 4: with compact weights made in the update, and with pruning in line, where
FF and BP read dense 16-bit weights that an update has written.
"""

import math

from compiler.train.network import NetworkProgram
from golden.configs import TRAIN
from golden.isa.train import ISA
from golden.train.networks import resnet9
from golden.train.params import GROUP
from golden.train.sparsity import Sparsity, weighted
from golden.train.trainer import Optimiser, Trainer
from golden.train.update_unit import INDEX_BYTES, VALUES_BYTES

__all__ = ["main", "moved"]

PARAMS, IMAGES, IN_LINE = TRAIN["train-16x4"], 8, 22.0
PATTERNS = ((2, 4), (2, 8), (2, 16))


def moved(n: int, m: int) -> dict[str, float]:
    """Bytes a weight: read for FF and BP, read and written by updates of masters and of compact weights."""
    network, sparsity = resnet9(32, (16, 16, 3), 10), Sparsity(method="bdwp", n=n, m=m)
    trainer = Trainer(network, PARAMS.format_name, sparsity, Optimiser(steps=1, batch=IMAGES))
    program = NetworkProgram(PARAMS, trainer.model, IMAGES)
    count = sum(math.prod(placed.before[2:]) * placed.after[2] * placed.layer.kernel**2
                for placed in weighted(network) if placed.name in trainer.model.sparse)
    word, slots, found = PARAMS.axi_bits // 8, GROUP * n // m, dict.fromkeys(("FF, BP", "masters", "compact"), 0)
    areas = [(held.at, held.at + held.numbers.nbytes // word) for held in program.held()
             if "compact" in held.name and held.name.partition(".weight")[0] in trainer.model.sparse]
    for instruction in program.program.instructions:
        fmt, v = ISA.decode(instruction)
        if fmt.name == "LDW" and any(start <= v["address"] < end for start, end in areas):
            found["FF, BP"] += v["words"] * v["runs"] * word
        if fmt.name == "UPD" and v["ff_m"]:
            blocks = v["taps"] * v["groups"] * PARAMS.tile_columns // GROUP
            found["masters"] += 2 * len(PARAMS.masters) * blocks * PARAMS.block_words * word
            found["compact"] += (v["ff"] + v["bp"]) * blocks * slots * (VALUES_BYTES + INDEX_BYTES)
    return {name: size / count for name, size in found.items()}


def main() -> None:
    print("| N:M | read for FF and BP | masters, read and written | compact, written | in all | sat.md | in line |")
    print("|---|---|---|---|---|---|---|")
    for n, m in PATTERNS:
        found = moved(n, m)
        arithmetic = 16 + 4 * (2 + math.log2(m) / 8) * n / m
        print(f"| {n}:{m} | {found['FF, BP']:.3f} | {found['masters']:.3f} | {found['compact']:.3f} | "
              f"{sum(found.values()):.3f} | {arithmetic:.3f} | {IN_LINE:.3f} |")


if __name__ == "__main__":
    main()
