"""Checkpoints of training: a safetensors file with weights (PyTorch's names and shapes), the optimiser's states
and running statistics in binary32; what else a step depends on is JSON in the file's metadata, under `lacuna`.

Training that goes on from a checkpoint makes the same bits as one that was never interrupted.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from golden.train.trainer import Trainer

__all__ = ["BadCheckpointError", "load_checkpoint", "save_checkpoint"]

KEY = "lacuna"
VERSION = 1


class BadCheckpointError(ValueError):
    """A file that is no checkpoint, or one of another network or optimiser; the message names file and difference."""


def save_checkpoint(path: Path, trainer: Trainer) -> None:
    """Writes a checkpoint; a file that was there is replaced when the new one is complete."""
    about = {
        "version": VERSION, "network": trainer.model.network.to_dict(), "number_format": trainer.number_format,
        "optimiser": trainer.model.rule.KIND, "step": trainer.step_number, "skipped": trainer.skipped,
        "loss_scale": trainer.loss_scale, "settings": _settings(trainer),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    save_file(trainer.model.state(), part, {KEY: json.dumps(about)})
    os.replace(part, path)


def load_checkpoint(path: Path, trainer: Trainer) -> dict[str, tuple[Any, Any]]:
    """Makes `trainer` go on from a checkpoint.

    Returns:
        Settings in which the checkpoint's training differs, name -> (the checkpoint's, the trainer's): with any of them
        it goes on, but not as the other one would have.

    Raises:
        BadCheckpointError: not a checkpoint, or one of another network, number format or optimiser.
        OSError: the file cannot be read.
    """
    path.open("rb").close()
    try:
        with safe_open(path, framework="numpy") as opened:
            about = json.loads((opened.metadata() or {}).get(KEY, "null"))
            state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise BadCheckpointError(f"{path}: not a safetensors file: {error}") from None
    if not isinstance(about, dict) or about.get("version") != VERSION:
        raise BadCheckpointError(f"{path}: not a checkpoint of lacuna train, version {VERSION}")
    kind, expected = about.get("optimiser", "sgd"), trainer.model.rule.KIND  # older files do not name theirs
    if kind != expected:
        raise BadCheckpointError(f"{path}: a checkpoint of another optimiser: {kind} there, {expected} here")
    own = {"network": trainer.model.network.to_dict(), "number_format": trainer.number_format}
    for name, value in own.items():
        if about.get(name) != value:
            differs = _difference(name, about.get(name), value)
            raise BadCheckpointError(f"{path}: a checkpoint of another network: {differs}")
    try:
        trainer.model.load(state)
        trainer.step_number, trainer.skipped = int(about["step"]), int(about["skipped"])
        trainer.loss_scale = float(about["loss_scale"])
        kept = dict(about["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadCheckpointError(f"{path}: {error}") from None
    own = _settings(trainer)
    return {name: (kept.get(name), own.get(name)) for name in [*own, *kept] if kept.get(name) != own.get(name)}


def _settings(trainer: Trainer) -> dict[str, Any]:
    """Those that make a difference."""
    parts = {"part_images": trainer.model.part_images} if trainer.model.part_images else {}
    return asdict(trainer.optimiser) | asdict(trainer.model.sparsity) | parts


def _difference(name: str, found: Any, expected: Any) -> str:
    """Where two descriptions part, first difference only."""
    if isinstance(found, dict) and isinstance(expected, dict):
        pairs = [(f"{name}.{key}", found.get(key), expected.get(key)) for key in [*expected, *found]]
    elif isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            return f"{name}: {len(found)} there, {len(expected)} here"
        pairs = [(f"{name}.{key}", *pair) for key, pair in enumerate(zip(found, expected, strict=True))]
    else:
        return f"{name}: {found!r} there, {expected!r} here"
    return next(_difference(*pair) for pair in pairs if pair[1] != pair[2])
