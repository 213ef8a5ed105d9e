"""Parameters of the training engine."""

from dataclasses import dataclass

from golden.float16 import HALVES, Half
from golden.isa.train import ARGUMENTS
from golden.params import EngineParams, check, power_of_two

from .update import RULES

__all__ = ["GROUP", "INTERLEAVE", "LONGEST", "NUMBER_FORMATS", "OPTIMISERS", "PARTIALS", "PATTERNS", "PIXEL_BITS",
           "TrainParams", "slots"]

GROUP = 16
"""k's of a group; see docs/units/train.md."""
INTERLEAVE = 8
"""Sums of a USPE: stages of its adder."""
PATTERNS = ((1, 2), (2, 4), (1, 4), (2, 8), (4, 8), (1, 8), (2, 16))
"""N:M that weights may have."""
LONGEST = max(n for n, _ in PATTERNS)
"""Numbers that a lane of the SORE keeps of a group."""
PARTIALS = 8
"""Partial sums of a channel in the vector unit: stages of its adder."""
PIXEL_BITS = 24
"""Of the number of pixels of a vector pass."""
NUMBER_FORMATS = {"binary16": 1, "bfloat16": 2}
"""`TrainParams.number_format` by key of `golden.float16.HALVES`."""
OPTIMISERS = {"sgd": 1, "adam": 2}
"""`TrainParams.optimiser` by key of `golden.train.update.RULES`."""


def slots(n: int, m: int) -> int:
    """Slots of 16 k's under N:M; raises ValueError for another pattern than PATTERNS or dense, 16:16."""
    check((n, m) in PATTERNS or n == m == GROUP, "N:M", f"{n}:{m}",
          f"must be one of {', '.join(f'{n}:{m}' for n, m in PATTERNS)}, or 16:16")
    return GROUP * n // m


@dataclass(frozen=True, kw_only=True)
class TrainParams(EngineParams):
    """An array of USPEs and what feeds it.

    Attributes:
        rows, columns: of the STCE.
        axi_bits: data width of the AXI4 ports.
        number_format: 1: binary16 operands; 2: bfloat16.
        optimiser: what the WUVE does. 1: stochastic gradient descent with momentum; 2: Adam.
        x_words: memory words that the X buffer holds. w_steps: steps whose weights the W buffer holds.
        queue_depth: instructions that wait in a queue.
        burst_beats: longest AXI4 burst. outstanding: bursts in flight on a port.
        update_lanes: weights that the WUVE takes a cycle.
        channel_words: words of channels, `word` channels each, of which the vector unit holds constants, sums and
            windows' largest numbers.
        channel_rows: rows of `word` binary32 numbers in the channel file.
    """

    rows: int = 16
    columns: int = 4
    axi_bits: int = 256
    number_format: int = 1
    optimiser: int = 1
    x_words: int = 4096
    w_steps: int = 16384
    queue_depth: int = 16
    burst_beats: int = 16
    outstanding: int = 8
    update_lanes: int = 4
    channel_words: int = 64
    channel_rows: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.axi_bits in (256, 512), "axi_bits", self.axi_bits, "must be 256 or 512")
        check(self.number_format in NUMBER_FORMATS.values(), "number_format", self.number_format,
              "must be 1 (binary16) or 2 (bfloat16)")
        check(self.optimiser in OPTIMISERS.values(), "optimiser", self.optimiser, "must be 1 (sgd) or 2 (adam)")
        for name in ("rows", "columns", "x_words", "w_steps", "queue_depth", "burst_beats", "outstanding",
                     "update_lanes", "channel_words", "channel_rows"):
            check(power_of_two(getattr(self, name)), name, getattr(self, name), "must be a power of two")
        check(self.word <= self.rows <= INTERLEAVE * self.word, "rows", self.rows,
              f"must be {self.word}..{INTERLEAVE * self.word}: 1 to {INTERLEAVE} for each number of a memory word")
        check(self.word <= INTERLEAVE * self.columns <= INTERLEAVE * self.word, "columns", self.columns,
              f"must be {self.word // INTERLEAVE}..{self.word}: a row of a tile fills memory words, a step at most one")
        for name in ("x_words", "w_steps"):
            check(256 <= getattr(self, name) <= 65536, name, getattr(self, name), "must be 256..65536")
        check(self.queue_depth >= 2, "queue_depth", self.queue_depth, "must be at least 2")
        check(self.burst_beats * self.axi_bits // 8 <= 4096, "burst_beats", self.burst_beats, "a burst must fit 4 KiB")
        check(self.update_lanes <= self.word // 2, "update_lanes", self.update_lanes,
              f"must be at most {self.word // 2}: binary32 numbers of a memory word")
        check(2 <= self.channel_words <= 128, "channel_words", self.channel_words, "must be 2..128")
        check(32 <= self.channel_rows <= 4096, "channel_rows", self.channel_rows, "must be 32..4096")

    @property
    def word(self) -> int:
        """16-bit numbers of a memory word."""
        return self.axi_bits // 16

    @property
    def steps_of_word(self) -> dict[str, int]:
        """Steps whose values, or indices, a memory word has."""
        return {"values": self.word // self.columns, "index": 4 * self.word // self.columns}

    @property
    def block_words(self) -> int:
        """Memory words of 16 x 16 weights in binary32."""
        return 2 * GROUP * GROUP // self.word

    @property
    def format_name(self) -> str:
        """Key of `golden.float16.HALVES`."""
        return next(name for name, value in NUMBER_FORMATS.items() if value == self.number_format)

    @property
    def half(self) -> Half:
        """The format of operands."""
        return HALVES[self.format_name]

    @property
    def optimiser_name(self) -> str:
        """Key of `golden.train.update.RULES`."""
        return next(name for name, value in OPTIMISERS.items() if value == self.optimiser)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of a run's arguments, from argument 1 on."""
        return ARGUMENTS[self.optimiser_name]

    @property
    def settings(self) -> tuple[str, ...]:
        """Those of them that updates take."""
        return RULES[self.optimiser_name].settings()

    @property
    def masters(self) -> tuple[str, ...]:
        """What there is of each weight in binary32, in memory words in turns: itself and the optimiser's states."""
        return "w", *RULES[self.optimiser_name].STATES

    @property
    def tile_columns(self) -> int:
        """Columns of a tile: sums that a row of USPEs makes."""
        return INTERLEAVE * self.columns
