"""A step of training of a whole network as one program."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from compiler.program import Program
from golden.isa.train import ISA
from golden.params import check
from golden.train.matrix import MatrixUnit
from golden.train.model import Model
from golden.train.network import Conv2d, Linear, Network, padded_channels
from golden.train.params import TrainParams
from golden.train.sparsity import weighted
from golden.train.update import Rule

from .chain import Chain
from .learning import convolution_of
from .loss import CrossEntropy
from .products import part_images
from .tensors import Builder, Held, filled

__all__ = ["NetworkProgram", "network_parts"]


def network_parts(params: TrainParams, network: Network, images: int) -> dict[str, int]:
    """Layers whose gradient of weights is made in parts of a batch, and images of a part: `part_images` of
    `golden.train.model.Model`."""
    parts, first = {}, network.placed[0]
    for placed in weighted(network):
        words = _image_words(params, network) if placed is first else filled(placed.before[2], params) // params.word
        at_once = part_images(params, convolution_of(params, placed, words), images)
        if at_once < images:
            parts[placed.name] = at_once
    return parts


def _image_words(params: TrainParams, network: Network) -> int:
    """Words of a pixel of the images: those of a first layer whose dX is not made need not fill a tile."""
    alone = isinstance(network.placed[0].layer, Conv2d | Linear)
    channels = padded_channels(network.shape[2]) if alone else filled(network.shape[2], params)
    return -(-channels // params.word)


class NetworkProgram:
    """Forward pass, loss, backward pass and updates of a model as it is, for a number of images; the same program does
    each step.

    Attributes:
        instructions: words, with HALT at the end. images: of a batch, in memory.
        loss: where labels are and what is found.

    Raises:
        UnsupportedNetworkError: a layer or method that the engine does not do.
        ValueError: gradients of weights of other parts than `network_parts`, or another optimiser than the engine's.
        DoesNotFitError: what the engine has too little of.
    """

    def __init__(self, params: TrainParams, model: Model, images: int) -> None:
        self.params, self.model = params, model
        check(params.optimiser_name == model.rule.KIND, "optimiser", model.rule.KIND,
              f"must be the engine's, {params.optimiser_name}")
        network, most = model.network, max(max(placed.before[2], placed.after[2]) for placed in model.network.walk())
        build = Builder(params, images, filled(most, params) // params.word, model.sparsity.decay > 0)
        self.images = build.tensor(network.shape, _image_words(params, network))
        self.chain = Chain(build, model.chain.operations, False)
        self.logits = self.chain.forward(self.images)
        self.loss = CrossEntropy(build, self.logits, network.classes)
        self.chain.backward(self.loss.emit(), False)
        self.memory, self.instructions = build.memory, build.emitter.words()
        self.kinds = build.products.kinds

    @cached_property
    def program(self) -> Program:
        """With weights, states of the optimiser and running statistics in its memory, which may be large."""
        program = self.memory.program(self.instructions)
        program.manifest["step"] = self._places(self.images.images)
        return program

    def _places(self, images: int) -> dict[str, Any]:
        """For whoever runs the program: bytes in memory of what goes in and out, names of the arguments."""
        at = {"images": self.images.at, "labels": self.loss.labels, "found": self.loss.found, "logits": self.logits.at}
        return {"batch": images, "at": {name: self._byte(word) for name, word in at.items()},
                "held": {held.name: self._byte(held.at) for held in self.chain.held()},
                "arguments": list(self.params.arguments)}

    def batch(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, bytes]]:
        """(byte in memory, what belongs there) of a batch, numbers [images, lines, pixels, channels] and labels."""
        bits = self.model.images(images)
        more = self.images.words * self.params.word - bits.shape[-1]
        yield self._byte(self.images.at), np.pad(bits, (*[(0, 0)] * 3, (0, more))).tobytes()
        yield self._byte(self.loss.labels), self.loss.hot(labels).tobytes()

    def arguments(self, rule: Rule, loss_scale: float) -> tuple[int, ...]:
        """Of a run that takes this step: `TrainParams.arguments`."""
        return rule.arguments(share=loss_scale / self.images.images)

    def steps(self) -> dict[str, int]:
        """Cycles in which the array multiplies, for ff, bp and wu."""
        unit, total = MatrixUnit(self.params), {"ff": 0, "bp": 0, "wu": 0}
        for place, kind in self.kinds:
            total[kind] += unit.steps(ISA.decode(self.instructions[place])[1])
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
