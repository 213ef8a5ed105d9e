"""Models in, `Model` out: GGUF files, Hugging Face folders, llama2.c checkpoints."""

from __future__ import annotations

import struct
from pathlib import Path

from compiler.frontend import gguf, huggingface, llama2c
from compiler.frontend.model import (
    BadModelFileError,
    GroupQuant,
    LlamaConfig,
    Model,
    Tensor,
    UnsupportedModelError,
)

__all__ = [
    "BadModelFileError",
    "GroupQuant",
    "LlamaConfig",
    "Model",
    "Tensor",
    "UnsupportedModelError",
    "load_model",
]

OTHER_FORMATS = {
    b"PK\x03\x04": "a PyTorch or zip file; save the model as safetensors",
    b"ggml": "an old GGML file; convert it to GGUF",
    b"ggjt": "an old GGML file; convert it to GGUF",
    b"tjgg": "an old GGML file; convert it to GGUF",
    b"lmgg": "an old GGML file; convert it to GGUF",
}


def load_model(path: str | Path, tokenizer: str | Path | None = None) -> Model:
    """Read a model, whatever of the known formats it is in; the content decides, not the name.

    Args:
        path: a GGUF file, a Hugging Face folder (or the config.json or a .safetensors file in it), or a llama2.c
            checkpoint.
        tokenizer: tokenizer.bin (llama2.c) or tokenizer.json, where it does not come with the model.

    Raises:
        BadModelFileError: no such file, truncated or corrupt, wrong shapes, NaN or infinite weights.
        UnsupportedModelError: a format, architecture or number format that the compiler does not read.
    """
    path = Path(path)
    text = None if tokenizer is None else Path(tokenizer)
    if text is not None and not text.is_file():
        raise BadModelFileError(f"{text}: no such file")
    try:
        if path.is_dir():
            return huggingface.load_huggingface(path, text)
        if not path.is_file():
            raise BadModelFileError(f"{path}: no such file or folder")
        with path.open("rb") as file:
            head = file.read(64)
        if head.startswith(gguf.MAGIC):
            if text is not None:
                raise UnsupportedModelError(f"{path}: GGUF brings its own tokenizer; leave {text} out")
            return gguf.load_gguf(path)
        if path.name == "config.json" or _is_safetensors(head):
            return huggingface.load_huggingface(path.parent, text)
        if head.startswith(llama2c.MAGIC) or llama2c.is_legacy(head):
            return llama2c.load_llama2c(path, text)
    except OSError as error:
        raise BadModelFileError(f"{path}: cannot be read: {error}") from None
    for magic, advice in OTHER_FORMATS.items():
        if head.startswith(magic):
            raise UnsupportedModelError(f"{path}: {advice}")
    raise BadModelFileError(f"{path}: neither GGUF, safetensors nor a llama2.c checkpoint (starts {head[:8]!r})")


def _is_safetensors(head: bytes) -> bool:
    """Whether the first bytes are a safetensors header: its length (uint64), then JSON."""
    return len(head) > 9 and head[8:9] == b"{" and 2 <= struct.unpack_from("<Q", head)[0] < 1 << 32
