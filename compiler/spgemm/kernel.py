"""Kernels: the ways in which the engine can work, chosen at run time."""

from dataclasses import dataclass

from golden.isa.spgemm import Hash

__all__ = ["KERNELS", "OURS", "V1", "V2", "V3", "Kernel"]


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """What SET and the CHUNKs of a program say.

    Attributes:
        hash_by: how slots are chosen. fixed: every row engine gets one chunk of as many rows; else the next idle one.
        scan, apart, uncached: see SET.
    """

    hash_by: Hash = Hash.MULTIPLICATIVE
    fixed: bool = False
    scan: bool = False
    apart: bool = False
    uncached: bool = False


V1 = Kernel(hash_by=Hash.HIGH, fixed=True, scan=True, apart=True, uncached=True)
"""SMASH's first kernel as public texts describe it: static windows in phases, the table itself is written out."""
V2 = Kernel(hash_by=Hash.LOW, scan=True, apart=True, uncached=True)
"""Its second one: work is dealt, low bits choose the slot."""
V3 = Kernel(hash_by=Hash.LOW, uncached=True)
"""Its third one: offsets into dense arrays, which are written while the next rows are hashed."""
OURS = Kernel()
KERNELS = {"v1": V1, "v2": V2, "v3": V3, "ours": OURS}
