"""What each card has.

Figures are the usual ones for the devices, not copied from a data sheet that we had at hand: AMD's DS963 (U280), DS962
(U200), UG1268 (VCU1525) and its tables of Versal HBM devices decide. None: known to us from nowhere that we would cite.
"""

from dataclasses import dataclass

__all__ = ["CARDS", "FLOWS", "RESOURCES", "Card", "Memory"]

FLOWS = ("vivado", "vitis")
"""Of `lacuna package`."""

RESOURCES: tuple[str, ...] = ("lut", "ff", "bram36", "uram", "dsp")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Memory of one kind.

    Attributes:
        kind: as Vitis names it in connectivity: HBM or DDR; LPDDR is not used.
        channels: pseudo-channels of HBM, banks of DDR. channel_bytes: of each. gbps: peak of each, GB/s.
    """

    kind: str
    channels: int
    channel_bytes: int
    gbps: float


@dataclass(frozen=True, kw_only=True)
class Card:
    """A card or evaluation board.

    Attributes:
        title, part: AMD's names. versal: its device is a Versal, whose DSP58 takes DSP48E2 instances.
        slrs: dies. lut, ff, bram36, uram, dsp: of the whole device.
        memories: the first one is what engines use. platform: Vitis platform that links kernels; None: no such flow.
    """

    title: str
    part: str
    versal: bool = False
    slrs: int | None
    lut: int | None
    ff: int | None
    bram36: int | None
    uram: int | None
    dsp: int
    memories: tuple[Memory, ...]
    platform: str | None = None

    @property
    def available(self) -> dict[str, int | None]:
        """Of each of RESOURCES."""
        return {name: getattr(self, name) for name in RESOURCES}


MIB, GIB = 1 << 20, 1 << 30
_VU9P = {"slrs": 3, "lut": 1_182_240, "ff": 2_364_480, "bram36": 2_160, "uram": 960, "dsp": 6_840,
         "memories": (Memory(kind="DDR", channels=4, channel_bytes=16 * GIB, gbps=19.2),)}

CARDS = {
    "u280": Card(
        title="Alveo U280", part="xcu280-fsvh2892-2L-e", slrs=3, lut=1_303_680, ff=2_607_360, bram36=2_016, uram=960,
        dsp=9_024, platform="xilinx_u280_gen3x16_xdma_1_202211_1", memories=(
            Memory(kind="HBM", channels=32, channel_bytes=256 * MIB, gbps=14.4),
            Memory(kind="DDR", channels=2, channel_bytes=16 * GIB, gbps=19.2))),
    "u200": Card(title="Alveo U200", part="xcu200-fsgd2104-2-e", platform="xilinx_u200_gen3x16_xdma_2_202110_1",
                 **_VU9P),
    "vcu1525": Card(title="VCU1525", part="xcvu9p-fsgd2104-2L-e", platform="xilinx_vcu1525_xdma_201830_1", **_VU9P),
    "vhk158": Card(
        title="VHK158", part="xcvh1582-vsva3697-2MP-e-S", versal=True, slrs=None, lut=None, ff=None, bram36=None,
        uram=None, dsp=7_392, memories=(Memory(kind="HBM", channels=32, channel_bytes=GIB, gbps=25.6),)),
    "v80": Card(
        title="Alveo V80", part="xcv80-lsva4737-2MHP-e-S", versal=True, slrs=None, lut=None, ff=None, bram36=None,
        uram=None, dsp=10_848, memories=(Memory(kind="HBM", channels=32, channel_bytes=GIB, gbps=25.6),)),
}  # fmt: skip
"""By the names of `--board`."""
