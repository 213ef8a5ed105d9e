"""SpGEMM: sparse times sparse, from and to `scipy.sparse`."""

from .product import NUMBERS, Report, UnsuitableValuesError, spgemm

__all__ = ["NUMBERS", "Report", "UnsuitableValuesError", "spgemm"]
