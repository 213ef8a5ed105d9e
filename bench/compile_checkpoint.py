"""What compiling a large checkpoint from disk costs: a GGUF file of a published shape, Q4_0, random weights.

    python -m bench.compile_checkpoint --shape llama2-7b --json

Writes the file, then runs `lacuna compile` on it in a process of its own: its seconds and its largest resident set. For
llama2-7b the folder takes 8 GB, and the compiler 8 GB more in TMPDIR while it runs.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np

from compiler.frontend.gguf import LAYER_NAMES, NAMES
from compiler.frontend.model import LlamaConfig
from compiler.models.synthetic import PUBLISHED

__all__ = ["add_shape", "compile_cost", "write_checkpoint"]

Q4_0 = gguf.GGMLQuantizationType.Q4_0
GROUP, BLOCK_BYTES = gguf.GGML_QUANT_SIZES[Q4_0]
SCALES = (2.0**-9, 2.0**-7)


def add_shape(writer: gguf.GGUFWriter, config: LlamaConfig) -> None:
    """The metadata that give a Llama's shape."""
    writer.add_block_count(config.layers)
    writer.add_context_length(config.context)
    writer.add_embedding_length(config.dim)
    writer.add_feed_forward_length(config.ffn_dim)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_rope_dimension_count(config.head_dim)


def write_checkpoint(path: Path, config: LlamaConfig, seed: int = 1) -> None:
    """GGUF with random Q4_0 matrices and norms of ones, tensor by tensor; the tokens are bytes and placeholders."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random weights")
    add_shape(writer, config)
    special = ["<unk>", "<s>", "</s>"]
    tokens = [*special, *(f"<0x{i:02X}>" for i in range(256))]
    tokens += [f"token{i}" for i in range(config.vocab - len(tokens))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(i) for i in range(config.vocab)])
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * (config.vocab - 259)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    stored = {canonical: name.removesuffix(".weight") for name, canonical in NAMES.items()}
    for layer in range(config.layers):
        stored |= {f"layers.{layer}.{part}": f"blk.{layer}.{name}" for name, part in LAYER_NAMES.items()}
    shapes = {f"{stored[name]}.weight": size for name, size in config.shapes().items()}
    for name, size in shapes.items():
        if len(size) == 1:
            writer.add_tensor_info(name, size, np.dtype(np.float32), 4 * size[0])
        else:
            row = size[1] // GROUP * BLOCK_BYTES
            writer.add_tensor_info(name, (size[0], row), np.dtype(np.uint8), size[0] * row, raw_dtype=Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(seed)
    for size in shapes.values():
        if len(size) == 1:
            writer.write_tensor_data(np.ones(size, np.float32))
        else:
            blocks = rng.integers(0, 256, (size[0], size[1] // GROUP, BLOCK_BYTES), np.uint8)
            blocks[..., :2] = rng.uniform(*SCALES, blocks.shape[:2]).astype("<f2")[..., None].view(np.uint8)
            writer.write_tensor_data(blocks.reshape(size[0], -1))
    writer.close()


def compile_cost(shape: str, layers: int | None, context: int, folder: Path) -> dict[str, int | float | str]:
    """Seconds and bytes of compiling such a file for the engine u280-core."""
    config = PUBLISHED[shape]
    config = replace(config, layers=layers or config.layers)
    model, program = folder / "random.gguf", folder / "program"
    write_checkpoint(model, config)
    options = ["--config", "u280-core", "--context", str(context)]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cli.main", "compile", model, "-o", program, *options], check=True,
                   stdout=subprocess.DEVNULL)
    return {
        "shape": shape,
        "layers": config.layers,
        "context": context,
        "checkpoint_bytes": model.stat().st_size,
        "program_bytes": sum(path.stat().st_size for path in program.iterdir()),
        "compile_s": time.perf_counter() - started,
        "compile_peak_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shape", choices=PUBLISHED, default="llama2-7b")
    parser.add_argument("--layers", type=int, help="default: the shape's")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        record = compile_cost(args.shape, args.layers, args.context, Path(folder))
    print(json.dumps(record) if args.json else "\n".join(f"{key}: {value}" for key, value in record.items()))


if __name__ == "__main__":
    main()
