"""Records of several runs as one table."""

import pytest

from bench.spgemm_table import breakdown_table, joined, speed_table


def record(name, macs, *, engines=2, **more):
    counters = {"lines": 1000, "memory_wait": 100, "no_request": 50, "bank_wait": 20, "idle": 500}
    result = {
        "name": name, "macs": macs, "nnz_c": macs // 4, "cycles": 2000 // engines, "counters": counters,
        "us": 10.0, "gflops": 1.0, "gpu_us": 30.0, "vs_gpu": 3.0, "roof_share": 0.5, "traffic_ratio": 1.5,
        "bandwidth_share": 0.5, "matches_golden": True, "matches_reference": True,
        "counts_as_published": True,
    }
    return {"params": {"engines": engines, "axi_bits": 512}, "results": [result | more]}


def test_results_by_weight_and_their_mean():
    both, = joined([record("b", 3_000_000, vs_gpu=8.0), record("a", 2_000_000, vs_gpu=2.0)])
    assert [result["name"] for result in both["results"]] == ["a", "b"]
    assert (both["lowest_vs_gpu_large"], round(both["geomean_vs_gpu_large"], 9)) == (2.0, 4.0)
    assert "| **geomean_vs_gpu_large** | | | | | **4.00** | | | |" in speed_table(both)


def test_engines_side_by_side():
    """Lines that lanes do not fill, and cycles without one, take from what the lanes could do."""
    records = joined([record("a", 6400), record("b", 7200, nnz_c=3000), record("a", 6400, engines=1)])
    assert [len(each["results"]) for each in records] == [2, 1]
    cells = "0.400 | 0.800 | 50.0% | 5.0% | 2.5% | 1.0% | 25.0% | 16.5% |"
    assert breakdown_table(records)[2:] == [f"| a | 2 | {cells}", f"| a | 1 | {cells}"]


@pytest.mark.parametrize(("second", "reason"), [
    (record("a", 5), "twice"), (record("b", 5, matches_reference=False), "b: not what"),
])
def test_what_does_not_belong_together(second, reason):
    with pytest.raises(ValueError, match=reason):
        joined([record("a", 5), second])
