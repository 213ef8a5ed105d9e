"""How a run ends, on every engine."""

__all__ = ["ERROR_CODES", "HALTED", "ExecutionError"]

HALTED = 0x100
"""Status of a run that ends well: HALTED + its code."""
ERROR_CODES = {"illegal": 1, "descriptor": 2, "axi_read": 3, "axi_write": 4, "token": 5, "program_size": 6,
               "timeout": 7, "overflow": 8}
"""Status of a run that is aborted. illegal: an instruction. descriptor: data that describe data. token: too many of one
kind. program_size: the program is too long, or ends without HALT. timeout: nothing has happened for long. overflow: a
table of the scratchpad."""


class ExecutionError(RuntimeError):
    """The program does something that the engine does not allow; the message names the instruction.

    Attributes:
        status: key of ERROR_CODES.
    """

    def __init__(self, message: str, status: str = "illegal") -> None:
        super().__init__(message)
        self.status = status
