"""Parameters of the SpGEMM engine."""

from dataclasses import dataclass

from golden.params import EngineParams, check, power_of_two

__all__ = ["NUMBER_FORMATS", "SpgemmParams"]

NUMBER_FORMATS = {"fp32": 1, "int32": 2, "fp64": 3}
"""`SpgemmParams.number_format` by key of `golden.spgemm.product.ARITHMETIC`."""


@dataclass(frozen=True, kw_only=True)
class SpgemmParams(EngineParams):
    """Row engines of a card, each with a memory channel (AXI4 port) of its own.

    Attributes:
        engines: row engines.
        axi_bits: data width of every AXI4 port. A row engine multiplies the elements of a memory word in a cycle.
        number_format: 1: binary32 values; 2: int32, modulo 2**32; 3: binary64.
        column_bits: of a column's number in the engine; memory has 32 bits for it.
        banks: of a row engine's hash scratchpad; each takes an element a cycle.
        slots: of a bank's tag table.
        contexts: rows that a row engine works on at once; they share the slots of a bank.
        probe_limit: slots of its region that an element may look at.
        cache_lines: memory words that a row engine's cache of B holds.
        block_lines: of these that are read and kept together: to open DRAM rows takes as long for one as for two.
        cache_ways: blocks among which one is replaced.
        window: lines of B that are looked up ahead of the multipliers.
        ring: entries of A that a row engine holds.
        queue_banks: banks that share a queue of lines. bank_fifo: lines that wait in one.
        miss_queues: in which reads of B wait for their turn, by address bits from `miss_bit` on; 8 and 11 suit HBM2 on
            a U280, where the address bits 11 to 13 choose banks.
        in_flight: of these reads that memory has at once: enough to keep it busy, and few, as there they keep their
            order.
        burst_beats: longest AXI4 burst. outstanding: bursts in flight on a port, or lines of B.
    """

    engines: int = 1
    axi_bits: int = 512
    number_format: int = 1
    column_bits: int = 32
    banks: int = 16
    slots: int = 256
    contexts: int = 8
    probe_limit: int = 64
    cache_lines: int = 256
    block_lines: int = 1
    cache_ways: int = 4
    window: int = 64
    ring: int = 256
    queue_banks: int = 2
    bank_fifo: int = 32
    miss_queues: int = 8
    miss_bit: int = 11
    in_flight: int = 24
    burst_beats: int = 16
    outstanding: int = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.axi_bits in (128, 256, 512), "axi_bits", self.axi_bits, "must be 128, 256 or 512")
        check(self.engines <= 64, "engines", self.engines, "must be at most 64")
        check(self.number_format in NUMBER_FORMATS.values(), "number_format", self.number_format,
              "must be 1 (binary32), 2 (int32) or 3 (binary64)")
        check(self.lanes >= 2, "axi_bits", self.axi_bits, "must hold two elements")
        check(16 <= self.column_bits <= 32, "column_bits", self.column_bits, "must be 16..32")
        for name in ("banks", "slots", "contexts", "cache_lines", "block_lines", "cache_ways", "window", "ring",
                     "queue_banks", "bank_fifo", "miss_queues", "burst_beats", "outstanding"):
            value = getattr(self, name)
            check(power_of_two(value), name, value, "must be a power of two")
        check(self.banks >= self.lanes, "banks", self.banks, f"must be at least the {self.lanes} lanes")
        check(self.banks <= 64, "banks", self.banks, "must be at most 64")
        check(self.queue_banks <= self.banks, "queue_banks", self.queue_banks, f"must be at most banks = {self.banks}")
        check(2 <= self.contexts <= 32, "contexts", self.contexts, "must be 2..32")
        check(self.region >= 4, "slots", self.slots, f"must be at least 4 for each of {self.contexts} contexts")
        check(self.slots <= 4096, "slots", self.slots, "must be at most 4096")
        check(self.probe_limit <= self.slots, "probe_limit", self.probe_limit, f"must be at most slots = {self.slots}")
        check(2 <= self.cache_ways <= 8, "cache_ways", self.cache_ways, "must be 2..8")
        check(self.sets >= 2, "cache_lines", self.cache_lines, f"must be at least 2 sets of {self.cache_ways} blocks")
        check(self.block_lines * self.beat_bytes <= 1024, "block_lines", self.block_lines, "must be 1024 bytes at most")
        check(self.window >= 4, "window", self.window, "must be at least 4")
        check(self.ring >= 16, "ring", self.ring, "must be at least 16")
        check(self.bank_fifo >= 32, "bank_fifo", self.bank_fifo, "must be at least 32")
        check(self.outstanding >= 2, "outstanding", self.outstanding, "must be at least 2")
        check(2 <= self.in_flight <= self.outstanding, "in_flight", self.in_flight, f"must be 2..{self.outstanding}")
        check(self.beat_bytes <= 1 << self.miss_bit <= 1 << 20, "miss_bit", self.miss_bit,
              f"must be a bit of the address of {self.beat_bytes} bytes, at most 20")
        check(self.burst_beats * self.beat_bytes <= 4096, "burst_beats", self.burst_beats, "a burst must fit 4 KiB")

    @property
    def beat_bytes(self) -> int:
        """Bytes of a memory word, which is a line of B."""
        return self.axi_bits // 8

    @property
    def lanes(self) -> int:
        """Elements of a memory word: multiplications a cycle of a row engine."""
        return self.beat_bytes // self.element_bytes

    @property
    def value_bits(self) -> int:
        """Of a number."""
        return 64 if self.number_format == NUMBER_FORMATS["fp64"] else 32

    @property
    def element_bytes(self) -> int:
        """Of an element of B or C, {column, value}, and of an entry of A, in memory."""
        return self.value_bits // 4

    @property
    def numbers(self) -> str:
        """Key of `golden.spgemm.product.ARITHMETIC`."""
        return next(numbers for numbers, value in NUMBER_FORMATS.items() if value == self.number_format)

    @property
    def region(self) -> int:
        """Slots of a bank for a row that takes one context."""
        return self.slots // self.contexts

    @property
    def sets(self) -> int:
        """Of the cache: blocks with the same low address bits share `cache_ways` places."""
        return self.cache_lines // self.block_lines // self.cache_ways

    @property
    def capacity(self) -> int:
        """Elements of C that a row may have that takes all contexts, if its banks fill evenly."""
        return self.banks * self.slots
