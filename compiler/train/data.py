"""Images with labels to train on. Nothing is downloaded."""

import gzip
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from compiler.packages import MissingPackageError, package_file

__all__ = ["DATA_SETS", "BadDataError", "DataSet", "data_set"]

DIGITS = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
DIGITS_FOR_TRAINING = 1200
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Of Debian's package dataset-fashion-mnist."""
FASHION_MEAN, FASHION_DEVIATION = 0.2860, 0.3530
"""Of the training images, of pixels from 0 to 1."""
GRATINGS = 4


class BadDataError(ValueError):
    """A file of a data set that is not what it should be; the message names it."""


class DataSet(NamedTuple):
    """Images, float32 [images, lines, pixels, channels], and labels, int64 [images]."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an image."""
        return self.images.shape[1:]

    @property
    def classes(self) -> int:
        return int(max(self.labels.max(), self.test_labels.max())) + 1


def data_set(name: str, folder: Path | None = None) -> DataSet:
    """A data set by its name.

    Args:
        folder: where its files lie, if it has any.

    Raises:
        ValueError: there is none of this name. MissingPackageError: its files are not there; the message says where
            they come from. BadDataError, BadPackageFileError: they are not what they should be.
    """
    if name not in DATA_SETS:
        raise ValueError(f"{name!r}: there are {', '.join(DATA_SETS)}")
    return DATA_SETS[name](folder)


def _digits(folder: Path | None) -> DataSet:
    """1,797 handwritten digits of 8 x 8 pixels in 17 shades, as -1 to 1, shuffled once; 1,200 are for training."""
    path = folder / "digits.csv.gz" if folder else package_file(
        "sklearn", "datasets/data/digits.csv.gz", DIGITS, "scikit-learn's digits.csv.gz")
    try:
        rows = np.loadtxt(io.BytesIO(gzip.decompress(path.read_bytes())), delimiter=",", ndmin=2)
        images = rows[:, :64].reshape(-1, 8, 8, 1).astype(np.float32) / 8 - 1
        labels = rows[:, 64].astype(np.int64)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise BadDataError(f"{path}: not the digits: {error}") from None
    order = np.random.default_rng(0).permutation(len(images))
    some, rest = np.split(order, [DIGITS_FOR_TRAINING])
    return DataSet(images[some], labels[some], images[rest], labels[rest])


def _fashion(folder: Path | None) -> DataSet:
    """Fashion-MNIST: 60,000 and 10,000 images of 28 x 28 pixels, 10 classes, normalised with its mean and deviation."""
    data = os.environ.get("LACUNA_DATA")
    places = [folder] if folder else [*([Path(data, "fashion-mnist")] if data else []), FASHION_FOLDER]
    place = next((place for place in places if place.is_dir()), None)
    if place is None:
        raise MissingPackageError(f"Fashion-MNIST is not in {' or '.join(map(str, places))}: "
                                  "apt install dataset-fashion-mnist, or name its folder as data.path")
    parts = []
    for part, count in (("train", 60000), ("t10k", 10000)):
        pixels = _idx(place, f"{part}-images-idx3-ubyte", (count, 28, 28))
        images = (pixels[..., None].astype(np.float32) / 255 - FASHION_MEAN) / FASHION_DEVIATION
        parts += [images.astype(np.float32), _idx(place, f"{part}-labels-idx1-ubyte", (count,)).astype(np.int64)]
    return DataSet(*parts)


def _idx(folder: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 numbers of an IDX file, plain or gzip."""
    path = next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)
    if path is None:
        raise BadDataError(f"{folder}: has neither {name}.gz nor {name}")
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise BadDataError(f"{path}: {error}") from None
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
    if raw[: len(header)] != header or len(raw) != len(header) + np.prod(shape):
        raise BadDataError(f"{path}: not an IDX file of {' x '.join(map(str, shape))} bytes")
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(shape)


def _gratings(folder: Path | None) -> DataSet:
    """Made, not read: 8 x 8 pixels of a wave in one of four directions with noise; for tests and first steps."""
    del folder
    rng = np.random.default_rng(0)
    parts = []
    for count in (512, 128):
        labels = rng.integers(0, GRATINGS, count)
        angle, phase = labels * np.pi / GRATINGS, rng.uniform(0, 2 * np.pi, count)
        y, x = np.mgrid[:8, :8]
        along = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
        images = np.sin(1.5 * along + phase[:, None, None]) + 0.3 * rng.standard_normal((count, 8, 8))
        parts += [images[..., None].astype(np.float32), labels]
    return DataSet(*parts)


DATA_SETS: dict[str, Callable[[Path | None], DataSet]] = {
    "digits": _digits, "fashion-mnist": _fashion, "gratings": _gratings,
}  # fmt: skip
