"""An engine's RTL under Verilator, from Python, with the feel of PyVerilator.

    engine = Engine.build([verilog_text], top="lacuna_llm", ports={"w0": 512, "v": 512}, timing="hbm2")
    engine.write_memory("w0", 0, weights)
    engine.write_register(0x10, argument)
    engine.start()
    cycles = engine.run(1_000_000)
    engine.read_memory("v", 0, 4096)

Ports are named "w0", "w1"... and "v". The memories, the AXI rule checks and the cycle loop are C++ (sim/harness.cpp).
"""

import ctypes

import numpy as np

from sim.build import build_engine
from sim.timing import HBM2_CHANNEL_BYTES, CounterStruct, TimingModel, TimingStruct, check_layout

CONTROL = 0x00  # the ap_ctrl_hs register: bit 0 start, bit 1 done, bit 2 idle, bit 3 ready
OK, VIOLATION, LIMIT, ERROR_RESPONSE = range(4)
CHUNK = 20_000  # cycles between two looks at Python's signals (Ctrl-C)
RESET_CYCLES = 8


class EngineHungError(RuntimeError):
    """The cycle limit passed without ap_done_o; `.statistics` as of then."""

    def __init__(self, message, statistics):
        self.statistics = statistics
        busy = [f"  {name}: " + ", ".join(f"{key} {value}" for key, value in counters.items() if value)
                for name, counters in statistics["ports"].items()]
        super().__init__("\n".join([message, *busy]))


class AxiViolationError(RuntimeError):
    """The design broke an AXI rule, or an assertion in it failed. The engine stands until `reset`."""


class RegisterError(RuntimeError):
    """A register access was answered with an error, or not at all."""


class Signals:
    """Top-level outputs by name."""

    def __init__(self, engine):
        self._engine = engine

    @property
    def ap_done_o(self):
        return self._engine._library.lacuna_done(self._engine._handle)


