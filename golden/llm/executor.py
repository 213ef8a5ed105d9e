"""Golden executor: runs a program of the LLM engine on memory images, bit exact, in program order.

A correct program's tokens make the engine's concurrent queues equivalent to this order.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.execution import ExecutionError
from golden.isa.formats import IsaError
from golden.isa.llm import ISA, QUEUES, Alu
from golden.params import LlmParams

from .datapath import MASK, Datapath, Trace
from .early import EarlyResults

__all__ = ["Executor"]

REGISTERS = 16
LARGEST_CODE = 0xFF
"""Of HALT."""


class Executor(Datapath):
    """The engine with a program.

    Attributes:
        program: instruction words. images: see Datapath.
        observe: called behind every instruction that is not of SYS, with its number, its name, and its fields with A, B
            and N resolved.
        registers: scalar registers of SYS.
    """

    def __init__(self, params: LlmParams, program: list[int], images: dict[str, np.ndarray],
                 observe: Callable[[int, str, dict[str, int]], None] | None = None) -> None:
        super().__init__(params, images)
        self.program, self.observe = program, observe
        self.decoded = [ISA.decode(word) for word in program]

    @property
    def counters(self) -> dict[str, int]:
        """Of the last run."""
        return {name: getattr(self.trace, name) for name in ("macs", "bytes_read", "bytes_written")}

    def run(self, arguments: tuple[int, ...] = (), max_instructions: int = 10_000_000) -> int:
        """Execute from instruction 0 until HALT; returns its code. Registers 1.. start as `arguments`."""
        self.trace, self.early = Trace(), EarlyResults(self.params)
        self.tokens = np.zeros((len(QUEUES), len(QUEUES)), np.int64)
        self.registers = registers = [0, *arguments, *([0] * (REGISTERS - 1 - len(arguments)))]
        pc = 0
        while self.trace.instructions < max_instructions:
            if pc >= len(self.decoded):
                raise ExecutionError(f"instruction {pc} lies behind the program of {len(self.decoded)}")
            fmt, values = self.decoded[pc]
            self.trace.instructions += 1
            v = dict(values)
            self._exchange_tokens(pc, QUEUES.index(fmt.queue), v["wait"], v["release"])
            for operand, register in (("a", "ra"), ("b", "rb"), ("n", "rn")):
                v[operand] = (v[operand] + registers[v[register]]) & MASK
            try:
                self._check_early(fmt.name, v)
                match fmt.name:
                    case "ALU":
                        self._set(registers, v["rd"], alu(Alu(v["alu"]), registers[v["ra"]], v["b"]))
                    case "DBNZ":
                        count = (registers[v["rd"]] - 1) & MASK
                        self._set(registers, v["rd"], count)
                        if count:
                            pc = v["a"]
                            continue
                    case "HALT":
                        self._check_tokens()
                        if v["a"] > LARGEST_CODE:
                            raise ValueError(f"code {v['a']}; the largest is {LARGEST_CODE}")
                        return v["a"]
                    case "NOP":
                        pass
                    case "VEC" | "QNT" | "AMX" if not v["n"]:
                        raise ValueError("N = 0: at least one element")
                    case name:
                        getattr(self, f"_{name.lower()}")(v)
            except (ValueError, IndexError, OverflowError, IsaError) as error:
                raise ExecutionError(f"instruction {pc} ({ISA.to_text(self.program[pc])}): {error}") from error
            if self.observe is not None and fmt.queue != "SYS":
                self.observe(pc, fmt.name, v)
            pc += 1
        raise ExecutionError(f"no HALT within {max_instructions} instructions")

    def _check_early(self, name: str, v: dict[str, int]) -> None:
        """Results of the array are there before they are touched."""
        self.early.enter(name, v)

    def _exchange_tokens(self, pc: int, queue: int, wait: int, release: int) -> None:
        for other in range(len(QUEUES)):
            if wait >> other & 1:
                if not self.tokens[other, queue]:
                    raise ExecutionError(
                        f"instruction {pc} ({ISA.to_text(self.program[pc])}) waits for a token of {QUEUES[other]} that "
                        "nothing before it has released"
                    )
                self.tokens[other, queue] -= 1
            self.tokens[queue, other] += release >> other & 1

    def _check_tokens(self) -> None:
        """A token left over would let a later wait pass too early."""
        left = [
            f"{QUEUES[a]} -> {QUEUES[b]}: {self.tokens[a, b]}" for a, b in zip(*self.tokens.nonzero(), strict=True)
        ]
        if left:
            raise ExecutionError(f"tokens left at HALT: {', '.join(left)}")

    @staticmethod
    def _set(registers: list[int], index: int, value: int) -> None:
        if index:
            registers[index] = value


def alu(op: Alu, a: Any, b: Any) -> Any:
    """Scalar operation of SYS on 32-bit unsigned numbers; shifts take b modulo 32, MUL the low 16 bits of b.

    Args:
        a, b: int, or int64 arrays of many runs.
    """
    match op:
        case Alu.ADD:
            return (a + b) & MASK
        case Alu.SUB:
            return (a - b) & MASK
        case Alu.SHL:
            return (a << (b & 31)) & MASK
        case Alu.SHR:
            return a >> (b & 31)
        case Alu.AND:
            return a & b
        case Alu.MUL:
            return a * (b & 0xFFFF) & MASK
        case Alu.MIN:
            return a + (b - a) * (b < a)
        case Alu.MAX:
            return a + (b - a) * (b > a)
