"""`lacuna compile`: a model in, a program folder out."""

import argparse
from pathlib import Path

from cli.config import add_config_option, load_config
from cli.options import positive
from cli.output import Output, log

__all__ = ["add_verbs", "compile_program"]


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    verb = verbs.add_parser("compile", parents=[common], help="compile a model to a program folder")
    verb.add_argument("model", type=Path, metavar="MODEL", help="GGUF file, Hugging Face folder or llama2.c checkpoint")
    verb.add_argument("-o", "--output", type=Path, required=True, metavar="PROG", help="program folder to write")
    verb.add_argument("--tokenizer", type=Path, metavar="FILE", help="tokenizer.bin or tokenizer.json, if not with it")
    verb.add_argument("--context", type=positive, metavar="N", help="longest sequence; default: the model's")
    add_config_option(verb)
    verb.set_defaults(run=run_compile)


def compile_program(model: Path, output: Path, *, config: Path | None, tokenizer: Path | None, context: int | None):
    """Compile `model` into the folder `output`; returns the program."""
    params = load_config(config)
    from compiler.frontend import load_model

    loaded = load_model(model, tokenizer)
    log.info("compiling %s", loaded.name)
    from compiler.llm import compile_model

    program = compile_model(loaded, params, context=context)
    program.save(output)
    return program


def run_compile(args: argparse.Namespace, out: Output) -> int:
    program = compile_program(
        args.model, args.output, config=args.config, tokenizer=args.tokenizer, context=args.context
    )
    count = len(program.instructions)
    out.result(
        {"program": args.output, "instructions": count, "manifest": program.manifest},
        [f"{args.output}: {count} instructions"],
    )
    return 0
