"""`lacuna bench llm`: published shapes with random weights on the RTL."""

import argparse
import resource
import time
from pathlib import Path
from typing import Any

from cli.config import add_config_option, load_config
from cli.errors import UsageError
from cli.options import positive
from cli.output import Output, log
from cli.simulate import add_memory_option
from golden.configs import LLM
from golden.params import BLOCK, LlmParams

__all__ = ["add_engine"]


def add_engine(engines, common: argparse.ArgumentParser) -> None:
    llm = engines.add_parser("llm", parents=[common], help="a decode step, or a prompt, of a model with random weights")
    llm.add_argument("--shape", choices=("llama2-7b", "smollm2-135m"), default="llama2-7b")
    llm.add_argument("--layers", type=positive, metavar="N", help="layers, besides the head; default: the shape's")
    llm.add_argument("--context", type=positive, metavar="N", help="tokens of the cache; default 512, or the prompt's")
    llm.add_argument("--prefill", type=positive, metavar="N", help="measure a prompt of N tokens, not a decode step")
    llm.add_argument("--sparsity", default=f"{BLOCK}:{BLOCK}", metavar="N:16", help="default 16:16, dense")
    llm.add_argument("--bits", type=positive, default=4, help="of a weight; default 4")
    llm.add_argument("--group", type=positive, default=128, help="inputs that share a scale; default 128")
    llm.add_argument("--level", choices=("rtl",), default="rtl")
    llm.add_argument("--check", action="store_true", help="compare token and memory with golden: minutes, gigabytes")
    llm.add_argument("--instructions", action="store_true", help="size of the instruction image alone; runs nothing")
    llm.add_argument("-o", "--output", type=Path, metavar="PROG", help="keep the program folder")
    add_memory_option(llm, "hbm2")
    add_config_option(llm)
    llm.set_defaults(run=run_llm)


def run_llm(args: argparse.Namespace, out: Output) -> int:
    params = LLM["u280-core"] if args.config is None else load_config(args.config)
    kept = _kept(args.sparsity)
    args.context = args.context or args.prefill or 512
    described = {
        "engine": "llm", "shape": args.shape, "context": args.context, "bits": args.bits, "group": args.group,
        "sparsity": args.sparsity,
    }
    if args.instructions:
        record = described | instructions(args, params, kept)
    else:
        record = described | measure(args, params, kept)
    out.result(record, [f"{key}: {value}" for key, value in record.items() if key != "params"])
    return 1 if record.get("matches_golden") is False else 0


def _kept(sparsity: str) -> int:
    from golden.llm.stream import KEPT

    names = {f"{n}:{BLOCK}": n for n in KEPT if n}
    if sparsity not in names:
        raise UsageError(f"--sparsity: {sparsity!r} is none of {', '.join(names)}")
    return names[sparsity]


def instructions(args: argparse.Namespace, params: LlmParams, kept: int) -> dict[str, Any]:
    """Size of the one image that serves every prompt and context length up to `--context`, and of unrolled ones."""
    from dataclasses import replace

    from compiler.llm.lower import instructions_for
    from compiler.llm.plan import Shapes
    from compiler.llm.unroll import unrolled
    from compiler.models.synthetic import PUBLISHED
    from golden.isa.llm import ISA
    from golden.llm.stream import BlockFormat

    config = PUBLISHED[args.shape]
    shapes = Shapes(replace(config, layers=args.layers or config.layers), params, args.context)
    words, plan = instructions_for(shapes, fmt=BlockFormat(kept, args.bits))
    return {
        "instructions": len(words),
        "instruction_bytes": len(words) * ISA.bits // 8,
        "unrolled": unrolled(params, words, args.context, plan),
    }


def measure(args: argparse.Namespace, params: LlmParams, kept: int) -> dict[str, Any]:
    from compiler.llm import compile_model
    from compiler.models.synthetic import random_model
    from sim.measure import measure_decode, measure_prefill

    model = random_model(args.shape, layers=args.layers, kept=kept, bits=args.bits, group=args.group)
    log.info("packing %s", model.name)
    started = time.perf_counter()
    program = compile_model(model, params, context=args.context)
    compiled = {
        "layers": model.config.layers,
        "compile_s": time.perf_counter() - started,
        "compile_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "instructions": len(program.instructions),
    }
    if args.output is not None:
        program.save(args.output)
    log.info("simulating")
    if args.prefill is None:
        return compiled | measure_decode(program, args.context - 1, memory=args.memory, check=args.check)
    return compiled | measure_prefill(program, args.prefill, memory=args.memory, check=args.check)
