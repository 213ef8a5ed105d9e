"""Traces: which bars, from when to when."""

from sim.trace import chrome_trace


def test_a_bar_for_each_interval_in_microseconds_from_the_first():
    trace = chrome_trace([(1, 1020, 1030), (0, 1000, 1010)], ("LD", "MV"), 5.0)
    names = [(event["tid"], event["args"]["name"]) for event in trace["traceEvents"] if event["ph"] == "M"]
    bars = [(event["name"], event["ts"], event["dur"]) for event in trace["traceEvents"] if event["ph"] == "X"]
    assert names == [(0, "LD"), (1, "MV")]
    assert bars == [("LD", 0, 0.05), ("MV", 0.1, 0.05)]


def test_nothing_recorded_is_no_bar():
    assert all(event["ph"] == "M" for event in chrome_trace([], ("LD",), 5.0)["traceEvents"])
