"""Golden against RTL: the first token or byte of memory that differs, and the instruction that it comes from."""

from typing import Any

from compiler.program import Program
from golden.params import LlmParams

from .device import GoldenDevice
from .lockstep import LockStep
from .session import LlmSession

__all__ = ["lockstep", "verify"]


def verify(program: Program, prompt_tokens: list[int], max_new_tokens: int, *, memory: str = "ideal") -> dict[str, Any]:
    """Run golden and RTL side by side and compare each token and all memory that the engine writes.

    Returns:
        matches, tokens of both levels, and `difference`: None, or where they part first (docs/units/sim.md).
    """
    sessions = [LlmSession(program, level, memory=memory) for level in ("golden", "rtl")]
    steps = [session.generate(prompt_tokens, max_new_tokens) for session in sessions]
    difference = None
    for index, (golden, rtl) in enumerate(zip(*steps, strict=True)):
        seen = _different_memory(program, sessions)
        if golden.token != rtl.token:
            seen = {"what": "token", "golden": golden.token, "rtl": rtl.token}
        if seen:
            difference = {"position": golden.position, "token_index": index, "seen": seen}
            difference |= locate(program, prompt_tokens, index, memory)
            break
    return {
        "matches": difference is None,
        "difference": difference,
        "tokens": {session.level: session.tokens for session in sessions},
        "report": sessions[1].report(),
    }


def locate(program: Program, prompt_tokens: list[int], index: int, memory: str = "ideal") -> dict[str, Any]:
    """Where golden and RTL part in the run that makes new token `index`; fields of `verify`'s `difference`.

    First in pieces of the program as long as the engine holds, where instructions overlap as they do in a run. Then the
    piece that parts again, instruction by instruction; if each of them is right alone, in ever longer pieces.
    """
    longest = LlmParams.from_dict(program.manifest["params"]).imem_words // 2
    found = lockstep(program, prompt_tokens, index, memory, range(1 << 62), longest)
    if found.difference is None:
        return {"instruction": None}
    piece, size = found.piece, 1
    while size < len(piece):
        again = lockstep(program, prompt_tokens, index, memory, piece, size)
        if again.difference is not None:
            return again.difference | {"together": size}
        size *= 2
    return found.difference | {"together": len(piece)}


def lockstep(
    program: Program, prompt_tokens: list[int], index: int, memory: str, within: range, size: int
) -> LockStep:
    """The run that makes new token `index` in lock step, behind those before it on golden; see `LockStep`."""
    session = LlmSession(program, "golden")
    steps = session.generate(prompt_tokens, index + 1)
    for _ in range(index):
        next(steps)
    assert isinstance(session.device, GoldenDevice)
    session.device = pair = LockStep(session.device, program, memory, within, size)
    next(steps)
    return pair


def _different_memory(program: Program, sessions: list[LlmSession]) -> dict | None:
    for port, image in program.images.items():
        golden, rtl = (session.device.read(port, 0, len(image)) for session in sessions)
        if golden != rtl:
            at = next(i for i, (a, b) in enumerate(zip(golden, rtl, strict=True)) if a != b)
            return {"what": "memory", "port": port, "address": at, "golden": golden[at], "rtl": rtl[at]}
    return None
