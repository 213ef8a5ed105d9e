"""Text to token numbers and back, for the four kinds of tokenizer that Llama-family files carry.

`JsonTokenizer` wraps the `tokenizers` library: a Hugging Face tokenizer.json, or a GPT-2 style byte BPE rebuilt from
GGUF metadata. `ScoreTokenizer` is SentencePiece BPE (merge the adjacent pair with the best score, fall back to
bytes): GGUF model `llama`, and llama2.c's tokenizer.bin.
"""

from __future__ import annotations

import codecs
import heapq
import re
from typing import TYPE_CHECKING, Any, Protocol

from compiler.frontend.model import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import tokenizers

DEFAULT_SYSTEM = re.compile(r"<\|im_start\|>system(?:\\n|\n)((?:(?!\{\{).)*?)<\|im_end\|>", re.DOTALL)
STOP_TOKENS = ("<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>")


class Tokenizer(Protocol):
    """What the rest of the compiler needs of a tokenizer.

    Attributes:
        vocab_size: number of tokens; ids are 0 .. vocab_size - 1.
        bos_id: token that starts a text, or `None`.
        eos_id: token that ends a text, or `None`.
        stop_ids: tokens at which generation ends: `eos_id` and the ends of a chat turn.
        has_chat: whether `chat` works.
    """

    vocab_size: int
    bos_id: int | None
    eos_id: int | None
    stop_ids: frozenset[int]
    has_chat: bool

    def encode(self, text: str, bos: bool | None = None) -> list[int]:
        """Tokens of `text`; names of control tokens in it are plain text.

        Args:
            text: any string.
            bos: put `bos_id` first; `None` does what the model was trained with.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of a whole sequence; control tokens are dropped, broken UTF-8 becomes U+FFFD."""
        ...

    def decode_token(self, token: int) -> bytes:
        """UTF-8 bytes of one token, maybe only a part of a character (`TextStream` joins them); b"" for control."""
        ...

    def chat(self, prompt: str, system: str | None = None) -> list[int]:
        """Tokens of a ChatML conversation with one user turn, ready for the answer.

        Args:
            prompt: what the user says; control tokens in it are plain text.
            system: system message, "" for none; `None` takes that of the model's template, if it has one.

        Raises:
            UnsupportedModelError: the vocabulary has no ChatML tokens.
        """
        ...


