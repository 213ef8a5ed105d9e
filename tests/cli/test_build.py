"""`compile` with compression: flags and the table [compress] name the same recipe, and bad ones are usage errors."""

import json

import numpy as np
import pytest

from cli.build import compile_program
from cli.config import ConfigError, load_recipe
from cli.errors import UsageError
from compiler.compress import Recipe
from compiler.models import TINY
from compiler.program import Program

TEXT = "Before we proceed any further, hear me speak. " * 40


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "engine.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def calibration(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def size(folder):
    """Words of the tiles of all matrices but the head."""
    matrices = json.loads((folder / "manifest.json").read_text())["matrices"]
    return sum(tile["beats"] for name, matrix in matrices.items() if name != "head" for tile in matrix["tiles"])


def test_no_flag_leaves_the_weights_alone(lacuna, tmp_path):
    assert lacuna("compile", TINY, "-o", tmp_path / "a")[0] == 0
    assert lacuna("compile", TINY, "-o", tmp_path / "b", "--sparsity", "16:16")[0] == 0
    assert np.array_equal(Program.load(tmp_path / "a").images["w0"], Program.load(tmp_path / "b").images["w0"])


def test_flags_and_file_give_the_same_program(lacuna, tmp_path, config, calibration):
    path = config('[compress]\nmethod = "wanda"\ndensity = 0.3\n')
    flags = ("--method", "wanda", "--density", "0.3")
    assert lacuna("compile", TINY, "-o", tmp_path / "dense")[0] == 0
    assert lacuna("compile", TINY, "-o", tmp_path / "a", "--config", path, "--calibration", calibration)[0] == 0
    assert lacuna("compile", TINY, "-o", tmp_path / "b", *flags, "--calibration", calibration)[0] == 0
    assert np.array_equal(Program.load(tmp_path / "a").images["w0"], Program.load(tmp_path / "b").images["w0"])
    assert size(tmp_path / "a") < 0.8 * size(tmp_path / "dense")


def test_the_built_in_text_serves_without_a_file(lacuna, tmp_path):
    assert lacuna("compile", TINY, "-o", tmp_path / "p", "--sparsity", "4:16", "--method", "wanda")[0] == 0


def test_a_flag_goes_before_the_file(config, tmp_path, monkeypatch):
    seen = []

    def compress(model, recipe, tokens, layouts):
        seen.append(recipe)
        return model

    monkeypatch.setattr("compiler.compress.compress", compress)
    path = config('[compress]\ndensity = 0.3\nmethod = "magnitude"\ngroup = 16\n')
    common = {"config": path, "tokenizer": None, "context": None}
    compile_program(TINY, tmp_path / "p", **common, flags={"sparsity": "8:16"})
    assert seen == [Recipe(method="magnitude", sparsity="8:16", group=16)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[compress]\nsparsty = '8:16'", r"unknown key compress\.sparsty; did you mean compress\.sparsity\?"),
        ("[compres]", r"unknown key compres; did you mean compress\?"),
        ("compress = 1", r"compress must be a table, got 1"),
        ("[compress]\ngroup = 20", r"compress\.group = 20: must be one of"),
        ("[compress]\ndensity = 'half'", r"compress\.density = 'half': must be a number from 0 to 1"),
    ],
)
def test_a_bad_table_is_refused_with_file_key_and_rule(config, text, message):
    path = config(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_no_file_and_no_table_ask_for_nothing(config):
    assert load_recipe(None) == load_recipe(config("[engine]")) == Recipe()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--sparsity", "2:4"), "--sparsity = '2:4': must be one of"),
        (("--density", "2"), "--density = 2.0: must be a number from 0 to 1"),
        (("--sparsity", "8:16", "--density", "0.5"), "--density = 0.5: sparsity is given as well"),
        (("--bits", "9"), "--bits = 9: must be a number from 2 to 8"),
        (("--bits", "few"), "argument --bits: invalid number value: 'few'"),
        (("--method", "obd", "--bits", "4"), "--method = 'obd': must be one of"),
    ],
)
def test_a_bad_flag_is_a_usage_error(lacuna_json, tmp_path, flags, message):
    code, record = lacuna_json("compile", TINY, "-o", tmp_path / "p", *flags)
    assert (code, record["error"]["kind"]) == (2, "UsageError")
    assert message in record["error"]["message"]


def test_a_bad_calibration_text_is_a_usage_error(tmp_path):
    common = {"config": None, "tokenizer": None, "context": None}
    flags, path = {"sparsity": "8:16"}, tmp_path / "text"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"--calibration: .* is not UTF-8"):
        compile_program(TINY, tmp_path / "p", **common, flags=flags, calibration=path)
    path.write_text("short")
    with pytest.raises(UsageError, match="--calibration: length = 1024: the calibration text has only"):
        compile_program(TINY, tmp_path / "p", **common, flags=flags, calibration=path)
    with pytest.raises(UsageError, match="--calibration: nothing is calibrated"):
        compile_program(TINY, tmp_path / "p", **common, calibration=path)


def test_bits_need_whole_groups(lacuna_json, tmp_path):
    code, record = lacuna_json("compile", TINY, "-o", tmp_path / "p", "--bits", "4")
    assert code == 3
    assert "no whole groups of 32" in record["error"]["message"]
