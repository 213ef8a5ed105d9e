"""Data sets, from files made here; the real digits where scikit-learn is installed."""

import gzip
import importlib.util

import numpy as np
import pytest

from compiler.packages import INSTALL, MissingPackageError
from compiler.train import data
from compiler.train.data import BadDataError, data_set


def test_gratings():
    found = data_set("gratings")
    assert found.shape == (8, 8, 1)
    assert (len(found.images), len(found.test_images), found.classes) == (512, 128, 4)
    assert np.array_equal(found.images, data_set("gratings").images)
    with pytest.raises(ValueError, match="'mnist': there are digits, fashion-mnist, gratings"):
        data_set("mnist")


def written_digits(folder, rows):
    np.savetxt(folder / "digits.csv", rows, fmt="%d", delimiter=",")
    (folder / "digits.csv.gz").write_bytes(gzip.compress((folder / "digits.csv").read_bytes()))


def test_digits(tmp_path):
    rows = np.random.default_rng(13).integers(0, 10, (1797, 65))
    rows[:, 0] = np.arange(1797) % 17
    written_digits(tmp_path, rows)
    found = data_set("digits", tmp_path)
    assert (found.images.shape, found.test_images.shape) == ((1200, 8, 8, 1), (597, 8, 8, 1))
    seen = np.concatenate([found.images, found.test_images]).reshape(1797, 64) * 8 + 8
    seen = np.column_stack([seen, np.concatenate([found.labels, found.test_labels])])
    assert sorted(map(tuple, seen)) == sorted(map(tuple, rows.astype(float)))
    written_digits(tmp_path, rows[:, :60])
    with pytest.raises(BadDataError, match=r"digits.csv\.gz: not the digits"):
        data_set("digits", tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason=f"the digits are a package's data: {INSTALL}")
def test_the_real_digits():
    found = data_set("digits")
    counts = np.bincount(np.concatenate([found.labels, found.test_labels]))
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


@pytest.fixture
def fashion(tmp_path):
    """IDX files of two images of two lines."""
    for part in ("train", "t10k"):
        header = bytes([0, 0, 8, 3]) + np.array([2, 2, 3], ">u4").tobytes()
        images = gzip.compress(header + bytes(range(12)))
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(images)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]))
    return tmp_path


def test_idx_files(fashion):
    images = data._idx(fashion, "train-images-idx3-ubyte", (2, 2, 3))
    assert images.ravel().tolist() == list(range(12))
    assert data._idx(fashion, "t10k-labels-idx1-ubyte", (2,)).tolist() == [7, 9]
    with pytest.raises(BadDataError, match=r"images-idx3-ubyte\.gz: not an IDX file of 60000 x 28 x 28 bytes"):
        data_set("fashion-mnist", fashion)
    (fashion / "train-images-idx3-ubyte.gz").write_bytes(b"no gzip")
    with pytest.raises(BadDataError, match=r"images-idx3-ubyte\.gz: "):
        data_set("fashion-mnist", fashion)
    with pytest.raises(BadDataError, match=r"has neither other\.gz nor other"):
        data._idx(fashion, "other", (2,))


def test_data_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "FASHION_FOLDER", tmp_path / "a")
    monkeypatch.setenv("LACUNA_DATA", str(tmp_path))
    with pytest.raises(MissingPackageError, match=r"is not in .*/fashion-mnist or .*/a: apt install dataset-fashion"):
        data_set("fashion-mnist")
