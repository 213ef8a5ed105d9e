"""Networks of the literature, for benchmarks."""

from .network import BatchNorm, Conv2d, GlobalAvgPool, Layer, Linear, MaxPool, Network, ReLU, Residual, Shape

__all__ = ["NETWORKS", "resnet9", "resnet18", "vgg", "vgg19"]


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


def vgg19(width: int, shape: Shape, classes: int) -> Network:
    """VGG-19 with batch norm and one classifier (sat.md, section 5: width 64, 32 x 32 pixels): two, two, four, four and
    four 3 x 3 convolutions of `width` to 8 `width` channels, 2 x 2 maxima behind each."""
    layers: list[Layer] = []
    for channels, count in ((width, 2), (2 * width, 2), (4 * width, 4), (8 * width, 4), (8 * width, 4)):
        layers += [*count * _block(channels), MaxPool(kernel=2)]
    return Network(shape=shape, layers=(*layers, Linear(features=classes)))


def resnet18(width: int, shape: Shape, classes: int) -> Network:
    """ResNet-18 for small images: a 3 x 3 convolution without pooling, four stages of two blocks, of `width` to 8
    `width` channels, the first convolution of the last three stages with stride 2, and a classifier (sat.md, section 5:
    width 64, 64 x 64 pixels, 200 classes)."""
    layers: list[Layer] = [*_block(width)]
    for stage, channels in enumerate((width, 2 * width, 4 * width, 8 * width)):
        for stride in (2 if stage else 1, 1):
            body = (*_block(channels, stride), *_block(channels)[:-1])
            skip = (Conv2d(channels=channels, kernel=1, stride=2, bias=False), BatchNorm()) if stride > 1 else ()
            layers += [Residual(body=body, skip=skip), ReLU()]
    return Network(shape=shape, layers=(*layers, GlobalAvgPool(), Linear(features=classes)))


def _block(channels: int, stride: int = 1) -> tuple[Layer, ...]:
    return Conv2d(channels=channels, kernel=3, stride=stride, padding=1, bias=False), BatchNorm(), ReLU()


NETWORKS = {"resnet9": resnet9, "resnet18": resnet18, "vgg": vgg, "vgg19": vgg19}
