"""The engines that there are, as golden knows them: name -> parameters, instruction set, executor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from golden.configs import LLM, SPGEMM, TRAIN
from golden.isa.formats import InstructionSet
from golden.isa.llm import ISA as LLM_ISA
from golden.isa.spgemm import ISA as SPGEMM_ISA
from golden.isa.train import ISA as TRAIN_ISA
from golden.llm.executor import Executor as LlmExecutor
from golden.params import EngineParams, LlmParams
from golden.spgemm.executor import Executor as SpgemmExecutor
from golden.spgemm.params import SpgemmParams
from golden.train.executor import Executor as TrainExecutor
from golden.train.params import TrainParams

__all__ = ["ENGINES", "EngineModel", "GoldenExecutor"]


class GoldenExecutor(Protocol):
    """An engine with a program in it: runs it on memory images, changed in place.

    Attributes:
        results: result words of the last run. counters: what it counted, by name.
    """

    @property
    def results(self) -> tuple[int, ...]: ...

    @property
    def counters(self) -> dict[str, int]: ...

    def run(self, arguments: tuple[int, ...]) -> int: ...


@dataclass(frozen=True)
class EngineModel:
    """An engine without time.

    Attributes:
        params: its parameters' class. isa: its instruction set. configs: parameters that have a name.
        executor: from parameters, instruction words and images by port name.
        clock_mhz: that figures assume; nothing has been placed and routed.
    """

    params: type[EngineParams]
    isa: InstructionSet
    configs: Mapping[str, EngineParams]
    executor: Callable[..., GoldenExecutor]
    clock_mhz: int

    def load(self, params: dict[str, int], words: list[int], images: dict[str, np.ndarray]) -> GoldenExecutor:
        """`params`: as a manifest has them."""
        return self.executor(self.params.from_dict(params), words, images)


ENGINES: Mapping[str, EngineModel] = {
    "llm": EngineModel(LlmParams, LLM_ISA, LLM, LlmExecutor, 225),
    "spgemm": EngineModel(SpgemmParams, SPGEMM_ISA, SPGEMM, SpgemmExecutor, 300),
    "train": EngineModel(TrainParams, TRAIN_ISA, TRAIN, TrainExecutor, 200),
}
