"""Which lines of B the cache will hold."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams

from .layouts import request_layout

__all__ = ["CacheTags", "found_layout"]

GENERATION_BITS = 8


def found_layout(p: SpgemmParams) -> data.StructLayout:
    """A request, and where its line's block is (`hit`) or will be; neither matters if it is dry."""
    return data.StructLayout({
        "request": request_layout(p), "hit": unsigned(1),
        "place": unsigned((p.cache_lines // p.block_lines - 1).bit_length()),
    })


class _Ages:
    """Which of some ways were used more recently: a bit for each pair of them, in a number."""

    def __init__(self, ways):
        self.ways = ways
        self.pairs = [(a, b) for a in range(ways) for b in range(a)]

    def oldest(self, ages):
        """A bit for each way: no other is older."""
        younger = {}  # (a, b): a is younger than b
        for bit, (a, b) in zip(ages, self.pairs, strict=True):
            younger[a, b], younger[b, a] = bit, ~bit
        return Cat(
            ~Cat(younger[way, other] for other in range(self.ways) if other != way).any() for way in range(self.ways)
        )  # fmt: skip

    def used(self, ages, way, old):
        """`ages` after the use of the one-hot `way`, which becomes the youngest, or the oldest if `old`."""
        return Cat(
            Mux(way[a], ~old, Mux(way[b], old, bit)) for bit, (a, b) in zip(ages, self.pairs, strict=True)
        )  # fmt: skip


class CacheTags(wiring.Component):
    """Looks up a request a cycle, in order; a line's block that is not there replaces the least recently used of its
    set.

    LATENCY cycles from the request to what was found, which nothing can hold back: `room` must be low in time. The
    first cycle reads and compares the tags and takes in what the request before changes; the second one decides.

    Attributes:
        uncached: nothing is found.
        requests: ready if `room`, but during sweeps. With `hint` a block becomes the next to be replaced.
        room: SLACK more requests can be taken. found, valid: what was found.
        invalidate: strobe, while no request is here: nothing is there any more. Every 2**8 - 1 times, and after
            reset, the tags are swept, one set a cycle, as only their generation tells.
        ready: no sweep.
    """

    LATENCY = 2
    SLACK = 4
    """Requests that come after the cycle in which the room for them was counted: here, and in `room`'s register."""

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        super().__init__({
            "requests": In(stream.Signature(request_layout(p))), "uncached": In(1), "room": In(1),
            "invalidate": In(1), "ready": Out(1), "valid": Out(1), "found": Out(found_layout(p)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        generation, sweeping, sweep_set = self._generation(m)
        m.d.comb += [self.ready.eq(~sweeping), self.requests.ready.eq(self.room & ~sweeping)]
        looks, request = Signal(), Signal(request_layout(self.params), reset_less=True)
        decides, decided = Signal(), Signal(request_layout(self.params), reset_less=True)
        m.d.sync += [
            looks.eq(self.requests.valid & self.requests.ready), request.eq(self.requests.payload),
            decides.eq(looks), decided.eq(request),
        ]  # fmt: skip
        changes = decides & ~decided.dry
        hits, way, ages, next_ages = self._decide(m, decided)

        of_set, tag = self._split(request.line)
        decided_set, decided_tag = self._split(decided.line)
        same_set = changes & (of_set == decided_set)
        address = Mux(sweeping, sweep_set, decided_set)
        for number in range(self.params.cache_ways):
            written = Cat(generation, decided_tag)
            read = self._memory(m, f"tags_{number}", of_set, address, changes & way[number], written, sweeping)
            hit = Mux(same_set & way[number], tag == decided_tag, read == Cat(generation, tag))
            m.d.sync += hits[number].eq(hit)
        m.d.sync += ages.eq(
            Mux(same_set, next_ages, self._memory(m, "ages", of_set, address, changes, next_ages, sweeping))
        )  # fmt: skip
        m.d.comb += [
            self.valid.eq(decides), self.found.request.eq(decided), self.found.hit.eq(hits.any() & ~self.uncached),
        ]  # fmt: skip
        self._place(m, decided_set, way)
        return m

    def _decide(self, m, decided):
        """(ways that have the line, the one that will have it, ages of the set's ways before, after), of which the
        first and the third are registers for the other cycle to set.
        """
        order = _Ages(self.params.cache_ways)
        hits, way = Signal(self.params.cache_ways, reset_less=True), Signal(self.params.cache_ways)
        ages, next_ages = Signal(len(order.pairs), reset_less=True), Signal(len(order.pairs))
        m.d.comb += [
            way.eq(Mux(hits.any(), hits, order.oldest(ages))), next_ages.eq(order.used(ages, way, decided.hint)),
        ]  # fmt: skip
        return hits, way, ages, next_ages

    def _place(self, m, of_set, way):
        number = Signal(range(self.params.cache_ways))
        for bit in range(len(number)):
            m.d.comb += number[bit].eq(Cat(way[w] for w in range(self.params.cache_ways) if w >> bit & 1).any())
        m.d.comb += self.found.place.eq(Cat(number, of_set))

    def _split(self, line):
        """(set, tag) of a line."""
        block = line[(self.params.block_lines - 1).bit_length():]
        bits = (self.params.sets - 1).bit_length()
        return block[:bits], block[bits:]

    def _memory(self, m, name, of_set, address, enable, value, sweeping):
        """A word for each set; what the one of `of_set` has. `value` is written at `address`; 0 in sweeps."""
        m.submodules[name] = memory = Memory(
            shape=len(value), depth=self.params.sets, init=[], attrs={"ram_style": "distributed"}
        )
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            read.addr.eq(of_set), write.addr.eq(address), write.en.eq(sweeping | enable),
            write.data.eq(Mux(sweeping, 0, value)),
        ]  # fmt: skip
        return read.data

    def _generation(self, m):
        """(generation of the tags that count, whether the others are swept away, set that is swept)."""
        generation, sweeping = Signal(GENERATION_BITS, init=1), Signal(init=1)
        at = Signal(range(self.params.sets))
        with m.If(sweeping):
            m.d.sync += at.eq(at + 1)
            with m.If(at == self.params.sets - 1):
                m.d.sync += sweeping.eq(0)
        with m.If(self.invalidate):
            m.d.sync += generation.eq(generation + 1)
            with m.If(generation == (1 << GENERATION_BITS) - 1):
                m.d.sync += [generation.eq(1), sweeping.eq(1), at.eq(0)]
        return generation, sweeping, at
