import pytest

from compiler.frontend import load_model
from compiler.frontend.tokenizer import ScoreTokenizer
from compiler.frontend.tokenizer_store import dump_tokenizer, restore_tokenizer
from compiler.models import TINY

TEXT = "Romeo, naïve — 42 times!\n"


def score_tokenizer():
    pieces = [b"", *(bytes([b]) for b in range(256)), b" a", b"bc"]
    return ScoreTokenizer(
        vocabulary={b"a": 98, b" ": 33, b" a": 257, b"b": 99, b"c": 100, b"bc": 258},
        scores=[0.0] * 257 + [2.0, 1.0],
        byte_ids={b: b + 1 for b in range(256)},
        unknown_id=None,
        prefix=True,
        pieces=pieces,
        control={"<s>": 0},
        bos_id=0,
        eos_id=None,
        add_bos=True,
    )


@pytest.mark.parametrize("make", [score_tokenizer, lambda: load_model(TINY).tokenizer])
def test_round_trip(make):
    original = make()
    restored = restore_tokenizer(dump_tokenizer(original))
    assert type(restored) is type(original)
    assert restored.encode(TEXT) == original.encode(TEXT)
    assert restored.decode(original.encode(TEXT)) == original.decode(original.encode(TEXT))
    assert (restored.bos_id, restored.eos_id, restored.stop_ids) == (
        original.bos_id, original.eos_id, original.stop_ids,
    )


@pytest.mark.parametrize("data", [b"{}", b"[]", b"nonsense", b'{"kind": "json", "common": {"pieces": []}}'])
def test_not_a_stored_tokenizer(data):
    with pytest.raises(ValueError, match=r"stored tokenizer|Expecting value"):
        restore_tokenizer(data)
