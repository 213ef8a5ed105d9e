# pyright: reportMissingImports=false
# torch is an optional extra, absent where the sources are checked
"""Accuracy of the methods on whole networks: `python -m bench.train_accuracy FILE.json`, on a GPU.

Makes the runs that FILE does not have, in the order of `runs`, WORKERS at once on each GPU, and writes it after each,
so that several calls with a time limit make one file. Training is `bench.torch_training`'s; images are shifted by up to
4 pixels and mirrored, anew in each epoch and from the seed. CIFAR-10 is a copy in JPEG of quality 75, in
LACUNA_DATA/cifar10; Fashion-MNIST as `compiler.train.data` finds it. Needs the extra `torch`, and Pillow for CIFAR-10.
`bench.train_accuracy_table` makes the tables of docs/results/train.md.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import time
from collections import deque
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from bench.torch_training import Twin
from compiler.train.data import DataSet, data_set
from golden.train.network import BatchNorm, Conv2d, GlobalAvgPool, Linear, MaxPool, Network, ReLU, Residual
from golden.train.sparsity import Sparsity
from golden.train.trainer import Optimiser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from multiprocessing.queues import Queue

__all__ = ["CHOICES", "Pictures", "Run", "cifar10", "learn", "main", "network", "runs"]

SEEDS, LONG_SEEDS = (0, 1, 2), range(5)
BATCH = 512
RATE, DECAY = 0.2, 2e-3
"""Chosen with dense training on CIFAR-10, 5,000 training images held out, seed 9, as were the means before the
classifier: of eight choices in 20 epochs the best one."""
WARM_UP = 8
"""A share of the steps: an eighth."""
SHIFT = 4
EAGER_STEPS = 4
"""Before a graph is made, so that cuDNN has chosen its algorithms."""
DATA = Path(os.environ.get("LACUNA_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
CIFAR = "cifar10/cifar10_jpeg.npz"
CIFAR_MEAN, CIFAR_DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
EPOCHS = {"cifar10": 30, "fashion-mnist": 10}
LONG_EPOCHS = {"resnet9": 80, "resnet18": 40}
WORKERS = 3
"""On a GPU: some prepare their runs while another's fills it."""
MOST_GRAPHS = 100
"""That PyTorch may compile of a function: one for each network, data and method."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training.

    Attributes:
        data, network: names. method, n, m: as Sparsity's. choice: a key of CHOICES.
        epochs: the rate's schedule takes so many.
    """

    data: str = "cifar10"
    network: str = "resnet9"
    method: str
    n: int = 2
    m: int = 8
    choice: str = ""
    seed: int
    epochs: int


CHOICES: dict[str, dict[str, Any]] = {
    "": {},
    "regulariser": {"regulariser": 2e-4},
    "no regulariser": {"regulariser": 0.0},
    "nested": {"nested": True},
    "16 outputs": {"outputs": 16},
    "16 outputs, sparse": {"outputs": 16, "sparse": True},
}
"""What golden leaves open, or has not. nested: weights of the backward pass are taken from the forward pass's. 16
outputs: six classes more that no image has, so that M divides the classifier's outputs."""


def runs() -> Iterator[Run]:
    """All of them, the most important first."""
    def each(cases: list[tuple[str, int, str]], *, data: str = "cifar10", network: str = "resnet9",
             epochs: int | None = None, seeds: Sequence[int] = SEEDS) -> Iterator[Run]:
        for seed, (method, m, choice) in product(seeds, cases):
            yield Run(data=data, network=network, method=method, m=m, choice=choice, seed=seed,
                      epochs=epochs or EPOCHS[data])

    main = [("dense", 8, ""), ("bdwp", 8, ""), ("bdwp", 16, ""), ("bdwp", 4, "")]
    others = ("sr-ste", "sdwp", "sdgp")
    yield from each(main[:3], epochs=LONG_EPOCHS["resnet9"], seeds=LONG_SEEDS)
    yield from each(main, network="resnet18", epochs=LONG_EPOCHS["resnet18"])
    yield from each(main)
    yield from each(main, data="fashion-mnist")
    yield from each([(method, 8, "") for method in others])
    yield from each([(method, 8, "") for method in others], data="fashion-mnist")
    yield from each([("bdwp", 8, "regulariser"), ("bdwp", 8, "nested"), ("bdwp", 8, "16 outputs, sparse"),
                     ("bdwp", 8, "16 outputs")], data="fashion-mnist")
    yield from each([(method, m, "") for m in (16, 4) for method in others], data="fashion-mnist")
    yield from each(main, data="fashion-mnist", network="resnet18", epochs=LONG_EPOCHS["resnet18"])
    yield from each([(method, m, "") for m in (16, 4) for method in others])
    yield from each([("bdwp", 8, "regulariser"), ("bdwp", 8, "nested")])
    yield from each([(method, 8, "") for method in others], network="resnet18", epochs=LONG_EPOCHS["resnet18"])
    yield from each([("sr-ste", 8, "nested"), ("sr-ste", 8, "no regulariser")], data="fashion-mnist")
    yield from each(main[:2], network="resnet18", epochs=8)  # too few, which is why there are longer ones
    yield from each(main, network="resnet18", data="fashion-mnist")
    for data, patterns in (("cifar10", (16, 4)), ("fashion-mnist", (8, 16, 4))):
        for m in patterns:
            yield from each([(method, m, "") for method in others], data=data, network="resnet18",
                            epochs=LONG_EPOCHS["resnet18"])


