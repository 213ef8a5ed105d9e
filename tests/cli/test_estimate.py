"""`lacuna estimate`: table, JSON, exit code."""

SMALL = "[engine]\naxi_bits = 128\nbanks = 2\nslots = 16\ncontexts = 2\nnumber_format = 2\nprobe_limit = 16\n"


def test_estimate_says_whether_it_fits(lacuna, lacuna_json, tmp_path):
    config = tmp_path / "small.toml"
    config.write_text(SMALL)
    options = ("--engine", "spgemm", "--board", "u280", "--config", config)
    code, record = lacuna_json("estimate", *options)
    assert code == 0
    assert record["fits"]
    assert set(record["total"]) == {"lut", "ff", "bram36", "uram", "dsp"}
    assert record["blocks"]["lacuna_row_engine"]["lut"] > record["blocks"]["control"]["lut"] > 0
    code, text, _ = lacuna("estimate", *options, "--kernels", "500")
    assert code == 4
    assert "does not fit, too much lut" in text
