"""Which lines of B the cache will hold."""

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spgemm.params import SpgemmParams
from hw.fabric.pipeline import delay, strobes
from hw.fabric.ram import Ram

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

    LATENCY cycles from the request to what was found, which nothing can hold back: `room` must be low in time. RAMs are
    read in the cycle that takes a request; the first cycle after it registers what they have, the second one compares,
    the third one decides and writes. Reads of the UNSEEN requests right behind are too early to see that: these take it
    from here, by flags that tell a cycle ahead which of them have the same set or tag.

    Attributes:
        uncached: nothing is found.
        requests: ready if `room`. With `hint` a block becomes the next to be replaced.
        room: a request can be taken; not during sweeps. found, valid: what was found.
        invalidate: strobe, while no request is here: nothing is there any more. Every 2**8 - 1 times, and after
            reset, the tags are swept, one set a cycle, as only their generation tells.
        ready: no sweep.
    """

    LATENCY = 3
    UNSEEN = 3

    def __init__(self, params: SpgemmParams):
        self.params = p = params
        super().__init__({
            "requests": In(stream.Signature(request_layout(p))), "uncached": In(1), "room": In(1),
            "invalidate": In(1), "ready": Out(1), "valid": Out(1), "found": Out(found_layout(p)),
        })  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        generation, sweeping, sweep_set = self._generation(m)
        taken, payload = self.requests.valid & self.requests.ready, self.requests.payload
        valid = strobes(m, taken, self.LATENCY, "valid")
        changes = strobes(m, taken & ~payload.dry, 1 + self.UNSEEN, "changes")
        requests = [payload]  # that were taken so many cycles ago
        for cycle in range(1 + self.UNSEEN):
            requests.append(data.View(payload.shape(), delay(m, requests[-1], 1, f"request_{cycle}")))
        blocks = [self._split(request.line) for request in requests]
        decided, change, (of_set, tag) = requests[self.LATENCY], changes[self.LATENCY], blocks[self.LATENCY]

        hits, way, ages, next_ages = self._decide(m, decided.hint)
        address = Mux(sweeping, sweep_set, of_set)
        tags = [
            self._memory(m, f"tags_{w}", blocks[0][0], address, change & way[w], Cat(generation, tag), sweeping)
            for w in range(self.params.cache_ways)
        ]
        old_ages = self._memory(m, "ages", blocks[0][0], address, change, next_ages, sweeping)
        read_hits = [word == Cat(generation, blocks[2][1]) for word in tags]
        self._compare(m, blocks, changes, way, hits, read_hits, next_ages, ages, old_ages)
        m.d.comb += [
            self.ready.eq(~sweeping), self.requests.ready.eq(self.room), self.valid.eq(valid[self.LATENCY]),
            self.found.request.eq(decided), self.found.hit.eq(hits.any() & ~self.uncached),
        ]  # fmt: skip
        self._place(m, of_set, way)
        return m

    def _decide(self, m, hint):
        """(ways that have the line, the one that will have it, ages of the set's ways before, after), of which the
        first and the third are registers for `_compare` to set.
        """
        order = _Ages(self.params.cache_ways)
        hits, way = Signal(self.params.cache_ways, reset_less=True), Signal(self.params.cache_ways)
        ages, next_ages = Signal(len(order.pairs), reset_less=True), Signal(len(order.pairs))
        m.d.comb += [
            way.eq(Mux(hits.any(), hits, order.oldest(ages))), next_ages.eq(order.used(ages, way, hint)),
        ]  # fmt: skip
        return hits, way, ages, next_ages

    def _compare(self, m, blocks, changes, way, hits, read_hits, next_ages, ages, read_ages):
        """Hits and ages for the next cycle: what was read, but what a request ahead writes goes before it, and the
        nearest one's before all."""
        of_set, tag = blocks[1]
        for ahead in range(self.UNSEEN, 0, -1):
            other_set, other_tag = blocks[1 + ahead]
            same_set = delay(m, changes[1 + ahead] & (of_set == other_set), 1, f"same_set_{ahead}")
            same_tag = delay(m, tag == other_tag, 1, f"same_tag_{ahead}")
            its_way = delay(m, way, ahead - 1, f"way_{ahead}")
            read_hits = [Mux(same_set & mine, same_tag, hit) for mine, hit in zip(its_way, read_hits, strict=True)]
            read_ages = Mux(same_set, delay(m, next_ages, ahead - 1, f"ages_{ahead}"), read_ages)
        m.d.sync += [hits.eq(Cat(read_hits)), ages.eq(read_ages)]

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
        """A word for each set; what the one of `of_set` has, 2 cycles later. `value` is written at `address`; 0 in
        sweeps."""
        m.submodules[name] = memory = Ram(width=len(value), depth=self.params.sets)
        m.d.comb += [
            memory.read_address.eq(of_set), memory.write_address.eq(address), memory.write_enable.eq(sweeping | enable),
            memory.write_data.eq(Mux(sweeping, 0, value)),
        ]  # fmt: skip
        return delay(m, memory.read_data, 1, f"{name}_word")

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
