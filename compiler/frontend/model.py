"""The model as the compiler sees it: one Llama-family network, its weights, its tokenizer; no file format in sight.

Conventions of every `Model`, whatever file it came from:

- Matrices are `[outputs, inputs]`, so a layer computes `y = W x`; the inputs (K) are the last axis.
- RoPE rotates ADJACENT pairs `(2i, 2i + 1)` of a head. Readers of files with the split-half convention permute the
  rows of `q` and `k`.
- Canonical tensor names: `embed` [vocab, dim]; per layer `layers.{i}.attn_norm` [dim], `.q` [heads * head_dim, dim],
  `.k`, `.v` [kv_heads * head_dim, dim], `.o` [dim, heads * head_dim], `.ffn_norm` [dim], `.gate`, `.up`
  [ffn_dim, dim], `.down` [dim, ffn_dim]; `norm` [dim]; `head` [vocab, dim], absent when the head is tied to `embed`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compiler.frontend.tokenizer import Tokenizer

MAX_LAYERS = 4096  # far above any model: a corrupt header is refused before a table of its tensors is made

NORMS, ACTIVATIONS = ("rms", "layer"), ("silu", "gelu")


class UnsupportedModelError(ValueError):
    """The file is sound, but asks for something this compiler does not do. Command-line exit code: 3.

    The message names the op, shape or type, where it is, and what to do instead.
    """


class BadModelFileError(ValueError):
    """The file is truncated or corrupt, or has tensors of wrong shape or non-finite weights. Command-line exit code: 2.

    The message names the file, the tensor where there is one, and what is wrong with it.
    """


@dataclass(frozen=True, kw_only=True)
class LlamaConfig:
    """Shape of a Llama-family decoder.

    Attributes:
        dim: width of the residual stream, elements.
        ffn_dim: width inside the gated feed-forward block, elements.
        layers: number of decoder layers, at most `MAX_LAYERS`.
        heads: query heads.
        kv_heads: key/value heads; divides `heads` (grouped-query attention).
        head_dim: elements of one head; even, since RoPE rotates pairs. `heads * head_dim` need not equal `dim`.
        vocab: tokens of the vocabulary.
        context: longest sequence the model was trained for, tokens.
        rope_theta: base of the rotary angles: pair `i` of a head turns `theta ** (-2 i / head_dim)` rad per position.
        norm_eps: added to the mean square in a norm.
        tied_head: the output head is the embedding matrix.
        norm: of `NORMS`: "rms", or "layer", which subtracts the mean first; both with a gain, without a bias.
        activation: of `ACTIVATIONS`, in the feed-forward block: "silu", or "gelu", its tanh form.

    Raises:
        ValueError: a value is out of range; the message names parameter, value and rule.
    """

    dim: int
    ffn_dim: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int
    rope_theta: float
    norm_eps: float
    tied_head: bool
    norm: str = "rms"
    activation: str = "silu"

    def __post_init__(self) -> None:
        for name in ("dim", "ffn_dim", "layers", "heads", "kv_heads", "head_dim", "vocab", "context"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        if self.layers > MAX_LAYERS:
            raise ValueError(f"layers must be at most {MAX_LAYERS}, got {self.layers!r}")
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads must divide heads ({self.heads}), got {self.kv_heads!r}")
        if self.head_dim % 2:
            raise ValueError(f"head_dim must be even (RoPE rotates pairs), got {self.head_dim!r}")
        for name in ("rope_theta", "norm_eps"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
        if not isinstance(self.tied_head, bool):
            raise ValueError(f"tied_head must be a bool, got {self.tied_head!r}")
        for name, known in (("norm", NORMS), ("activation", ACTIVATIONS)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Canonical tensor names of such a model with their shapes, in file order."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        result: dict[str, tuple[int, ...]] = {"embed": (self.vocab, self.dim)}
        for i in range(self.layers):
            layer = {
                "attn_norm": (self.dim,),
                "q": (queries, self.dim),
                "k": (keys, self.dim),
                "v": (keys, self.dim),
                "o": (self.dim, queries),
                "ffn_norm": (self.dim,),
                "gate": (self.ffn_dim, self.dim),
                "up": (self.ffn_dim, self.dim),
                "down": (self.dim, self.ffn_dim),
            }
            result |= {f"layers.{i}.{name}": shape for name, shape in layer.items()}
        result["norm"] = (self.dim,)
        if not self.tied_head:
            result["head"] = (self.vocab, self.dim)
        return result


@dataclass(frozen=True)
class GroupQuant:
    """Integer codes with one scale per group: `w = scale * q + minimum`, groups of `group` along the last axis.

    Attributes:
        q: int8 [rows, K], in 0 .. 15 (Q4_1), -8 .. 7 (Q4_0) or -127 .. 127 (Q8_0; -128 may occur in foreign files).
        scale: float16 or float32 [rows, K // group].
        minimum: same shape and type as `scale`; `None` where the format has no offset.
        group: elements that share one scale.
        bits: width of a code.
        signed: whether codes are two's complement.

    Raises:
        ValueError: arrays that do not belong together.
    """

    q: np.ndarray
    scale: np.ndarray
    minimum: np.ndarray | None
    group: int
    bits: int
    signed: bool

    def __post_init__(self) -> None:
        if self.q.dtype != np.int8 or self.q.ndim != 2:
            raise ValueError(f"q must be int8 [rows, K], got {self.q.dtype} {self.q.shape!r}")
        rows, inputs = self.q.shape
        if self.group < 1 or inputs % self.group:
            raise ValueError(f"group must divide K = {inputs}, got {self.group!r}")
        for name, values in (("scale", self.scale), ("minimum", self.minimum)):
            if values is None:
                if name == "scale":
                    raise ValueError("scale must be an array, got None")
                continue
            if values.shape != (rows, inputs // self.group):
                raise ValueError(f"{name} must have shape {(rows, inputs // self.group)!r}, got {values.shape!r}")
            if values.dtype not in (np.float16, np.float32):
                raise ValueError(f"{name} must be float16 or float32, got {values.dtype}")

    def dense(self) -> np.ndarray:
        """The weights as float32 [rows, K]."""
        rows, inputs = self.q.shape
        blocks = self.q.reshape(rows, inputs // self.group, self.group).astype(np.float32)
        blocks *= self.scale.astype(np.float32)[:, :, None]
        if self.minimum is not None:
            blocks += self.minimum.astype(np.float32)[:, :, None]
        return blocks.reshape(rows, inputs)

    def take_rows(self, order: np.ndarray) -> GroupQuant:
        """The same weights with rows `order` (int [rows]), exactly: groups lie along K, so rows move freely."""
        minimum = None if self.minimum is None else self.minimum[order]
        return GroupQuant(self.q[order], self.scale[order], minimum, self.group, self.bits, self.signed)

    def finite(self) -> bool:
        """Whether every scale and minimum is a number."""
        return bool(np.isfinite(self.scale).all() and (self.minimum is None or np.isfinite(self.minimum).all()))


@dataclass(frozen=True)
class Tensor:
    """One weight array, either plain `values` (float16 or float32) or `quant`; exactly one of the two is given.

    Raises:
        ValueError: both or neither is given.
    """

    values: np.ndarray | None = None
    quant: GroupQuant | None = None

    def __post_init__(self) -> None:
        if (self.values is None) == (self.quant is None):
            raise ValueError("exactly one of values and quant must be given")

    @property
    def shape(self) -> tuple[int, ...]:
        if self.quant is not None:
            return self.quant.q.shape
        assert self.values is not None
        return self.values.shape

    @property
    def group(self) -> int | None:
        """Inputs that share a scale; `None` for plain values."""
        return None if self.quant is None else self.quant.group

    def dense(self) -> np.ndarray:
        """The weights as float32, in `shape`."""
        if self.quant is not None:
            return self.quant.dense()
        assert self.values is not None
        return self.values.astype(np.float32)

    def take_rows(self, order: np.ndarray) -> Tensor:
        """The tensor with rows `order` (int [rows]), in the same representation."""
        if self.quant is not None:
            return Tensor(quant=self.quant.take_rows(order))
        assert self.values is not None
        return Tensor(values=self.values[order])

    def finite(self) -> bool:
        """Whether no weight is NaN or infinite."""
        if self.quant is not None:
            return self.quant.finite()
        assert self.values is not None
        return bool(np.isfinite(self.values).all())


@dataclass(frozen=True)
class Model:
    """A whole network: `config`, canonical `tensors` (module docstring), `tokenizer`, and a `name` for people."""

    config: LlamaConfig
    tensors: dict[str, Tensor]
    tokenizer: Tokenizer
    name: str

    @property
    def head(self) -> Tensor:
        """The output head [vocab, dim], which is `embed` when tied."""
        return self.tensors["embed" if self.config.tied_head else "head"]


def checked_config(path: Path, **values: object) -> LlamaConfig:
    """`LlamaConfig(**values)`, with a bad value reported as the fault of file `path`.

    Raises:
        BadModelFileError: a value breaks a rule of `LlamaConfig`.
    """
    try:
        return LlamaConfig(**values)  # type: ignore[arg-type]
    except ValueError as error:
        raise BadModelFileError(f"{path}: bad model configuration: {error}") from None


def checked_tensors(path: Path, config: LlamaConfig, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`tensors` in canonical order, after checking that exactly those of `config` are there, in shape and finite.

    Raises:
        BadModelFileError: a tensor is missing, has a wrong shape, or holds NaN or infinity.
        UnsupportedModelError: there is a tensor that the architecture does not have.
    """
    shapes = config.shapes()
    for name, shape in shapes.items():
        if name not in tensors:
            raise BadModelFileError(f"{path}: tensor {name!r} is missing")
        tensor = tensors[name]
        if tensor.shape != shape:
            raise BadModelFileError(f"{path}: tensor {name!r} has shape {tensor.shape!r}, expected {shape!r}")
        if not tensor.finite():
            raise BadModelFileError(f"{path}: tensor {name!r} holds NaN or infinite values")
    for name in tensors:
        if name not in shapes:
            raise UnsupportedModelError(f"{path}: tensor {name!r} has no place in a plain Llama model")
    return {name: tensors[name] for name in shapes}


def rope_pairs_from_halves(heads: int, head_dim: int) -> np.ndarray:
    """Row order that turns split-half RoPE rows into adjacent pairs: int [heads * head_dim].

    In Hugging Face files element `i` of a head rotates with `i + head_dim / 2`; taking rows in this order puts the
    two next to each other, and leaves every dot product of q and k as it was.
    """
    half = head_dim // 2
    one_head = np.arange(head_dim).reshape(2, half).T.reshape(-1)
    return (np.arange(heads)[:, None] * head_dim + one_head).reshape(-1)
