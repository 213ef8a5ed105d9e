"""Amaranth as Verilog, the same bytes for all: by its own Yosys, without paths of sources and internal attributes."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amaranth._toolchain.yosys import YosysBinary, find_yosys
from amaranth.back import verilog
from amaranth.hdl import Elaboratable, Signal

__all__ = ["own_yosys", "to_verilog", "uncollected"]


@contextmanager
def uncollected() -> Iterator[None]:
    """Without looking for garbage: a netlist is one large live structure, to look through it takes a quarter of the
    time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def own_yosys() -> type[YosysBinary]:
    """Amaranth's own; one on the PATH would change what comes out, and is not taken from here on."""
    os.environ["AMARANTH_USE_YOSYS"] = "builtin"
    return find_yosys(lambda _: True)


def to_verilog(made: Elaboratable | Any, name: str, ports: list[Signal] | None = None) -> str:
    """Verilog of a component, or of anything with `ports`; `name`: of its module."""
    own_yosys()
    with uncollected():
        return verilog.convert(made, name=name, ports=ports, emit_src=False, strip_internal_attrs=True)