def block(channels: int, *after, kernel: int = 3, stride: int = 1):
    return (Conv2d(channels=channels, kernel=kernel, stride=stride, padding=kernel // 2, bias=False), BatchNorm(),
            *after)


def basic(channels: int, stride: int) -> tuple[Residual, ReLU]:
    """ResNet-18's."""
    skip = block(channels, kernel=1, stride=stride) if stride > 1 else ()
    body = (*block(channels, ReLU(), stride=stride), *block(channels))
    return Residual(body=body, skip=skip), ReLU()


def network(name: str, shape: tuple[int, ...], outputs: int = 10, sparse: bool | None = None) -> Network:
    """resnet9: 64-128-256-512 channels, means before the classifier. resnet18: as for ImageNet, but a first convolution
    of 3 x 3 and no maximum behind it."""
    lines, line, channels = shape
    last = Linear(features=outputs, sparse=sparse)
    if name == "resnet18":
        blocks = [layer for width in (64, 128, 256, 512) for stride in (1 if width == 64 else 2, 1)
                  for layer in basic(width, stride)]
        return Network(shape=(lines, line, channels), layers=(*block(64, ReLU()), *blocks, GlobalAvgPool(), last))
    half = MaxPool(kernel=2)
    return Network(shape=(lines, line, channels), layers=(
        *block(64, ReLU()), *block(128, ReLU(), half), Residual(body=block(128, ReLU()) * 2),
        *block(256, ReLU(), half), *block(512, ReLU(), half), Residual(body=block(512, ReLU()) * 2),
        GlobalAvgPool(), last,
    ))  # fmt: skip


def decoded(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


def cifar10() -> DataSet:
    """From JPEG; normalised."""
    with np.load(DATA / CIFAR) as file:
        parts, header = {name: file[name] for name in file.files if name != "class_names"}, file["header"].tobytes()
    found = []
    for part in ("train", "test"):
        ends, payload = np.cumsum(parts[f"{part}_len"], dtype=np.int64), parts[f"{part}_payload"]
        files = [header + some.tobytes() for some in np.split(payload, ends[:-1])]
        with ProcessPoolExecutor() as pool:
            pixels = np.stack(list(pool.map(decoded, files, chunksize=500)))
        images = (pixels.astype(np.float32) / 255 - CIFAR_MEAN) / CIFAR_DEVIATION
        found += [images.astype(np.float32), parts[f"{part}_label"].astype(np.int64)]
    return DataSet(*found)


class Pictures:
    """A data set on a device: binary16, images for training with zeros around them.

    Attributes:
        shape, count: of an image; images for training.
    """

    def __init__(self, data: DataSet, device: torch.device) -> None:
        self.shape, self.count = data.shape, len(data.images)
        around = ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0))
        self.padded = torch.from_numpy(np.pad(data.images.astype(np.float16), around)).to(device)
        self.labels = torch.from_numpy(data.labels).to(device)
        test = torch.from_numpy(data.test_images.astype(np.float16)).to(device)
        self.test_images, self.test_labels = test.permute(0, 3, 1, 2), torch.from_numpy(data.test_labels).to(device)

    def shifted(self, chosen: torch.Tensor, top: torch.Tensor, left: torch.Tensor, mirrored: torch.Tensor):
        """[images, channels, lines, pixels] of the padded images, their first line and pixel, and 1 if mirrored."""
        lines = top[:, None] + torch.arange(self.shape[0], device=top.device)
        pixels = torch.arange(self.shape[1], device=top.device)
        pixels = left[:, None] + torch.where(mirrored[:, None] > 0, pixels.flip(0), pixels)
        return self.padded[chosen[:, None, None], lines[:, :, None], pixels[:, None]].permute(0, 3, 1, 2)

    def epoch(self, seed: int, number: int) -> torch.Tensor:
        """[4, images]: which image, as `golden.train.trainer` chooses; first line, first pixel, mirrored."""
        order = np.random.default_rng([seed, number]).permutation(self.count)
        drawn = np.random.default_rng([seed, number, 1]).integers(0, [[2 * SHIFT + 1], [2 * SHIFT + 1], [2]],
                                                                  (3, self.count))
        return torch.from_numpy(np.concatenate([order[None], drawn])).to(self.labels.device)


