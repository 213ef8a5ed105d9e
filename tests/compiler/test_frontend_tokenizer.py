"""The tokenizers: text comes back, merges follow the rules, control tokens in text stay text."""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path

import pytest

from compiler.frontend import BadModelFileError, UnsupportedModelError, load_model
from compiler.frontend.tokenizer import TextStream, Tokenizer
from compiler.frontend.tokenizer_files import byte_alphabet, gguf_tokenizer, json_tokenizer, llama2c_tokenizer
from tests.compiler.models import (
    SPECIALS,
    TEXT,
    byte_bpe,
    random_weights,
    score_vocabulary,
    small_config,
    write_gguf,
    write_llama2c_tokenizer,
)

TEXTS = ["", "a", " a", "  a ", "\n", TEXT, "<|im_end|> <s> </s>", "\x00\x7f", "x" * 300, "٣ ½ ²"]
NOWHERE = Path("file")


def sentence_piece_fields(**changes: object) -> dict:
    """GGUF metadata of the vocabulary of `score_vocabulary`."""
    pieces = score_vocabulary()
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [p.decode().replace(" ", "\u2581") for p, _ in pieces],
        "tokenizer.ggml.scores": [s for _, s in pieces],
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * (len(pieces) - 259)],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    } | changes


@pytest.fixture(params=["gguf byte bpe", "gguf sentencepiece", "json", "llama2c"])
def tokenizer(request, tmp_path) -> Tokenizer:
    if request.param == "gguf byte bpe":
        config = small_config()
        write_gguf(tmp_path / "m", config, random_weights(config))
        return load_model(tmp_path / "m").tokenizer
    if request.param == "gguf sentencepiece":
        return gguf_tokenizer(NOWHERE, sentence_piece_fields())
    if request.param == "json":
        byte_bpe().save(str(tmp_path / "tokenizer.json"))
        return json_tokenizer(tmp_path / "tokenizer.json", bos_id=1, eos_id=2)
    write_llama2c_tokenizer(tmp_path / "tokenizer.bin")
    return llama2c_tokenizer(tmp_path / "tokenizer.bin", 300)


@pytest.mark.parametrize("text", TEXTS)
def test_round_trip(tokenizer, text):
    ids = tokenizer.encode(text, bos=False)
    assert all(0 <= i < tokenizer.vocab_size == 300 for i in ids)
    assert not {tokenizer.bos_id, tokenizer.eos_id} & set(ids)
    assert tokenizer.decode(ids) == text
    assert tokenizer.encode(text, bos=True) == [tokenizer.bos_id, *ids]
    assert tokenizer.decode([tokenizer.bos_id, *ids, tokenizer.eos_id]) == text


def test_stream_never_shows_half_a_character(tokenizer):
    text = "naïve 世界 🚀!"
    stream = TextStream(tokenizer)
    shown = [stream.push(i) for i in tokenizer.encode(text, bos=True)]
    assert "\ufffd" not in "".join(shown)
    assert "" in shown
    assert ("".join(shown) + stream.finish()).removeprefix(" ") == text


def test_broken_sequence_is_replaced(tokenizer):
    ids = tokenizer.encode("世", bos=False)
    stream = TextStream(tokenizer)
    assert stream.push(ids[-3]).strip() + stream.push(ids[-2]) + stream.finish() == "\ufffd"
    assert tokenizer.decode(ids[:-1]).strip() == "\ufffd"
    with pytest.raises(ValueError, match="token must be below 300, got 300"):
        tokenizer.decode([300])


def test_gguf_byte_bpe_equals_the_json_it_came_from(tmp_path):
    config = small_config()
    write_gguf(tmp_path / "m", config, random_weights(config))
    rebuilt, source = load_model(tmp_path / "m").tokenizer, byte_bpe()
    for text in (TEXT, "12345 a1b2 ٣٤"):
        assert rebuilt.encode(text) == source.encode(text).ids
    four_two = rebuilt.encode("42")
    assert [rebuilt.decode([i]) for i in four_two] == ["4", "2"]


def test_chat_is_chatml_and_safe_from_control_tokens_in_the_prompt(tmp_path):
    config = small_config()
    write_gguf(tmp_path / "m", config, random_weights(config))
    tokenizer = load_model(tmp_path / "m").tokenizer
    start, end = SPECIALS.index("<|im_start|>"), SPECIALS.index("<|im_end|>")
    assert tokenizer.has_chat
    assert tokenizer.stop_ids == {0, end}
    ids = tokenizer.chat("sit <|im_end|>")
    assert (ids.count(start), ids.count(end), ids[0]) == (3, 2, start)
    assert tokenizer.decode(ids) == "system\nBe brief\nuser\nsit <|im_end|>\nassistant\n"
    assert tokenizer.decode(tokenizer.chat("sit", system="Rhyme")) == "system\nRhyme\nuser\nsit\nassistant\n"
    plain = gguf_tokenizer(NOWHERE, sentence_piece_fields())
    assert not plain.has_chat
    with pytest.raises(UnsupportedModelError, match=r"no <\|im_start\|> and <\|im_end\|> tokens"):
        plain.chat("sit")


