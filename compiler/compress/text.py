"""The calibration text that comes with the compiler; docs/compression.md says where it is from."""

import json
from pathlib import Path

__all__ = ["built_in_text"]


def built_in_text() -> str:
    """About 20,000 tokens of English prose without sense, free for any use."""
    record = json.loads((Path(__file__).parent / "calibration.json").read_text("utf-8"))
    return "\n\n".join(record["texts"])
