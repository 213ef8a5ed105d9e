"""`bench llm` where it needs no simulation; `bench train` on a small network."""

import json

from cli.main import main


def test_one_image_for_all_lengths_is_below_a_megabyte(lacuna_json):
    code, record = lacuna_json("bench", "llm", "--shape", "llama2-7b", "--instructions", "--context", "2048")
    assert code == 0
    assert record["instruction_bytes"] == record["instructions"] * 32 <= 1 << 20
    assert record["unrolled"]["bucketed_merged"]["bytes"] > 1000 * record["instruction_bytes"]


def test_train(tmp_path, capsys):
    """A step of a small network, dense and sparse, on the RTL; without it what the array takes."""
    (tmp_path / "engine.toml").write_text("[engine]\nrows = 16\ncolumns = 2\nx_words = 512\nw_steps = 8192\n")
    arguments = ["bench", "train", "--network", "vgg", "--width", "8", "--image", "8", "--batch", "1", "--config",
                 str(tmp_path / "engine.toml"), "--json"]  # fmt: skip
    assert main([*arguments, "--level", "golden"]) == 0
    golden = json.loads(capsys.readouterr().out)
    assert golden["speedup_vs_dense"] is None
    found = golden["results"][0]
    assert found["macs_ratio"] > found["steps_ratio"] > 1  # a tile has more columns than there are channels
    assert main([*arguments, "--memory", "ideal"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["matches_golden"] is True
    sparse = record["results"][0]
    assert (sparse["method"], sparse["sparsity"], sparse["steps_ratio"]) == ("bdwp", "2:8", found["steps_ratio"])
    for report in (record["dense"], sparse):
        cycles = report["cycles"]
        assert sum(cycles[part] for part in ("ff", "bp", "wu", "sore", "other")) == cycles["total"]
    assert record["speedup_vs_dense"] == record["dense"]["total"] / sparse["total"]
    assert main([*arguments, "--level", "golden", "--without-dense"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert (alone["dense"], alone["results"][0]["macs"]) == (None, found["macs"])
    assert main([*arguments[:-1], "--level", "golden", "--without-dense"]) == 0
    assert "dense" not in capsys.readouterr().out
    assert main(["bench", "train", "--sparsity", "3:8"]) == 2
    assert main([*arguments, "--width", "128", "--level", "golden"]) == 4
