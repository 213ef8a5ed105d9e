"""What all golden executors share."""

__all__ = ["ExecutionError"]


class ExecutionError(RuntimeError):
    """The program does something that the engine does not allow; the message names the instruction."""
