"""`lacuna spgemm` from file to file."""

import json
import re
import sys

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from cli.main import main
from cli.spgemm import KERNEL_NAMES
from compiler.spgemm import KERNELS

A = np.array([[1.0, 2, 0], [0, 0, 3]])
B = np.array([[1.0, 0], [0, -1], [4, 4]])


@pytest.fixture
def files(tmp_path):
    for name, matrix in (("a", A), ("b", B), ("s", A.T @ A), ("half", np.eye(2) / 2)):
        scipy.io.mmwrite(tmp_path / f"{name}.mtx", scipy.sparse.coo_array(matrix))
    return tmp_path


@pytest.mark.parametrize(("arguments", "expected"), [
    (["a.mtx", "b.mtx"], A @ B), (["a.mtx", "--op", "a*at"], A @ A.T), (["s.mtx"], A.T @ A @ A.T @ A),
    (["a.mtx", "b.mtx", "--numbers", "int32"], A @ B), (["a.mtx", "b.mtx", "--numbers", "fp64"], A @ B),
])
@pytest.mark.parametrize("name", ["c.mtx", "c.mtx.gz", "c.npz"])
def test_from_file_to_file(files, capsys, monkeypatch, arguments, expected, name):
    monkeypatch.chdir(files)
    assert main(["spgemm", *arguments, "-o", name, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["matches_reference"] is True
    assert record["nnz_c"] == np.count_nonzero(expected)
    c = scipy.sparse.load_npz(name) if name.endswith("npz") else scipy.io.mmread(name, spmatrix=False)
    np.testing.assert_array_equal(c.toarray(), expected)


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels(files, capsys, monkeypatch, kernel):
    monkeypatch.chdir(files)
    assert main(["spgemm", "a.mtx", "b.mtx", "--kernel", kernel, "-o", "c.mtx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kernel"] == kernel
    np.testing.assert_array_equal(scipy.io.mmread("c.mtx", spmatrix=False).toarray(), A @ B)


def test_the_names_of_kernels():
    assert tuple(KERNELS) == KERNEL_NAMES


@pytest.mark.parametrize(("arguments", "reason"), [
    (["a.mtx"], r"--op a\*a: 2 x 3 times 2 x 3: the shapes do not match"),
    (["a.mtx", "--op", "a*b"], "B.mtx is missing"), (["a.mtx", "b.mtx", "--op", "a*a"], "takes no B.mtx"),
    (["half.mtx", "--numbers", "int32"], "A has values that are not int32 numbers"),
    (["none.mtx"], "none.mtx: No such file"), (["a.csv"], "the name of a matrix ends with"),
    (["a.mtx", "b.mtx", "-o", "c.txt"], "c.txt: the name of a matrix ends with"),
])
def test_what_cannot_be_meant(files, capsys, monkeypatch, arguments, reason):
    monkeypatch.chdir(files)
    assert main(["spgemm", *arguments, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert re.search(reason, error["message"])
    assert sorted(path.name for path in files.iterdir()) == ["a.mtx", "b.mtx", "half.mtx", "s.mtx"]


def test_numbers_that_the_memory_words_are_too_narrow_for(files, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(files)
    (tmp_path / "narrow.toml").write_text("[engine]\naxi_bits = 128\nbanks = 2\n")
    assert main(["spgemm", "s.mtx", "--numbers", "fp64", "--config", "narrow.toml", "--json"]) == 2
    message = json.loads(capsys.readouterr().out)["error"]["message"]
    assert message == "--numbers fp64: axi_bits = 128: must hold two elements"


def test_a_card_without_xrt(files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    monkeypatch.setitem(sys.modules, "pyxrt", None)
    assert main(["spgemm", "a.mtx", "b.mtx", "--level", "card", "--xclbin", "a.xclbin"]) == 5
    assert "pyxrt cannot be imported" in capsys.readouterr().err
