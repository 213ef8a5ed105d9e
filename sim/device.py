"""Where a program runs: the golden executor or the RTL, behind one protocol."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from compiler.program import Program
from golden.engines import ENGINES
from golden.execution import ERROR_CODES, HALTED, ExecutionError
from golden.params import EngineParams

from .trace import chrome_trace

__all__ = ["Device", "DeviceError", "GoldenDevice", "Outcome", "RtlDevice", "build_rtl", "check_status", "open_device"]

CLOCK_MHZ = ENGINES["llm"].clock_mhz
TRACE_EVENTS = 100_000


class DeviceError(RuntimeError):
    """A run that ended with an error status; the message holds status, instruction and counters.

    Attributes:
        status: see `golden.execution.ERROR_CODES`.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def check_status(status: int, pc: int, counters: dict[str, int]) -> None:
    """Raises DeviceError unless a run has ended well."""
    if status != HALTED:
        raise DeviceError(f"status {status}, instruction {pc}, counters {counters}", status)


@dataclass(frozen=True)
class Outcome:
    """What a run left: result words, cycles (None where there is no clock) and counters."""

    results: tuple[int, ...]
    cycles: int | None
    counters: dict[str, int]


class Device(Protocol):
    """load, write, start and wait, read: the same on every level and on a board."""

    def load(self, program: Program) -> None: ...

    def write(self, port: str, address: int, data: bytes) -> None: ...

    def run(self, arguments: tuple[int, ...]) -> Outcome: ...

    def read(self, port: str, address: int, count: int) -> bytes: ...


class GoldenDevice:
    """The engine's NumPy executor; exact, no notion of time."""

    def load(self, program: Program) -> None:
        self.images = {port: image.copy() for port, image in program.images.items()}
        model = ENGINES[program.manifest["engine"]]
        self.executor = model.load(program.manifest["params"], program.instructions, self.images)

    def write(self, port: str, address: int, data: bytes) -> None:
        self.images[port][address : address + len(data)] = np.frombuffer(data, np.uint8)

    def run(self, arguments: tuple[int, ...]) -> Outcome:
        try:
            self.executor.run(arguments)
        except ExecutionError as error:
            raise DeviceError(str(error), ERROR_CODES[error.status]) from error
        return Outcome(self.executor.results, None, self.executor.counters)

    def read(self, port: str, address: int, count: int) -> bytes:
        return self.images[port][address : address + count].tobytes()


class RtlDevice:
    """The generated Verilog in Verilator, with memory models behind the AXI ports.

    Args:
        memory: timing of the memories: ideal, random, hbm2 or ddr4.
        max_cycles: a run that takes longer is reported as hung.
        watch: called during a run, with its cycles so far.
    """

    def __init__(self, memory: str = "ideal", seed: int = 0, max_cycles: int = 200_000_000,
                 watch: Callable[[int], None] | None = None) -> None:
        self.memory, self.seed, self.max_cycles, self.watch = memory, seed, max_cycles, watch

    def load(self, program: Program) -> None:
        from hw.engines import CORES

        from .binding import Engine
        from .timing import HBM2_CHANNEL_BYTES

        name = program.manifest["engine"]
        params = ENGINES[name].params.from_dict(program.manifest["params"])
        self.core, self.isa = CORES[name], ENGINES[name].isa
        self.engine = Engine(
            build_rtl(name, params), timing=self.memory, seed=self.seed, clock_mhz=ENGINES[name].clock_mhz,
            memory_bytes=max(HBM2_CHANNEL_BYTES, *program.memory_bytes.values()),
        )
        self.registers = {register.name: register.offset for register in self.core.registers(params)}
        for port, image in program.images.items():
            self.engine.write_memory(port, 0, image)
        self.engine.reset()
        self.engine.clock(self.core.cycles_to_clear(params))
        self.program_at, self.program_port = program.manifest["program_address"], self.core.memory_ports(params)[0][-1]
        self._write("program_words", len(program.instructions))
        self._write("program_address", self.program_at)

    def replace(self, words: list[int]) -> None:
        """Instructions that later runs execute in the program's place."""
        self.write(self.program_port, self.program_at, self.isa.image(words))
        self._write("program_words", len(words))

    def close(self) -> None:
        """Give the simulation back; nothing else may be called afterwards."""
        self.engine.close()

    def write(self, port: str, address: int, data: bytes) -> None:
        self.engine.write_memory(port, address, data)

    def _write(self, name: str, value: int) -> None:
        self.engine.write_register(self.registers[name], value & 0xFFFFFFFF)

    def _read(self, name: str) -> int:
        return self.engine.read_register(self.registers[name])

    def run(self, arguments: tuple[int, ...]) -> Outcome:
        before = self._bytes()
        for i, value in enumerate(arguments):
            self._write(f"argument_{i}", value)
        self.engine.record(TRACE_EVENTS)
        self.engine.start()
        self.engine.run(self.max_cycles, self.watch)
        counters = {name: self._read(f"count_{name}") for name in self.core.COUNTERS}
        check_status(self._read("status"), self._read("pc"), counters)
        self._write("program_words", 0)
        after = self._bytes()
        counters |= {key: after[key] - before[key] for key in after}
        results = tuple(self._read(f"result_{i}") for i in range(self.core.RESULTS))
        return Outcome(results, counters["cycles"], counters)

    def trace(self) -> dict:
        """When each unit was busy in the last run, in Chrome's trace format (Perfetto reads it); see sim.trace."""
        return chrome_trace(self.engine.intervals(), self.core.UNITS, self.engine.clock_ns)

    def _bytes(self) -> dict[str, int]:
        ports, beat = self.engine.statistics()["ports"], self.engine.beat_bytes
        return {
            "bytes_read": sum(port["read_beats"] * beat[name] for name, port in ports.items()),
            "bytes_written": sum(port["written_bytes"] for port in ports.values()),
        }

    def read(self, port: str, address: int, count: int) -> bytes:
        return bytes(self.engine.read_memory(port, address, count))


def build_rtl(engine: str, params: EngineParams) -> Path:
    """The shared library of the engine with this name in Verilator; from the cache, if it is there.

    Raises:
        ToolMissingError, ToolFailedError: see sim.build.
    """
    from hw.engines import CORES
    from hw.shell.top import top_name

    from .build import build_engine
    from .verilog import engine_verilog

    core = CORES[engine]
    sources = [*engine_verilog(engine, params).values(), *(twin.read_text() for twin in core.TWINS)]
    return build_engine(sources, top_name(core), core.masters(params), blocks=list(core.BLOCKS), busy=True)


def open_device(level: str, memory: str = "ideal", seed: int = 0, watch: Callable[[int], None] | None = None,
                xclbin: Path | None = None) -> Device:
    """Device of a level: golden, rtl or card (which has `xclbin`).

    Raises:
        ValueError: no such level, or a card without .xclbin.
    """
    if level == "golden":
        return GoldenDevice()
    if level == "rtl":
        return RtlDevice(memory, seed, watch=watch)
    if level == "card" and xclbin is not None:
        from .xrt import XrtDevice

        return XrtDevice(xclbin)
    raise ValueError(f"level = {level!r}, xclbin = {xclbin}: must be golden, rtl, or card with an .xclbin")
