"""`demo spgemm` on a matrix of the gallery."""

import importlib.util

import pytest

from compiler.packages import INSTALL

FILES = ("C.mtx", "report.json")


@pytest.mark.skipif(importlib.util.find_spec("pyamg") is None, reason=f"PyAMG is a demo's data: {INSTALL}")
def test_the_square_of_a_matrix(lacuna_json, tmp_path):
    code, record = lacuna_json("demo", "spgemm", "-o", str(tmp_path))
    assert code == 0
    assert record["matches_golden"]
    assert record["matches_reference"]
    assert (record["macs"], record["nnz_c"]) == (962_310, 110_466)
    assert record["traffic_ratio"] > 1
    assert 0 < record["bandwidth_share"] < 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


def test_without_the_package(lacuna_json, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, record = lacuna_json("demo", "spgemm")
    assert (code, record["error"]["kind"]) == (5, "MissingPackageError")
    assert INSTALL in record["error"]["message"]
