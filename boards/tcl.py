"""Tcl as text."""

from collections.abc import Iterable

__all__ = ["braced", "script"]


def braced(text: str) -> str:
    """A Tcl word that is not substituted."""
    return f"{{{text}}}"


def script(lines: Iterable[str]) -> str:
    """Commands, after one that sets `here` to the script's folder."""
    return "\n".join(["set here [file dirname [file normalize [info script]]]", *lines, ""])
