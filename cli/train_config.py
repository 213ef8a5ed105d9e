"""The configuration of `lacuna train` from a strict TOML file."""

from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from cli.config import ConfigError, check_keys, read_document
from golden.train.network import LAYERS, Layer, Network
from golden.train.params import OPTIMISERS as NUMBERS
from golden.train.params import TrainParams
from golden.train.sparsity import Sparsity, sparse_layers
from golden.train.trainer import OPTIMISERS, AnyOptimiser

__all__ = ["TrainConfig", "load_training", "pattern"]

TABLES = ("network", "data", "optimiser", "sparsity", "engine")
KINDS = {"int": int, "float": (int, float), "bool": bool, "str": str}
CHAINS = ("body", "skip")

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What a file says.

    Attributes:
        data, data_path: name of the data set, folder of its files.
    """

    network: Network
    data: str
    data_path: Path | None
    optimiser: AnyOptimiser
    sparsity: Sparsity
    engine: TrainParams

    @property
    def number_format(self) -> str:
        return self.engine.format_name


def pattern(text: str) -> dict[str, int]:
    """n and m of a text `N:M`; raises ValueError."""
    n, colon, m = text.partition(":")
    if not (colon and n.isdecimal() and m.isdecimal()):
        raise ValueError(f"{text!r}: must be N:M, as in 2:8")
    return {"n": int(n), "m": int(m)}


def load_training(path: Path) -> TrainConfig:
    """Reads a configuration; what it does not say has its default.

    Raises:
        ConfigError: no such file, not TOML, an unknown or missing table or key, a value of wrong type or out of range;
            the message names the file, the key and the rule.
    """
    document = read_document(path, TABLES)
    for name in ("network", "data", "optimiser"):
        if name not in document:
            raise ConfigError(f"{path}: table [{name}] is missing")
    data = document["data"]
    check_keys(path, data, ("name", "path"), "data.")
    for key in data:
        _check_type(path, f"data.{key}", data[key], "str")
    if "name" not in data:
        raise ConfigError(f"{path}: data.name is missing")
    sparse = dict(document.get("sparsity", {}))
    check_keys(path, sparse, ("method", "pattern", "regulariser"), "sparsity.")
    if "pattern" in sparse:
        _check_type(path, "sparsity.pattern", sparse["pattern"], "str")
        try:
            sparse |= pattern(sparse.pop("pattern"))
        except ValueError as error:
            raise ConfigError(f"{path}: sparsity.pattern = {error}") from None
    network, sparsity = _network(path, document["network"]), _made(path, Sparsity, sparse, "sparsity.")
    try:
        sparse_layers(network, sparsity)
    except ValueError as error:
        raise ConfigError(f"{path}: network: {error}") from None
    optimiser = _optimiser(path, document["optimiser"])
    return TrainConfig(
        network=network, data=data["name"], data_path=Path(data["path"]) if "path" in data else None,
        optimiser=optimiser, sparsity=sparsity, engine=_engine(path, document.get("engine", {}), optimiser.RULE.KIND),
    )


def _optimiser(path: Path, table: dict[str, Any]) -> AnyOptimiser:
    """By `kind`, sgd where there is none."""
    kind = table.get("kind", "sgd")
    _check_type(path, "optimiser.kind", kind, "str")
    if kind not in OPTIMISERS:
        raise ConfigError(f"{path}: optimiser.kind is {kind!r}; there are {', '.join(OPTIMISERS)}")
    made = OPTIMISERS[kind]
    check_keys(path, table, ("kind", *(field.name for field in fields(made))), "optimiser.")
    return _made(path, made, {key: value for key, value in table.items() if key != "kind"}, "optimiser.")


def _engine(path: Path, table: dict[str, Any], kind: str) -> TrainParams:
    """With that optimiser, which the table need not name."""
    made = _made(path, TrainParams, {"optimiser": NUMBERS[kind]} | table, "engine.")
    if made.optimiser_name != kind:
        raise ConfigError(f"{path}: engine.optimiser = {made.optimiser}: must be {NUMBERS[kind]}, as optimiser.kind is "
                          f"{kind}")
    return made


def _network(path: Path, table: dict[str, Any]) -> Network:
    check_keys(path, table, ("shape", "layers"), "network.")
    for key in ("shape", "layers"):
        if not isinstance(table.get(key), list):
            raise ConfigError(f"{path}: network.{key} must be a list, got {table.get(key)!r}")
    layers = _chain(path, table["layers"], "network.layers")
    try:
        return Network(shape=tuple(table["shape"]), layers=layers)
    except ValueError as error:
        raise ConfigError(f"{path}: network: {error}") from None


def _chain(path: Path, tables: Any, where: str) -> tuple[Layer, ...]:
    if not isinstance(tables, list):
        raise ConfigError(f"{path}: {where} must be a list of layers, got {tables!r}")
    return tuple(_layer(path, table, f"{where}.{number}") for number, table in enumerate(tables))


def _layer(path: Path, table: Any, where: str) -> Layer:
    if not isinstance(table, dict) or table.get("type") not in LAYERS:
        found = table.get("type") if isinstance(table, dict) else table
        raise ConfigError(f"{path}: {where}.type is {found!r}; there are {', '.join(LAYERS)}")
    values = {key: value for key, value in table.items() if key != "type"}
    made = LAYERS[table["type"]]
    check_keys(path, values, [field.name for field in fields(made)], f"{where}.")
    for key in CHAINS:
        if key in values:
            values[key] = _chain(path, values[key], f"{where}.{key}")
    return _made(path, made, values, f"{where}.")


def _made(path: Path, kind: type[Made], values: dict[str, Any], prefix: str) -> Made:
    """An object of a dataclass; types of numbers and texts are checked here, the rest by itself."""
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    check_keys(path, values, known, prefix)
    for key, value in values.items():
        _check_type(path, f"{prefix}{key}", value, str(getattr(known[key].type, "__name__", known[key].type)))
    for key, field in known.items():
        if field.default is MISSING and field.default_factory is MISSING and key not in values:
            raise ConfigError(f"{path}: {prefix}{key} is missing")
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"{path}: {prefix}{error}") from None


def _check_type(path: Path, key: str, value: Any, kind: str) -> None:
    kind = kind.removesuffix(" | None")
    if kind in KINDS and (not isinstance(value, KINDS[kind]) or (kind != "bool" and isinstance(value, bool))):
        raise ConfigError(f"{path}: {key} must be {'an' if kind == 'int' else 'a'} {kind}, got {value!r}")
