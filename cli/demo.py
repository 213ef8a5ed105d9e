"""`lacuna demo llm`: a language model answers on the simulated RTL, checked against golden."""

import argparse
from importlib import resources
from pathlib import Path
from typing import Any

from cli.build import compile_program
from cli.output import Output
from cli.simulate import add_generation_options, encode, simulate

__all__ = ["add_verbs", "summary"]

ABOUT = (
    "Compiles the project's own tiny model, runs prompt and generation on the RTL in Verilator and compares the tokens "
    "with the golden model. SmolLM2-135M-Instruct is the next step and not there yet."
)


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    demo = verbs.add_parser("demo", parents=[common], help="see an engine at work, from model to checked result")
    engines = demo.add_subparsers(dest="engine", required=True, metavar="llm")
    llm = engines.add_parser("llm", parents=[common], help="a tiny language model on the RTL", description=ABOUT)
    add_generation_options(llm, "ROMEO:", 32)
    llm.add_argument(
        "-o", "--output", type=Path, default=Path("build/demo"), metavar="DIR", help="run folder; default build/demo"
    )
    llm.set_defaults(run=run_llm)


def run_llm(args: argparse.Namespace, out: Output) -> int:
    from sim.device import CLOCK_MHZ

    with resources.as_file(resources.files("compiler.models") / "tiny") as model:
        program = compile_program(model, args.output / "prog", config=None, tokenizer=None, context=None)
    bos = None if program.tokenizer.bos_id is None else True  # the tiny model's texts all began with it
    prompt = encode(program, args.prompt, args.max_new_tokens, bos)
    out.stream(args.prompt)
    record = simulate(program, "rtl", prompt, args.max_new_tokens, out)
    path = args.output / "report.json"
    record |= {
        "prompt": args.prompt,
        "assumed_clock_mhz": CLOCK_MHZ,
        "tokens_per_s": speed(record, CLOCK_MHZ),
        "report": path,
    }
    path.write_text(out.dumps(out.record(record)) + "\n", encoding="utf-8")
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
        f"simulated in             {number(record['wall_s'], '{:.1f}')} s",
        f"report                   {record['report']}",
    ]


def number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