def repeated(step: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """`step`, which always works on the same tensors; on a GPU as a graph, after some calls."""
    if device.type != "cuda":
        return step
    stream, calls, graph = torch.cuda.Stream(), 0, torch.cuda.CUDAGraph()

    def call() -> None:
        nonlocal calls
        calls += 1
        if calls <= EAGER_STEPS:
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                step()
            torch.cuda.current_stream().wait_stream(stream)
            return
        if calls == EAGER_STEPS + 1:
            with torch.cuda.graph(graph):
                step()
        graph.replay()

    return call


def learn(twin: Twin, pictures: Pictures, epochs: int) -> dict[str, Any]:
    """Trains; accuracy on the test images, and the mean loss of the last epoch, None if it was not finite."""
    device, size, optimiser = pictures.labels.device, twin.optimiser.batch, twin.optimiser
    batch = torch.zeros(4, size, dtype=torch.int64, device=device)
    rate, total = torch.zeros((), device=device), torch.zeros((), device=device)

    def step() -> None:
        total.add_(twin.step(pictures.shifted(*batch), pictures.labels[batch[0]], rate))

    call, count, loss = repeated(step, device), pictures.count // size, math.nan
    for number in range(epochs):
        plan = pictures.epoch(optimiser.seed, number)
        total.zero_()
        for place in range(count):
            batch.copy_(plan[:, place * size : (place + 1) * size])
            rate.fill_(optimiser.rate_of(number * count + place))
            call()
        loss = total.item() / count
        if not math.isfinite(loss):
            break
    right = (twin.predict(pictures.test_images) == pictures.test_labels).sum().item()
    return {"accuracy": right / len(pictures.test_labels), "loss": loss if math.isfinite(loss) else None,
            "skipped": twin.skipped.item()}


def made(run: Run, pictures: Pictures, device: torch.device) -> Twin:
    """What a run trains."""
    choice = dict(CHOICES[run.choice])
    nested = choice.pop("nested", False)
    regulariser = choice.pop("regulariser", None)
    steps = run.epochs * (pictures.count // BATCH)
    optimiser = Optimiser(steps=steps, batch=BATCH, rate=RATE, decay=DECAY, warmup=steps // WARM_UP, seed=run.seed)
    sparsity = Sparsity(method=run.method, n=run.n, m=run.m, regulariser=regulariser)
    return Twin(network(run.network, pictures.shape, **choice), sparsity, optimiser, device, nested=nested)


def written(path: Path, device: str, results: list[dict[str, Any]]) -> None:
    """A result a line."""
    lines = ",\n".join(json.dumps(result) for result in results)
    head = json.dumps({"device": device, "torch": torch.__version__, "batch": BATCH, "rate": RATE, "decay": DECAY,
                       "warm_up": WARM_UP, "shift": SHIFT})
    path.write_text(f'{head[:-1]}, "results": [\n{lines}\n]}}\n', encoding="utf-8")


@cache
def pictures(data: str) -> Pictures:
    """On this process's device."""
    return Pictures(cifar10() if data == "cifar10" else data_set(data), DEVICE)


def take_device(numbers: Queue[int]) -> None:
    """Of a worker: which GPU it works on."""
    if torch.cuda.is_available():
        torch.cuda.set_device(numbers.get())
    torch.backends.cudnn.benchmark, torch._dynamo.config.recompile_limit = True, MOST_GRAPHS


def result(run: Run) -> dict[str, Any]:
    """Makes a run; a line of the file."""
    data, begun = pictures(run.data), time.perf_counter()
    found = learn(made(run, data, DEVICE), data, run.epochs)
    return {**asdict(run), **found, "seconds": round(time.perf_counter() - begun, 2)}


def expected(run: Run, results: list[dict[str, Any]]) -> float:
    """Seconds that a run takes, by the last one of its kind; 0 if there is none."""
    alike = [other for other in results if (other["data"], other["network"]) == (run.data, run.network)]
    return run.epochs * alike[-1]["seconds"] / alike[-1]["epochs"] if alike else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE.json", help="results, to go on with")
    parser.add_argument("--for", type=float, default=math.inf, metavar="S", dest="seconds",
                        help="start no run that may not end within so many seconds")
    args = parser.parse_args()
    started = time.perf_counter()
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "CPU"
    results = json.loads(args.file.read_text(encoding="utf-8"))["results"] if args.file.exists() else []
    made_before = {Run(**{field.name: line[field.name] for field in fields(Run)}) for line in results}
    left = deque(run for run in runs() if run not in made_before)
    devices, spawn = max(1, torch.cuda.device_count()), get_context("spawn")
    count = WORKERS * devices
    numbers = spawn.Queue()
    for number in range(count):
        numbers.put(number % devices)
    working: set[Future[dict[str, Any]]] = set()
    with ProcessPoolExecutor(count, spawn, take_device, (numbers,)) as pool:
        while working or left:
            while left and len(working) < count:
                if time.perf_counter() - started + expected(left[0], results) > args.seconds:
                    left.clear()
                    break
                working.add(pool.submit(result, left.popleft()))
            ended, working = wait(working, return_when=FIRST_COMPLETED)
            for future in ended:
                results.append(future.result())
                print(f"{time.perf_counter() - started:.0f} s", json.dumps(results[-1]), flush=True)
                written(args.file, name, results)


if __name__ == "__main__":
    main()
