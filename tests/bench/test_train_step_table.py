"""The page's table is what the committed results say, and these add up."""

import json

from bench.train_step_table import PAGE, RESULTS, page


def test_page():
    record = json.loads(RESULTS.read_text())
    assert page(PAGE.read_text(), record) == PAGE.read_text()


def test_results():
    record = json.loads(RESULTS.read_text())
    assert record["matches_golden"] is True
    for report in (record["dense"], *record["results"]):
        cycles = report["cycles"]
        assert sum(cycles[kind] for kind in ("ff", "bp", "wu", "sore", "other")) == cycles["total"]
        assert sum(report["steps"].values()) == sum(cycles[kind] for kind in ("ff", "bp", "wu"))
    for result in record["results"]:
        assert result["speedup_vs_dense"] == record["dense"]["cycles"]["total"] / result["cycles"]["total"]
        assert result["speedup_vs_dense"] < result["macs_ratio"]
