"""What a program would be without loops and registers: straight-line code for every length, counted by expanding it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from golden.isa.llm import ISA, Alu
from golden.llm.datapath import MASK
from golden.llm.executor import REGISTERS, alu
from golden.llm.stream import kv_offsets
from golden.params import LlmParams

from .prompt import PromptPlan
from .registers import DECODE

__all__ = ["DECODE_BUCKET", "PREFILL_BUCKET", "Expansion", "expand", "unrolled"]

DECODE_BUCKET, PREFILL_BUCKET = 16, 128
"""Lengths that share a program in FlightLLM: that of the longest of them."""
SIZED = ("LDW", "MV", "MM")
"""Instructions that do nothing if N is 0: straight-line code does not have them."""


@dataclass(frozen=True)
class Expansion:
    """Instructions of several runs, int64 [runs].

    Attributes:
        executed: by the engine, of all classes.
        merged: that straight-line code has: none of SYS but HALT, none that only waits, none that moves nothing.
        split: the same where a channel needs a load or store of its own.
    """

    executed: np.ndarray
    merged: np.ndarray
    split: np.ndarray


@dataclass
class _Block:
    """Instructions that follow each other in every run.

    Attributes:
        counts: executed, merged, split. sized: (N, its register, merged, split) for instructions that count if N is not
            0. steps: what changes registers, or reads them for `sized`, in order. last: DBNZ, HALT, or none of them.
    """

    end: int
    counts: np.ndarray
    steps: list[dict[str, int] | tuple[int, int]] = field(default_factory=list)
    sized: dict[int, np.ndarray] = field(default_factory=dict)
    last: tuple[str, dict[str, int]] | None = None


def expand(params: LlmParams, words: Sequence[int], arguments: np.ndarray) -> Expansion:
    """Follow the registers of runs with `arguments` [runs, n], all runs together, from instruction 0 to HALT."""
    decoded = [(fmt.name, values) for fmt, values in map(ISA.decode, words)]
    starts = {0} | {pc + 1 for pc, (name, _) in enumerate(decoded) if name == "DBNZ"}
    starts |= {values["a"] for name, values in decoded if name == "DBNZ"}
    blocks = {start: _block(params, decoded, start, starts) for start in starts}
    runs = len(arguments)
    registers = np.zeros((REGISTERS, runs), np.int64)
    registers[1 : 1 + arguments.shape[1]] = arguments.T
    counts = np.zeros((3, runs), np.int64)
    waiting = {0: np.arange(runs)}
    while waiting:
        start = min(waiting)  # runs that left a loop wait behind it until the others come
        here, block = waiting.pop(start), blocks[start]
        local = registers[:, here]
        counts[:, here] += _execute(block, local)
        targets = [(block.end, np.full(len(here), True))]
        match block.last:
            case ("HALT", _):
                targets = []
            case ("DBNZ", v):
                count = (local[v["rd"]] - 1) & MASK
                _set(local, v["rd"], count)
                targets = [(v["a"], count != 0), (block.end, count == 0)]
        registers[:, here] = local
        for target, taken in targets:
            if taken.any():
                waiting[target] = np.concatenate([waiting.get(target, here[:0]), here[taken]])
    return Expansion(*counts)


def _block(params: LlmParams, decoded: list[tuple[str, dict[str, int]]], start: int, starts: set[int]) -> _Block:
    block = _Block(start, np.zeros(3, np.int64))
    sizes: dict[tuple[int, int], int] = {}
    while block.last is None and (block.end == start or block.end not in starts):
        name, v = decoded[block.end]
        block.end += 1
        block.counts[0] += 1
        weight = np.array([0, 1, _channels(params, name, v)])
        if name == "ALU":
            block.steps.append(v)
            sizes = {key: step for key, step in sizes.items() if key[1] != v["rd"]}
        elif name == "DBNZ":
            block.last = name, v
        elif name in SIZED and v["rn"]:
            key = v["n"], v["rn"]
            if key not in sizes:
                sizes[key] = len(block.steps)
                block.steps.append(key)
                block.sized[sizes[key]] = np.zeros(3, np.int64)
            block.sized[sizes[key]] += weight
        elif name != "NOP" and (name not in SIZED or v["n"]) and (name != "VEC" or v["store"] or v["reduce"]):
            block.counts += weight
        if name == "HALT":
            block.last = name, v
    return block


def _execute(block: _Block, registers: np.ndarray) -> np.ndarray:
    """Counts [3, runs] of a block, which changes `registers` [16, runs] in place."""
    counts = np.repeat(block.counts[:, None], registers.shape[1], 1)
    for number, step in enumerate(block.steps):
        if isinstance(step, tuple):
            n, register = step
            counts += block.sized[number][:, None] * ((n + registers[register]) & MASK != 0)
        else:
            operand = (step["b"] + registers[step["rb"]]) & MASK
            _set(registers, step["rd"], alu(Alu(step["alu"]), registers[step["ra"]], operand))
    return counts


def _set(registers: np.ndarray, index: int, value: np.ndarray) -> None:
    if index:
        registers[index] = value


def _channels(params: LlmParams, name: str, v: dict[str, int]) -> int:
    """Memory channels that an instruction moves data of, 1 for those that move none."""
    if name == "LDW":
        return params.channels
    if name == "STK":
        return len(np.unique(kv_offsets(params, {**v, "n": 0})[..., 0]))
    return 1


def unrolled(params: LlmParams, words: Sequence[int], context: int, plan: PromptPlan) -> dict[str, dict[str, int]]:
    """Size of straight-line programs for decode and prefill at all lengths up to `context`, beside the one image.

    Args:
        plan: how the program takes a prompt.

    Returns:
        `per_length`: a program for each length, a load or store for each channel; `bucketed`: lengths up to the next
        multiple of `DECODE_BUCKET` and `PREFILL_BUCKET` share one; `bucketed_merged`: and one load or store serves
        all channels. Each with instructions and bytes.
    """
    lengths = np.arange(1, context + 1)
    decode = np.stack([np.ones(context, np.int64), lengths - 1, np.full(context, DECODE)], 1)
    prefill = np.array([plan.arguments(int(length)) for length in lengths])
    kinds = [(expand(params, words, decode), DECODE_BUCKET), (expand(params, words, prefill), PREFILL_BUCKET)]
    totals = {
        "per_length": sum(int(e.split.sum()) for e, _ in kinds),
        "bucketed": sum(int(e.split[_ends(context, bucket)].sum()) for e, bucket in kinds),
        "bucketed_merged": sum(int(e.merged[_ends(context, bucket)].sum()) for e, bucket in kinds),
    }
    return {name: {"instructions": count, "bytes": count * ISA.bits // 8} for name, count in totals.items()}


def _ends(context: int, bucket: int) -> np.ndarray:
    """Index of the longest length of each bucket."""
    return np.minimum(np.arange(bucket, context + bucket, bucket), context) - 1
