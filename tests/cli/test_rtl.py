"""`lacuna rtl` writes a folder that others can use."""

import json


def test_rtl_writes_what_its_manifest_lists(lacuna_json, tmp_path):
    config = tmp_path / "small.toml"
    config.write_text("[engine]\nplanes = 2\nksplit = 2\nacc_depth = 16\n")
    folder = tmp_path / "rtl"
    code, record = lacuna_json("rtl", "--engine", "llm", "-o", folder, "--config", config)
    assert code == 0
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["params"]["acc_depth"] == 16
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {*manifest["files"], "manifest.json"}
    assert manifest["files"] == record["files"]
    assert "module lacuna_llm(" in (folder / "lacuna_llm.v").read_text()
    assert "module" in (folder / "simulation_only" / "dsp48e2.v").read_text()
    registers = {entry["name"]: entry["offset"] for entry in json.loads((folder / "registers.json").read_text())}
    assert registers["ap_ctrl"] == 0
    assert "count_cycles" in registers
