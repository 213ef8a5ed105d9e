"""Timing models of the memory behind an engine's AXI ports: the constants, and `measure` to try them without RTL.

    TimingModel.hbm2(clock_mhz=225)       one U280 HBM2 pseudo-channel
    TimingModel.ddr4(clock_mhz=300)       one DDR4-2400 channel
    TimingModel.ideal(), .random(seed=3)  fixed latency; stress
    TimingModel.named("hbm2")             the same by name

Sources: [S] Wang et al., "Shuhai: Benchmarking High Bandwidth Memory on FPGAs", FCCM'20: latency at the AXI port, idle
channel: HBM2 106.7 / 122.2 / 137.8 ns for row hit / closed row / row miss, DDR4-2400 73.3 / 89.9 / 106.6 ns; default
address mappings; best streaming 425 of 460 GB/s (HBM2, 32 channels) and 36 of 38.4 GB/s (DDR4, 2 channels). Of these
only the 425 GB/s was checked against the published text; the rest was entered from memory of the paper: check before
quoting. [J] the class of values in the JEDEC standards (JESD235, JESD79-4) and vendors' data sheets for this speed, not
copied from one part's data sheet. [A] assumption.
"""

import ctypes
import dataclasses
from dataclasses import dataclass

HBM2_CHANNEL_BYTES = 256 << 20  # 8 GB in 32 pseudo-channels
KERNEL_CLOCK_MHZ = 225.0  # 64 B a cycle are then 14.4 GB/s, a pseudo-channel's peak

KINDS = ("ideal", "random", "dram")


