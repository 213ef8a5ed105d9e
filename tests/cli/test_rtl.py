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


def test_rtl_for_a_card_has_a_kernel_with_slices(lacuna_json, small_spgemm, tmp_path):
    record = lacuna_json("rtl", "--engine", "spgemm", "--board", "u280", "-o", tmp_path / "rtl",
                         "--config", small_spgemm)[1]  # fmt: skip
    assert (record["board"], record["slices"]) == ("u280", 2)
    header = (tmp_path / "rtl" / "lacuna_spgemm_kernel_registers.h").read_text()
    assert "#define LACUNA_SPGEMM_KERNEL_AP_CTRL 0x000u" in header
    ports = json.loads((tmp_path / "rtl" / "axi_ports.json").read_text())
    assert [port["name"] for port in ports] == ["s_axi_control", "m_axi_c0", "m_axi_p", "m_axi_report"]


def test_package_names_what_it_cannot_do(lacuna_json, tmp_path):
    code, record = lacuna_json("package", "--engine", "train", "--board", "v80", "--flow", "vitis", "-o", tmp_path)
    assert (code, record["error"]["kind"]) == (3, "UnsupportedFlowError")
    code, record = lacuna_json("package", "--engine", "llm", "--board", "u280", "--kernels", "4", "--flow", "vitis",
                               "-o", tmp_path)  # fmt: skip
    assert (code, record["error"]["kind"]) == (4, "UnmappableError")
    assert list(tmp_path.iterdir()) == []


def test_package_says_what_comes_next(lacuna_json, small_spgemm, tmp_path):
    folder = tmp_path / "package"
    code, record = lacuna_json("package", "--engine", "spgemm", "--board", "u280", "--flow", "vitis", "-o", folder,
                               "--config", small_spgemm)  # fmt: skip
    assert code == 0
    assert record["memory"] == [{"kernel": 0, "port": "c0", "memory": "HBM[0:15]"},
                                {"kernel": 0, "port": "p", "memory": "HBM[16:31]"},
                                {"kernel": 0, "port": "report", "memory": "HBM[16:31]"}]
    assert {path.name for path in folder.iterdir()} >= {"package.tcl", "kernel.xml", "connectivity.cfg", "link.sh"}