def test_scores_decide_the_order_of_merges(tmp_path):
    write_llama2c_tokenizer(tmp_path / "tokenizer.bin")
    tokenizer = llama2c_tokenizer(tmp_path / "tokenizer.bin", 300)
    number = {piece: i for i, (piece, _) in enumerate(score_vocabulary())}
    expected = [b" the", b" cat", b" sat"]
    assert tokenizer.encode("the cat sat") == [1, *(number[p] for p in expected)]
    # " c" + "at" gives " cat"; "x" is no token and is spelt with its byte
    assert tokenizer.encode("atx", bos=False) == [number[b" "], number[b"at"], 3 + ord("x")]
    assert tokenizer.encode("é", bos=False) == [number[b" "], 3 + 0xC3, 3 + 0xA9]
    assert tokenizer.encode("ï", bos=False) == [number[b" "], number["ï".encode()]]
    same = gguf_tokenizer(NOWHERE, sentence_piece_fields())
    for text in TEXTS:
        assert same.encode(text) == tokenizer.encode(text)


def test_merges_against_the_plain_algorithm(tmp_path):
    """llama2.c's own loop: look at all pairs, merge the best, start over."""
    write_llama2c_tokenizer(tmp_path / "tokenizer.bin")
    tokenizer = llama2c_tokenizer(tmp_path / "tokenizer.bin", 300)
    table = {p: (i, s) for i, (p, s) in enumerate(score_vocabulary()) if i >= 259}
    text = "the cat that hat the chat mattress sss  tthehe"
    parts = [c.encode() for c in " " + text]
    while True:
        pairs = [(table[a + b][1], -i) for i, (a, b) in enumerate(itertools.pairwise(parts)) if a + b in table]
        if not pairs:
            break
        at = -max(pairs)[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    expected = [table[p][0] if p in table else 3 + p[0] for p in parts]
    assert tokenizer.encode(text, bos=False) == expected


def test_sentence_piece_without_prefix_or_bytes():
    fields = sentence_piece_fields(**{"tokenizer.ggml.add_space_prefix": False, "tokenizer.ggml.add_bos_token": False})
    tokenizer = gguf_tokenizer(NOWHERE, fields)
    assert tokenizer.decode(tokenizer.encode("at")) == "at"
    assert tokenizer.decode(tokenizer.encode(" at")) == " at"
    kinds = [3 if k == 6 else k for k in fields["tokenizer.ggml.token_type"]]
    fields |= {"tokenizer.ggml.token_type": kinds, "tokenizer.ggml.unknown_token_id": 0}
    assert gguf_tokenizer(NOWHERE, fields).encode("x") == [0]


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"tokenizer.ggml.model": "bert"}, UnsupportedModelError, "tokenizer.ggml.model 'bert' is not supported"),
        ({"tokenizer.ggml.tokens": None}, BadModelFileError, "tokens is missing or empty"),
        ({"tokenizer.ggml.token_type": [1]}, BadModelFileError, "token_type has 1 entries, expected 300"),
        ({"tokenizer.ggml.scores": [0.0]}, BadModelFileError, "scores is missing or not as long as the tokens"),
        ({"tokenizer.ggml.bos_token_id": 300}, BadModelFileError, "bos_id must be a token of the 300, got 300"),
        ({"tokenizer.ggml.model": "gpt2"}, BadModelFileError, "merges is missing"),
        (
            {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.merges": ["abc"]},
            BadModelFileError,
            "an entry that is no pair: 'abc'",
        ),
        (
            {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.merges": ["q z"]},
            BadModelFileError,
            "bad tokenizer.ggml.merges",
        ),
        (
            {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "tekken"},
            UnsupportedModelError,
            "tokenizer.ggml.pre 'tekken' is not supported; known are default",
        ),
    ],
)
def test_bad_gguf_metadata(changes, kind, message):
    with pytest.raises(kind, match=message):
        gguf_tokenizer(NOWHERE, sentence_piece_fields(**changes))


def test_bad_tokenizer_bin(tmp_path):
    path = tmp_path / "tokenizer.bin"
    write_llama2c_tokenizer(path)
    data = path.read_bytes()
    for content, message in (
        (data[:-3], "token 299 has length"),
        (data[:500], "ends inside token|has length"),
        (data + b"123456789", "9 bytes after token 299: made for another vocabulary"),
        (data.replace(b"<0x41>", b"<0x42>"), "token 68 is b'<0x42>', expected '<0x41>'"),
        (data[:4] + struct.pack("<fi", 0.0, -1) + data[12:], "token 0 has length -1"),
    ):
        path.write_bytes(content)
        with pytest.raises(BadModelFileError, match=message):
            llama2c_tokenizer(path, 300)


def test_json_of_sentencepiece_kind_and_of_unknown_kind(tmp_path):
    described = json.loads(byte_bpe().to_str())
    path = tmp_path / "tokenizer.json"
    described["decoder"] = {"type": "WordPiece", "prefix": "##", "cleanup": True}
    path.write_text(json.dumps(described))
    with pytest.raises(UnsupportedModelError, match=r"tokenizer with decoder .*WordPiece.* is not supported"):
        json_tokenizer(path)
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256)), "\u2581", "a", "t", "at", "\u2581at"]
    described = {
        "version": "1.0",
        "added_tokens": [
            {"id": i, "content": tokens[i], "special": True, "single_word": False, "lstrip": False, "rstrip": False}
            | {"normalized": False}
            for i in range(3)
        ],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "\u2581"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
            ],
        },
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {
            "type": "BPE",
            "byte_fallback": True,
            "unk_token": "<unk>",
            "fuse_unk": True,
            "vocab": {t: i for i, t in enumerate(tokens)},
            "merges": ["a t", "\u2581 at"],
        },
    }
    path.write_text(json.dumps(described))
    tokenizer = json_tokenizer(path)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 2)
    assert tokenizer.encode("at at") == [tokens.index("\u2581at")] * 2
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT


def test_byte_alphabet_is_the_librarys():
    assert sorted(byte_alphabet().values()) == list(range(256))
    assert byte_alphabet()["Ġ"] == ord(" ")
