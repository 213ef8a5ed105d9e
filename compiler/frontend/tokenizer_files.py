"""Where tokenizers come from: Hugging Face tokenizer.json, GGUF metadata, llama2.c's tokenizer.bin."""

from __future__ import annotations

import json
import re
import struct
from typing import TYPE_CHECKING, Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from compiler.frontend.model import BadModelFileError, UnsupportedModelError
from compiler.frontend.tokenizer import JsonTokenizer, ScoreTokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from compiler.frontend.tokenizer import Tokenizer

SPACE = "\u2581"  # how SentencePiece writes a blank
BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")
LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


class GgufTokenType:
    """Values of `tokenizer.ggml.token_type` that matter here."""

    UNKNOWN, CONTROL, USER, UNUSED, BYTE = 2, 3, 4, 5, 6


def byte_alphabet() -> dict[str, int]:
    """GPT-2's printable character of every byte, and that byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(others)}


def byte_level_piece(token: str, alphabet: Mapping[str, int]) -> bytes:
    """Bytes of a token of byte-level BPE; a token outside the alphabet is taken as it stands."""
    if all(c in alphabet for c in token):
        return bytes(alphabet[c] for c in token)
    return token.encode("utf-8", errors="replace")


def sentence_piece(token: str) -> bytes:
    """Bytes of a token of SentencePiece: `<0xAB>` is one byte, U+2581 a blank."""
    found = BYTE_TOKEN.fullmatch(token)
    return bytes([int(found[1], 16)]) if found else token.replace(SPACE, " ").encode("utf-8", errors="replace")


def json_tokenizer(
    path: Path, *, bos_id: int | None = None, eos_id: int | None = None, chat_template: str | None = None
) -> JsonTokenizer:
    """Read a Hugging Face tokenizer.json.

    Args:
        path: the file.
        bos_id: as the model's configuration says; `None`: found by name, if there is one of the usual ones.
        eos_id: likewise.
        chat_template: Jinja template of tokenizer_config.json, if any.

    Raises:
        BadModelFileError: the file is not a tokenizer.
        UnsupportedModelError: a kind of tokenizer whose tokens do not stand for bytes.
    """
    try:
        text = path.read_text(encoding="utf-8")
        inner, described = tokenizers.Tokenizer.from_str(text), json.loads(text)
    except Exception as error:  # the library raises bare Exception
        raise BadModelFileError(f"{path}: no readable tokenizer.json: {error}") from None
    kinds = json.dumps(described.get("decoder"))
    if '"ByteLevel"' in kinds:
        alphabet = byte_alphabet()
    elif '"ByteFallback"' in kinds or '"Metaspace"' in kinds:
        alphabet = None
    else:
        raise UnsupportedModelError(
            f"{path}: tokenizer with decoder {kinds} is not supported; use byte-level BPE or SentencePiece BPE"
        )
    names = {i: t for t, i in inner.get_vocab(with_added_tokens=True).items()}
    added = inner.get_added_tokens_decoder()
    pieces = []
    for i in range(max(names) + 1 if names else 0):
        name = names.get(i, "")
        if i in added:
            pieces.append(b"" if added[i].special else added[i].content.encode())
        else:
            pieces.append(sentence_piece(name) if alphabet is None else byte_level_piece(name, alphabet))
    control = {token.content: i for i, token in added.items() if token.special}
    if bos_id is None:
        bos_id = next((control[n] for n in ("<s>", "<|begin_of_text|>", "<|endoftext|>") if n in control), None)
    if eos_id is None:
        eos_id = next((control[n] for n in ("</s>", "<|end_of_text|>", "<|endoftext|>") if n in control), None)
    add_bos = bos_id is not None and inner.encode("a").ids[:1] == [bos_id]
    try:
        return JsonTokenizer(
            inner, pieces, control=control, bos_id=bos_id, eos_id=eos_id, add_bos=add_bos, chat_template=chat_template
        )
    except ValueError as error:
        raise BadModelFileError(f"{path}: {error}") from None


def gguf_tokenizer(path: Path, fields: Mapping[str, Any]) -> Tokenizer:
    """Build the tokenizer that GGUF metadata describes.

    Args:
        path: the file, for messages.
        fields: metadata by key, as plain Python values.

    Raises:
        BadModelFileError: lists are missing or their lengths differ.
        UnsupportedModelError: another kind than `gpt2` and `llama`, or an unknown pre-tokenizer.
    """
    kind = fields.get("tokenizer.ggml.model")
    builders = {"gpt2": _gguf_byte_bpe, "llama": _gguf_sentence_piece}
    if kind not in builders:
        raise UnsupportedModelError(
            f"{path}: tokenizer.ggml.model {kind!r} is not supported; use a file with one of {', '.join(builders)}"
        )
    tokens = fields.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or not tokens:
        raise BadModelFileError(f"{path}: tokenizer.ggml.tokens is missing or empty")
    types = fields.get("tokenizer.ggml.token_type", [1] * len(tokens))
    if len(types) != len(tokens):
        raise BadModelFileError(f"{path}: tokenizer.ggml.token_type has {len(types)} entries, expected {len(tokens)}")
    options = {
        "control": {t: i for i, t in enumerate(tokens) if types[i] == GgufTokenType.CONTROL},
        "bos_id": fields.get("tokenizer.ggml.bos_token_id"),
        "eos_id": fields.get("tokenizer.ggml.eos_token_id"),
        "chat_template": fields.get("tokenizer.chat_template"),
    }
    try:
        return builders[kind](path, fields, tokens, types, options)
    except (BadModelFileError, UnsupportedModelError):
        raise
    except (ValueError, TypeError) as error:
        raise BadModelFileError(f"{path}: bad tokenizer metadata: {error}") from None


def _gguf_byte_bpe(
    path: Path, fields: Mapping[str, Any], tokens: list[str], types: list[int], options: dict[str, Any]
) -> Tokenizer:
    """GPT-2 style byte BPE: `tokenizer.ggml.pre` says how text is cut into words before merging."""
    by_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    llama3 = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(LLAMA3_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    smollm = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), by_bytes])
    words = {"smollm": smollm, "gpt-2": by_bytes, "default": by_bytes, "llama-bpe": llama3, "llama3": llama3}
    pre = fields.get("tokenizer.ggml.pre", "default")
    if pre not in words:
        raise UnsupportedModelError(
            f"{path}: tokenizer.ggml.pre {pre!r} is not supported; known are {', '.join(sorted(words))}"
        )
    merges = fields.get("tokenizer.ggml.merges")
    if not isinstance(merges, list):
        raise BadModelFileError(f"{path}: tokenizer.ggml.merges is missing")
    pairs = [tuple(m.split(" ")) for m in merges]
    for pair in pairs:
        if len(pair) != 2:
            raise BadModelFileError(f"{path}: tokenizer.ggml.merges has an entry that is no pair: {' '.join(pair)!r}")
    is_llama3 = words[pre] is llama3
    vocabulary = {t: i for i, t in enumerate(tokens)}
    try:
        inner = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=is_llama3))
    except Exception as error:  # the library raises bare Exception
        raise BadModelFileError(f"{path}: bad tokenizer.ggml.merges: {error}") from None
    inner.pre_tokenizer = words[pre]
    inner.decoder = decoders.ByteLevel()
    for kind, special in ((GgufTokenType.CONTROL, True), (GgufTokenType.USER, False)):
        chosen = [t for t, k in zip(tokens, types, strict=True) if k == kind]
        inner.add_tokens([tokenizers.AddedToken(t, special=special, normalized=False) for t in chosen])
    alphabet = byte_alphabet()
    pieces = []
    for token, kind in zip(tokens, types, strict=True):
        if kind in (GgufTokenType.CONTROL, GgufTokenType.UNUSED):
            pieces.append(b"")
        elif kind == GgufTokenType.USER:
            pieces.append(token.encode("utf-8", errors="replace"))
        else:
            pieces.append(byte_level_piece(token, alphabet))
    return JsonTokenizer(inner, pieces, add_bos=fields.get("tokenizer.ggml.add_bos_token", is_llama3), **options)


def _gguf_sentence_piece(
    path: Path, fields: Mapping[str, Any], tokens: list[str], types: list[int], options: dict[str, Any]
) -> Tokenizer:
    """SentencePiece BPE with `tokenizer.ggml.scores`."""
    scores = fields.get("tokenizer.ggml.scores")
    if not isinstance(scores, list) or len(scores) != len(tokens):
        raise BadModelFileError(f"{path}: tokenizer.ggml.scores is missing or not as long as the tokens")
    pieces, vocabulary, byte_ids = [], {}, {}
    for i, (token, kind) in enumerate(zip(tokens, types, strict=True)):
        if kind in (GgufTokenType.CONTROL, GgufTokenType.UNKNOWN, GgufTokenType.UNUSED):
            pieces.append(b"")
            continue
        piece = sentence_piece(token)
        pieces.append(piece)
        if kind == GgufTokenType.BYTE:
            byte_ids[piece[0]] = i
        else:
            vocabulary.setdefault(piece, i)
    return ScoreTokenizer(
        vocabulary=vocabulary,
        scores=scores,
        byte_ids=byte_ids,
        unknown_id=fields.get("tokenizer.ggml.unknown_token_id"),
        prefix=fields.get("tokenizer.ggml.add_space_prefix", True),
        pieces=pieces,
        add_bos=fields.get("tokenizer.ggml.add_bos_token", True),
        **options,
    )


def llama2c_tokenizer(path: Path, vocab: int) -> ScoreTokenizer:
    """Read llama2.c's tokenizer.bin: int32 longest token, then per token float32 score, int32 length, bytes.

    Token 0 is unknown, 1 begins and 2 ends a text, 3 .. 258 are the bytes.

    Args:
        path: the file.
        vocab: tokens to read, from the checkpoint; the file does not say.

    Raises:
        BadModelFileError: the file ends early, is longer, or a length is negative.
    """
    data = path.read_bytes()
    at, pieces, scores = 4, [], []
    for i in range(vocab):
        if at + 8 > len(data):
            raise BadModelFileError(f"{path}: ends inside token {i} of {vocab}")
        score, length = struct.unpack_from("<fi", data, at)
        at += 8
        if length < 0 or at + length > len(data):
            raise BadModelFileError(f"{path}: token {i} has length {length}, the file has {len(data) - at} bytes left")
        pieces.append(data[at : at + length])
        scores.append(score)
        at += length
    if at != len(data):
        raise BadModelFileError(f"{path}: {len(data) - at} bytes after token {vocab - 1}: made for another vocabulary")
    byte_ids = {b: 3 + b for b in range(256) if 3 + b < vocab}
    for byte, token in byte_ids.items():
        found = BYTE_TOKEN.fullmatch(pieces[token].decode("utf-8", errors="replace"))
        if not found or int(found[1], 16) != byte:
            raise BadModelFileError(f"{path}: token {token} is {pieces[token]!r}, expected '<0x{byte:02X}>'")
        pieces[token] = bytes([byte])
    for control in range(min(3, vocab)):
        pieces[control] = b""
    vocabulary: dict[bytes, int] = {}
    for i in range(3 + len(byte_ids), vocab):
        vocabulary.setdefault(pieces[i], i)
    return ScoreTokenizer(
        vocabulary=vocabulary,
        scores=scores,
        byte_ids=byte_ids,
        unknown_id=0,
        prefix=True,
        pieces=pieces,
        control={"<unk>": 0, "<s>": 1, "</s>": 2},
        bos_id=1,
        eos_id=2,
        add_bos=True,
    )
