"""`lacuna estimate`: table, JSON, exit code."""


def test_estimate_says_whether_it_fits(lacuna, lacuna_json, small_spgemm):
    options = ("--engine", "spgemm", "--board", "u280", "--config", small_spgemm)
    code, record = lacuna_json("estimate", *options)
    assert code == 0
    assert record["fits"]
    assert set(record["total"]) == {"lut", "ff", "bram36", "uram", "dsp"}
    assert record["blocks"]["lacuna_row_engine"]["lut"] > record["blocks"]["control"]["lut"] > 0
    code, text, _ = lacuna("estimate", *options, "--kernels", "500")
    assert code == 4
    assert "does not fit, too much lut" in text
