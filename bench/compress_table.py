"""What compression costs in perplexity, and how long it takes: a Markdown table.

    python -m bench.compress_table SmolLM2-135M-Instruct.Q4_1.gguf wikitext2-test-raw.txt [--only fast] [--tokens 7161]

Perplexity by the float reference (float32; the engine's INT8 inputs come on top), windows of 1,024 tokens that do not
overlap. Calibration on the built-in text, never on the text that is measured.
"""

import argparse
import math
import time
from pathlib import Path

from compiler.compress import Recipe, built_in_text, compress
from compiler.frontend import Model, load_model
from compiler.frontend.reference import mean_loss
from golden.params import BLOCK

__all__ = ["RECIPES", "kept_share"]

WINDOW = 1024
RECIPES = {
    "original": Recipe(),
    "magnitude": Recipe(method="magnitude", sparsity="12:16", bits=5),
    "fast": Recipe(method="wanda", density=0.75, bits=5, sequences=8, length=512),
    "wanda": Recipe(method="wanda", density=0.75, bits=5),
    "best": Recipe(method="sparsegpt", density=0.75, bits=5),
    "12:16": Recipe(method="sparsegpt", sparsity="12:16", bits=5),
    "8:16": Recipe(method="sparsegpt", sparsity="8:16", bits=5),
    "half": Recipe(method="sparsegpt", density=0.5, bits=5),
}


def kept_share(model: Model) -> float:
    """Weights of the layers' matrices that are not 0, as a share."""
    dense = [t.dense() for name, t in model.tensors.items() if name.startswith("layers.") and len(t.shape) == 2]
    return sum(int((w != 0).sum()) for w in dense) / sum(w.size for w in dense)


def _described(recipe: Recipe, available: int) -> str:
    if not recipe.changes:
        return "as in the file"
    target = recipe.sparsity or f"N:{BLOCK} by block, density {recipe.density}"
    sequences = min(recipe.sequences, available // recipe.length)
    calibration = f", {sequences} x {recipe.length} tokens" if recipe.calibrates else ""
    return f"{recipe.method}, {target}, {recipe.bits} bits in groups of {recipe.group}{calibration}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokens", type=int, default=7 * (WINDOW - 1), help="predicted tokens, whole windows of them")
    parser.add_argument("--only", choices=RECIPES, nargs="+", default=list(RECIPES))
    args = parser.parse_args()
    model = load_model(args.model)
    ids = model.tokenizer.encode(args.text.read_text("utf-8"))[: args.tokens // (WINDOW - 1) * WINDOW]
    calibration = model.tokenizer.encode(built_in_text())
    print(f"{model.name}, {len(ids) // WINDOW * (WINDOW - 1):,} predicted tokens\n")
    print("| recipe | weights not 0 | perplexity | seconds to compress |\n|---|---|---|---|", flush=True)
    for name in args.only:
        start = time.perf_counter()
        compressed = compress(model, RECIPES[name], calibration)
        seconds = time.perf_counter() - start
        perplexity = math.exp(mean_loss(compressed, ids, WINDOW))
        described = _described(RECIPES[name], len(calibration))
        print(f"| {described} | {kept_share(compressed):.1%} | {perplexity:.3f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
