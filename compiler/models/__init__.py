"""Models that come with the compiler; docs/models.md says how they were made."""

from pathlib import Path

TINY = Path(__file__).parent / "tiny"  # Hugging Face folder of the 8:16 sparse model of 357,600 parameters
