"""Emits instructions and derives the tokens that order them across the queues from what each reads and writes."""

from collections.abc import Sequence
from dataclasses import dataclass

from golden.isa.llm import ISA, QUEUES, Alu, Binary, Reduce, Source, Unary
from golden.params import LlmParams

from .early import EarlyResults, InOrder
from .rows import Region, Rows
from .stored import StoredVectors

__all__ = ["Emitter"]

MV, MISC, SYS = (QUEUES.index(name) for name in ("MV", "MISC", "SYS"))


@dataclass(frozen=True)
class _Access:
    first: int
    end: int
    index: int
    queue: int
    write: bool

    def conflicts(self, first: int, end: int, write: bool) -> bool:
        return self.first < end and first < self.end and (write or self.write)


class Emitter:
    """Instruction list under construction.

    VECs are chained to those before them where what they read allows it. A VEC notes exponents if the QNT behind it
    quantises just what it stores.

    A queue runs its instructions one after the other, so only dependences between queues need tokens: `add` looks up
    the last conflicting accesses and lets their instructions release what the new one waits for, unless an earlier
    wait already implies it. Weight loads touch no region: the lanes deliver them in the order of the MVs.

    Tokens cannot cross a branch: `barrier` before it gathers all queues in MISC, `anchor` behind its target (and
    behind itself) is what everything later depends on.
    """

    def __init__(self, params: LlmParams, base: int = 0) -> None:
        """`base`: number of the first instruction in the program."""
        self.params, self.lanes, self.base = params, params.sfu_lanes, base
        self.instructions: list[tuple[str, dict[str, int]]] = []
        self.accesses: dict[str, list[_Access]] = {}
        self.floor: int | None = None
        self.known = [[-1] * len(QUEUES) for _ in QUEUES]
        self.known_at: dict[int, list[int]] = {}
        self.last: dict[int, int] = {}
        self.early = EarlyResults()
        self.under_way: list[StoredVectors] = []
        self.stored: StoredVectors | None = None  # by the last one of MISC, as long as nothing has changed them

    def rows(self, elements: int) -> int:
        return -(-elements // self.lanes)

    def span(self, row: int, elements: int) -> Region:
        return ("vmem", row, row + self.rows(elements))

    def spans(self, rows: Rows, elements: int, count: int) -> list[Region]:
        """Of `count` vectors."""
        return rows.spans(self.rows(elements), count)

    def add(self, name: str, reads: Sequence[Region] = (), writes: Sequence[Region] = (),
            in_order: Sequence[InOrder] = (), **fields: int) -> int:
        """Append; returns the instruction's number.

        Args:
            in_order: of MISC, how it touches the global buffer, if not each region row by row from its start on.
        """
        here, queue = len(self.instructions), QUEUES.index(ISA.by_name(name).queue)
        register = fields.get("rd", 0)
        if (queue == MISC and not fields.get("chained")) or any(vec.counts_in(register) for vec in self.under_way):
            self.under_way = []
        if self.stored is not None and (queue == MISC or self.stored.changed_by(register, writes)):
            self.stored = None
        self.instructions.append((name, dict(fields)))
        touched = [(region, False) for region in reads] + [(region, True) for region in writes]
        if touched:
            needed = {
                access.index
                for (space, first, end), write in touched
                for access in self._of(space)
                if access.conflicts(first, end, write)
            }
            self._order(here, queue, needed)
            for (space, first, end), write in touched:
                kept = [a for a in self._of(space) if not (write and first <= a.first and a.end <= end)]
                self.accesses[space] = [*kept, _Access(first, end, here, queue, write)]
        if queue == MISC and touched:
            self.early.touch(in_order or [
                InOrder(Rows(first), end - first) for (space, first, end), _ in touched if space == "vmem"
            ])
        return here

    def _of(self, space: str) -> list[_Access]:
        if space not in self.accesses:
            everything = [] if self.floor is None else [_Access(0, 1 << 62, self.floor, MISC, True)]
            self.accesses[space] = everything
        return self.accesses[space]

    def _order(self, here: int, queue: int, needed: set[int]) -> None:
        """Make instruction `here` wait for the instructions `needed`, as far as it does not follow anyway."""
        for index in sorted(needed, reverse=True):
            source = self._queue(index)
            if source == MV and queue not in (MV, MISC):
                self.early.whole(index, self.instructions[index][1])
            if source != queue and self.known[queue][source] < index:
                before, now = self.instructions[index][1], self.instructions[here][1]
                before["release"] = before.get("release", 0) | 1 << queue
                now["wait"] = now.get("wait", 0) | 1 << source
                if source == MV and queue == MISC:
                    self.early.taken(index)
                known = [max(a, b) for a, b in zip(self.known[queue], self.known_at[index], strict=True)]
                known[source] = max(known[source], index)
                self.known[queue] = known
        self.known_at[here] = list(self.known[queue])
        self.last[queue] = here

    def _queue(self, index: int) -> int:
        return QUEUES.index(ISA.by_name(self.instructions[index][0]).queue)

    def barrier(self) -> int:
        """MISC waits until everything before it has finished."""
        here = self._pause()
        self._order(here, MISC, set(self.last.values()) - {here})
        self.early.end()
        return here

    def anchor(self) -> int:
        """Everything later runs after this instruction; stands behind a `barrier`, at a branch's target or after it."""
        here = self._pause()
        self._order(here, MISC, set())
        self.floor, self.accesses = here, {}
        return here

    def target(self, branch: int, instruction: int) -> None:
        """Let instruction `branch` jump to another one."""
        self.instructions[branch][1]["a"] = instruction

    def _pause(self) -> int:
        self.instructions.append(("VEC", {"n": 1}))
        self.under_way, self.stored = [], None
        return len(self.instructions) - 1

    def alu(self, op: Alu, rd: int, ra: int = 0, b: int = 0, rb: int = 0) -> None:
        self.add("ALU", alu=op, rd=rd, ra=ra, b=b & 0xFFFFFFFF, rb=rb)

    def vec(
        self,
        dst: Rows | None,
        a: Rows | None,
        n: int,
        *,
        count: int,
        rn: int = 0,
        most: int | None = None,
        n_step: int = 0,
        binary: Binary = Binary.PASS,
        b: Rows | None = None,
        period: int = 0,
        scalar: int | None = None,
        immediate: int | None = None,
        unary: Unary = Unary.NONE,
        reduce: Reduce = Reduce.NONE,
        to: int = 0,
        from_scalar: int | None = None,
    ) -> None:
        """dst = unary(a binary (b | scalar | immediate)) of `count` vectors; a reduction goes to scalar `to`.

        Vector t has scalars and, with `n_step`, elements of its own: scalar + t, n + t.
        `most`: elements at most, where `rn` makes the length variable. `period`: rows after which b starts again.
        """
        most = n if most is None else most
        steps = count > 1
        fields: dict[str, int] = {
            "n": n, "rn": rn, "binary": binary, "unary": unary, "reduce": reduce, "repeat": count - 1,
            "n_step": n_step * steps,
        }
        operands: list[tuple[Rows, int, bool]] = []
        scalars: list[int] = []
        if a is not None:
            fields |= {"b": a.first, "stride_b": a.stride * steps}
            operands.append((a, most, True))
        if b is not None:
            fields |= {"b_source": Source.VECTOR, "b_row": b.first, "period": period, "stride_c": b.stride * steps}
            operands.append((b, period * self.lanes or most, not period))
        if from_scalar is not None:
            fields |= {"a_source": Source.SCALAR, "sa": from_scalar}
            scalars.append(from_scalar)
        if scalar is not None:
            fields |= {"b_source": Source.SCALAR, "sb": scalar}
            scalars.append(scalar)
        if immediate is not None:
            fields |= {"b_source": Source.IMMEDIATE, "immediate": immediate}
        if dst is not None:
            fields |= {"a": dst.first, "store": 1, "stride_a": dst.stride * steps}
        if reduce:
            fields["sd"] = to
        stepped = (from_scalar is not None) | (scalar is not None) << 1 | bool(reduce) << 2
        results = range(to, to + count) if reduce else range(0)
        this = StoredVectors(len(self.instructions), dst, self.rows(most), (n, rn, n_step), count, frozenset(results))
        chained = self._chains(this, operands, {first + t for first in scalars for t in range(count)})
        reads = [span for rows, elements, _ in operands for span in self.spans(rows, elements, count)]
        places = [(rows, elements) for rows, elements, _ in operands] + ([] if dst is None else [(dst, most)])
        self.add("VEC", reads, self.spans(dst, most, count) if dst is not None else [],
                 [self._in_order(rows, elements, count, n, rn) for rows, elements in places],
                 scalar_step=stepped * steps, chained=int(chained), **fields)
        self.under_way.append(this)
        self.stored = this

    def _in_order(self, at: Rows, elements: int, count: int, n: int, rn: int) -> InOrder:
        """`count` vectors of at most `elements` elements, n and what register rn holds."""
        return InOrder(at, self.rows(elements), count, 1 if rn else self.rows(n), bool(rn))

    def _chains(self, this: StoredVectors, operands: Sequence[tuple[Rows, int, bool]], scalars: set[int]) -> bool:
        """Whether VEC `this` may start before those under way have finished.

        Args:
            operands: first row and stride, elements, and whether rows are read in the order of the results.
            scalars: that it reads.
        """
        return bool(self.under_way) and all(
            not earlier.scalars & scalars
            and all(
                (in_order and earlier.before(rows, this)) or not earlier.meets(self.spans(rows, elements, this.count))
                for rows, elements, in_order in operands
            )
            for earlier in self.under_way
        )

    def quantise(self, source: Rows, elements: int, block: int, blocks: int, *, count: int, block_step: int = 0,
                 token_step: int = 0, **fields: int) -> None:
        """QNT of `count` vectors of at most `elements` to activation blocks `block` and on, `blocks` in every column.

        The blocks of vector t lie `block_step` further on each, or in the next token's buffer.
        """
        steps = count > 1
        stored = self.stored
        noted = stored is not None and stored.may_be_noted(self.params, source, elements, count, fields)
        if stored is not None and noted:
            self.instructions[stored.index][1]["noted"] = 1
        written = [("xbuf", block + t * block_step, block + t * block_step + blocks) for t in range(count)]
        in_order = self._in_order(source, elements, count, fields.get("n", 0), fields.get("rn", 0))
        self.add("QNT", self.spans(source, elements, count), written[: count if block_step else 1], [in_order], a=block,
                 b=source.first, repeat=count - 1, stride_b=source.stride * steps, stride_a=block_step * steps,
                 token_step=token_step * steps, noted=int(noted), **fields)

    def words(self) -> list[int]:
        """Encoded, branches made absolute."""
        return [
            ISA.encode(name, {**fields, "a": fields["a"] + self.base} if name == "DBNZ" else fields)
            for name, fields in self.instructions
        ]
