"""Networks of the literature, for benchmarks."""

from .network import BatchNorm, Conv2d, GlobalAvgPool, Layer, Linear, MaxPool, Network, ReLU, Residual, Shape

__all__ = ["NETWORKS", "resnet9", "vgg"]


def resnet9(width: int, shape: Shape, classes: int) -> Network:
    """ResNet-9: eight 3 x 3 convolutions of `width` to 8 `width` channels, each with batch norm and ReLU, two residual
    blocks, three times 2 x 2 maxima, and a classifier (sat.md, section 5: width 64 for CIFAR-10)."""
    def residual(channels: int) -> Residual:
        return Residual(body=(*_block(channels), *_block(channels)))

    return Network(shape=shape, layers=(
        *_block(width), *_block(2 * width), MaxPool(kernel=2), residual(2 * width), *_block(4 * width),
        MaxPool(kernel=2), *_block(8 * width), MaxPool(kernel=2), residual(8 * width), GlobalAvgPool(),
        Linear(features=classes)))  # fmt: skip


def vgg(width: int, shape: Shape, classes: int) -> Network:
    """A VGG of six 3 x 3 convolutions of `width` to 4 `width` channels, each with batch norm and ReLU, 2 x 2 maxima
    behind each two, and a classifier."""
    layers: list[Layer] = []
    for channels in (width, 2 * width, 4 * width):
        layers += [*_block(channels), *_block(channels), MaxPool(kernel=2)]
    return Network(shape=shape, layers=(*layers, GlobalAvgPool(), Linear(features=classes)))


def _block(channels: int) -> tuple[Layer, ...]:
    return Conv2d(channels=channels, kernel=3, padding=1, bias=False), BatchNorm(), ReLU()


NETWORKS = {"resnet9": resnet9, "vgg": vgg}
