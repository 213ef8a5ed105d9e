"""SpGEMM: sparse times sparse, from and to `scipy.sparse`."""

from .product import NUMBERS, Report, spgemm

__all__ = ["NUMBERS", "Report", "spgemm"]
