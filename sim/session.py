"""Text generation on a device: prompt in, token by token out, and what it cost."""

import time
from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compiler.llm.prompt import PromptPlan
from compiler.llm.registers import DECODE
from compiler.program import Program
from golden.params import LlmParams

from .device import open_device
from .sampling import Sampler

__all__ = ["LlmSession", "TokenStep", "golden_run", "prompt_run"]


@dataclass(frozen=True)
class TokenStep:
    """A run: the prompt or a decode step. `position` is of the last token read; no cycles on the golden level.

    `top`: of the largest logits that the program lists, the largest first, `token`, `logit` and `raw`, its bits.
    """

    position: int
    token: int
    cycles: int | None
    top: list[dict[str, Any]]


class LlmSession:
    """A program loaded on a device.

    Args:
        watch: called during a run on the RTL, with its cycles so far. xclbin: see `open_device`.
        sampler: chooses among the logits that the program lists; `None`: the engine's arg-max is taken.
    """

    def __init__(self, program: Program, level: str, *, memory: str = "ideal", seed: int = 0,
                 watch: Callable[[int], None] | None = None, sampler: Sampler | None = None,
                 xclbin: Path | None = None) -> None:
        self.sampler = sampler
        self.program, self.level, self.memory = program, level, memory
        self.params = LlmParams.from_dict(program.manifest["params"])
        self.device = open_device(level, memory, seed, watch, xclbin)
        self.device.load(program)
        self._begin()

    def _begin(self) -> None:
        self.tokens: list[int] = []
        self.cycles: list[int] = []
        self.top: list[list[dict[str, Any]]] = []
        self.totals = {"macs": 0, "bytes_read": 0, "bytes_written": 0}
        self.counters: dict[str, int] = {}
        self.wall = 0.0

    def generate(
        self, prompt_tokens: list[int], max_new_tokens: int, stop_ids: Collection[int] = ()
    ) -> Iterator[TokenStep]:
        """Yields a step for the prompt and one for every further token.

        Raises:
            ValueError: an empty prompt, or more tokens than the KV cache of the program holds.
        """
        context = self.program.manifest["model"]["context"]
        if not prompt_tokens:
            raise ValueError("the prompt has no token; give at least one (the beginning-of-text token will do)")
        if len(prompt_tokens) + max_new_tokens - 1 > context:
            raise ValueError(
                f"{len(prompt_tokens)} prompt tokens and {max_new_tokens} new ones exceed the program's context of "
                f"{context}; compile with a larger one"
            )
        self._begin()
        yield self._step(len(prompt_tokens) - 1, self._prefill(prompt_tokens))
        while len(self.tokens) < max_new_tokens and self.tokens[-1] not in stop_ids:
            position = len(prompt_tokens) + len(self.tokens) - 1
            yield self._step(position, (self.tokens[-1], position, DECODE))

    def _prefill(self, tokens: list[int]) -> tuple[int, int, int]:
        """Write the prompt to its table; the run's arguments."""
        table, arguments = prompt_run(self.program, tokens)
        self.device.write(self.program.manifest["ports"][-1], self.program.manifest["prefill"]["prompt_at"], table)
        return arguments

    def _step(self, position: int, arguments: tuple[int, int, int]) -> TokenStep:
        started = time.perf_counter()
        outcome = self.device.run(arguments)
        self.wall += time.perf_counter() - started
        for name, value in outcome.counters.items():
            self.counters[name] = self.counters.get(name, 0) + value
        if outcome.cycles is not None:
            self.cycles.append(outcome.cycles)
        self.top.append(self._listed())
        self.tokens.append(self.sampler.choose(self.top[-1]) if self.sampler else outcome.results[0])
        return TokenStep(position, self.tokens[-1], outcome.cycles, self.top[-1])

    def _listed(self) -> list[dict[str, Any]]:
        place = self.program.manifest["vectors"].get("top")
        if place is None:
            return []
        data = self.device.read(self.program.manifest["ports"][-1], place["at"], place["stride"] * place["rows"])
        tokens, raw = np.frombuffer(data, "<u4").reshape(-1, 2).T
        return [
            {"token": token, "logit": logit, "raw": f"0x{bits:08x}"}
            for token, logit, bits in zip(tokens.tolist(), raw.view("<f4").tolist(), raw.tolist(), strict=True)
        ]

    def report(self) -> dict:
        """Counters of the last generation; cycles and shares are None on the golden level, bytes on a card.

        `bandwidth_share`: bytes read and written / (cycles x width of all ports). `mac_utilisation`: stored weights
        multiplied / (cycles x DSPs); from the golden level only, as the RTL does not count products. `top`: of each
        token `TokenStep.top`; only if the program lists logits.
        """
        cycles = sum(self.cycles) or None
        peak = (self.params.channels + 1) * self.params.beat_bytes
        bytes_read, bytes_written = (self.counters.get(f"bytes_{way}") for way in ("read", "written"))
        macs = self.counters.get("macs")
        return {
            "engine": "llm",
            "level": self.level,
            "memory": self.memory,
            "cycles": cycles,
            "cycles_prefill": self.cycles[0] if self.cycles else None,
            "cycles_per_token": self.cycles[1:],
            "macs": macs,
            "bytes_read": bytes_read,
            "bytes_written": bytes_written,
            "bandwidth_share": (bytes_read + bytes_written) / (cycles * peak)
            if cycles and bytes_read is not None and bytes_written is not None else None,
            "mac_utilisation": macs / (cycles * self.params.dsps) if cycles and macs else None,
            "counters": {k: v for k, v in self.counters.items() if k not in self.totals},
            "wall_s": self.wall,
            **({"top": self.top} if any(self.top) else {}),
        }


def prompt_run(program: Program, tokens: Sequence[int]) -> tuple[bytes, tuple[int, int, int]]:
    """What goes to the prompt table, padded to whole chunks, and the arguments of the run that reads it."""
    plan, count = PromptPlan.of(program.manifest), len(tokens)
    padded = array("I", [*tokens, *[0] * (plan.padded(count) - count)])
    return padded.tobytes(), plan.arguments(count)


def golden_run(
    folder: Path, prompt_tokens: list[int], max_new_tokens: int, stop_ids: Collection[int]
) -> tuple[list[int], dict]:
    """Tokens and report of the golden executor on the program in `folder`."""
    session = LlmSession(Program.load(folder), "golden")
    for _ in session.generate(prompt_tokens, max_new_tokens, stop_ids):
        pass
    return session.tokens, session.report()
