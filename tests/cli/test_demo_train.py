"""`lacuna demo train` on data that it makes itself."""

import json
from pathlib import Path

from cli.main import main
from tests.cli.test_train import SMALL

ENGINE = """
[sparsity]
method = "bdwp"
[engine]
rows = 16
columns = 2
x_words = 512
w_steps = 8192
"""


def test_demo(tmp_path, monkeypatch, capsys):
    """Two steps on the RTL, the rest in golden, and dense beside."""
    monkeypatch.chdir(tmp_path)
    Path("demo.toml").write_text(SMALL.replace("batch = 32", "batch = 8") + ENGINE)
    arguments = ["demo", "train", "--config", "demo.toml", "--steps", "2", "--memory", "ideal", "-o", "out"]
    assert main([*arguments, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["matches_golden"] is True
    assert record["rtl"]["steps"] == 2
    assert [len(record["losses"][name]) for name in ("sparse", "dense")] == [8, 8]
    assert record["losses"]["sparse"][:2] == record["rtl"]["loss"]
    assert set(record["accuracy"]) == {"sparse", "dense"}
    assert Path("out/loss.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads(Path("out/report.json").read_text())["losses"] == record["losses"]
    assert Path("out/checkpoint.safetensors").exists()
