"""Tables of accuracies."""

import pytest

from bench import train_accuracy_table as table


def run(method, seed, accuracy, m=8):
    return {"data": "cifar10", "network": "resnet9", "method": method, "n": 2, "m": m, "choice": "", "seed": seed,
            "epochs": 3, "accuracy": accuracy}


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


def test_the_page_is_of_the_results():
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.page(text) == text
    with pytest.raises(ValueError, match="comments of choices: 0 pairs, expected one"):
        table.page(text.replace("<!-- choices -->", ""))