class Engine:
    """One instance of a built engine. Memory starts as `fill` bytes; `reset` keeps it."""

    def __init__(self, library, *, timing="ideal", clock_mhz=None, memory_bytes=HBM2_CHANNEL_BYTES, fill=0, seed=1):
        """`library`: what `build_engine` returned. `timing`, `memory_bytes`: one for all ports, or a dict by port
        name. `timing`: "ideal", "random", "hbm2", "ddr4" or a TimingModel; all ports have one clock."""
        self._handle = None
        self._library = _load(library)
        self._handle = self._library.lacuna_create(seed)
        if not self._handle:
            raise RuntimeError(f"{library}: the model could not be created")
        count = self._library.lacuna_port_count(self._handle)
        self.ports = {self._library.lacuna_port_name(self._handle, index).decode(): index for index in range(count)}
        self.beat_bytes = {name: self._library.lacuna_beat_bytes(self._handle, index)
                           for name, index in self.ports.items()}
        self.io = Signals(self)
        self.timing, self.memory_bytes = self._by_port("timing", timing), self._by_port("memory_bytes", memory_bytes)
        for index, (name, model) in enumerate(list(self.timing.items())):
            if not isinstance(model, TimingModel):
                self.timing[name] = TimingModel.named(model, clock_mhz, seed=seed * 1000 + index)
        clocks = {model.clock_ns for model in self.timing.values()}
        if len(clocks) > 1:
            raise ValueError(f"timing: ports with different clocks, {sorted(clocks)} ns: pass clock_mhz")
        self.clock_ns = clocks.pop()
        if not 0 <= fill <= 255:
            raise ValueError(f"fill {fill}: a byte")
        for name, index in self.ports.items():
            struct = self.timing[name].as_struct()
            self._library.lacuna_configure(self._handle, index, ctypes.byref(struct), self.memory_bytes[name], fill)
        self.reset()

    @classmethod
    def build(cls, verilog_sources, top, ports, *, blocks=(), trace=False, randomize=False, busy=False, **options):
        """Build, or take from the cache, and create; `options` as of the constructor."""
        library = build_engine(
            verilog_sources, top, ports, blocks=blocks, trace=trace, randomize=randomize, busy=busy
        )
        return cls(library, **options)

    def reset(self, cycles=RESET_CYCLES):
        """Hold rst. Clears what is in flight, the counters, the cycle count and a violation; memory stays."""
        self._check(self._library.lacuna_reset(self._handle, cycles))

    def clock(self, cycles=1):
        """Step."""
        while cycles > 0:
            part = min(cycles, CHUNK)
            self._check(self._library.lacuna_step(self._handle, part))
            cycles -= part

    @property
    def cycle(self):
        """Cycles since reset."""
        return self._library.lacuna_cycle(self._handle)

    def write_register(self, address, value, strobe=15):
        """One AXI4-Lite write, as many cycles as it takes."""
        self._check_register(address)
        if not 0 <= value < 1 << 32:
            raise ValueError(f"value {value:#x} of register {address:#x}: 32 bits")
        status = self._library.lacuna_register_write(self._handle, address, value, strobe)
        self._check(status, f"write of register {address:#x}")

    def read_register(self, address):
        """One AXI4-Lite read."""
        self._check_register(address)
        value = ctypes.c_uint32(0)
        status = self._library.lacuna_register_read(self._handle, address, ctypes.byref(value))
        self._check(status, f"read of register {address:#x}")
        return value.value

    def start(self):
        """ap_start. Two cycles more, so that the done of an earlier run is certainly gone."""
        self.write_register(CONTROL, 1)
        self.clock(2)

    def run(self, max_cycles, watch=None):
        """Step until ap_done_o is high (at once, if it is); the number of cycles stepped. `watch` is called with the
        number so far, every CHUNK."""
        first = self.cycle
        while (left := max_cycles - (self.cycle - first)) > 0:
            status = self._library.lacuna_run(self._handle, min(left, CHUNK))
            if status == OK:
                return self.cycle - first
            if status != LIMIT:
                self._check(status)
            if watch is not None:
                watch(self.cycle - first)
        if self.io.ap_done_o:
            return self.cycle - first
        raise EngineHungError(f"no ap_done_o after {max_cycles} cycles (cycle {self.cycle})", self.statistics())

    def write_memory(self, port, address, data):
        """`data`: bytes or an array, taken as its bytes in memory."""
        if not isinstance(data, np.ndarray):
            data = np.frombuffer(data, dtype=np.uint8)
        data = np.ascontiguousarray(data)
        index = self._check_range(port, address, data.nbytes)
        self._library.lacuna_memory_write(self._handle, index, address, data.ctypes.data, data.nbytes)

    def read_memory(self, port, address, size):
        """`size` bytes, as bytes."""
        index = self._check_range(port, address, size)
        result = np.empty(size, dtype=np.uint8)
        self._library.lacuna_memory_read(self._handle, index, address, result.ctypes.data, size)
        return result.tobytes()

    def statistics(self):
        """Counters since reset: {"cycle", "clock_ns", "ports": {name: {counter: value}}}; sim/memory.h explains."""
        ports = {name: self._library.lacuna_counters(self._handle, index).contents.as_dict()
                 for name, index in self.ports.items()}
        return {"cycle": self.cycle, "clock_ns": self.clock_ns, "ports": ports}

    def trace(self, path):
        """Write VCD to `path` from now on (None: stop). Needs `build(..., trace=True)`."""
        if not self._library.lacuna_trace(self._handle, None if path is None else str(path).encode()):
            raise RuntimeError("this engine was built without trace=True")

    def record(self, limit):
        """From now on note when a unit becomes busy or idle, at most `limit` times. Needs `build(..., busy=True)`."""
        self._library.lacuna_record(self._handle, limit)

    def intervals(self):
        """(unit, first cycle, cycle after the last) of what was recorded, unit = bit of busy_o; whole ones only."""
        count = ctypes.c_uint64(0)
        events = self._library.lacuna_events(self._handle, ctypes.byref(count))
        started, result = {}, []
        for event in events[: count.value]:
            cycle, unit = event >> 8, (event & 255) >> 1
            if event & 1:
                started[unit] = cycle
            else:
                result.append((unit, started.pop(unit), cycle))
        return result

    def close(self):
        """Free the model; the object is unusable afterwards. One that is not closed lives as long as the process."""
        if self._handle:
            self._library.lacuna_destroy(self._handle)
            self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _by_port(self, what, value) -> dict:
        if not isinstance(value, dict):
            return dict.fromkeys(self.ports, value)
        if set(value) != set(self.ports):
            raise ValueError(f"{what} for ports {sorted(value)}; the engine has {sorted(self.ports)}")
        return dict(value)

    def _check(self, status, what=""):
        if status == VIOLATION:
            raise AxiViolationError(self._library.lacuna_message(self._handle).decode())
        if status == LIMIT:
            raise RegisterError(f"{what}: no answer (cycle {self.cycle})")
        if status == ERROR_RESPONSE:
            raise RegisterError(f"{what}: error response")

    @staticmethod
    def _check_register(address):
        if not 0 <= address < 4096 or address % 4:
            raise ValueError(f"register address {address:#x}: a multiple of 4 below 4,096")

    def _check_range(self, port, address, size):
        if port not in self.ports:
            raise ValueError(f"port {port!r}: the engine has {', '.join(self.ports)}")
        if address < 0 or size < 0 or address + size > self.memory_bytes[port]:
            raise ValueError(f"port {port}: {size} bytes at {address:#x} are outside its "
                             f"{self.memory_bytes[port]} bytes")
        return self.ports[port]


def _load(path):
    library = ctypes.CDLL(str(path))
    check_layout(library)
    handle, integer, number = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint64
    word, text = ctypes.c_uint32, ctypes.c_char_p
    signatures = {
        "create": (handle, integer), "destroy": (None, handle), "port_count": (integer, handle),
        "port_name": (text, handle, integer), "beat_bytes": (integer, handle, integer), "message": (text, handle),
        "cycle": (number, handle), "done": (integer, handle),
        "configure": (None, handle, integer, ctypes.POINTER(TimingStruct), number, integer),
        "reset": (integer, handle, number), "step": (integer, handle, number), "run": (integer, handle, number),
        "register_write": (integer, handle, word, word, word),
        "register_read": (integer, handle, word, ctypes.POINTER(word)),
        "memory_write": (None, handle, integer, number, handle, number),
        "memory_read": (None, handle, integer, number, handle, number),
        "counters": (ctypes.POINTER(CounterStruct), handle, integer), "trace": (integer, handle, text),
        "record": (None, handle, number), "events": (ctypes.POINTER(number), handle, ctypes.POINTER(number)),
    }
    for name, (result, *arguments) in signatures.items():
        function = getattr(library, f"lacuna_{name}")
        function.restype, function.argtypes = result, arguments
    return library
