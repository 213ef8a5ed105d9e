"""Records of several runs as one table."""

import pytest

from bench.spgemm_table import joined, speed_table


def record(name, macs, **more):
    result = {
        "name": name, "macs": macs, "us": 10.0, "gflops": 1.0, "gpu_us": 30.0, "vs_gpu": 3.0, "roof_share": 0.5,
        "traffic_ratio": 1.5, "bandwidth_share": 0.5, "matches_golden": True, "matches_reference": True,
        "counts_as_published": True,
    }
    return {"params": {"engines": 2}, "results": [result | more]}


def test_results_by_weight_and_their_mean():
    both = joined([record("b", 3_000_000, vs_gpu=8.0), record("a", 2_000_000, vs_gpu=2.0)])
    assert [result["name"] for result in both["results"]] == ["a", "b"]
    assert (both["lowest_vs_gpu_large"], round(both["geomean_vs_gpu_large"], 9)) == (2.0, 4.0)
    assert "| **geomean_vs_gpu_large** | | | | | **4.00** | | | |" in speed_table(both)


@pytest.mark.parametrize(("second", "reason"), [
    (record("b", 5) | {"params": {"engines": 3}}, "several engines"), (record("a", 5), "twice"),
    (record("b", 5, matches_reference=False), "b: not what"),
])
def test_what_does_not_belong_together(second, reason):
    with pytest.raises(ValueError, match=reason):
        joined([record("a", 5), second])
