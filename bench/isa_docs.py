"""Writes docs/isa.md and docs/llm_isa.h from the instruction table: `python -m bench.isa_docs`."""

from pathlib import Path

from golden.isa.llm import ISA

__all__ = ["DOCS", "documents", "main"]

DOCS = Path(__file__).resolve().parents[1] / "docs"


def documents() -> dict[str, str]:
    """File name in `docs/` -> text."""
    return {"isa.md": ISA.to_markdown(), "llm_isa.h": ISA.to_c_header()}


def main() -> None:
    for name, text in documents().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
