"""What does not fit half of a buffer."""

from dataclasses import replace

import pytest

from bench.train_products import program
from compiler.capacity import DoesNotFitError
from compiler.train.convolution import Convolution
from golden.isa.train import ISA, QUEUES
from golden.train.params import TrainParams

PARAMS = TrainParams(rows=16, columns=4, x_words=1024, w_steps=4096)
CONV = Convolution(height=4, width=4, inputs=32, outputs=96, kernel=3, padding=1)  # 2,304 steps a tile, if dense


def waits(pattern):
    """Whether each LDW of the three tiles waits for the array."""
    decoded = [ISA.decode(word) for word in program("FF", pattern, PARAMS, CONV, 1).instructions]
    return [fields["wait"] >> QUEUES.index("MM") & 1 for fmt, fields in decoded if fmt.name == "LDW"]


def test_weights_that_half_of_w_does_not_hold_take_all_of_it_and_wait_for_the_array():
    assert waits((16, 16)) == [0, 1, 1]
    assert waits((2, 16)) == [0, 0, 0, 0, 1, 0]  # indices, values; the third tile's half is free after the first


def test_weights_that_w_does_not_hold_are_refused():
    with pytest.raises(DoesNotFitError, match="w_steps"):
        program("FF", (16, 16), replace(PARAMS, w_steps=2048), CONV, 1)
