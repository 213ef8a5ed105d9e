"""Matrices of PyAMG's gallery (MIT), which come as files of a package on PyPI (`requirements-demo.txt`)."""

import scipy.io
import scipy.sparse

from compiler.packages import package_file

__all__ = ["GALLERY", "gallery_matrix"]

GALLERY = {"bar": "83274d002fe75db389c49c300b9820e127936e4f7d8e518edffd5b12d2467a64"}
"""Name -> sha256 of its file. bar: finite elements of a linear elastic bar, 600 x 600."""


def gallery_matrix(name: str) -> scipy.sparse.csr_array:
    """Matrix A of a file of the gallery; raises as `package_file`."""
    file = f"gallery/example_data/{name}.mat"
    path = package_file("pyamg", file, GALLERY[name], f"PyAMG's matrix {name}")
    return scipy.sparse.csr_array(scipy.io.loadmat(path, variable_names=["A"])["A"])
