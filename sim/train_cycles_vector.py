"""VEC's queue in the training engine's cycle model: passes over tensors, moves and operations of channels, pooling."""

from collections.abc import Callable, Generator
from math import inf

from golden.isa.train import Channel
from golden.train.params import TrainParams
from hw.train.channel_lane import ChannelLane
from hw.train.channel_moves import ChannelMoves
from hw.train.pool import Pool
from hw.train.pool_gradient import PoolGradient
from hw.train.tensor_pass import CHUNK
from hw.train.vector_pass import VectorPass
from hw.train.vector_sums import SumLane
from hw.train.vector_walk import ROOM

from .train_events import Clock, Signal, Steps, ignored
from .train_memory import Answers, ReadPort, Stream, WritePort, Writer

__all__ = ["Vector"]


class Vector:
    """The unit, an instruction at a time.

    Args:
        stream: of `reads`.
    """

    def __init__(self, params: TrainParams, clock: Clock, reads: ReadPort, stream: Stream, writes: WritePort) -> None:
        self.params, self.clock, self.reads, self.stream, self.writes = params, clock, reads, stream, writes

    def run(self, name: str, v: dict[str, int], finish: Callable[[float], None]) -> Steps:
        """An instruction. finish: called with the time of its last answer."""
        clock, p, begin, answers = self.clock, self.params, self.clock.now, Answers(self.clock, finish)
        if name == "CHN":
            done = begin + v["rows"] + 2 + (
                ChannelLane.FUNCTION if v["op"] >= Channel.RSQRT else ChannelLane.ARITHMETIC)
        elif name == "LDC":
            signal, beats = Signal(), v["rows"] * (1 if v["half"] else 2)
            cost = p.word + ChannelMoves.LOADED if v["half"] else 1
            left = v["rows"] if v["turn"] else 1

            def took(_: float, __: int, ends: bool) -> None:
                nonlocal left
                left -= ends
                if not left:
                    signal.fire()

            yield begin + 2
            for word in range(left):
                self.reads.ask(self.stream, v["address"] + word * v["stride"], 1 if v["turn"] else beats, cost, took)
            yield signal
            done = clock.now - 1 + cost - 1
        elif name == "STC":
            of_row, words = (p.word + ChannelMoves.STORED, 1) if v["half"] else (3, 2)
            yield begin + 1 + of_row
            stride, taken = v["stride"] if v["turn"] else words, Signal()
            for row in range(v["rows"]):
                answers.sent(words)
                self.writes.put(Writer.VECTOR, v["address"] + row * stride, words, lambda _: taken.fire(), answers.came)
                yield taken
                done = clock.now - 1
                yield max(begin + 1 + of_row * (row + 2), clock.now + of_row - words)
        elif name == "VEC":
            done = yield from self._pass(v, answers)
        else:
            done = yield from self._pool(v, answers)
        answers.close(done + 3)
        yield done + 2

    def _pass(self, v: dict[str, int], answers: Answers) -> Generator[float | Signal, None, float]:
        """Words are taken one a cycle, a segment's end closes the unit, outputs leave LATENCY later. Returns when the
        instruction is done."""
        clock, stream, words = self.clock, self.stream, v["words"]
        total, both = v["pixels"] * words, not (v["b_is_a"] or v["b_none"])
        segment, closed = v["segment"] * words, VectorPass.SEGMENT + 14 * words if v["sums"] else 0
        taken, given, ready, signal = 0, 0, 0.0, Signal()
        stream.room = (2 * CHUNK + (ROOM if v["outputs"] else 0)) * (1 + both)

        def took(end: float, beats: int, _: bool) -> None:
            nonlocal taken, ready
            pieces, last = beats, 0.0
            while pieces:
                some = min(pieces, segment - taken % segment)
                last = ready = max(end + 1 - pieces, ready) + some
                taken, pieces = taken + some, pieces - some
                if not taken % segment:
                    ready += closed
            if v["outputs"]:
                clock.at(last - beats + VectorPass.LATENCY, lambda at=taken - beats: give(at, beats))
            else:
                clock.at(last, lambda: left(beats))

        def give(at: int, beats: int) -> None:
            answers.sent(beats)
            self.writes.put(Writer.VECTOR, v["out"] + at, beats, left, answers.came)

        def left(beats: int) -> None:
            nonlocal given
            given += beats
            if given == total:
                signal.fire()
            self.reads.give(stream, beats * (1 + both))

        yield clock.now + 4 + 5 * words
        if both:
            for at in range(0, total, CHUNK):
                some = min(CHUNK, total - at)
                self.reads.ask(stream, v["a"] + at, some, 1, ignored)
                self.reads.ask(stream, v["b"] + at, some, 1, took)
        else:
            self.reads.ask(stream, v["a"], total, 1, took)
        yield signal
        stream.room = inf
        return max(clock.now + 1 if v["outputs"] else 0.0, ready + SumLane.LATENCY + 4 if v["sums"] else 0.0)

    def _pool(self, v: dict[str, int], answers: Answers) -> Generator[float | Signal, None, float]:
        """Lines of windows; a window's words LATENCY behind its last beat. Returns when the instruction is done."""
        clock, stream, back = self.clock, self.stream, v["back"]
        line, words, kernel = v["kernel"] * v["words"], v["words"], v["kernel"]
        windows, signal, taken, given, gone = v["nx"] * v["ny"] * v["images"], Signal(), 0, 0, 0
        of_window = kernel * line if back else words
        latency = Pool.LATENCY + (1 + PoolGradient.LATENCY if back else 0)

        def took(end: float, _: int, ends: bool) -> None:
            nonlocal taken
            taken += ends
            if ends and taken % (kernel + back) == 0:
                clock.at(end + latency - words, give)

        def give() -> None:
            nonlocal given
            answers.sent(of_window)
            self.writes.put(Writer.VECTOR, v["out"] + given * of_window, of_window, left, answers.came)
            given += 1

        def left(count: int) -> None:
            nonlocal gone
            gone += count
            if gone == of_window * windows:
                signal.fire()

        yield clock.now + 1 + Pool.START
        for window in range(windows):
            x, rest = window % v["nx"], window // v["nx"]
            y, image = rest % v["ny"], rest // v["ny"]
            at = v["x"] + image * v["image"] + (y * v["line"] + x * words) * v["step"]
            for tap in range(kernel):
                self.reads.ask(stream, at + tap * v["line"], line, 1, took)
            if back:
                self.reads.ask(stream, v["dy"] + window * words, words, 1, took)
        yield signal
        return clock.now
