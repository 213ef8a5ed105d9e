"""Configuration files are strict, and say how they should have been."""

import json
import tomllib

import pytest

from cli.config import ConfigError, load_config, schema
from cli.main import main
from golden.configs import LLM
from golden.params import LlmParams


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "engine.toml"
        path.write_text(text)
        return path

    return write


def test_missing_keys_take_the_defaults(config):
    assert load_config(None) == load_config(config("")) == load_config(config("[engine]")) == LlmParams()
    assert load_config(config("[engine]\naxi_bits = 512\n")) == LlmParams(axi_bits=512)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[engine]\nchanels = 2", r"unknown key engine\.chanels; did you mean engine\.channels\?"),
        ("[engine]\nAXI_bit = 256", r"did you mean engine\.axi_bits\?"),
        ("[engine]\nqqqq = 256", r"unknown key engine\.qqqq; there are channels, axi_bits"),
        ("[engin]\nchannels = 2", r"unknown key engin; did you mean engine\?"),
        ("channels = 2", r"unknown key channels"),
        ("engine = 2", r"engine must be a table, got 2"),
        ("[engine]\nchannels = '2'", r"engine\.channels must be an integer, got '2'"),
        ("[engine]\nchannels = true", r"engine\.channels must be an integer, got True"),
        ("[engine]\nchannels = 2.0", r"engine\.channels must be an integer, got 2\.0"),
        ("[engine]\nchannels = 3", r"engine\.channels = 3: must be a power of two"),
        ("[engine]\nplanes = 0", r"engine\.planes = 0: must be a positive integer"),
        ("[engine]\nplanes = 3", r"engine\.planes = 3: must be 1, 2 or 4"),
        ("[engine]\nchannels = 1\nchannels = 2", r"not TOML"),
        ("[engine", r"not TOML"),
    ],
)
def test_a_bad_file_is_refused_with_file_key_and_rule(config, text, message):
    path = config(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_binary_file_and_a_folder_are_refused(tmp_path):
    path = tmp_path / "engine.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML"):
        load_config(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def test_show_prints_what_it_would_read(config, lacuna, lacuna_json):
    path = config("[engine]\nchannels = 2\n")
    code, stdout, _ = lacuna("config", "show", "--config", path)
    assert code == 0
    assert load_config(config(stdout)) == LlmParams(channels=2)
    assert tomllib.loads(stdout)["engine"] == lacuna_json("config", "show", "--config", path)[1]["engine"]


def test_show_of_a_bad_file_is_exit_code_2(config, lacuna_json):
    code, record = lacuna_json("config", "show", "--config", config("[engine]\nchanels = 2"))
    assert (code, record["error"]["kind"]) == (2, "ConfigError")


def test_schema_has_every_parameter(lacuna, lacuna_json):
    properties = schema()["properties"]["engine"]["properties"]
    assert {name: rule["default"] for name, rule in properties.items()} == LlmParams().to_dict()
    assert all(rule["description"] for rule in properties.values())
    assert json.loads(lacuna("config", "schema")[1]) == lacuna_json("config", "schema")[1]["schema"] == schema()


def test_named_configuration(capsys):
    assert main(["config", "show", "--config", "u280-core", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["engine"] == LLM["u280-core"].to_dict()
