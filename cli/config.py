"""Engine parameters and the compression recipe from a strict TOML file, and the verb `config`."""

import argparse
import difflib
import re
import tomllib
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.output import Output
from golden.engines import ENGINES

if TYPE_CHECKING:
    from compiler.compress import Recipe

__all__ = ["ConfigError", "add_config_option", "add_engine_option", "add_verbs", "check_keys", "load_config",
           "load_recipe", "read_document", "schema"]

TABLES = ("engine", "compress")
DEFAULT_ENGINE = "llm"


class ConfigError(ValueError):
    """A configuration file that is not understood; the message names file, key and rule. Exit code 2."""


def load_config(path: Path | None, engine: str = DEFAULT_ENGINE) -> Any:
    """Parameters of an engine from `path`, a file or a name of its `configs`; the defaults for keys not given, and for
    None.

    Raises:
        ConfigError: no such file, not TOML, an unknown table or key, a value of wrong type or out of range.
    """
    parameters, configs = ENGINES[engine].params, ENGINES[engine].configs
    if path is None:
        return parameters()
    if str(path) in configs:
        return configs[str(path)]
    table = _table(path, "engine", parameters, configs)
    for key, value in table.items():
        if type(value) is not int:
            raise ConfigError(f"{path}: engine.{key} must be an integer, got {value!r}")
    try:
        return parameters(**table)
    except ValueError as error:
        raise ConfigError(f"{path}: engine.{error}") from None


def load_recipe(path: Path | None) -> "Recipe":
    """The compression recipe from `path`; one that asks for nothing where it says nothing, and for no file at all.

    Raises:
        ConfigError: as `load_config`.
    """
    from compiler.compress import Recipe, RecipeError

    configs = ENGINES[DEFAULT_ENGINE].configs
    if path is None or str(path) in configs:
        return Recipe()
    try:
        return Recipe(**_table(path, "compress", Recipe, configs))
    except RecipeError as error:
        raise ConfigError(f"{path}: compress.{error}") from None


def _table(path: Path, name: str, parameters: type, configs: Iterable[str]) -> dict[str, Any]:
    """Table `name` of the file, empty where there is none; its keys are fields of the dataclass `parameters`.

    Args:
        configs: names that could have stood in place of a file.
    """
    document = read_document(path, TABLES, f"; names: {', '.join(configs)}")
    table = document.get(name, {})
    check_keys(path, table, [field.name for field in fields(parameters)], f"{name}.")
    return table


def read_document(path: Path, tables: Iterable[str], advice: str = "") -> dict[str, dict[str, Any]]:
    """A TOML file that has only `tables`.

    Args:
        advice: for the message if the file cannot be read.

    Raises:
        ConfigError: no such file, not TOML, an unknown key, or one that is no table.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}{advice}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    check_keys(path, document, tables, "")
    for name, table in document.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {name} must be a table, got {table!r}")
    return document


def check_keys(path: Path, table: dict[str, Any], known: Iterable[str], prefix: str) -> None:
    """Raises ConfigError, with a suggestion, for a key that is not known; `prefix` stands before it in the message."""
    known = list(known)
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1, 0.5)
            advice = f"did you mean {prefix}{close[0]!s}?" if close else f"there are {', '.join(known)}"
            raise ConfigError(f"{path}: unknown key {prefix}{key}; {advice}")


def schema(engine: str = DEFAULT_ENGINE) -> dict[str, Any]:
    """JSON Schema of an engine's configuration file. Rules between parameters are checked when the file is read."""
    from compiler.compress import Recipe

    numbers = _properties(ENGINES[engine].params)
    for rule in numbers.values():
        rule["minimum"] = 1
    tables = {"engine": numbers, "compress": _properties(Recipe)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "lacuna configuration",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {"type": "object", "additionalProperties": False, "properties": properties}
            for name, properties in tables.items()
        },
    }


def _properties(parameters: type) -> dict[str, dict[str, Any]]:
    """JSON Schema of the fields of a dataclass whose docstring describes them; `None` as a default is left out."""
    docs = dict(re.findall(r"^ {8}(\w+): (.+(?:\n {12}.+)*)$", parameters.__doc__ or "", re.MULTILINE))
    result = {}
    for field in fields(parameters):
        kind = getattr(field.type, "__name__", field.type).removesuffix(" | None")
        result[field.name] = {
            "type": {"int": "integer", "float": "number", "bool": "boolean", "str": "string"}[kind],
            "description": " ".join(docs.get(field.name, "").split()),
        }
        if field.default is not None:
            result[field.name]["default"] = field.default
    return result


def add_config_option(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(name for engine in ENGINES.values() for name in engine.configs)
    parser.add_argument(
        "--config", type=Path, metavar="FILE",
        help=f"TOML: engine parameters in [engine], the recipe in [compress]; or one of {names}",
    )  # fmt: skip


def add_engine_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", choices=tuple(ENGINES), default=DEFAULT_ENGINE, help=f"default {DEFAULT_ENGINE}")


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    config = verbs.add_parser("config", parents=[common], help="show the engine parameters, or their schema")
    actions = config.add_subparsers(dest="action", required=True, metavar="show|schema")
    show = actions.add_parser("show", parents=[common], help="the resolved configuration, as TOML")
    add_config_option(show)
    show.set_defaults(run=run_show)
    described = actions.add_parser("schema", parents=[common], help="the JSON Schema")
    described.set_defaults(run=run_schema)
    for action in (show, described):
        add_engine_option(action)


def run_show(args: argparse.Namespace, out: Output) -> int:
    params = load_config(args.config, args.engine)
    derived = params.derived()
    lines = ["[engine]", *(f"{key} = {value}" for key, value in params.to_dict().items())]
    lines += ["", "# what follows from it:", *(f"# {key} = {value}" for key, value in derived.items())]
    out.result({"engine": params.to_dict(), "derived": derived}, lines)
    return 0


def run_schema(args: argparse.Namespace, out: Output) -> int:
    described = schema(args.engine)
    out.result({"schema": described}, [out.dumps(described)])
    return 0
