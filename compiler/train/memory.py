"""The memory of a training program: what lies where, and the program around it."""

import numpy as np

from compiler.program import Program
from golden.isa.train import ISA
from golden.train.params import TrainParams

__all__ = ["Memory"]


class Memory:
    """Tensors one after the other in the memory of port m, each from a memory word on."""

    def __init__(self, params: TrainParams) -> None:
        self.params = params
        self.parts: list[bytes] = []
        self.words = 0

    def put(self, data: np.ndarray) -> int:
        """First word of the data, which are padded to whole ones."""
        size, raw, at = self.params.axi_bits // 8, data.tobytes(), self.words
        self.parts.append(raw + bytes(-len(raw) % size))
        self.words += len(self.parts[-1]) // size
        return at

    def room(self, words: int) -> int:
        """First word of so many zeros."""
        return self.put(np.zeros(words * self.params.axi_bits // 8, np.uint8))

    def program(self, instructions: list[int]) -> Program:
        """A program of these instructions, with what has been put into memory."""
        code = np.frombuffer(ISA.image(instructions), np.uint8).copy()
        image = np.frombuffer(b"".join(self.parts), np.uint8).copy()
        manifest = {"engine": "train", "params": self.params.to_dict(), "instruction_bits": ISA.bits,
                    "program_address": 0, "ports": ["m", "p"]}
        return Program(manifest, instructions, {"m": image, "p": code}, {})
