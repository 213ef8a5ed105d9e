"""Whole models: what is compressed, that it is what was asked for, and that the packed lanes hold it."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.compress import Recipe, RecipeError, built_in_text, compress
from compiler.compress.calibrate import Stream
from compiler.compress.prune import choose_kept
from compiler.compress.smooth import smooth, smoothing_scale
from compiler.frontend import load_model
from compiler.frontend.model import Model, Tensor, UnsupportedModelError
from compiler.frontend.reference import logits
from compiler.llm import compile_model
from compiler.llm.blocks import block_layouts
from compiler.llm.plan import Shapes
from compiler.models import TINY
from golden.llm import decode
from golden.llm.matrix import read_matrix
from golden.params import BLOCK, LlmParams

from .models import random_weights, small_config

PARTS = ("q", "k", "v", "o", "gate", "up", "down")
FAST = {"sequences": 3, "length": 24}
PARAMS = (LlmParams(), LlmParams(acc_depth=4, ksplit=1), LlmParams(channels=2, ksplit=4, acc_depth=32))


class Numbers:
    """A tokenizer of decimal numbers, for models whose text does not matter."""

    bos_id = eos_id = None
    stop_ids = frozenset()
    has_chat = False

    def __init__(self, vocab):
        self.vocab_size = vocab


@pytest.fixture(scope="module")
def small():
    config = small_config()
    tensors = {name: Tensor(values=values) for name, values in random_weights(config).items()}
    return Model(config, tensors, Numbers(config.vocab), "small")


@pytest.fixture(scope="module")
def tiny():
    return load_model(TINY)


@pytest.fixture
def tokens(rng):
    return rng.integers(0, 300, 100).tolist()


def names(model, parts=PARTS):
    return [f"layers.{i}.{part}" for i in range(model.config.layers) for part in parts]


def test_nothing_asked_nothing_done(small):
    assert compress(small, Recipe()) is small
    assert compress(small, Recipe(sparsity="16:16")) is small


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
@pytest.mark.parametrize("bits", [None, 5])
def test_every_matrix_of_the_layers_is_compressed_and_nothing_else(small, tokens, method, bits):
    result = compress(small, Recipe(method=method, sparsity="4:16", bits=bits, **FAST), tokens)
    for name, tensor in result.tensors.items():
        if name not in names(small):
            assert tensor is small.tensors[name]
            continue
        assert (tensor.quant is None) == (bits is None)
        kept = np.count_nonzero(tensor.dense().reshape(tensor.shape[0], -1, BLOCK), axis=-1)
        assert kept.max() == 4
        assert bits is not None or kept.min() == 4


def test_better_methods_lose_less(tiny):
    """On real text, with a model that is 8:16 sparse already."""
    ids = tiny.tokenizer.encode("First Citizen:\nBefore we proceed any further, hear me speak.\n" * 40)
    right = logits(tiny, ids[:200], np.float32)

    def error(method):
        recipe = Recipe(method=method, sparsity="4:16", sequences=4, length=128)
        return float(np.mean((logits(compress(tiny, recipe, ids), ids[:200], np.float32) - right) ** 2))

    assert error("sparsegpt") < error("wanda") < error("magnitude")


def test_the_head_takes_part_when_asked(small, tokens):
    recipe = Recipe(sparsity="8:16", head=True, **FAST)
    head = compress(small, recipe, tokens).tensors["head"].dense()
    assert np.all(np.count_nonzero(head.reshape(300, -1, BLOCK), axis=-1) == 8)
    config = replace(small.config, tied_head=True)
    tied = Model(config, {n: t for n, t in small.tensors.items() if n != "head"}, small.tokenizer, "tied")
    embed = compress(tied, recipe, tokens).tensors["embed"].dense()
    assert np.all(np.count_nonzero(embed.reshape(300, -1, BLOCK), axis=-1) == 8)


def test_later_layers_see_what_the_compressed_earlier_ones_put_out(small, tokens):
    recipe = Recipe(method="wanda", sparsity="4:16", **FAST)
    result = compress(small, recipe, tokens)
    stream_of = Stream.start(small, [tokens[i * 24 : i * 24 + 24] for i in range(3)])
    stream_of.advance(result, 0)
    squares = stream_of.observe(small, 1, gram=False)["o"].squares
    saliency = small.tensors["layers.1.o"].dense() ** 2 * squares
    kept = np.sort(saliency.reshape(64, -1, BLOCK), axis=-1)[..., -4:].sum()
    assert saliency[result.tensors["layers.1.o"].dense() != 0].sum() == pytest.approx(kept)


def test_mixed_widths_stay_below_the_average(small, tokens):
    result = compress(small, Recipe(method="wanda", bits=4.2, **FAST), tokens)
    quants = [result.tensors[name].quant for name in names(small)]
    bits, sizes = zip(*[(q.bits, q.q.size) for q in quants], strict=True)
    assert len(set(bits)) > 1
    assert np.dot(bits, sizes) <= 4.2 * sum(sizes)
    for group in ("qkv", ("gate", "up")):
        assert len({result.tensors[f"layers.{i}.{part}"].quant.bits for i in range(2) for part in group}) == 1


def test_dense_weights_may_have_a_minimum(small, tokens):
    result = compress(small, Recipe(method="wanda", bits=4, minimum=True, **FAST), tokens)
    assert all(result.tensors[name].quant.minimum is not None for name in names(small))
    compile_model(replace(result, tokenizer=load_model(TINY).tokenizer), LlmParams(ksplit=1), context=16)


def test_a_text_too_short_and_inputs_that_tear_a_group_are_refused(small, tiny):
    with pytest.raises(RecipeError, match="length = 1024: the calibration text has only 5 tokens"):
        compress(small, Recipe(sparsity="8:16"), [1] * 5)
    with pytest.raises(UnsupportedModelError, match=r"layers\.0\.k: its 100 inputs are no whole groups of 32"):
        compress(tiny, Recipe(bits=4, method="magnitude"))


def test_the_built_in_text_is_enough_for_a_calibration(tiny):
    assert len(tiny.tokenizer.encode(built_in_text())) > 16 * 1024


@pytest.mark.parametrize("changes", [{}, {"norm": "layer", "activation": "gelu"}], ids=["llama", "olmo"])
@pytest.mark.parametrize("alpha", [0, 0.5, 1])
def test_smoothing_does_not_change_the_function(small, tokens, alpha, changes):
    small = replace(small, config=replace(small.config, **changes))
    smoothed = smooth(small, alpha, [tokens[:24]])
    right, found = logits(small, tokens[:24]), logits(smoothed, tokens[:24])
    assert not np.array_equal(smoothed.tensors["layers.0.q"].dense(), small.tensors["layers.0.q"].dense())
    assert np.abs(found - right).max() <= 1e-5 * np.abs(right).max()


def test_smoothing_evens_out_the_inputs(small, tokens):
    peaks = [
        Stream.start(m, [tokens[:24]]).observe(m, 0, gram=False) for m in (small, smooth(small, 1.0, [tokens[:24]]))
    ]
    for matrix in ("qkv", "gate_up", "down"):
        np.testing.assert_allclose(peaks[1][matrix].peak, peaks[1][matrix].peak.mean(), rtol=1e-4)
        assert np.ptp(peaks[0][matrix].peak) > 0.1 * peaks[0][matrix].peak.mean()


def test_a_channel_without_input_or_weights_is_left_alone():
    scale = smoothing_scale(np.array([0, 2.0, 8.0, 1.0]), np.array([1.0, 1.0, 1.0, 0]), 0.5)
    np.testing.assert_allclose(scale, [1, 2**-0.5, 2**0.5, 1], rtol=1e-6)


def test_every_token_counts_the_same(small, tokens):
    moments = Stream.start(small, [tokens[:24], tokens[24:48]]).observe(small, 0, gram=True)
    for matrix, found in moments.items():
        inputs = small.config.ffn_dim if matrix == "down" else small.config.dim
        assert found.squares.sum() == pytest.approx(48 * inputs, rel=1e-5)
        np.testing.assert_allclose(np.diagonal(found.gram), found.squares, rtol=1e-4)


@pytest.fixture
def decoded(monkeypatch):
    """N of every block that is decoded, lane by lane; to be cleared before decoding."""
    found, under_way = [], []
    block, alike = decode._decode_block, decode._decode_alike

    def decode_block(read, fmt, q):
        under_way.extend([fmt.kept] * len(q))
        block(read, fmt, q)

    def decode_alike(*arguments):
        under_way.clear()
        result = alike(*arguments)  # raises where lanes differ; they are then decoded one by one
        found.extend(under_way)
        return result

    monkeypatch.setattr(decode, "_decode_block", decode_block)
    monkeypatch.setattr(decode, "_decode_alike", decode_alike)
    return found


@pytest.mark.parametrize("params", PARAMS, ids=str)
@pytest.mark.parametrize(("name", "density"), [("small", 0.6), ("tiny", 0.4)])
def test_the_lanes_hold_the_n_that_was_chosen(request, name, density, params, tokens, monkeypatch, decoded):
    """Prune with an N by block chosen under an average density, compile, and decode the descriptors."""
    model = replace(request.getfixturevalue(name), tokenizer=load_model(TINY).tokenizer)
    chosen = []

    def spy(saliency, density, layout):
        chosen.append(choose_kept(saliency, density, layout))
        return chosen[-1]

    monkeypatch.setattr("compiler.compress.matrix.choose_kept", spy)
    layouts = block_layouts(Shapes(model.config, params, 24))
    result = compress(model, Recipe(method="wanda", density=density, **FAST), tokens, layouts)
    program = compile_model(result, params, context=24)
    for layer in range(model.config.layers):
        for matrix in ("qkv", "o", "gate_up", "down"):
            kept = chosen.pop(0)
            decoded.clear()
            read_matrix(params, program.images, program.manifest["matrices"][matrix], layer)
            assert len(np.unique(kept)) > 1
            np.testing.assert_array_equal(np.sort([n for n in decoded if n > 0]), np.sort(kept[kept > 0]))


def test_rows_of_a_block_lie_row_groups_apart(small):
    layouts = block_layouts(Shapes(small.config, LlmParams(), 24))
    assert LlmParams().row_groups == 4
    assert layouts["down"].rows.tolist() == (np.arange(64) % 4).tolist()
    assert layouts["gate_up"].rows.tolist() == (np.arange(192) % 4 + np.arange(192) // 64 * 4).tolist()
    assert layouts["down"].inputs.tolist() == (np.arange(96) // BLOCK).tolist()
