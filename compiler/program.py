"""A program is a folder: `manifest.json`, `program.bin`, one image per memory port, the tokenizer's file."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compiler.frontend.tokenizer import Tokenizer
from compiler.frontend.tokenizer_store import restore_tokenizer
from compiler.images import chunks, open_image
from golden.isa.formats import InstructionSet

__all__ = ["SCHEMA_VERSION", "TOKENIZER", "BadProgramError", "Program"]

SCHEMA_VERSION = 1
TOKENIZER = "tokenizer.json"
"""File of a language model's tokenizer."""
CODE = "program.bin"
REQUIRED = ("engine", "params", "instruction_bits", "program_address", "ports", "sha256")


class BadProgramError(ValueError):
    """A program folder that is incomplete, corrupt or of another version; the message names the file."""


@dataclass(frozen=True)
class Program:
    """Engine-neutral container.

    Attributes:
        manifest: engine, parameters, memory map, arguments; JSON.
        instructions: instruction words. images: port -> uint8 array, the memory as it is before the first run; large
            ones are mapped files.
        files: further files (the tokenizer), name -> bytes.
    """

    manifest: dict[str, Any]
    instructions: list[int]
    images: dict[str, np.ndarray]
    files: dict[str, bytes]

    def save(self, folder: str | Path) -> None:
        """Write the folder, file by file and the manifest last, so that a torn write is noticed."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        width = self.manifest["instruction_bits"] // 8
        contents: dict[str, Iterable[bytes | memoryview]] = {
            CODE: (word.to_bytes(width, "little") for word in self.instructions)
        }
        contents |= {f"{port}.bin": chunks(image) for port, image in self.images.items()}
        contents |= {name: [data] for name, data in self.files.items()}
        hashes = {name: _write(folder / name, parts) for name, parts in contents.items()}
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
        listed = manifest["sha256"]
        for name, digest in listed.items():
            if _digest(folder / name) != digest:
                raise BadProgramError(f"{folder / name}: content does not match the manifest's sha256")
        image_files = {port: f"{port}.bin" for port in manifest["ports"]}
        absent = [name for name in (CODE, *image_files.values()) if name not in listed]
        if absent:
            raise BadProgramError(f"{folder / 'manifest.json'}: sha256 does not name {', '.join(absent)}")
        width = manifest["instruction_bits"] // 8
        code = (folder / CODE).read_bytes()
        words = [int.from_bytes(code[at : at + width], "little") for at in range(0, len(code), width)]
        images = {port: open_image(folder / name) for port, name in image_files.items()}
        others = [name for name in listed if name not in (CODE, *image_files.values())]
        return cls(manifest, words, images, {name: (folder / name).read_bytes() for name in others})

    @property
    def memory_bytes(self) -> dict[str, int]:
        """By port: what runs read or write; more than the images where the manifest says so."""
        return {port: max(len(image), self.manifest.get("memory_bytes", {}).get(port, 0))
                for port, image in self.images.items()}

    @property
    def tokenizer(self) -> Tokenizer:
        """Raises BadProgramError when the program carries none."""
        try:
            return restore_tokenizer(self.files[TOKENIZER])
        except (KeyError, ValueError) as error:
            raise BadProgramError(f"{TOKENIZER}: {error}") from error

    def disassemble(self, isa: InstructionSet) -> list[str]:
        return [isa.to_text(word) for word in self.instructions]


def _write(path: Path, parts: Iterable[bytes | memoryview]) -> str:
    """Replace the file; returns its sha256. The old one, which images may be mapped from, stays intact until then."""
    digest = hashlib.sha256()
    torn = path.with_name(f"{path.name}.part")
    with torn.open("wb") as file:
        for part in parts:
            file.write(part)
            digest.update(part)
    torn.replace(path)
    return digest.hexdigest()


def _digest(path: Path) -> str:
    """The file's sha256. Raises BadProgramError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadProgramError(f"{path}: {error.strerror}") from error
