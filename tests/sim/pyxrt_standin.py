"""What XRT's Python binding shows, in front of an engine in Verilator.

An .xclbin is here a JSON file with `engine`, `params` and the package's `kernel_xml`; nothing else tells how
arguments become registers. It has the part of pyxrt that the driver calls, with pyxrt's argument types.
"""

import json
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from golden.engines import ENGINES
from hw.engines import CORES
from sim.binding import Engine, EngineHungError
from sim.device import build_rtl

__all__ = ["bo", "device", "ert_cmd_state", "kernel", "run", "xclBOSyncDirection"]

MEMORY = 1 << 22
FIRST, PAGE = 0x5000, 4096
CYCLES_PER_MS = 1000


class xclBOSyncDirection(Enum):  # noqa: N801 - pyxrt's names
    XCL_BO_SYNC_BO_TO_DEVICE = 0
    XCL_BO_SYNC_BO_FROM_DEVICE = 1


class ert_cmd_state(Enum):  # noqa: N801
    ERT_CMD_STATE_COMPLETED = 4
    ERT_CMD_STATE_TIMEOUT = 8


class device:  # noqa: N801
    def __init__(self, index: int) -> None:
        if index:
            raise RuntimeError(f"Could not open device with index '{index}'")

    def load_xclbin(self, path: str) -> str:
        found = json.loads(Path(path).read_text())
        core, params = CORES[found["engine"]], ENGINES[found["engine"]].params.from_dict(found["params"])
        self.kernel = ElementTree.fromstring(found["kernel_xml"]).find("kernel")
        self.engine = Engine(build_rtl(found["engine"], params), timing=found.get("memory", "ideal"), clock_mhz=200,
                             memory_bytes=MEMORY)
        self.engine.clock(core.cycles_to_clear(params))
        self.used = dict.fromkeys(self.engine.ports, FIRST)
        return "uuid"


@dataclass
class Argument:
    """Of a kernel: what kernel.xml says."""

    port: str
    offset: int
    size: int
    pointer: bool


class kernel:  # noqa: N801
    def __init__(self, on: device, uuid: str, name: str) -> None:
        own = on.kernel.get("name")
        if uuid != "uuid" or name != f"{own}:{{{own}_1}}":
            raise RuntimeError(f"No such kernel '{name}'")
        self.device = on
        self.arguments = {
            int(each.get("id")): Argument(each.get("port").removeprefix("m_axi_"), int(each.get("offset"), 16),
                                          int(each.get("size"), 16), each.get("addressQualifier") == "1")
            for each in on.kernel.iter("arg")
        }

    def group_id(self, number: int) -> int:
        """Of a pointer's memory."""
        return list(self.device.engine.ports).index(self.arguments[number].port)


class bo:  # noqa: N801
    normal = 0

    def __init__(self, on: device, size: int, flags: int, group: int) -> None:
        assert flags == self.normal
        self.engine, self.port = on.engine, list(on.engine.ports)[group]
        self.at, self.host = on.used[self.port], np.zeros(size, np.uint8)
        on.used[self.port] += -(-size // PAGE) * PAGE
        if on.used[self.port] > MEMORY:
            raise RuntimeError("failed to allocate bo")

    def write(self, data: np.ndarray, seek: int) -> None:
        self.host[seek : seek + data.nbytes] = data.reshape(-1).view(np.uint8)

    def read(self, size: int, skip: int) -> np.ndarray:
        return self.host[skip : skip + size].view(np.int8).copy()

    def sync(self, direction: xclBOSyncDirection, size: int, offset: int) -> None:
        if direction is xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE:
            self.engine.write_memory(self.port, self.at + offset, self.host[offset : offset + size])
        else:
            self.host[offset : offset + size] = np.frombuffer(
                self.engine.read_memory(self.port, self.at + offset, size), np.uint8)


class run:  # noqa: N801
    def __init__(self, of: kernel) -> None:
        self.kernel, self.engine, self.values = of, of.device.engine, {}

    def set_arg(self, index: int, value: "bo | int") -> None:
        argument = self.kernel.arguments[index]
        if isinstance(value, bo):
            assert argument.pointer
            assert value.port == argument.port
            self.values[index] = value.at
        else:
            if type(value) is not int or not -(1 << 31) <= value < 1 << 31:
                raise TypeError("set_arg(): incompatible function arguments")
            self.values[index] = value & 0xFFFFFFFF

    def start(self) -> None:
        for index, argument in self.kernel.arguments.items():
            for word in range(argument.size // 4):
                self.engine.write_register(argument.offset + 4 * word, self.values[index] >> 32 * word & 0xFFFFFFFF)
        self.engine.start()

    def wait(self, timeout_ms: int) -> ert_cmd_state:
        try:
            self.engine.run(timeout_ms * CYCLES_PER_MS)
        except EngineHungError:
            return ert_cmd_state.ERT_CMD_STATE_TIMEOUT
        return ert_cmd_state.ERT_CMD_STATE_COMPLETED
