"""What a verb prints: results on stdout (text, or one JSON object), everything else on stderr."""

import json
import logging
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["SCHEMA_VERSION", "Output", "log"]

SCHEMA_VERSION = 1

log = logging.getLogger("lacuna")


def _plain(value: Any) -> Any:
    """`value` as strict JSON has it: NumPy values as numbers and lists, NaN and infinity as text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return str(value) if isinstance(value, Path) else value


class Output:
    """Where a verb writes. With `json` stdout gets exactly one object; text that streams then goes to stderr."""

    def __init__(self, *, json: bool, verb: str, quiet: bool = False) -> None:
        self.json, self.verb, self.quiet = json, verb, quiet

    @staticmethod
    def dumps(value: Any) -> str:
        return json.dumps(_plain(value), indent=2, ensure_ascii=False)

    def record(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, "verb": self.verb, **values}

    def result(self, values: dict[str, Any], lines: Iterable[str]) -> None:
        """The verb's result: `values` as JSON, or `lines` for people. Called once."""
        print(self.dumps(self.record(values)) if self.json else "\n".join(lines), flush=True)

    def stream(self, text: str) -> None:
        """Text as it comes, without a line end. It is a result: `-q` silences it only where JSON holds it as well."""
        if not (self.quiet and self.json):
            print(text, end="", flush=True, file=sys.stderr if self.json else sys.stdout)

    def progress(self, text: str) -> None:
        """Text behind what was streamed, which the next one overwrites; only on a terminal. "" wipes it."""
        if not self.quiet and sys.stderr.isatty():
            print(f"\x1b7\x1b[K{text}\x1b8", end="", flush=True, file=sys.stderr)

    def milestone(self, text: str) -> None:
        """As `progress`, but where there is no terminal it is a message."""
        self.progress(text)
        if not sys.stderr.isatty():
            log.info(text)
