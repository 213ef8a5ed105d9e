"""`lacuna sim` and `lacuna verify`: run a program, on the golden executor, on the RTL or on a card."""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import UsageError
from cli.options import positive, positive_real
from cli.output import Output, log
from golden.params import LlmParams

if TYPE_CHECKING:
    from sim.sampling import Sampler

__all__ = ["add_generation_options", "add_level_options", "add_memory_option", "add_verbs", "check_level", "check_room",
           "encode", "generate", "simulate"]

MEMORIES = ("ideal", "random", "hbm2", "ddr4")
LEVELS = ("golden", "rtl", "card")


def add_generation_options(parser: argparse.ArgumentParser, prompt: str | None, tokens: int) -> None:
    """`--prompt` (required if `prompt` is None) and `--max-new-tokens`."""
    hint = "text to continue" if prompt is None else f"text to continue; default {prompt!r}"
    parser.add_argument("--prompt", required=prompt is None, default=prompt, help=hint)
    parser.add_argument(
        "--max-new-tokens", type=positive, default=tokens, metavar="N", help=f"stop after N tokens; default {tokens}"
    )


def add_level_options(parser: argparse.ArgumentParser, memory: str = "ideal") -> None:
    """`--level`, and what goes with the levels: `--memory`, `--xclbin`."""
    parser.add_argument("--level", choices=LEVELS, default="golden", help="executor; default golden")
    add_memory_option(parser, memory)
    parser.add_argument("--xclbin", type=Path, metavar="FILE", help="at level card: what v++ has linked")


def check_level(args: argparse.Namespace) -> None:
    """Raises UsageError: --xclbin and no card, or a card and no --xclbin."""
    if (args.level == "card") != (args.xclbin is not None):
        raise UsageError(f"--level {args.level}: " + ("--xclbin is missing" if args.level == "card" else
                                                      "takes no --xclbin"))


def add_memory_option(parser: argparse.ArgumentParser, default: str = "ideal") -> None:
    parser.add_argument(
        "--memory", choices=MEMORIES, default=default, help=f"memory timing at level rtl; default {default}"
    )


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    sim = verbs.add_parser("sim", parents=[common], help="run a program: text in, text out")
    sim.add_argument("program", type=Path, metavar="PROG", help="program folder")
    add_level_options(sim)
    add_generation_options(sim, None, 32)
    sim.add_argument("--temperature", type=positive_real, metavar="T", help="sample among the logits of `--top-k`")
    sim.add_argument("--seed", type=int, default=0, metavar="S", help="of the samples; default 0")
    sim.set_defaults(run=run_sim)
    verify = verbs.add_parser("verify", parents=[common], help="compare golden and RTL, name the first difference")
    verify.add_argument("program", type=Path, metavar="PROG", help="program folder")
    add_generation_options(verify, "The", 4)
    verify.set_defaults(run=run_verify)


def encode(program, prompt: str, count: int) -> list[int]:
    """Tokens of `prompt`. Raises UsageError as `check_room`."""
    return check_room(program, program.tokenizer.encode(prompt), count)


def check_room(program, tokens: list[int], count: int) -> list[int]:
    """The same tokens. Raises UsageError when there are none, or no room for `count` more."""
    if not tokens:
        raise UsageError("--prompt: gives no tokens; write some text")
    context = program.manifest["model"]["context"]
    if len(tokens) + count - 1 > context:
        raise UsageError(
            f"--prompt, --max-new-tokens: {len(tokens)} tokens and {count} new ones exceed the program's context of "
            f"{context}; ask for less, or compile with a larger --context"
        )
    return tokens


def generate(program, level: str, prompt: list[int], count: int, out: Output | None, memory: str = "ideal",
             echo: str = "", trace: Path | None = None, sampler: "Sampler | None" = None, xclbin: Path | None = None):
    """Run `prompt` and up to `count` tokens, streaming to `out`: (tokens, text, the session's report).

    Args:
        echo: streamed before the first token. trace: file for the trace of the last step (level rtl).
        sampler, xclbin: see `LlmSession`.
    """
    from compiler.frontend.tokenizer import TextStream
    from sim.session import LlmSession

    meter = Meter(out, len(prompt))
    session = LlmSession(program, level, memory=memory, watch=meter.watch, sampler=sampler, xclbin=xclbin)
    words = TextStream(program.tokenizer)
    tokens: list[int] = []
    text = ""
    for step in session.generate(prompt, count, stop_ids=tuple(program.tokenizer.stop_ids)):
        log.debug("position %d: token %s, %s cycles", step.position, step.token, step.cycles)
        meter.step(step.cycles)
        tokens.append(int(step.token))
        piece = words.push(tokens[-1])
        text += piece
        if out is not None:
            out.progress("")
            out.stream(piece if tokens[1:] else echo + piece)
    rest = words.finish()
    if out is not None:
        out.stream(rest + "\n")
    if trace is not None:
        trace.write_text(json.dumps(session.device.trace()), encoding="utf-8")
    return tokens, text + rest, session.report()


