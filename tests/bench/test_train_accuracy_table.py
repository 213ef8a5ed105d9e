"""Tables of accuracies."""

import pytest

from bench import train_accuracy_table as table


def run(method, seed, accuracy, m=8, epochs=3):
    return {"data": "cifar10", "network": "resnet9", "method": method, "n": 2, "m": m, "choice": "", "seed": seed,
            "epochs": epochs, "accuracy": accuracy}


def test_differences_and_bars():
    runs = [run("dense", 1, 0.9), run("dense", 0, 0.91), run("bdwp", 0, 0.9), run("bdwp", 1, 0.9),
            run("bdwp", 0, 0.904, 16), run("bdwp", 1, 0.894, 16), run("bdwp", 0, 0.9, 4)]
    assert table.method_table(table.grouped(runs))[2:] == [
        "| CIFAR-10 (JPEG q75 copy), ResNet-9, 3 | dense | 91.00, 90.00 | 90.50 | | |",
        "| CIFAR-10 (JPEG q75 copy), ResNet-9, 3 | BDWP 2:8 | 90.00, 90.00 | 90.00 | 0.50 ± 0.50 "
        "| 0.35: **missed by 0.15** |",
        "| CIFAR-10 (JPEG q75 copy), ResNet-9, 3 | BDWP 2:16 | 90.40, 89.40 | 89.90 | 0.60 ± 0.71 "
        "| 0.56: **missed by 0.04** |",
    ]


def test_a_method_is_compared_with_dense_of_as_many_epochs():
    runs = [run(method, seed, accuracy, epochs=epochs) for method, epochs, accuracy in (
        ("bdwp", 3, 0.8), ("dense", 3, 0.9), ("bdwp", 6, 0.95), ("dense", 6, 0.95)) for seed in (0, 1)]
    lines = [line.split(" | ") for line in table.method_table(table.grouped(runs))[2:]]
    assert [(line[0][-1], line[1], line[4]) for line in lines] == [
        ("6", "dense", "| |"), ("6", "BDWP 2:8", "0.00 ± 0.00"),
        ("3", "dense", "| |"), ("3", "BDWP 2:8", "10.00 ± 0.00")]


def test_the_page_is_of_the_results():
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.page(text) == text
    with pytest.raises(ValueError, match="comments of choices: 0 pairs, expected one"):
        table.page(text.replace("<!-- choices -->", ""))
