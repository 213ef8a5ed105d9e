"""Scores a text with the engine's arithmetic: what the executor computes token by token, for all tokens at once.

Bit for bit the logits of `golden.llm.executor` on the program of `compiler/llm/lower.py` (tests/golden/test_score.py).
Vectors are columns, [n, tokens]. A float64 product of matrices is exact here (`read_matrix` sees to that; attention's
sums stay far below 2**53), so that its rounding to binary32 is the one rounding of the contract, in whatever order
BLAS adds.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from golden import float32 as f32
from golden import functions
from golden.params import BLOCK, LlmParams

from . import batch
from .matrix import ImageMatrix, read_matrix
from .vector import reduce_sum

__all__ = ["Scorer"]

QUERIES = 64
"""Queries of a head that attention handles at a time: its arrays stay in a cache."""
HEAD_ROWS = 2048
"""Logits of a token that are handled at a time."""
LAYER_MATRICES = ("qkv", "o", "gate_up", "down")


class Scorer:
    """A Llama, read out of a program's images; about 1.3 bytes of memory a weight.

    Args:
        params: of the engine; orders of sums depend on them.
        manifest: the program's; `model`, `matrices` and `vectors` are used.
        images: port -> uint8 array, before the first run.

    Raises:
        ValueError, OverflowError: the images do not hold what the manifest says.
    """

    def __init__(self, params: LlmParams, manifest: Mapping[str, Any], images: Mapping[str, np.ndarray]) -> None:
        self.params, self.model, self.places = params, manifest["model"], manifest["vectors"]
        self.vectors = images["v"]
        matrices = manifest["matrices"]
        self.layers = [
            {name: read_matrix(params, images, matrices[name], layer) for name in LAYER_MATRICES}
            for layer in range(self.model["layers"])
        ]
        self.head = read_matrix(params, images, matrices["head"])

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """float32 [T, vocab] of tokens at positions 0 .. T - 1; row t predicts token t + 1.

        Raises:
            ValueError: no tokens, more than the program's context, or a token outside the vocabulary.
        """
        return np.concatenate([part for _, part in self._head(self._hidden(tokens))]).T

    def loss(self, tokens: Sequence[int]) -> float:
        """Negative log likelihood in nats of every token but the first, summed: float64 log-softmax of the logits.

        Raises:
            ValueError: fewer than two tokens, or see `logits`.
        """
        if len(tokens) < 2:
            raise ValueError(f"tokens must be at least 2, got {len(tokens)}")
        wanted = np.asarray(tokens[1:])
        peak, total, found = np.full(len(wanted), -np.inf), np.zeros(len(wanted)), np.zeros(len(wanted))
        for first, part in self._head(self._hidden(tokens[:-1])):
            logits = part.astype(np.float64)
            before, peak = peak, np.maximum(peak, logits.max(0))
            total = total * np.exp(before - peak) + np.exp(logits - peak).sum(0)
            here = np.flatnonzero((wanted >= first) & (wanted < first + len(logits)))
            found[here] = logits[wanted[here] - first, here]
        return float(np.sum(peak + np.log(total) - found))

    def _vectors(self, name: str, index: np.ndarray, count: int) -> np.ndarray:
        """float32 [count, len(index)]: rows `index` of a table in the vector channel."""
        at, stride = self.places[name]["at"], self.places[name]["stride"]
        table = self.vectors[at : at + stride * (int(index.max()) + 1)].reshape(-1, stride)
        return f32.ftz(np.ascontiguousarray(table[index, : 4 * count].view("<f4").T))

    def _hidden(self, tokens: Sequence[int]) -> np.ndarray:
        """float32 [dim, T]: what the head multiplies."""
        ids, model = np.asarray(tokens, np.int64), self.model
        if not 1 <= len(ids) <= model["context"]:
            raise ValueError(f"tokens must be 1 to {model['context']} (the program's context), got {len(ids)}")
        if ids.min() < 0 or ids.max() >= model["vocab"]:
            raise ValueError(f"tokens must be below {model['vocab']}, got {int(ids.min())} to {int(ids.max())}")
        x = self._vectors("embed", ids, model["dim"])
        rope = self._vectors("rope", np.arange(len(ids)), 4 * model["padded_head"])
        for number, layer in enumerate(self.layers):
            x = batch.add(x, self._attention(layer, self._norm(x, 2 * number), rope))
            x = batch.add(x, self._feed_forward(layer, self._norm(x, 2 * number + 1)))
        return self._norm(x, 2 * len(self.layers))

    def _head(self, hidden: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """(first token of the vocabulary, its and the next ones' logits as float32 [tokens, T])."""
        x = _quantised(hidden, self.head.inputs)
        for first in range(0, self.model["vocab"], HEAD_ROWS):
            rows = slice(first, min(first + HEAD_ROWS, self.model["vocab"]))
            yield first, batch.convert(self.head.dense(rows) @ x)

    def _norm(self, x: np.ndarray, index: int) -> np.ndarray:
        """RMSNorm or LayerNorm with the weights of norm `index`."""
        if self.model["norm"] == "layer":
            x = batch.sub(x, self._mean(x))
        mean = batch.add(self._mean(batch.mul(x, x)), np.float32(self.model["norm_eps"]))
        return batch.mul(batch.mul(x, self._vectors("norms", np.array([index]), len(x))), functions.rsqrt(mean))

    def _mean(self, x: np.ndarray) -> np.ndarray:
        """float32 [T]: of every column."""
        return batch.mul(reduce_sum(x, self.params.sfu_lanes, batch.add), np.float32(1 / len(x)))

    def _attention(self, layer: Mapping[str, ImageMatrix], x: np.ndarray, rope: np.ndarray) -> np.ndarray:
        """float32 [dim, T]: what attention adds to the residual stream."""
        model, head = self.model, self.model["padded_head"]
        heads, kv_heads = model["heads"], model["kv_heads"]
        qkv = _product(layer["qkv"], x)[: (heads + 2 * kv_heads) * head].reshape(-1, head, x.shape[1])
        cos_q, sin_q, cos_k, sin_k = rope.reshape(4, head, -1)
        k, q, v = np.split(qkv, (kv_heads, kv_heads + heads))
        k = _rotate(k, cos_k, sin_k)
        q = batch.quantise(_rotate(q, cos_q, sin_q).swapaxes(0, 1)).values()
        shared = heads // kv_heads
        parts = [
            _attend(q[:, h * shared : (h + 1) * shared], k[h], v[h], self.params.sfu_lanes)
            for h in range(kv_heads)
        ]
        mixed = np.concatenate(parts, 1).swapaxes(0, 1).reshape(heads * head, -1)
        return _product(layer["o"], mixed)[: len(x)]

    def _feed_forward(self, layer: Mapping[str, ImageMatrix], x: np.ndarray) -> np.ndarray:
        """float32 [dim, T]: what the gated block adds to the residual stream."""
        gate, up = _product(layer["gate_up"], x)[: 2 * self.model["padded_ffn"]].reshape(2, -1, x.shape[1])
        if self.model["activation"] == "gelu":
            u = batch.add(batch.mul(batch.mul(gate, gate), functions.GELU_CUBIC), functions.GELU_LINEAR)
            falling = batch.exp(batch.mul(u, gate))
        else:
            falling = batch.exp(batch.mul(gate, np.float32(-1)))
        sigmoid = batch.recip(batch.add(falling, np.float32(1)))
        return _product(layer["down"], batch.mul(batch.mul(sigmoid, gate), up))[: len(x)]


def _padded(x: np.ndarray, count: int, axis: int) -> np.ndarray:
    """x with zeros behind, `count` long."""
    return np.pad(x, [(0, count - x.shape[axis] if i == axis else 0) for i in range(x.ndim)])


def _quantised(x: np.ndarray, inputs: int) -> np.ndarray:
    """float64 [inputs, T]: the columns of x, padded, as QNT leaves them."""
    return batch.quantise(_padded(x, inputs, 0)).values()


def _product(matrix: ImageMatrix, x: np.ndarray) -> np.ndarray:
    """float32 [outputs, T]: QNT, then MV, of every column."""
    return batch.convert(matrix.dense() @ _quantised(x, matrix.inputs))


def _rotate(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """RoPE of float32 [heads, head, T]; `sin` has the signs of the adjacent pairs."""
    turned = x.reshape(len(x), -1, 2, x.shape[2])[:, :, ::-1].reshape(x.shape)
    return batch.add(batch.mul(x, cos), batch.mul(turned, sin))


def _attend(q: np.ndarray, k: np.ndarray, v: np.ndarray, lanes: int) -> np.ndarray:
    """Causal attention of the query heads that share a KV head.

    Args:
        q: float64 [head, heads, T], quantised. k, v: float32 [head, T].
        lanes: elements of a vector row.

    Returns:
        float32 [head, heads, T].
    """
    head, heads, length = q.shape
    whole = -(-length // BLOCK) * BLOCK
    cache_k, cache_v = (batch.quantise(_padded(x, whole, 1), flat=True) for x in (k, v))
    keys, values = cache_k.q.T.astype(np.float64), cache_v.q.astype(np.float64)
    k_scale, v_scale = cache_k.scale()[:, None], cache_v.scale()[:, None]
    result = np.empty(q.shape, np.float32)
    for first in range(0, length, QUERIES):
        last = min(first + QUERIES, length)
        seen = -(-last // BLOCK) * BLOCK
        future = np.arange(first, seen)[:, None] > np.tile(np.arange(first, last), heads)
        p = batch.convert(keys[:seen] @ q[:, :, first:last].reshape(head, -1))
        p = batch.mul(p, k_scale[:seen])
        p[first:][future] = -np.inf
        p = batch.exp(batch.sub(p, batch.maximum(p)))
        total = reduce_sum(p, lanes, batch.add)
        p = batch.mul(p, v_scale[:seen])
        p[first:][future] = 0
        mixed = batch.mul(batch.convert(values[:, :seen] @ batch.quantise(p).values()), batch.recip(total))
        result[:, :, first:last] = mixed.reshape(head, heads, -1)
    return result
