"""`lacuna train` on data that it makes itself."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from cli.main import main
from cli.train import METHOD_NAMES
from cli.train_config import load_training
from compiler.train import data
from golden.configs import TRAIN
from golden.train.sparsity import METHODS

EXAMPLE = Path(__file__).parents[2] / "bench" / "train_digits.toml"
SMALL = """
[network]
shape = [8, 8, 1]
layers = [
    { type = "conv2d", channels = 16, kernel = 3, stride = 2, padding = 1, bias = false },
    { type = "batch_norm" },
    { type = "relu" },
    { type = "conv2d", channels = 16, kernel = 3, padding = 1 },
    { type = "relu" },
    { type = "global_avg_pool" },
    { type = "linear", features = 4 },
]
[data]
name = "gratings"
[optimiser]
steps = 8
batch = 32
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def run(capsys, *arguments, code=0):
    assert main(["train", *map(str, arguments), "--json"]) == code
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


def test_the_example_learns(tmp_path, capsys):
    """With data that it makes, in place of the digits."""
    path = tmp_path / "example.toml"
    text = EXAMPLE.read_text().replace('"digits"', '"gratings"')
    path.write_text(text.replace("steps = 360", "steps = 12").replace("warmup = 18", "warmup = 1"))
    record, _ = run(capsys, path)
    assert (record["method"], record["sparsity"], record["level"], record["steps"]) == ("bdwp", "2:8", "golden", 12)
    assert record["sparse_layers"] == ["3", "7.body.0", "7.body.3"]
    assert len(record["loss"]) == 12
    assert record["loss"][-1] < 0.2 < record["loss"][0]
    assert record["accuracy"] > 0.9
    assert record["mac_ratio"] == pytest.approx(1.979, abs=0.001)
    assert record["wall_s"] > record["train_s"] > 0
    assert set(record["macs"]) == {"ff", "bp", "wu"}


def test_a_run_in_two_parts(config, capsys):
    whole, _ = run(capsys, config, "-o", "whole")
    first, _ = run(capsys, config, "--steps", 3, "-o", "part", "--every", 2)
    second, warnings = run(capsys, config, "--resume", "part", "-o", "part")
    assert (second["first_step"], second["steps"], warnings) == (3, 5, "")
    assert first["loss"] + second["loss"] == whole["loss"]
    assert second["accuracy"] == whole["accuracy"]
    assert all(np.array_equal(values, load_file("whole")[name]) for name, values in load_file("part").items())
    third, warnings = run(capsys, config, "--resume", "part", "--method", "sdwp", "--sparsity", "1:4")
    assert (third["steps"], third["loss"], third["method"], third["sparsity"]) == (0, [], "sdwp", "1:4")
    assert "part: method was dense, is sdwp" in warnings
    config.write_text(SMALL.replace("kernel = 3, padding = 1 }", "kernel = 1 }"))
    error, _ = run(capsys, config, "--resume", "part", code=2)
    assert "another network: network.layers.3.kernel: 3 there, 1 here" in error["error"]["message"]


