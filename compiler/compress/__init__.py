"""Pruning and quantisation: a `Model` in, a smaller one out. NumPy only; docs/compression.md."""

from .layout import BlockLayout
from .network import compress
from .recipe import Recipe, RecipeError
from .text import built_in_text

__all__ = ["BlockLayout", "Recipe", "RecipeError", "built_in_text", "compress"]
