"""Functions in a process of their own: results, errors, a process that dies."""

import math
import os
import time

import pytest

from sim.beside import Beside, BesideError


def test_the_result_comes_back():
    assert Beside(math.factorial, 20).result() == math.factorial(20)


def test_an_error_names_the_function_and_what_was_wrong():
    with pytest.raises(BesideError, match="factorial: ValueError: "):
        Beside(math.factorial, -1).result()


def test_a_killed_process_is_an_error():
    with pytest.raises(BesideError, match="_exit: its process was killed"):
        Beside(os._exit, 0).result()


def test_join_waits_and_raises_nothing():
    start = time.monotonic()
    Beside(time.sleep, 0.3).join()
    assert time.monotonic() - start > 0.3
    Beside(math.factorial, -1).join()
