"""The input of `bench.spgemm_kernels`, and its records at the golden level."""

import json
import sys

import numpy as np
import pytest

from bench import spgemm_kernels
from bench.spgemm_kernels import EXPECTED, main, rmat


def test_the_published_matrix():
    a, b = rmat(1), rmat(2)
    macs = np.diff(b.indptr)[a.indices].sum()
    assert (a.nnz, macs) == (EXPECTED["nnz_a"], EXPECTED["macs"])
    assert a.shape == b.shape == (1 << 14, 1 << 14)


@pytest.mark.parametrize("json_wanted", [True, False])
def test_a_small_one(capsys, monkeypatch, tmp_path, json_wanted):
    monkeypatch.setattr(spgemm_kernels, "DATA", tmp_path)
    arguments = ["--levels", "5", "--level", "golden", *["--json"] * json_wanted]
    monkeypatch.setattr(sys, "argv", ["spgemm_kernels", *arguments])
    main()
    out = capsys.readouterr().out
    if not json_wanted:
        assert "not claimed: the 9.4x" in out
        return
    record = json.loads(out)
    assert [result["kernel"] for result in record["kernels"]] == ["v1", "v2", "v3", "ours"]
    assert len({result["nnz_c"] for result in record["kernels"]}) == 1
    assert all(result["probes_per_mac"] >= 1 for result in record["kernels"])
    assert record["probes"] == []
