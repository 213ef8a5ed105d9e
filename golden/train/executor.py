"""Golden executor of the training engine: runs a program on memory images, bit exact."""

import numpy as np

from golden.execution import ExecutionError
from golden.isa.formats import IsaError
from golden.isa.train import ISA

from .matrix import MatrixUnit
from .params import TrainParams
from .pool_unit import PoolUnit
from .update_unit import UpdateUnit
from .vector_unit import VectorUnit

__all__ = ["Executor"]


class Executor:
    """The engine with a program. Instructions run one after the other: tokens order what the hardware overlaps.

    Attributes:
        images: port -> uint8 array, the memory; a longer one takes its place where results go beyond its end.
        results: none. counters: steps: cycles in which the array multiplies, of the last run.
    """

    results: tuple[int, ...] = ()

    def __init__(self, params: TrainParams, program: list[int], images: dict[str, np.ndarray]) -> None:
        self.params, self.program, self.images = params, program, images
        self.matrix, self.vector, self.update = MatrixUnit(params), VectorUnit(params), UpdateUnit(params)
        self.pool = PoolUnit(params)
        self.counters: dict[str, int] = {}

    def run(self, arguments: tuple[int, ...] = ()) -> int:
        """Execute until HALT; returns its code.

        Args:
            arguments: bit patterns, as `TrainParams.arguments` has them; UPD and CHN need them.

        Raises:
            ExecutionError: the instruction, and what is wrong with it.
        """
        self.counters = {"steps": 0}
        for pc, word in enumerate(self.program):
            try:
                fmt, v = ISA.decode(word)
                match fmt.name:
                    case "LDX":
                        self.matrix.load(v, self.images["m"], "x")
                    case "LDW":
                        self.matrix.load(v, self.images["m"], "index" if v["index"] else "values")
                    case "MM":
                        for at, data in self.matrix.multiply(v):
                            self._store(at * self.params.axi_bits // 8, data)
                        self.counters["steps"] += self.matrix.steps(v)
                    case "LDC":
                        self.vector.load(v, self.images["m"])
                    case "STC":
                        for at, data in self.vector.stored(v):
                            self._store(at * self.params.axi_bits // 8, data)
                    case "CHN":
                        self.vector.channel(v, arguments)
                    case "VEC":
                        made = self.vector.vector(v, self.images["m"])
                        if made is not None:
                            self._store(v["out"] * self.params.axi_bits // 8, made)
                    case "POOL":
                        for at, data in self.pool.pool(v, self.images["m"]):
                            self._store(at * self.params.axi_bits // 8, data)
                    case "UPD":
                        for at, data in self.update.update(v, self.images["m"], arguments):
                            self._store(at, data)
                    case "HALT":
                        return v["code"]
            except (ValueError, IsaError) as error:
                raise ExecutionError(f"instruction {pc}: {error}") from error
        raise ExecutionError("the program ends without HALT", "program_size")

    def _store(self, at: int, data: np.ndarray) -> None:
        image = self.images["m"]
        if at + len(data) > len(image):
            self.images["m"] = image = np.concatenate([image, np.zeros(at + len(data) - len(image), np.uint8)])
        image[at : at + len(data)] = data
