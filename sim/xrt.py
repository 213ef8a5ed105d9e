"""A card under XRT, through pyxrt: the same programs, images and results as on the other devices."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from boards.builds import Build, build_for
from boards.vitis import kernel_arguments
from golden.engines import ENGINES
from hw.shell.core import REPORT, REPORT_BITS
from hw.shell.registers import report_words

from .build import ToolMissingError
from .device import DeviceError, Outcome, check_status

if TYPE_CHECKING:
    from pathlib import Path

    from compiler.program import Program

__all__ = ["XrtDevice"]

PAGE = 4096
"""What buffers are multiples of."""
LIMIT_MS = 60_000


def _pyxrt() -> Any:
    try:
        import pyxrt  # pyright: ignore[reportMissingImports] - XRT brings it
    except ImportError as error:
        raise ToolMissingError(f"pyxrt cannot be imported ({error}): install XRT, which brings it, and source its "
                               "setup.sh; `lacuna doctor` tells whether it is found") from error
    return pyxrt


class XrtDevice:
    """One kernel of an .xclbin that `lacuna package --flow vitis` and v++ have made.

    Args:
        xclbin: the manifest.json of the package, if it lies beside it, is compared with the program.
        card, kernel: which of several, from 0. limit_ms: a run that takes longer is reported as hung.
    """

    def __init__(self, xclbin: Path, *, card: int = 0, kernel: int = 0, limit_ms: int = LIMIT_MS) -> None:
        self.xclbin, self.card, self.number, self.limit_ms = xclbin, card, kernel, limit_ms

    def load(self, program: Program) -> None:
        """Also what makes an engine start again that an error has stopped: the .xclbin is loaded anew.

        Raises:
            ToolMissingError: no pyxrt.
            DeviceError: XRT refuses, or the .xclbin is for other parameters.
        """
        self.xrt, name = _pyxrt(), program.manifest["engine"]
        self.build = build_for(name, None, ENGINES[name].params.from_dict(program.manifest["params"]))
        self._check_package(self.build)
        self.arguments = {argument: number for number, (argument, *_) in enumerate(kernel_arguments(self.build))}
        self.words = report_words(self.build.core.registers(self.build.params))
        try:
            self._open(program)
        except RuntimeError as error:
            raise DeviceError(f"{self.xclbin}: {error}", 0) from error
        self._set("program_words", len(program.instructions))
        self._set("program_address", program.manifest["program_address"])
        self._set("report_enable", 1)
        for number in range(self.build.core.argument_count(self.build.params)):
            self._set(f"argument_{number}", 0)

    def _check_package(self, build: Build) -> None:
        manifest = self.xclbin.parent / "manifest.json"
        if not manifest.is_file():
            return
        package = json.loads(manifest.read_text(encoding="utf-8"))
        found = (package.get("engine"), package.get("params"))
        if found != (build.engine, build.params.to_dict()):
            raise DeviceError(f"{self.xclbin}: by {manifest} it has engine {found[0]} with parameters {found[1]}, the "
                              f"program is for {build.engine} with {build.params.to_dict()}", 0)

    def _open(self, program: Program) -> None:
        xrt, core, params = self.xrt, self.build.core, self.build.params
        self.device = xrt.device(self.card)
        unit = f"{self.build.kernel}:{{{self.build.kernel}_{self.number + 1}}}"
        kernel = xrt.kernel(self.device, self.device.load_xclbin(str(self.xclbin)), unit)
        self.handle, self.buffers = xrt.run(kernel), {}
        sizes = {**program.memory_bytes, REPORT: len(self.words) * REPORT_BITS // 8}
        for port, base in core.base_registers(params).items():
            size = -(-sizes[port] // PAGE) * PAGE
            number = self.arguments[base]
            self.buffers[port] = xrt.bo(self.device, size, xrt.bo.normal, kernel.group_id(number))
            self.handle.set_arg(number, self.buffers[port])
        for port, image in program.images.items():
            self.write(port, 0, image)

    def _set(self, argument: str, value: int) -> None:
        """pyxrt takes scalars as C's int."""
        self.handle.set_arg(self.arguments[argument], (value + (1 << 31)) % (1 << 32) - (1 << 31))

    def write(self, port: str, address: int, data: bytes | np.ndarray) -> None:
        sent = np.frombuffer(data, np.uint8)
        self.buffers[port].write(sent, address)
        self.buffers[port].sync(self.xrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE, len(sent), address)

    def read(self, port: str, address: int, count: int) -> bytes:
        buffer = self.buffers[port]
        buffer.sync(self.xrt.xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE, count, address)
        return buffer.read(count, address).tobytes()

    def run(self, arguments: tuple[int, ...]) -> Outcome:
        for number, value in enumerate(arguments):
            self._set(f"argument_{number}", value)
        self.write(REPORT, 0, bytes(REPORT_BITS // 8))
        self.handle.start()
        state = self.handle.wait(self.limit_ms)
        if state != self.xrt.ert_cmd_state.ERT_CMD_STATE_COMPLETED:
            raise DeviceError(f"{self.build.kernel}: {state} after at most {self.limit_ms} ms", 0)
        self._set("program_words", 0)
        data = self.read(REPORT, 0, len(self.words) * REPORT_BITS // 8)
        found = dict(zip(self.words, np.frombuffer(data, "<u4").tolist(), strict=True))
        counters = {name.removeprefix("count_"): found[name] for name in self.words if name.startswith("count_")}
        if found["status"] == 0:
            raise DeviceError(f"{self.build.kernel}: its report has not reached memory", 0)
        check_status(found["status"], found["pc"], counters)
        return Outcome(tuple(found[f"result_{number}"] for number in range(self.build.core.RESULTS)),
                       counters["cycles"], counters)
