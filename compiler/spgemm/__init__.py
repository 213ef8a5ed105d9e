"""SpGEMM: products of sparse matrices as programs for the engine."""

from .plan import Plan, plan_product
from .product import NUMBERS, UnsuitableValuesError, compulsory_bytes, is_scipys, stored, to_scipy

__all__ = [
    "NUMBERS", "Plan", "UnsuitableValuesError", "compulsory_bytes", "is_scipys", "plan_product", "stored", "to_scipy",
]
