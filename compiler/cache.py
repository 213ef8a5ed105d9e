"""Program folders by what they are made from: model file, recipe, engine parameters, context and this source code."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.program import BadProgramError, Program

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cached_program", "file_hash", "key_of", "source_hash"]

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (".py", ".json", ".v", ".toml")


def file_hash(path: Path) -> str:
    """sha256 of a file, or of all files of a folder and their names."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file() and p.parent.name[:2] != "__")
    return key_of({name: file_hash(path / name) for name in names})


@functools.cache
def source_hash(*packages: str) -> str:
    """Hash of the source files of top-level packages of this project, as they were when it was first asked for."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted(p for p in (ROOT / package).rglob("*") if p.suffix in SOURCES):
            digest.update(f"{path.relative_to(ROOT).as_posix()}\0{file_hash(path)}\0".encode())
    return digest.hexdigest()


def key_of(parts: dict[str, Any]) -> str:
    """Hexadecimal name for JSON values; their order does not matter."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def cached_program(root: Path, key: str, make: Callable[[], Program]) -> tuple[Program, bool]:
    """The program in the folder `root / key`, and whether it was there already; `make` makes it otherwise.

    A folder that is torn or was changed is made anew. Two processes may make the same one; the first stays.
    """
    folder = root / key
    try:
        return Program.load(folder), True
    except BadProgramError:
        shutil.rmtree(folder, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{key}-", dir=root) as scratch:
        work = Path(scratch) / "program"
        make().save(work)
        if not folder.exists():
            os.rename(work, folder)
    return Program.load(folder), False
