"""Tables of docs/results/train.md, "Accuracy": `python -m bench.train_accuracy_table`.

Writes what bench/train_accuracy.json says between the page's comments; `bench.train_accuracy` makes that file.
bench/train_accuracy_first.json is of other settings, those that were tried first.
"""

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["choice_table", "grouped", "main", "method_table", "page"]

ROOT = Path(__file__).parents[1]
RESULTS, FIRST = ROOT / "bench" / "train_accuracy.json", ROOT / "bench" / "train_accuracy_first.json"
PAGE = ROOT / "docs" / "results" / "train.md"
DATA = {"cifar10": "CIFAR-10 (JPEG q75 copy)", "fashion-mnist": "Fashion-MNIST"}
NETWORKS = {"resnet9": "ResNet-9", "resnet18": "ResNet-18"}
METHODS = {"dense": "dense", "sr-ste": "SR-STE", "sdgp": "SDGP", "sdwp": "SDWP", "bdwp": "BDWP"}
BARS = {("bdwp", 2, 8): 0.35, ("bdwp", 2, 16): 0.56}
"""Issue 4's: points that a method may lose against dense."""
CHOICES = {
    "bdwp": {
        "": "as golden: no regulariser, masks of the backward pass from the dense weights, classifier dense",
        "regulariser": "SR-STE's regulariser, 2e-4",
        "nested": "masks of the backward pass from the forward pass's weights",
        "16 outputs": "six outputs more, classifier dense",
        "16 outputs, sparse": "six outputs more, as M must divide them, classifier sparse",
    },
    "sr-ste": {
        "": "as golden: regulariser 2e-4, dX from all weights",
        "nested": "dX from the forward pass's weights",
        "no regulariser": "no regulariser",
    },
}

Key = tuple[str, str, int, str, int, int, str]
Record = dict[str, Any]


class Group:
    """Runs that differ in nothing but the seed; accuracies in %."""

    def __init__(self, runs: list[Record]) -> None:
        self.runs = sorted(runs, key=lambda run: run["seed"])
        self.accuracies = [100 * run["accuracy"] for run in self.runs]
        self.mean = sum(self.accuracies) / len(self.accuracies)

    def error(self) -> float:
        """Of the mean: standard deviation of the seeds over the root of their number."""
        count = len(self.accuracies)
        return math.sqrt(sum((value - self.mean) ** 2 for value in self.accuracies) / (count - 1) / count)


def grouped(results: Iterable[Record]) -> dict[Key, Group]:
    """By data, network, epochs, method, N, M and choice, as sorted by the first three; dense has no N:M."""
    found: dict[Key, list[Record]] = {}
    for run in results:
        key = tuple(run[name] for name in ("data", "network", "epochs", "method", "n", "m", "choice"))
        found.setdefault(key, []).append(run)
    order = sorted(found, key=lambda key: (key[0], list(NETWORKS).index(key[1]), -key[2],
                                           list(METHODS).index(key[3]), key[5]))
    return {key: Group(found[key]) for key in order if len(found[key]) > 1}


def difference(group: Group, reference: Group) -> str:
    """Points lost, with the error of the difference of two means."""
    return f"{reference.mean - group.mean:.2f} ± {math.hypot(group.error(), reference.error()):.2f}"


def verdict(key: Key, lost: float) -> str:
    """Whether the bar is met, as it is printed."""
    bar = BARS.get(key[3:6])
    if bar is None:
        return ""
    over = round(lost, 2) - bar
    return f"{bar}: met" if over <= 0 else f"{bar}: **missed by {over:.2f}**"


def method_table(groups: dict[Key, Group]) -> list[str]:
    lines = ["| data, network, epochs | method | by seed, % | mean | lost against dense | bar |", "|---" * 6 + "|"]
    for key, group in groups.items():
        data, network, epochs, method, n, m, choice = key
        if choice:
            continue
        dense = groups[data, network, epochs, "dense", 2, 8, ""]
        what = f"{DATA[data]}, {NETWORKS[network]}, {epochs}"
        seeds = ", ".join(f"{value:.2f}" for value in group.accuracies)
        if method == "dense":
            lines.append(f"| {what} | dense | {seeds} | {group.mean:.2f} | | |")
        else:
            lines.append(f"| {what} | {METHODS[method]} {n}:{m} | {seeds} | {group.mean:.2f} "
                         f"| {difference(group, dense)} | {verdict(key, dense.mean - group.mean)} |")
    return lines


def choice_table(groups: dict[Key, Group]) -> list[str]:
    """Of 2:8, ResNet-9."""
    lines = ["| data, epochs, method | choice | by seed, % | mean | lost against the first line |", "|---" * 5 + "|"]
    cases = ("fashion-mnist", 10, "bdwp"), ("cifar10", 30, "bdwp"), ("fashion-mnist", 10, "sr-ste")
    for data, epochs, method in cases:
        first = groups[data, "resnet9", epochs, method, 2, 8, ""]
        for choice, text in CHOICES[method].items():
            group = groups.get((data, "resnet9", epochs, method, 2, 8, choice))
            if group is None:
                continue
            seeds = ", ".join(f"{value:.2f}" for value in group.accuracies)
            lost = difference(group, first) if choice else ""
            lines.append(f"| {DATA[data]}, {epochs}, {METHODS[method]} | {text} | {seeds} "
                         f"| {group.mean:.2f} | {lost} |")
    return lines


def settings(record: Record) -> list[str]:
    return [f"SGD of batch {record['batch']}, momentum 0.9, decay {record['decay']:g} of matrices; the rate rises to "
            f"{record['rate']:g} in 1/{record['warm_up']} of the steps and falls to 0 as a cosine; loss scale 1,024, "
            f"{sum(run['skipped'] for run in record['results'])} steps left out; images shifted by up to "
            f"{record['shift']} pixels and mirrored. {record['device']}, PyTorch {record['torch']}."]


def page(text: str) -> str:
    """The page with its tables made anew."""
    record, first = (json.loads(path.read_text(encoding="utf-8")) for path in (RESULTS, FIRST))
    groups = grouped(record["results"])
    parts = {
        "settings": settings(record), "accuracy": method_table(groups), "choices": choice_table(groups),
        "first": [*settings(first), "", *method_table(grouped(first["results"]))],
    }
    for name, lines in parts.items():
        body = "\n".join([f"<!-- {name} -->", *lines, f"<!-- end of {name} -->"])
        text, count = re.subn(f"<!-- {name} -->.*?<!-- end of {name} -->", lambda _, body=body: body, text, flags=re.S)
        if count != 1:
            raise ValueError(f"comments of {name}: {count} pairs, expected one")
    return text


def main() -> None:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
