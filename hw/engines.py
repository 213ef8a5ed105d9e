"""The engines that there are, as hardware."""

from collections.abc import Mapping

from hw.llm.engine import LlmEngine
from hw.shell.core import EngineCore
from hw.spgemm.engine import SpgemmEngine
from hw.train.engine import TrainEngine

__all__ = ["CORES"]

CORES: Mapping[str, type[EngineCore]] = {core.NAME: core for core in (LlmEngine, SpgemmEngine, TrainEngine)}