def test_seed_and_lines_for_people(config, capsys):
    assert main(["train", str(config), "--steps", "1", "--seed", "7"]) == 0
    assert "test accuracy" in capsys.readouterr().out
    losses = [run(capsys, config, "--steps", 1, "--seed", seed)[0]["loss"] for seed in (0, 7)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(("old", "new", "message"), [
    ("[data]", "[datum]", "unknown key datum; did you mean data?"),
    ("batch = 32", "bacth = 32", "unknown key optimiser.bacth; did you mean optimiser.batch?"),
    ("stride = 2", "strid = 2", "unknown key network.layers.0.strid; did you mean network.layers.0.stride?"),
    ('"relu"', '"relo"', "network.layers.2.type is 'relo'; there are linear, conv2d"),
    ("steps = 8", "", "optimiser.steps is missing"), (", features = 4", "", "network.layers.6.features is missing"),
    ("batch = 32", 'batch = "32"', "optimiser.batch must be an int, got '32'"),
    ("batch = 32", "rate = true", "optimiser.rate must be a float, got True"),
    ("batch = 32", "kind = [2]", "optimiser.kind must be a str, got [2]"),
    ("batch = 32", 'kind = "adom"', "optimiser.kind is 'adom'; there are sgd, adam"),
    ("batch = 32", 'kind = "adam"\nmomentum = 0.9', "unknown key optimiser.momentum; there are kind, steps"),
    ("batch = 32", 'kind = "adam"\nbeta_1 = 0.9', "unknown key optimiser.beta_1; did you mean optimiser.beta1?"),
    ("batch = 32", "beta1 = 0.9", "unknown key optimiser.beta1; there are kind, steps"),
    ("batch = 32", 'kidn = "adam"', "unknown key optimiser.kidn; did you mean optimiser.kind?"),
    ("batch = 32", 'kind = "adam"\nbeta2 = 1.0', "optimiser.beta2 = 1.0: must be 0 or more and below 1"),
    ("batch = 32", 'kind = "adam"\n[engine]\noptimiser = 1', "engine.optimiser = 1: must be 2, as optimiser.kind"),
    ("[data]", "[engine]\noptimiser = 3\n[data]", "engine.optimiser = 3: must be 1 (sgd) or 2 (adam)"),
    ("batch = 32", "batch = 0", "optimiser.batch = 0: must be a positive integer"),
    ("batch = 32", "batch = 513", "batch = 513: must be at most the number of images, 512"),
    ("kernel = 3, stride", "kernel = 30, stride", "network.layers.0.kernel = 30: must be at most 15"),
    ("padding = 1 }", "kernel = 9 }", "not TOML"), ("shape = [8, 8, 1]", "shape = 8", "network.shape must be a list"),
    ("shape = [8, 8, 1]", "shape = [8, 8, 3]", "the network takes images (8, 8, 3) of 4 classes"),
    ("features = 4", "features = 3", "of 3 classes, the data have (8, 8, 1) of 4"),
    ('"gratings"', '"mnist"', "'mnist': there are digits, fashion-mnist, gratings"),
    ('name = "gratings"', "", "data.name is missing"), ('name = "gratings"', "name = 3", "data.name must be a str"),
    ("[data]", '[sparsity]\npattern = "2-8"\n[data]', "sparsity.pattern = '2-8': must be N:M, as in 2:8"),
    ("[data]", '[sparsity]\nmethod = "x"\n[data]', "sparsity.method = 'x': must be one of dense"),
    ("[data]", "[engine]\nrows = 3\n[data]", "engine.rows = 3: must be a power of two"),
    ("features = 4 },\n]", 'features = 4, sparse = true },\n]\n[sparsity]\nmethod = "bdwp"',
     "network: layer 6 (Linear): sparse = True: M = 8 must divide its channels, 16 and 4"),
])
def test_configurations_that_are_refused(config, capsys, old, new, message):
    assert old in SMALL
    config.write_text(SMALL.replace(old, new, 1))
    error, _ = run(capsys, config, code=2)
    assert message in error["error"]["message"]
    assert "small.toml" in error["error"]["message"]


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["--steps", "0"], 2, "--steps 0: must be 1 or more"), (["--every", "0"], 2, "--every 0"),
    (["--sparsity", "2:8"], 2, "method dense prunes nothing"), (["--method", "bdwp", "--sparsity", "3:8"], 2, "'3:8'"),
    (["--resume", "none"], 2, "none: No such file"), (["--resume", "small.toml"], 2, "not a safetensors file"),
])
def test_what_cannot_be_meant(config, capsys, arguments, code, message):
    error, _ = run(capsys, config, *arguments, code=code)
    assert message in error["error"]["message"]


