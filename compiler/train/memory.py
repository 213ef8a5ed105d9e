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
        self.parts: list[bytes | int] = []  # data, or bytes of room
        self.words = 0

    def put(self, data: np.ndarray) -> int:
        """First word of the data, which are padded to whole ones."""
        size, raw = self.params.axi_bits // 8, data.tobytes()
        raw += bytes(-len(raw) % size)
        return self._place(raw, len(raw) // size)

    def room(self, words: int) -> int:
        """First word of so many zeros."""
        return self._place(words * self.params.axi_bits // 8, words)

    def _place(self, part: bytes | int, words: int) -> int:
        self.parts.append(part)
        self.words += words
        return self.words - words

    def program(self, instructions: list[int]) -> Program:
        """A program of these instructions, with what has been put into memory."""
        code = np.frombuffer(ISA.image(instructions), np.uint8).copy()
        parts = (bytes(part) if isinstance(part, int) else part for part in self.parts)
        image = np.frombuffer(b"".join(parts), np.uint8).copy()
        manifest = {"engine": "train", "params": self.params.to_dict(), "instruction_bits": ISA.bits,
                    "program_address": 0, "ports": ["m", "p"]}
        return Program(manifest, instructions, {"m": image, "p": code}, {})