class Meter:
    """Says on `out` how far a generation is, and how fast it runs."""

    def __init__(self, out: Output | None, prompt: int) -> None:
        self.out, self.prompt, self.reading, self.cycles = out, prompt, True, 0
        self.started = time.perf_counter()

    def watch(self, cycles: int) -> None:
        """In a run, after so many of its cycles."""
        if self.out is not None:
            self.out.progress(self._text(self.cycles + cycles))

    def step(self, cycles: int | None) -> None:
        """After a run: the prompt's is the first."""
        self.cycles += cycles or 0
        if self.out is not None and self.reading:
            self.out.milestone(self._text(self.cycles))
        self.reading = False

    def _text(self, cycles: int) -> str:
        speed = f"{cycles:,} cycles, {cycles / (time.perf_counter() - self.started):,.0f} a second" if cycles else ""
        if not self.reading:
            return f"  ... {speed}"
        return f"reading the prompt of {self.prompt} tokens" + (f": {speed}" if cycles else "")


def simulate(program, level: str, prompt: list[int], count: int, out: Output, memory: str = "ideal", *,
             echo: str = "", trace: Path | None = None,
             golden: Callable[[], tuple[list[int], dict[str, Any]]] | None = None,
             sampler: "Callable[[], Sampler | None]" = lambda: None, xclbin: Path | None = None) -> dict[str, Any]:
    """`generate`, and at other levels the golden level too: the record of `lacuna sim --json`.

    Args:
        echo, trace, xclbin: see `generate`.
        golden: tokens and report of the golden level, where it runs elsewhere; `None`: here, afterwards.
        sampler: makes one for each level, all alike; see `LlmSession`.
    """
    log.info("%s: %d prompt tokens, at most %d new ones", level, len(prompt), count)
    tokens, text, report = generate(program, level, prompt, count, out, memory, echo, trace, sampler(), xclbin)
    matches = None
    if level != "golden":
        if golden is None:
            log.info("golden: the same again, to compare")
            golden_tokens, _, golden_report = generate(program, "golden", prompt, count, None, sampler=sampler())
        else:
            golden_tokens, golden_report = golden()
        matches = golden_tokens == tokens and golden_report.get("top") == report.get("top")
        if not matches:
            what = "tokens" if golden_tokens != tokens else "the largest logits"
            log.error("%s differ: %s %s, golden %s; `lacuna verify` says where", what, level, tokens, golden_tokens)
        if matches and report["macs"] is None:  # the engine does not count products; equal runs have equally many
            lanes = LlmParams.from_dict(program.manifest["params"]).dsps
            macs = golden_report["macs"]
            report |= {"macs": macs, "mac_utilisation": macs / (report["cycles"] * lanes)}
    return {**report, "text": text, "tokens": tokens, "matches_golden": matches}


def run_sim(args: argparse.Namespace, out: Output) -> int:
    from compiler.program import Program
    from sim.sampling import Sampler

    check_level(args)
    program = Program.load(args.program)
    prompt = encode(program, args.prompt, args.max_new_tokens)
    if args.temperature is not None and "top" not in program.manifest["vectors"]:
        raise UsageError("--temperature: the program lists no logits; compile it with --top-k K, K > 1")

    def sampler() -> Sampler | None:
        return None if args.temperature is None else Sampler(args.temperature, args.seed)

    record = simulate(program, args.level, prompt, args.max_new_tokens, out, args.memory, sampler=sampler,
                      xclbin=args.xclbin)
    out.result(record, [f"{key}: {value}" for key, value in record.items() if key != "text"])
    return 1 if record["matches_golden"] is False else 0


def run_verify(args: argparse.Namespace, out: Output) -> int:
    from compiler.program import Program
    from sim.verify import verify

    program = Program.load(args.program)
    record = verify(program, encode(program, args.prompt, args.max_new_tokens), args.max_new_tokens)
    lines = ["golden and RTL are equal"]
    if not record["matches"]:
        lines = ["golden and RTL differ", *(f"  {key}: {_text(value)}" for key, value in record["difference"].items())]
    out.result(record, lines)
    return 0 if record["matches"] else 1


def _text(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{key} {_text(part)}" for key, part in value.items())
        case list():
            return "; ".join(map(_text, value)) or "none"
        case _:
            return str(value)
