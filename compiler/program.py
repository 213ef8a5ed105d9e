"""A program is a folder: `manifest.json`, `program.bin`, one image per memory port, the tokenizer's file."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compiler.frontend.tokenizer import Tokenizer
from compiler.frontend.tokenizer_store import restore_tokenizer
from golden.isa.formats import InstructionSet

__all__ = ["SCHEMA_VERSION", "TOKENIZER", "BadProgramError", "Program"]

SCHEMA_VERSION = 1
TOKENIZER = "tokenizer.json"
"""File of a language model's tokenizer."""
REQUIRED = ("engine", "params", "instruction_bits", "program_address", "ports", "sha256")


class BadProgramError(ValueError):
    """A program folder that is incomplete, corrupt or of another version; the message names the file."""


@dataclass(frozen=True)
class Program:
    """Engine-neutral container.

    Attributes:
        manifest: engine, parameters, memory map, arguments; JSON.
        instructions: instruction words. images: port -> uint8 array, the memory as it is before the first run.
        files: further files (the tokenizer), name -> bytes.
    """

    manifest: dict[str, Any]
    instructions: list[int]
    images: dict[str, np.ndarray]
    files: dict[str, bytes]

    def save(self, folder: str | Path) -> None:
        """Write the folder; the manifest last, so that a torn write is noticed."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        width = self.manifest["instruction_bits"] // 8
        contents = {"program.bin": b"".join(word.to_bytes(width, "little") for word in self.instructions)}
        contents |= {f"{port}.bin": image.tobytes() for port, image in self.images.items()} | self.files
        for name, data in contents.items():
            (folder / name).write_bytes(data)
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
        manifest = {**self.manifest, "schema_version": SCHEMA_VERSION, "sha256": hashes}
        (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> "Program":
        """Raises BadProgramError when anything is missing, changed or not understood."""
        folder = Path(folder)
        try:
            manifest = json.loads((folder / "manifest.json").read_text())
        except (OSError, ValueError) as error:
            raise BadProgramError(f"{folder / 'manifest.json'}: {error}") from error
        if not isinstance(manifest, dict) or manifest.get("schema_version") != SCHEMA_VERSION:
            raise BadProgramError(f"{folder / 'manifest.json'}: schema_version is not {SCHEMA_VERSION}")
        missing = [key for key in REQUIRED if key not in manifest]
        if missing:
            raise BadProgramError(f"{folder / 'manifest.json'}: {', '.join(missing)} missing")
        contents = {}
        for name, digest in manifest["sha256"].items():
            try:
                contents[name] = (folder / name).read_bytes()
            except OSError as error:
                raise BadProgramError(f"{folder / name}: {error.strerror}") from error
            if hashlib.sha256(contents[name]).hexdigest() != digest:
                raise BadProgramError(f"{folder / name}: content does not match the manifest's sha256")
        width = manifest["instruction_bits"] // 8
        absent = [
            name for name in ("program.bin", *(f"{port}.bin" for port in manifest["ports"])) if name not in contents
        ]
        if absent:
            raise BadProgramError(f"{folder / 'manifest.json'}: sha256 does not name {', '.join(absent)}")
        code = contents.pop("program.bin")
        words = [int.from_bytes(code[at : at + width], "little") for at in range(0, len(code), width)]
        images = {port: np.frombuffer(contents.pop(f"{port}.bin"), np.uint8).copy() for port in manifest["ports"]}
        return cls(manifest, words, images, contents)

    @property
    def tokenizer(self) -> Tokenizer:
        """Raises BadProgramError when the program carries none."""
        try:
            return restore_tokenizer(self.files[TOKENIZER])
        except (KeyError, ValueError) as error:
            raise BadProgramError(f"{TOKENIZER}: {error}") from error

    def disassemble(self, isa: InstructionSet) -> list[str]:
        return [isa.to_text(word) for word in self.instructions]