def test_on_the_rtl(config, capsys):
    """Two steps; golden's own command has the same losses."""
    engine = "[engine]\nrows = 16\ncolumns = 2\nx_words = 512\nw_steps = 8192\n"
    config.write_text(SMALL.replace("batch = 32", "batch = 8") + engine)
    record, _ = run(capsys, config, "--method", "bdwp", "--level", "rtl", "--steps", 2, "--memory", "ideal")
    golden, _ = run(capsys, config, "--method", "bdwp", "--steps", 2)
    assert record["matches_golden"] is True
    assert record["loss"] == golden["loss"]
    assert (golden["matches_golden"], golden["cycles"]) == (None, None)
    assert set(record["cycles"]) == {"ff", "bp", "wu", "sore", "other", "vector", "total"}
    assert 0 < record["utilisation"]["all"] < record["utilisation"]["wu"] <= 1
    assert record["bytes_read"] > record["bytes_written"] > 0
    assert main(["train", str(config), "--level", "rtl", "--steps", "1", "--memory", "ideal"]) == 0
    assert "equal, bit for bit" in capsys.readouterr().out


def test_adam(config, capsys):
    config.write_text(SMALL + 'kind = "adam"\nrate = 0.01\n')
    whole, _ = run(capsys, config, "-o", "whole")
    assert whole["optimiser"] == "adam"
    assert whole["loss"][-1] < 0.8 * whole["loss"][0]
    run(capsys, config, "--steps", 3, "-o", "part")
    second, warnings = run(capsys, config, "--resume", "part")
    assert (second["loss"], warnings) == (whole["loss"][3:], "")
    run(capsys, config, "--emit", "step")
    manifest = json.loads(Path("step/manifest.json").read_text())
    assert manifest["params"]["optimiser"] == 2
    assert manifest["step"]["arguments"][3] == "square_momentum"
    assert "3.weight, first_moment, second_moment" in manifest["step"]["held"]
    config.write_text(SMALL)
    error, _ = run(capsys, config, "--resume", "part", code=2)
    assert "another optimiser: adam there, sgd here" in error["error"]["message"]


def test_a_steps_program(config, capsys):
    """Written to a folder, which other verbs read."""
    config.write_text(SMALL.replace("batch = 32", "batch = 4"))
    record, _ = run(capsys, config, "--emit", "step")
    manifest = json.loads(Path("step/manifest.json").read_text())
    assert manifest["step"]["batch"] == 4
    assert manifest["step"]["at"]["images"] < Path("step/m.bin").stat().st_size == record["image_bytes"]
    assert "3.weight, velocity" in manifest["step"]["held"]
    assert main(["inspect", "step", "--json"]) == 0
    inspected = json.loads(capsys.readouterr().out)
    assert inspected["unrolled"] is None
    assert inspected["opcodes"]["UPD"] == 3
    assert main(["disasm", "step"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[-1] == "HALT"


def test_training_that_diverges(config, capsys):
    config.write_text(SMALL.replace("batch = 32", "batch = 32\nrate = 1e30"))
    error, _ = run(capsys, config, "-o", "c", code=6)
    assert error["error"]["message"].startswith("step ")
    assert "layer " in error["error"]["message"]
    assert not Path("c").exists()


def test_data_that_are_not_there(config, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(data, "FASHION_FOLDER", tmp_path / "a")
    config.write_text(SMALL.replace('"gratings"', '"fashion-mnist"'))
    error, _ = run(capsys, config, code=5)
    assert "apt install dataset-fashion-mnist" in error["error"]["message"]


def test_the_names_of_methods():
    assert tuple(METHODS) == METHOD_NAMES


def test_the_example():
    found = load_training(EXAMPLE)
    assert (found.data, found.number_format, found.sparsity.pattern) == ("digits", "binary16", (2, 8))


def test_the_example_of_a_cards_size():
    """The demo's network on the named configuration, which a training file cannot name."""
    found = load_training(EXAMPLE.with_name("train_vcu1525.toml"))
    assert found.engine == TRAIN["train-vcu1525"]
    assert found.network == load_training(EXAMPLE.with_name("train_demo.toml")).network
