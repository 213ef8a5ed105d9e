"""Writes docs/<engine>_isa.md and .h from the instruction tables: `python -m bench.isa_docs`."""

from pathlib import Path

from golden.engines import ENGINES
from golden.isa.spgemm import ENTRY

__all__ = ["DOCS", "documents", "main"]

DOCS = Path(__file__).resolve().parents[1] / "docs"


def documents() -> dict[str, str]:
    """File name in `docs/` -> text."""
    tables = [*(engine.isa for engine in ENGINES.values()), ENTRY]
    return {
        **{f"{isa.name}_isa.md": isa.to_markdown() for isa in tables},
        **{f"{isa.name}_isa.h": isa.to_c_header() for isa in tables},
    }


def main() -> None:
    for name, text in documents().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
