"""SpGEMM: products of sparse matrices as programs for the engine."""

from .kernel import KERNELS, OURS, Kernel
from .plan import Plan, plan_product
from .product import NUMBERS, UnsuitableValuesError, compulsory_bytes, is_scipys, stored, to_scipy

__all__ = [
    "KERNELS", "NUMBERS", "OURS", "Kernel", "Plan", "UnsuitableValuesError", "compulsory_bytes", "is_scipys",
    "plan_product", "stored", "to_scipy",
]
