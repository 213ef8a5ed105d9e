"""The page's tables are what the committed results say, and these add up."""

import pytest

from bench.train_step_table import PAGE, TABLES, compared, page, record_of


def test_page():
    assert page(PAGE.read_text()) == PAGE.read_text()


@pytest.mark.parametrize("name", TABLES)
def test_results(name):
    record, other = (record_of(file) for file in TABLES[name])
    assert record["matches_golden"] is True
    for report in compared(record, other):
        cycles = report["cycles"]
        assert sum(cycles[kind] for kind in ("ff", "bp", "wu", "sore", "other")) == cycles["total"]
        assert sum(report["steps"].values()) == sum(cycles[kind] for kind in ("ff", "bp", "wu"))
    for result, report in zip(record["results"], compared(record, other)[record["dense"] is not None :], strict=True):
        if other["dense"] is not None:
            assert report["ratios"]["cycles"] == other["dense"]["cycles"]["total"] / result["cycles"]["total"]
            assert report["ratios"]["cycles"] < report["ratios"]["macs"]
        if record["dense"] is not None:
            assert result["speedup_vs_dense"] == report["ratios"]["cycles"]


def test_others_are_not_compared():
    record = record_of("train_step")
    with pytest.raises(ValueError, match="different width, params"):
        compared(record, record | {"width": 1, "params": record["params"] | {"columns": 8}})
