"""Exit codes, and which exception means which."""

import sys

from cli.config import ConfigError

__all__ = ["EXIT_CODES", "UsageError", "exit_code", "kind"]

EXIT_CODES = {
    0: "ok",
    1: "mismatch",
    2: "usage or configuration",
    3: "unsupported model",
    4: "does not fit",
    5: "a tool is missing",
    6: "a tool or a run failed",
    70: "internal error",
    130: "interrupted",
    141: "closed pipe",
}

INTERNAL = 70


class UsageError(ValueError):
    """The command line asks for something that it cannot mean; the message says what."""


# Modules are looked up among the loaded ones: an exception whose module was never imported cannot have been raised.
_EXTERNAL = (
    ("compiler.frontend.model", "BadModelFileError", 2),
    ("compiler.frontend.matrix", "BadMatrixFileError", 2),
    ("compiler.frontend.model", "UnsupportedModelError", 3),
    ("compiler.spgemm.product", "UnsuitableValuesError", 2),
    ("compiler.packages", "MissingPackageError", 5),
    ("compiler.packages", "BadPackageFileError", 2),
    ("compiler.program", "BadProgramError", 2),
    ("golden.isa.formats", "IsaError", 2),
    ("compiler.capacity", "DoesNotFitError", 4),
    ("compiler.train.checkpoint", "BadCheckpointError", 2),
    ("compiler.train.data", "BadDataError", 2),
    ("golden.train.trainer", "DivergedError", 6),
    ("compiler.train.tensors", "UnsupportedNetworkError", 3),
    ("boards.package", "UnsupportedFlowError", 3),
    ("boards.synthesis", "SynthesisError", 6),
    ("boards.synthesis", "YosysMissingError", 5),
    ("boards.builds", "UnmappableError", 4),
    ("sim.build", "ToolMissingError", 5),
    ("sim.build", "ToolFailedError", 6),
    ("sim.device", "DeviceError", 6),
    ("sim.beside", "BesideError", 6),
)
_OWN = (
    (ConfigError, 2),
    (UsageError, 2),
    (KeyboardInterrupt, 130),
    (BrokenPipeError, 141),
    (ModuleNotFoundError, 5),
    (OSError, 2),
)


def exit_code(error: BaseException) -> int:
    """Exit code for an exception; 70 for one that no rule names, which is a fault of ours."""
    for module, name, code in _EXTERNAL:
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type) and isinstance(error, found):
            return code
    for found, code in _OWN:
        if isinstance(error, found):
            return code
    return INTERNAL


def kind(error: BaseException) -> str:
    """What `error` is called in JSON: the name of its class."""
    return type(error).__name__