@dataclass(frozen=True)
class TimingModel:
    """`lacuna::Timing` of sim/memory.h: the same fields in the same order; times in ns unless named otherwise."""

    kind: str
    clock_ns: float = 1000.0 / KERNEL_CLOCK_MHZ
    seed: int = 1
    read_bursts: int = 64  # [A] bursts accepted before arready falls
    write_bursts: int = 32  # [A]
    latency_cycles: int = 8
    stall: float = 0.0
    atom_bytes: int = 64
    atom_ns: float = 0.0
    group_low_shift: int = 6
    group_low_bits: int = 0
    bank_shift: int = 6
    bank_bits: int = 0
    group_high_shift: int = 6
    group_high_bits: int = 0
    row_shift: int = 14
    read_latency: float = 0.0
    write_latency: float = 0.0
    rcd: float = 0.0
    rp: float = 0.0
    ras: float = 0.0
    rrd: float = 0.0
    faw: float = 0.0
    ccd_long: float = 0.0
    read_to_precharge: float = 0.0
    write_to_precharge: float = 0.0
    read_to_write: float = 0.0
    write_to_read: float = 0.0
    refresh_interval: float = 3900.0
    refresh: float = 0.0
    window: int = 1
    batch: int = 32

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} of a timing model: one of {', '.join(KINDS)}")
        if self.clock_ns <= 0:
            raise ValueError(f"clock_ns {self.clock_ns}: must be positive")
        if not 0 <= self.stall < 1:
            raise ValueError(f"stall {self.stall}: a probability below 1")
        for name in ("read_bursts", "write_bursts", "latency_cycles", "atom_bytes", "window", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: must be at least 1")

    @classmethod
    def ideal(cls, clock_mhz=KERNEL_CLOCK_MHZ, latency_cycles=8):
        """One beat a cycle after a fixed latency."""
        return cls("ideal", clock_ns=1000.0 / clock_mhz, latency_cycles=latency_cycles)

    @classmethod
    def random(cls, clock_mhz=KERNEL_CLOCK_MHZ, seed=1, latency_cycles=40, stall=0.3):
        """Random latency up to `latency_cycles`, every channel held back in a share `stall` of the cycles."""
        return cls("random", clock_ns=1000.0 / clock_mhz, seed=seed, latency_cycles=latency_cycles, stall=stall,
                   read_bursts=8, write_bursts=4)

    @classmethod
    def hbm2(cls, clock_mhz=KERNEL_CLOCK_MHZ):
        """A U280 HBM2 pseudo-channel: 64 bits at 1.8 Gb/s, 14.4 GB/s; 16 banks in 4 groups."""
        return cls(
            "dram", clock_ns=1000.0 / clock_mhz,
            atom_bytes=32, atom_ns=32 / 14.4,  # burst length 4 of 64 bits
            # [S] default mapping of address bits 27:5: 14 row, 1 group, 2 bank, 5 column, 1 group
            group_low_shift=5, group_low_bits=1, bank_shift=11, bank_bits=2, group_high_shift=13, group_high_bits=1,
            row_shift=14,
            read_latency=106.7 - 32 / 14.4,  # [S] row hit; the second half of a 64-byte beat is one column later
            rcd=15.5,  # [S] closed row minus row hit
            rp=15.6,  # [S] row miss minus closed row
            write_latency=60.0,  # [A] the controller answers early
            ras=33.0, rrd=4.0, faw=16.0,  # [J]
            ccd_long=4.4,  # [J] 4 periods of 900 MHz, rounded down so that alternating groups stream
            read_to_precharge=5.0, write_to_precharge=26.0,  # [J] tRTP; write latency + burst + tWR
            read_to_write=8.0, write_to_read=17.0,  # [J] turnaround of the bus; write latency + burst + tWTR
            refresh_interval=3900.0, refresh=260.0,  # [J] tREFI, tRFC of 4 Gb a channel
            window=16,  # [A] 8 beats of 64 bytes
            batch=32,  # [A]
        )

    @classmethod
    def ddr4(cls, clock_mhz=300.0):
        """A DDR4-2400 channel: 64 bits, 19.2 GB/s; 16 banks in 4 groups. 300 MHz at 64 B is its peak."""
        return cls(
            "dram", clock_ns=1000.0 / clock_mhz,
            atom_bytes=64, atom_ns=64 / 19.2,  # burst length 8
            # [S] default mapping of address bits 33:6: 17 row, 7 column, 2 bank, 2 group
            group_low_shift=6, group_low_bits=2, bank_shift=8, bank_bits=2, group_high_bits=0, row_shift=17,
            read_latency=73.3,  # [S] row hit
            rcd=16.6,  # [S] closed row minus row hit
            rp=16.7,  # [S] row miss minus closed row
            write_latency=45.0,  # [A]
            ras=32.0, rrd=4.9, faw=21.0, ccd_long=5.0,  # [J]
            read_to_precharge=7.5, write_to_precharge=28.0,  # [J]
            read_to_write=8.0, write_to_read=19.0,  # [J]
            refresh_interval=7800.0, refresh=350.0,  # [J] 8 Gb devices
            window=8,  # [A]
            batch=32,  # [A]
        )

    @classmethod
    def named(cls, name, clock_mhz=None, seed=1):
        """By name; a clock of None is the model's default."""
        clock = {} if clock_mhz is None else {"clock_mhz": clock_mhz}
        makers = {"ideal": cls.ideal, "hbm2": cls.hbm2, "ddr4": cls.ddr4}
        if name == "random":
            return cls.random(seed=seed, **clock)
        if name not in makers:
            raise ValueError(f"timing {name!r}: one of ideal, random, hbm2, ddr4")
        return makers[name](**clock)

    @property
    def peak_bytes_per_ns(self):
        """GB/s of the memory itself; 0 for the models without a limit."""
        return self.atom_bytes / self.atom_ns if self.kind == "dram" else 0.0

    def as_struct(self):
        """For C++."""
        values = [KINDS.index(self.kind), *(getattr(self, field.name) for field in dataclasses.fields(self)[1:])]
        return TimingStruct(*(float(value) for value in values))


class TimingStruct(ctypes.Structure):
    _fields_ = [(field.name, ctypes.c_double) for field in dataclasses.fields(TimingModel)]


COUNTERS = (
    "read_bursts", "read_beats", "write_bursts", "written_beats", "written_bytes", "read_stall_cycles",
    "read_wait_cycles", "address_wait_cycles", "write_wait_cycles", "response_wait_cycles", "read_errors",
    "write_errors", "hazards", "outstanding_reads", "outstanding_writes", "most_outstanding_reads",
    "most_outstanding_writes",
)


class CounterStruct(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in COUNTERS]

    def as_dict(self):
        return {name: getattr(self, name) for name in COUNTERS}


@dataclass(frozen=True)
class Measurement:
    cycles: int
    latency_cycles: int  # first address handshake to its first data or response
    bytes_per_ns: float  # = GB/s
    share: float  # of the memory's peak; of one beat a cycle for the models without one
    counters: dict


def measure(timing, *, bursts=20000, burst_beats=16, beat_bytes=64, outstanding=64, random=False, writes=0.0,
            span=HBM2_CHANNEL_BYTES, seed=1):
    """Drive a timing model with synthetic bursts, no RTL: sequential or random addresses, a share of writes."""
    from sim.build import build_memory_model

    if not 1 <= burst_beats * beat_bytes <= 4096 or not 1 <= burst_beats <= 256:
        raise ValueError(f"burst_beats {burst_beats} of {beat_bytes} bytes: at most 256 beats and 4,096 bytes")
    if 4096 % (burst_beats * beat_bytes):
        raise ValueError(f"burst_beats {burst_beats} of {beat_bytes} bytes: must divide 4,096, or bursts cross 4 KiB")
    library = ctypes.CDLL(str(build_memory_model()))
    library.lacuna_timing_bytes.restype = library.lacuna_counters_bytes.restype = ctypes.c_uint64
    check_layout(library)
    stream = library.lacuna_timing_stream
    number = ctypes.c_uint64
    stream.restype = number
    stream.argtypes = [ctypes.POINTER(TimingStruct), number, number, number, number, ctypes.c_int, ctypes.c_double,
                       number, number, ctypes.POINTER(number), ctypes.POINTER(CounterStruct)]
    latency, counters = number(0), CounterStruct()
    cycles = stream(ctypes.byref(timing.as_struct()), beat_bytes, bursts, burst_beats, outstanding, int(random), writes,
                    span, seed, ctypes.byref(latency), ctypes.byref(counters))
    if not cycles:
        raise RuntimeError("the synthetic master broke an AXI rule; see stderr")
    rate = bursts * burst_beats * beat_bytes / (cycles * timing.clock_ns)
    peak = timing.peak_bytes_per_ns or beat_bytes / timing.clock_ns
    return Measurement(cycles, latency.value, rate, rate / peak, counters.as_dict())


def check_layout(library):
    """The structs of Python and C++ must have the same size."""
    library.lacuna_timing_bytes.restype = library.lacuna_counters_bytes.restype = ctypes.c_uint64
    for name, struct in (("lacuna_timing_bytes", TimingStruct), ("lacuna_counters_bytes", CounterStruct)):
        if getattr(library, name)() != ctypes.sizeof(struct):
            raise RuntimeError(f"{struct.__name__} of sim/timing.py and sim/memory.h differ")