class TextStream:
    """Prints tokens as they come: holds back the bytes of a character until it is whole.

    `push(token)` returns the text that is now complete (often "", never half a character), `finish()` the rest.
    Unlike `Tokenizer.decode`, a leading blank stays: the stream continues a prompt.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        return self.decoder.decode(self.tokenizer.decode_token(token))

    def finish(self) -> str:
        return self.decoder.decode(b"", final=True)


class PieceTokenizer:
    """What all tokenizers here share: bytes per token, special tokens, ChatML.

    Args:
        pieces: UTF-8 bytes of every token, b"" for control tokens.
        control: names of control tokens and their ids.
        bos_id: token that starts a text, or `None`.
        eos_id: token that ends a text, or `None`.
        add_bos: whether `encode` puts `bos_id` first unless told otherwise.
        chat_template: the model's Jinja template; only its default system message is taken.

    Raises:
        ValueError: `bos_id` or `eos_id` is not a token.
    """

    def __init__(
        self,
        pieces: Sequence[bytes],
        *,
        control: Mapping[str, int],
        bos_id: int | None,
        eos_id: int | None,
        add_bos: bool,
        chat_template: str | None = None,
    ) -> None:
        self.pieces = list(pieces)
        self.vocab_size = len(self.pieces)
        for name, value in (("bos_id", bos_id), ("eos_id", eos_id)):
            if value is not None and not 0 <= value < self.vocab_size:
                raise ValueError(f"{name} must be a token of the {self.vocab_size}, got {value!r}")
        self.bos_id, self.eos_id = bos_id, eos_id
        self.add_bos = add_bos and bos_id is not None
        self.control = dict(control)
        stops = {self.control[name] for name in STOP_TOKENS if name in self.control}
        self.stop_ids = frozenset(stops if eos_id is None else stops | {eos_id})
        self.has_chat = {"<|im_start|>", "<|im_end|>"} <= self.control.keys()
        found = DEFAULT_SYSTEM.search(chat_template or "")
        self.default_system = found[1] if found else None
        self.blank_first = False
        self.blank_first = self.decode(self.encode("a", bos=False)) == " a"

    def encode_text(self, text: str) -> list[int]:
        """Tokens of `text` alone."""
        raise NotImplementedError

    def encode(self, text: str, bos: bool | None = None) -> list[int]:
        ids = self.encode_text(text)
        if bos is None:
            bos = self.add_bos
        if bos and self.bos_id is None:
            raise ValueError("bos must be False or None: this tokenizer has no such token, got True")
        return [self.bos_id, *ids] if bos and self.bos_id is not None else ids

    def decode_token(self, token: int) -> bytes:
        if not 0 <= token < self.vocab_size:
            raise ValueError(f"token must be below {self.vocab_size}, got {token!r}")
        return self.pieces[token]

    def decode(self, ids: Sequence[int]) -> str:
        data = b"".join(self.decode_token(i) for i in ids)
        return (data.removeprefix(b" ") if self.blank_first else data).decode("utf-8", errors="replace")

    def chat(self, prompt: str, system: str | None = None) -> list[int]:
        if not self.has_chat:
            raise UnsupportedModelError(
                "chat: the vocabulary has no <|im_start|> and <|im_end|> tokens (ChatML); give the prompt as plain text"
            )
        start, end = self.control["<|im_start|>"], self.control["<|im_end|>"]
        if system is None:
            system = self.default_system
        ids = []
        for role, content in (("system", system), ("user", prompt)):
            if content or role == "user":
                ids += [start, *self.encode_text(f"{role}\n{content}"), end, *self.encode_text("\n")]
        return [*ids, start, *self.encode_text("assistant\n")]


class JsonTokenizer(PieceTokenizer):
    """A tokenizer of the `tokenizers` library.

    Args:
        inner: the library's object; special tokens in text are switched off.
        pieces: UTF-8 bytes of every token, b"" for control tokens.
        options: those of `PieceTokenizer`.
    """

    def __init__(self, inner: tokenizers.Tokenizer, pieces: Sequence[bytes], **options: Any) -> None:
        inner.encode_special_tokens = True
        self.inner = inner
        super().__init__(pieces, **options)

    def encode_text(self, text: str) -> list[int]:
        return self.inner.encode(text, add_special_tokens=False).ids


class ScoreTokenizer(PieceTokenizer):
    """SentencePiece BPE: starting from characters, merge the adjacent pair whose token scores best (leftmost first).

    What is no token in the end is spelt with byte tokens, and dropped to `unknown_id` where the vocabulary has none.

    Args:
        vocabulary: normal tokens (UTF-8, blanks as blanks) and their ids.
        scores: one per token; higher merges first.
        byte_ids: tokens of the 256 bytes, or fewer.
        unknown_id: token for what cannot be spelt; `None` drops it.
        prefix: put a blank before the text, as most SentencePiece models were trained.
        pieces: UTF-8 bytes of every token, b"" for control tokens.
        options: those of `PieceTokenizer`.
    """

    def __init__(
        self,
        *,
        vocabulary: Mapping[bytes, int],
        scores: Sequence[float],
        byte_ids: Mapping[int, int],
        unknown_id: int | None,
        prefix: bool,
        pieces: Sequence[bytes],
        **options: Any,
    ) -> None:
        self.vocabulary, self.scores, self.byte_ids = dict(vocabulary), list(scores), dict(byte_ids)
        self.unknown_id, self.prefix = unknown_id, prefix
        super().__init__(pieces, **options)

    def encode_text(self, text: str) -> list[int]:
        if not text:
            return []
        symbols = [c.encode("utf-8", errors="replace") for c in (" " + text if self.prefix else text)]
        return [token for symbol in self.merged(symbols) for token in self.spelt(symbol)]

    def merged(self, symbols: list[bytes]) -> list[bytes]:
        """`symbols` after all merges; a linked list over the positions, and a heap of the possible merges."""
        before, after = list(range(-1, len(symbols) - 1)), [*range(1, len(symbols)), -1]
        heap: list[tuple[float, int, bytes]] = []

        def offer(left: int) -> None:
            right = after[left] if left >= 0 else -1
            if right >= 0:
                token = self.vocabulary.get(symbols[left] + symbols[right])
                if token is not None:
                    heapq.heappush(heap, (-self.scores[token], left, symbols[left] + symbols[right]))

        for position in range(len(symbols)):
            offer(position)
        while heap:
            _, left, joined = heapq.heappop(heap)
            right = after[left]
            if right < 0 or not symbols[left] or symbols[left] + symbols[right] != joined:
                continue
            symbols[left], symbols[right] = joined, b""
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
            offer(before[left])
            offer(left)
        return [s for s in symbols if s]

    def spelt(self, symbol: bytes) -> list[int]:
        token = self.vocabulary.get(symbol)
        if token is not None:
            return [token]
        if all(byte in self.byte_ids for byte in symbol):
            return [self.byte_ids[byte] for byte in symbol]
        return [] if self.unknown_id is None else [self.unknown_id]
