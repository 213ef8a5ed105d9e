"""Engine parameters from a strict TOML file, and the verb `config`."""

import argparse
import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from cli.output import Output
from golden.params import LlmParams

__all__ = ["ConfigError", "add_config_option", "add_verbs", "load_config", "schema"]

TABLES = ("engine",)
DERIVED = ("chains", "row_groups", "lane_bits", "lanes_per_channel", "beat_bytes", "dsps")


class ConfigError(ValueError):
    """A configuration file that is not understood; the message names file, key and rule. Exit code 2."""


def load_config(path: Path | None) -> LlmParams:
    """Parameters from `path`; the defaults for keys not given, and for no file at all.

    Raises:
        ConfigError: no such file, not TOML, an unknown table or key, a value of wrong type or out of range.
    """
    if path is None:
        return LlmParams()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    _check_keys(path, document, TABLES, "")
    engine = document.get("engine", {})
    if not isinstance(engine, dict):
        raise ConfigError(f"{path}: engine must be a table, got {engine!r}")
    _check_keys(path, engine, [field.name for field in fields(LlmParams)], "engine.")
    for key, value in engine.items():
        if type(value) is not int:
            raise ConfigError(f"{path}: engine.{key} must be an integer, got {value!r}")
    try:
        return LlmParams(**engine)
    except ValueError as error:
        raise ConfigError(f"{path}: engine.{error}") from None


def _check_keys(path: Path, table: dict[str, Any], known: Iterable[str], prefix: str) -> None:
    known = list(known)
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1, 0.5)
            advice = f"did you mean {prefix}{close[0]!s}?" if close else f"there are {', '.join(known)}"
            raise ConfigError(f"{path}: unknown key {prefix}{key}; {advice}")


def schema() -> dict[str, Any]:
    """JSON Schema of a configuration file. Rules between parameters are checked when the file is read."""
    docs = dict(re.findall(r"^ +(\w+): (.+)$", LlmParams.__doc__ or "", re.MULTILINE))
    properties = {
        field.name: {
            "type": "integer",
            "minimum": 1,
            "default": field.default,
            "description": docs.get(field.name, ""),
        }
        for field in fields(LlmParams)
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lacuna configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": {"engine": {"type": "object", "additionalProperties": False, "properties": properties}},
    }


def add_config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="engine parameters (TOML, table [engine])")


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    config = verbs.add_parser("config", parents=[common], help="show the engine parameters, or their schema")
    actions = config.add_subparsers(dest="action", required=True, metavar="show|schema")
    show = actions.add_parser("show", parents=[common], help="the resolved configuration, as TOML")
    add_config_option(show)
    show.set_defaults(run=run_show)
    actions.add_parser("schema", parents=[common], help="the JSON Schema").set_defaults(run=run_schema)


def run_show(args: argparse.Namespace, out: Output) -> int:
    params = load_config(args.config)
    derived = {name: getattr(params, name) for name in DERIVED}
    lines = ["[engine]", *(f"{key} = {value}" for key, value in params.to_dict().items())]
    lines += ["", "# what follows from it:", *(f"# {key} = {value}" for key, value in derived.items())]
    out.result({"engine": params.to_dict(), "derived": derived}, lines)
    return 0


def run_schema(args: argparse.Namespace, out: Output) -> int:
    out.result({"schema": schema()}, [out.dumps(schema())])
    return 0
