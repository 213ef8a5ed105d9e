"""Data only: `compiler.models.TINY`."""
