"""A step of training of a whole network as one program."""

from collections.abc import Iterator

import numpy as np

from golden.isa.train import ISA
from golden.train import layers
from golden.train.matrix import MatrixUnit
from golden.train.model import Model
from golden.train.network import Placed, padded_channels
from golden.train.params import TrainParams
from golden.train.update import Sgd

from .chain import Chain
from .loss import CrossEntropy
from .tensors import Builder, Held, filled

__all__ = ["NetworkProgram"]


class NetworkProgram:
    """Forward pass, loss, backward pass and updates of a model as it is, for a number of images; the same program does
    each step.

    Attributes:
        program: with weights, velocities and running statistics in its memory. images: of a batch, in memory.
        loss: where labels are and what is found.

    Raises:
        UnsupportedNetworkError: a layer or method that the engine does not do.
        DoesNotFitError: what the engine has too little of.
    """

    def __init__(self, params: TrainParams, model: Model, images: int) -> None:
        self.params, self.model = params, model
        network, most = model.network, max(shape[2] for placed in model.network.walk() for shape in _shapes(placed))
        build = Builder(params, images, filled(most, params) // params.word)
        alone = isinstance(model.chain.operations[0], layers.Matrix)  # its dX is not made: groups of 16 suffice
        channels = padded_channels(network.shape[2])
        words = -(-(channels if alone else filled(channels, params)) // params.word)
        self.images = build.tensor(network.shape, words)
        self.chain = Chain(build, model.chain.operations)
        self.logits = self.chain.forward(self.images, False)
        self.loss = CrossEntropy(build, self.logits, network.classes)
        self.chain.backward(self.loss.emit(), False)
        self.program = build.memory.program(build.emitter.words())
        self.kinds = build.products.kinds

    def batch(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, bytes]]:
        """(byte in memory, what belongs there) of a batch, numbers [images, lines, pixels, channels] and labels."""
        bits = self.model.images(images)
        more = self.images.words * self.params.word - bits.shape[-1]
        yield self._byte(self.images.at), np.pad(bits, (*[(0, 0)] * 3, (0, more))).tobytes()
        yield self._byte(self.loss.labels), self.loss.hot(labels).tobytes()

    def arguments(self, sgd: Sgd, loss_scale: float) -> tuple[int, ...]:
        """Of a run: `golden.isa.train.ARGUMENTS`."""
        share = np.float32(loss_scale / self.images.images)
        return (*sgd.registers().values(), int(share.view(np.uint32)))

    def steps(self) -> dict[str, int]:
        """Cycles in which the array multiplies, for ff, bp and wu."""
        unit, total = MatrixUnit(self.params), {"ff": 0, "bp": 0, "wu": 0}
        for place, kind in self.kinds:
            total[kind] += unit.steps(ISA.decode(self.program.instructions[place])[1])
        return total

    def found(self, read, labels: np.ndarray) -> float:
        """Loss of a step that was run; `read` gives count bytes from a byte of memory on."""
        found = np.frombuffer(read(self._byte(self.loss.found), self._byte(4 * self.loss.groups)), np.float32)
        size = self.logits.images * self.logits.words
        logits = np.frombuffer(read(self._byte(self.logits.at), self._byte(size)), np.uint16)
        return self.loss.value(found, logits.reshape(self.logits.images, -1), labels)

    def differing(self, read) -> str | None:
        """Name of the first of what stays in memory that differs from the model's, bit for bit; None: nothing."""
        for held in self.chain.held():
            if read(self._byte(held.at), held.numbers.nbytes) != held.numbers.tobytes():
                return held.name
        return None

    def held(self) -> Iterator[Held]:
        """What stays in memory from step to step, as the model has it."""
        return self.chain.held()

    def _byte(self, word: int) -> int:
        return word * self.params.axi_bits // 8


def _shapes(placed: Placed):
    return placed.before, placed.after
