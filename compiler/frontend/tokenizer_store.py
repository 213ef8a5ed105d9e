"""A tokenizer as JSON, whatever file it came from: what a program folder carries."""

from __future__ import annotations

import json

import tokenizers

from compiler.frontend.tokenizer import JsonTokenizer, PieceTokenizer, ScoreTokenizer, Tokenizer

__all__ = ["dump_tokenizer", "restore_tokenizer"]


def dump_tokenizer(tokenizer: Tokenizer) -> bytes:
    """UTF-8 JSON from which `restore_tokenizer` makes an equal tokenizer.

    Raises:
        TypeError: a tokenizer that is none of this package's.
    """
    if not isinstance(tokenizer, PieceTokenizer):
        raise TypeError(f"tokenizer {tokenizer!r} is none of compiler.frontend's")
    common = {
        "pieces": [piece.decode("latin-1") for piece in tokenizer.pieces],
        "control": tokenizer.control,
        "bos_id": tokenizer.bos_id,
        "eos_id": tokenizer.eos_id,
        "add_bos": tokenizer.add_bos,
    }
    if isinstance(tokenizer, JsonTokenizer):
        own = {"kind": "json", "inner": tokenizer.inner.to_str()}
    elif isinstance(tokenizer, ScoreTokenizer):
        own = {
            "kind": "score",
            "vocabulary": {piece.decode("latin-1"): token for piece, token in tokenizer.vocabulary.items()},
            "scores": tokenizer.scores,
            "byte_ids": list(tokenizer.byte_ids.items()),
            "unknown_id": tokenizer.unknown_id,
            "prefix": tokenizer.prefix,
        }
    else:
        raise TypeError(f"tokenizer of type {type(tokenizer).__name__} cannot be stored")
    return json.dumps({**own, "default_system": tokenizer.default_system, "common": common}).encode()


def restore_tokenizer(data: bytes) -> Tokenizer:
    """Inverse of `dump_tokenizer`.

    Raises:
        ValueError: not such a file.
    """
    try:
        stored = json.loads(data)
        common = stored["common"] | {"pieces": [piece.encode("latin-1") for piece in stored["common"]["pieces"]]}
        tokenizer: PieceTokenizer
        if stored["kind"] == "json":
            tokenizer = JsonTokenizer(tokenizers.Tokenizer.from_str(stored["inner"]), **common)
        elif stored["kind"] == "score":
            tokenizer = ScoreTokenizer(
                vocabulary={piece.encode("latin-1"): token for piece, token in stored["vocabulary"].items()},
                scores=stored["scores"],
                byte_ids=dict(stored["byte_ids"]),
                unknown_id=stored["unknown_id"],
                prefix=stored["prefix"],
                **common,
            )
        else:
            raise ValueError(f"tokenizer kind {stored['kind']!r} is not known")
        tokenizer.default_system = stored["default_system"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a stored tokenizer: {error!r}") from error
    return tokenizer
