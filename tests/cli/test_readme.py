"""The README's first screen shows what `make demo` prints."""

import re
from pathlib import Path

from cli.demo_llm import summary

README = Path(__file__).resolve().parents[2] / "README.md"
RECORD = {
    "tokens": [1], "matches_golden": True, "cycles_per_token": [1], "bandwidth_share": 0.5, "mac_utilisation": 0.5,
    "tokens_per_s": 1.0, "assumed_clock_mhz": 225, "wall_s": 1.0, "seconds": {"total": 2.0},
    "report": "report.json", "trace": "trace.json",
}  # fmt: skip


def test_the_demo_block_has_the_lines_of_the_summary():
    block = re.search(r"<!-- demo output -->\n(.*)<!-- end of demo output -->", README.read_text("utf-8"), re.DOTALL)
    assert block
    shown = [re.sub(r"[\d,.%]+", "#", line.strip()) for line in block[1].splitlines()]
    wanted = [re.sub(r"[\d,.%]+", "#", line) for line in summary(RECORD)]
    names = [line.split("  ")[0] for line in wanted]
    assert [line.split("  ")[0] for line in shown[-len(names) :]] == names
    assert "equal to golden" in block[1]
