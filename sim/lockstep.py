"""Golden and RTL in lock step: the instructions that golden executes, in pieces on the RTL, compared after each."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np

from compiler.llm.registers import Register
from compiler.program import Program
from golden.isa.formats import Format
from golden.isa.llm import ISA, QUEUES, SCALARS, Put
from golden.llm.effects import Written, written
from golden.llm.vector import value_bits
from golden.params import LlmParams

from .device import GoldenDevice, Outcome, RtlDevice

__all__ = ["LockStep"]

Token = tuple[int, int, int]
"""Queues from and to, and how many tokens went that way before."""


@dataclass(frozen=True)
class _Step:
    """An instruction as it was executed: operands resolved, so that it means the same anywhere."""

    serial: int
    pc: int
    name: str
    fields: dict[str, int]
    written: Written
    where: dict[str, Any]
    waits: set[Token] = field(default_factory=set)
    releases: set[Token] = field(default_factory=set)


class _PartedError(Exception):
    """Ends golden's run; not an error of anybody's."""


class LockStep(GoldenDevice):
    """A golden device whose next run is made on the RTL too, piece by piece: straight-line code in the program's place,
    between two runs of which everything stays on the chip.

    Args:
        within: instructions to look at, by their number in the order of execution. Those before are run, not compared;
            the run ends behind them.
        size: instructions of a piece `within`; of others: half of what the engine holds.

    Attributes:
        difference: None, or the first that was found: position, layer, instruction, place, both values.
        piece: the instructions of the piece with the difference.
    """

    def __init__(self, golden: GoldenDevice, program: Program, memory: str, within: range, size: int) -> None:
        self.images, self.executor, self.program, self.memory = golden.images, golden.executor, program, memory
        self.params, self.within, self.size = golden.executor.params, within, size
        self.difference: dict[str, Any] | None = None
        self.piece = range(0)
        self.steps: list[_Step] = []
        self.count = 0
        self.waited, self.released = Counter(), Counter()
        self.unseen: list[_Step] = []
        self.writer = np.full(self.params.vmem_rows * self.params.sfu_lanes, -1)
        self.scalar_writer = np.full(SCALARS, -1)
        self.memory_writer: dict[tuple[str, int], int] = {}
        self.layers = program.manifest["model"]["layers"]
        self.tops = _tops(golden.executor.decoded)

    def run(self, arguments: tuple[int, ...]) -> Outcome:
        """Golden's outcome, which means nothing where the run was left."""
        self.probe = _Probe(self.program, self.images, self.memory)
        self.executor.observe = self._observe
        try:
            outcome = super().run(arguments)
            self._flush()
        except _PartedError:
            outcome = Outcome((0,), None, {})
        finally:
            self.executor.observe = None
            self.probe.device.close()
        return outcome

    def _observe(self, pc: int, name: str, v: dict[str, int]) -> None:
        index, _ = self._best()
        serial, effect = self.count, written(self.params, name, v, index)
        if serial >= self.within.stop:
            self._flush()
            raise _PartedError
        self.count += 1
        step = _Step(serial, pc, name, self._resolved(pc, v), effect, self._where(pc))
        queue = QUEUES.index(ISA.by_name(name).queue)
        for other in range(len(QUEUES)):
            if v["wait"] >> other & 1:
                step.waits.add((other, queue, self.waited[other, queue]))
                self.waited[other, queue] += 1
            if v["release"] >> other & 1:
                step.releases.add((queue, other, self.released[queue, other]))
                self.released[queue, other] += 1
        for first, count in effect.vectors:
            self.writer[first : first + count] = serial
        self.scalar_writer[list(effect.scalars)] = serial
        self.memory_writer |= dict.fromkeys(effect.memory, serial)
        self.steps.append(step)
        size = self.size if serial in self.within else self.params.imem_words // 2
        if len(self.steps) >= size or serial + 1 == self.within.start:
            self._flush()

    def _best(self) -> tuple[int, int]:
        """Golden's running arg-max: index, and bits of the value."""
        key, index = self.executor.best or (0, 0)
        return index, value_bits(key)

    def _resolved(self, pc: int, v: dict[str, int]) -> dict[str, int]:
        return {**self.executor.decoded[pc][1], **{name: v[name] for name in "abn"}, "ra": 0, "rb": 0, "rn": 0}

    def _where(self, pc: int) -> dict[str, Any]:
        registers, top = self.executor.registers, self.tops[pc]
        layer: int | str = "head"
        if top is not None:
            layer = self.layers - registers[Register.LAYERS] if pc >= top else "embed"
        return {"position": registers[Register.POSITION], "layer": layer}

    def _flush(self) -> None:
        """Run what has gathered, but for loads that no product has taken yet, and compare what it has written."""
        left = self.executor.lanes.left
        loads = [step for step in self.steps if step.name == "LDW" and step.fields["n"]]
        kept = loads[len(loads) - len(left) :]
        if [step.fields["n"] for step in kept] != left:
            return  # a product has taken a part of a load; the next one will take the rest
        steps = [step for step in self.steps if step not in kept]
        self.steps = kept
        if not steps:
            return
        inside = set().union(*(s.waits for s in steps)) & set().union(*(s.releases for s in steps))
        self.probe.run([
            ISA.encode(s.name, {
                **s.fields,
                "wait": sum(1 << source for source, _, _ in s.waits & inside),
                "release": sum(1 << target for _, target, _ in s.releases & inside),
            })
            for s in steps
        ])
        if steps[-1].serial in self.within:
            self._compare(steps)

    def _compare(self, steps: list[_Step]) -> None:
        lanes = self.params.sfu_lanes
        golden, rtl = self.executor.vmem.reshape(-1).view(np.uint32), self.writer.astype(np.uint32)
        rows = sorted({
            row for s in steps for first, count in s.written.vectors
            for row in range(first // lanes, -(-(first + count) // lanes))
        })
        for first, count in _runs(rows):
            rtl[first * lanes : (first + count) * lanes] = self.probe.rows(first, count)
        scalars = sorted({register for s in steps for register in s.written.scalars})
        shown = self.probe.shown([{"sa": register} for register in scalars])
        found = dict(zip(scalars, shown, strict=True))
        last = next((t for t in reversed(steps) if t.written.best), None)
        for s in steps:
            for number, (first, count) in enumerate(s.written.vectors):
                part = slice(first, first + count)
                bad = (golden[part] != rtl[part]) & (self.writer[part] == s.serial)
                if bad.any():
                    at = int(bad.argmax())
                    self._part(steps, s, "buffer", number, at, _real(golden[first + at]), _real(rtl[first + at]))
            for number, register in enumerate(s.written.scalars):
                expected = self.executor.scalars.view(np.uint32)[register]
                if expected != found[register] and self.scalar_writer[register] == s.serial:
                    self._part(steps, s, "scalar", number, 0, _real(expected), _real(found[register]))
            for at, (port, address) in enumerate(s.written.memory):
                values = [d.read(port, address, s.written.width) for d in (self, self.probe.device)]
                if values[0] != values[1] and self.memory_writer[port, address] == s.serial:
                    self._part(steps, s, port, 0, at, *map(_stored, values))
            if s is last:
                golden_best, rtl_best = self._best(), self.probe.shown([{"source": Put.INDEX}, {"source": Put.VALUE}])
                for at, (form, *values) in enumerate(zip((_number, _real), golden_best, rtl_best, strict=True)):
                    if values[0] != values[1]:
                        self._part(steps, s, "arg-max", 0, at, *map(form, values))
            if s.written.hidden:
                self.unseen.append(s)
            elif s.name in ("MV", "MM"):
                self.unseen.clear()

    def _part(self, steps: list[_Step], s: _Step, place: str, vector: int, element: int,
              golden: dict[str, Any], rtl: dict[str, Any]) -> NoReturn:
        self.piece = range(steps[0].serial, steps[-1].serial + 1)
        self.difference = {
            **s.where,
            "instruction": self._named(s),
            "place": place,
            "vector": vector,
            "element": element,
            "golden": golden,
            "rtl": rtl,
            "unseen": [self._named(t) for t in self.unseen] if s.name in ("MV", "MM") else [],
        }
        raise _PartedError

    def _named(self, step: _Step) -> dict[str, Any]:
        return {"pc": step.pc, "text": ISA.to_text(self.program.instructions[step.pc])}


class _Probe:
    """The RTL with such memory images. Code and what is read out lie in the program's place."""

    def __init__(self, program: Program, images: dict[str, np.ndarray], memory: str) -> None:
        self.params = LlmParams.from_dict(program.manifest["params"])
        self.device = RtlDevice(memory)
        self.device.load(Program(program.manifest, program.instructions, images, {}))
        half = self.params.imem_words * ISA.bits // 8 // 2
        self.scratch, self.room = self.device.program_at + half, half // (4 * self.params.sfu_lanes)

    def run(self, words: list[int]) -> None:
        """These instructions, which end before the call returns."""
        self.device.replace([*words, ISA.encode("HALT", {})])
        self.device.run(())

    def rows(self, first: int, count: int) -> np.ndarray:
        """uint32 [count * sfu_lanes]: rows of the global buffer."""
        parts = []
        for row in range(first, first + count, self.room):
            n = min(self.room, first + count - row) * self.params.sfu_lanes
            self.run([ISA.encode("STV", {"a": self.scratch, "b": row, "n": n})])
            parts.append(np.frombuffer(self.device.read("v", self.scratch, 4 * n), "<u4"))
        return np.concatenate(parts)

    def shown(self, puts: list[dict[str, int]]) -> list[int]:
        """Bits of what PUTs with these fields write. They do so in row 0, which gets its numbers back."""
        lanes, result = self.params.sfu_lanes, []
        for i in range(0, len(puts), lanes):
            group, row = puts[i : i + lanes], self.rows(0, 1)
            self.run([ISA.encode("PUT", {"n": n, **fields}) for n, fields in enumerate(group)])
            result += self.rows(0, 1)[: len(group)].tolist()
            self.device.write("v", self.scratch, row.tobytes())
            self.run([ISA.encode("LDV", {"a": self.scratch, "n": lanes})])
        return result


def _tops(decoded: list[tuple[Format, dict[str, int]]]) -> list[int | None]:
    """For each instruction the first one of the loop over layers that ends behind it; None behind the last layer."""
    tops: list[int | None] = []
    top = None
    for fmt, fields in reversed(decoded):
        if fmt.name == "HALT":
            top = None
        elif fmt.name == "DBNZ" and fields["rd"] == Register.LAYERS:
            top = fields["a"]
        tops.append(top)
    return tops[::-1]


def _runs(rows: list[int]) -> list[tuple[int, int]]:
    """(first, count) of the stretches of consecutive rows."""
    cuts = [i for i, row in enumerate(rows) if i == 0 or row != rows[i - 1] + 1]
    return [(rows[a], b - a) for a, b in pairwise([*cuts, len(rows)])]


def _real(bits: Any) -> dict[str, Any]:
    return {"raw": f"0x{int(bits):08x}", "real": float(np.uint32(bits).view(np.float32))}


def _number(value: int) -> dict[str, Any]:
    return {"raw": f"0x{value:08x}", "real": value}


def _stored(data: bytes) -> dict[str, Any]:
    if len(data) == 1:
        return {"raw": f"0x{data[0]:02x}", "real": int.from_bytes(data, signed=True)}
    return _real(int.from_bytes(data, "little"))
