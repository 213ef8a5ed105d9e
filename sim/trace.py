"""Traces that Perfetto (ui.perfetto.dev) and chrome://tracing show."""

from collections.abc import Iterable, Sequence

__all__ = ["chrome_trace"]


def chrome_trace(intervals: Iterable[tuple[int, int, int]], units: Sequence[str], clock_ns: float) -> dict:
    """A row for each unit, a bar for each interval (unit, first cycle, cycle after the last); time starts at 0."""
    bars = sorted(intervals, key=lambda interval: interval[1])
    origin = bars[0][1] if bars else 0
    names = [
        {"ph": "M", "pid": 0, "tid": i, "name": "thread_name", "args": {"name": unit}} for i, unit in enumerate(units)
    ]
    return {
        "displayTimeUnit": "ns",
        "traceEvents": names + [
            {
                "ph": "X", "pid": 0, "tid": unit, "name": units[unit], "ts": (first - origin) * clock_ns / 1000,
                "dur": (end - first) * clock_ns / 1000, "args": {"cycle": first - origin, "cycles": end - first},
            }
            for unit, first, end in bars
        ],
    }
