"""The command line as tests call it."""

import json

import pytest

from cli.main import main


@pytest.fixture
def lacuna(capsys):
    """`lacuna(*argv)` -> (exit code, stdout, stderr). No run may leave a traceback, unless asked for."""

    def run(*argv):
        code = main([str(argument) for argument in argv])
        captured = capsys.readouterr()
        assert ("Traceback" in captured.out + captured.err) <= ("--debug" in argv)
        return code, captured.out, captured.err

    return run


@pytest.fixture
def lacuna_json(lacuna):
    """`lacuna_json(*argv)` -> (exit code, the one object on stdout)."""

    def run(*argv):
        code, stdout, _ = lacuna(*argv, "--json")
        record = json.loads(stdout)
        assert record["schema_version"] == 1
        return code, record

    return run


@pytest.fixture
def small_spgemm(tmp_path):
    """Configuration file of a SpGEMM engine whose Verilog is made in a second or two."""
    config = tmp_path / "small.toml"
    config.write_text("[engine]\naxi_bits = 128\nbanks = 2\nslots = 16\ncontexts = 2\nnumber_format = 2\n"
                      "probe_limit = 16\n")
    return config
