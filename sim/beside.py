"""A function in a process of its own, while this one goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

__all__ = ["Beside", "BesideError"]


class BesideError(RuntimeError):
    """The function raised, or its process was killed; the message says what is known."""


class Beside:
    """`function(*arguments)`, importable by name, started at once. Ends when this process exits."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = function.__name__
        self.receiver, sender = context.Pipe(duplex=False)
        self.process = context.Process(target=_answer, args=(sender, function, arguments), daemon=True)
        self.process.start()
        sender.close()

    def result(self) -> Any:
        """What the function returns, once it does; to be called once.

        Raises:
            BesideError: it did not return.
        """
        try:
            ok, value = self.receiver.recv()
        except EOFError:
            ok, value = False, "its process was killed"
        self.process.join()
        if not ok:
            raise BesideError(f"{self.name}: {value}")
        return value

    def join(self) -> None:
        """Wait until it has ended, whatever came of it."""
        while self.process.is_alive() and not self.receiver.poll(1):
            pass


def _answer(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to both; the parent decides
    try:
        answer = True, function(*arguments)
    except Exception as error:
        answer = False, f"{type(error).__name__}: {error}"
    with contextlib.suppress(BrokenPipeError):  # killed meanwhile: nobody wants it
        sender.send(answer)
