"""Words of the vector unit."""

from amaranth.lib import data

from golden.train.params import PARTIALS, PIXEL_BITS, TrainParams
from golden.train.vector import CONSTANTS

__all__ = ["constant_layout", "place_layout", "request_layout", "start_layout", "sums_layout", "word_layout"]


def word_layout(p: TrainParams) -> data.ArrayLayout:
    """A memory word: 16-bit numbers of `word` channels of a pixel."""
    return data.ArrayLayout(16, p.word)


def constant_layout(p: TrainParams) -> data.StructLayout:
    """c<constant> of the channels of a word, bit patterns of binary32."""
    return data.StructLayout({
        "constant": range(CONSTANTS), "word": range(p.channel_words), "numbers": data.ArrayLayout(32, p.word)
    })


def sums_layout(p: TrainParams) -> data.StructLayout:
    """Sums of a segment for the channels of a word."""
    return data.StructLayout({"s0": data.ArrayLayout(32, p.word), "s1": data.ArrayLayout(32, p.word)})


def request_layout() -> data.StructLayout:
    """Memory words from word `address` on."""
    return data.StructLayout({"address": 32, "words": 32})


def start_layout(p: TrainParams) -> data.StructLayout:
    """A pass: fields of `golden.train.vector.VectorMode`, with `pixels`, whole segments, and `words` a pixel. None of
    the three is 0."""
    modes = dict.fromkeys(("gate", "relu", "outputs", "sums", "b_is_a", "b_none"), 1)
    return data.StructLayout({
        "pixels": PIXEL_BITS, "segment": PIXEL_BITS, "words": range(p.channel_words + 1), **modes
    })


def place_layout(p: TrainParams) -> data.StructLayout:
    """Where a word is added: its partial sum. `first`: that is +0 so far. `last`: of the segment."""
    return data.StructLayout({"partial": range(PARTIALS), "word": range(p.channel_words), "first": 1, "last": 1})
