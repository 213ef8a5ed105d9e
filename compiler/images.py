"""Memory images on their way into a program folder: in memory while they are small, beyond that in temporary files."""

from __future__ import annotations

import mmap
import tempfile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["IN_MEMORY", "ImageWriter", "chunks", "open_image"]

IN_MEMORY = 64 << 20
"""Bytes of an image that memory may hold; a larger one lies in a file."""
CHUNK = 16 << 20


class _SharedMap(mmap.mmap):
    """A mapping whose pages may be dropped at any time, as the file has them too."""


class ImageWriter:
    """An image of `size` bytes, zero at first.

    A large one is written to a file without a name in the folder for temporary files (TMPDIR), which vanishes with the
    array that `finish` returns.

    Raises:
        OSError: the disk is full.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._array = self._file = None
        if size <= IN_MEMORY:
            self._array = np.zeros(size, np.uint8)
        else:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
            self._file.truncate(size)

    def put(self, at: int, data: np.ndarray) -> None:
        """Write uint8 `data` to byte `at` and on."""
        if self._file is None:
            assert self._array is not None
            self._array[at : at + len(data)] = data
        else:
            self._file.seek(at)
            self._file.write(np.ascontiguousarray(data).data)

    def finish(self) -> np.ndarray:
        """The image: uint8 [size], writable."""
        if self._file is None:
            assert self._array is not None
            return self._array
        self._file.flush()
        shared = _SharedMap(self._file.fileno(), self.size)
        self._file.close()
        return np.ndarray(self.size, np.uint8, shared)


def chunks(image: np.ndarray) -> Iterator[memoryview]:
    """The bytes of an image part by part; what lies in a writer's file does not stay in memory."""
    for at in range(0, len(image), CHUNK):
        yield np.ascontiguousarray(image[at : at + CHUNK]).data
        if isinstance(image.base, _SharedMap):
            image.base.madvise(mmap.MADV_DONTNEED)


def open_image(path: Path) -> np.ndarray:
    """A file as uint8 array; changes to it never reach the file, and a large one is read where it is touched."""
    if path.stat().st_size <= IN_MEMORY:
        return np.fromfile(path, np.uint8)
    return np.memmap(path, np.uint8, "c").view(np.ndarray)
