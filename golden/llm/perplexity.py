"""Perplexity of a text under the engine's arithmetic, its windows spread over processes."""

import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from .score import Scorer

__all__ = ["cut", "losses"]

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")

_own: list[Scorer] = []
"""A worker process's scorer."""


def cut(tokens: Sequence[int], window: int, predicted: int | None = None) -> list[list[int]]:
    """Whole windows of a text, as `compiler.frontend.reference.mean_loss` cuts them: each predicts all but its first
    token, from an empty context.

    Args:
        predicted: how many tokens to predict, the last window ending early; default: all of the whole windows.

    Raises:
        ValueError: not one whole window, or fewer predictions than asked for.
    """
    if not 2 <= window <= len(tokens):
        raise ValueError(f"window must be 2 to {len(tokens)} (the tokens of the text), got {window}")
    count = len(tokens) // window
    available = count * (window - 1)
    left = available if predicted is None else predicted
    if not 1 <= left <= available:
        raise ValueError(f"{left} tokens cannot be predicted: whole windows of {window} hold {available}")
    windows = []
    for first in range(0, count * window, window):
        windows.append(list(tokens[first : first + min(window, left + 1)]))
        left -= len(windows[-1]) - 1
        if not left:
            break
    return windows


def losses(scorer: Scorer, windows: Sequence[Sequence[int]], workers: int | None = None) -> Iterator[float]:
    """`scorer.loss` of every window, in order, as soon as it is there.

    Every worker is a process whose BLAS has one thread: attention's many small products are far slower in a BLAS that
    spreads each of them over cores that others use too. (A script that calls this needs `if __name__ == "__main__"`.)

    Args:
        workers: processes; default: as many as this process may use cores.

    Raises:
        ValueError: a window is too long, too short or holds an unknown token; see `Scorer.loss`.
    """
    count = min(workers or len(os.sched_getaffinity(0)), len(windows))
    pool = ProcessPoolExecutor(count, get_context("spawn"), _start, (scorer,))
    try:
        with _single_threaded_blas():
            results = pool.map(_loss, windows)
        yield from results
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _single_threaded_blas() -> Iterator[None]:
    """For processes that start meanwhile: BLAS reads the environment when it is loaded."""
    before = {name: os.environ.get(name) for name in BLAS_THREADS}
    os.environ.update(dict.fromkeys(BLAS_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _start(scorer: Scorer) -> None:
    """Begin a worker's life; an interrupt ends it without a word."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _own.append(scorer)


def _loss(tokens: Sequence[int]) -> float:
    return _own[0].loss(tokens)
