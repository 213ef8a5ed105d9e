"""Compiler of the LLM engine."""

from .lower import compile_model

__all__ = ["compile_model"]
