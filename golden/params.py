"""Engine parameters: the one place that holds sizes. Frozen; an illegal value is a ValueError naming the rule."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Self

__all__ = ["BLOCK", "EngineParams", "LlmParams", "check", "power_of_two"]

BLOCK = 16
"""M of N:M: inputs a sparse MUX chooses from, DSPs of a chain, rows of a block with one N."""


def check(ok: bool, name: str, value: object, rule: str) -> None:
    """Raises ValueError naming parameter, value and rule unless `ok`."""
    if not ok:
        raise ValueError(f"{name} = {value!r}: {rule}")


def power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@dataclass(frozen=True, kw_only=True)
class EngineParams:
    """What all engines' parameters have: positive integers, and the dictionary that a manifest holds."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            check(type(value) is int and value > 0, field.name, value, "must be a positive integer")

    def to_dict(self) -> dict[str, int]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Raises ValueError for an unknown name or an illegal value."""
        known = [field.name for field in fields(cls)]
        for key, value in values.items():
            check(key in known, key, value, f"unknown parameter; there are {', '.join(known)}")
        return cls(**values)

    def derived(self) -> dict[str, int]:
        """What follows from the parameters, by name."""
        return {name: getattr(self, name) for name, value in vars(type(self)).items() if isinstance(value, property)}


@dataclass(frozen=True, kw_only=True)
class LlmParams(EngineParams):
    """One computing core of the LLM engine.

    Attributes:
        channels: weight memory channels (AXI4 ports), besides the one for vectors and instructions.
        axi_bits: data width of every AXI4 port.
        lane_words: memory words of a channel that its lanes take in a cycle: with 2 the array is faster than memory and
            catches up after it had to wait.
        planes: 16-bit planes a lane takes in a cycle; a chain's lane is `16 * planes` bits wide.
        ksplit: columns that share the inputs of a product; a column's chains take the same inputs, different rows.
        mpu_vpus: VPUs of an MPU: chains that share their weights in MM, which multiplies twice as many vectors.
        acc_depth: output rows of a lane in a tile.
        sfu_lanes: binary32 elements the vector unit handles a cycle.
        vmem_rows: rows of `sfu_lanes` elements in the global buffer.
        xbuf_blocks: blocks of 16 INT8 inputs a column's activation buffer holds, of every vector that MM multiplies.
        imem_words: instructions that the on-chip store holds.
        queue_depth: instructions that wait in a queue.
        fifo_depth: lane words that each lane buffers: how far lanes may lie apart.
        buffer_words: memory words that each weight channel buffers: how far loads run ahead of the array.
        burst_beats: longest AXI4 burst.
        outstanding: bursts in flight on a weight channel.
    """

    channels: int = 1
    axi_bits: int = 256
    lane_words: int = 1
    planes: int = 2
    ksplit: int = 2
    mpu_vpus: int = 1
    acc_depth: int = 64
    sfu_lanes: int = 4
    vmem_rows: int = 2048
    xbuf_blocks: int = 64
    imem_words: int = 2048
    queue_depth: int = 16
    fifo_depth: int = 32
    buffer_words: int = 64
    burst_beats: int = 16
    outstanding: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.axi_bits in (256, 512), "axi_bits", self.axi_bits, "must be 256 or 512")
        check(self.lane_words in (1, 2), "lane_words", self.lane_words, "must be 1 or 2")
        check(self.planes in (1, 2, 4), "planes", self.planes, "must be 1, 2 or 4")
        check(power_of_two(self.channels), "channels", self.channels, "must be a power of two")
        check(power_of_two(self.ksplit), "ksplit", self.ksplit, "must be a power of two")
        check(self.sfu_lanes in (4, 8, 16), "sfu_lanes", self.sfu_lanes, "must be 4, 8 or 16")
        check(self.sfu_lanes * 32 <= self.axi_bits, "sfu_lanes", self.sfu_lanes, "must fit a memory word")
        check(
            self.row_groups >= self.sfu_lanes and self.chains % self.ksplit == 0,
            "ksplit",
            self.ksplit,
            f"must leave at least sfu_lanes = {self.sfu_lanes} row groups of the {self.chains} chains",
        )
        check(self.mpu_vpus in (1, 2, 4, 8), "mpu_vpus", self.mpu_vpus, "must be 1, 2, 4 or 8")
        check(
            self.mpus >= self.sfu_lanes,
            "mpu_vpus",
            self.mpu_vpus,
            f"must leave at least sfu_lanes = {self.sfu_lanes} MPUs of the {self.row_groups} row groups",
        )
        for name in ("acc_depth", "vmem_rows", "xbuf_blocks", "imem_words", "queue_depth", "fifo_depth", "buffer_words",
                     "burst_beats"):
            value = getattr(self, name)
            check(power_of_two(value) and value > 1, name, value, "must be a power of two, at least 2")
        check(self.fifo_depth >= 32, "fifo_depth", self.fifo_depth, "must be at least 32")
        check(4 <= self.acc_depth <= 64, "acc_depth", self.acc_depth, "must be 4..64")
        check(
            self.vpu_rows <= 64,
            "acc_depth",
            self.acc_depth,
            f"a VPU holds at most 64 rows, acc_depth of each of the mpu_vpus = {self.mpu_vpus} lanes",
        )
        check(self.buffer_words > self.lane_words, "buffer_words", self.buffer_words, "must be more than lane_words")
        check(2 <= self.burst_beats <= self.buffer_words, "burst_beats", self.burst_beats, "must be 2..buffer_words")
        check(
            self.burst_beats * self.axi_bits // 8 <= 4096,
            "burst_beats",
            self.burst_beats,
            "a burst must fit 4 KiB",
        )

    @property
    def chains(self) -> int:
        return self.channels * self.lanes_per_channel

    @property
    def row_groups(self) -> int:
        """Chains with different rows; chain `column * row_groups + group`."""
        return self.chains // self.ksplit

    @property
    def mpus(self) -> int:
        """MPUs of a column; lane l of MPU m is row group `l * mpus + m`."""
        return self.row_groups // self.mpu_vpus

    @property
    def tokens(self) -> int:
        """Vectors that MM multiplies at once: two a VPU."""
        return 2 * self.mpu_vpus

    @property
    def vpu_rows(self) -> int:
        """Rows whose sums a VPU holds, of each of two vectors."""
        return self.acc_depth * self.mpu_vpus

    @property
    def noted_blocks(self) -> int:
        """Blocks whose largest exponents the quantiser keeps: of two vectors that fill the activation buffers."""
        return 2 * self.xbuf_blocks * self.ksplit

    @property
    def lane_bits(self) -> int:
        return BLOCK * self.planes

    @property
    def lanes_per_channel(self) -> int:
        return self.lane_words * self.lanes_per_beat

    @property
    def lanes_per_beat(self) -> int:
        """Lanes that share a memory word."""
        return self.axi_bits // self.lane_bits

    @property
    def beat_bytes(self) -> int:
        """Bytes of a memory word."""
        return self.axi_bits // 8

    @property
    def word_bytes(self) -> int:
        """Bytes of a lane word: what a channel's lanes take in a cycle."""
        return self.lane_words * self.beat_bytes

    @property
    def dsps(self) -> int:
        return self.chains * BLOCK
