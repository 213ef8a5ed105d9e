"""`lacuna compile`: a model in, a program folder out."""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.config import add_config_option, load_config, load_recipe
from cli.errors import UsageError
from cli.options import positive
from cli.output import Output, log

if TYPE_CHECKING:
    from compiler.compress import Recipe
    from compiler.frontend import Model
    from golden.params import LlmParams

__all__ = ["add_verbs", "compile_program", "make_program", "timed"]

RECIPE_FLAGS = ("method", "sparsity", "density", "bits")


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    verb = verbs.add_parser("compile", parents=[common], help="compile a model to a program folder")
    verb.add_argument("model", type=Path, metavar="MODEL", help="GGUF file, Hugging Face folder or llama2.c checkpoint")
    verb.add_argument("-o", "--output", type=Path, required=True, metavar="PROG", help="program folder to write")
    verb.add_argument("--tokenizer", type=Path, metavar="FILE", help="tokenizer.bin or tokenizer.json, if not with it")
    verb.add_argument("--context", type=positive, metavar="N", help="longest sequence; default: the model's")
    verb.add_argument("--top-k", type=positive, default=1, metavar="K", help="list the K largest logits, if K > 1")
    recipe = verb.add_argument_group("compression (default: none; the table [compress] of --config says more)")
    recipe.add_argument("--sparsity", metavar="N:16", help="prune: keep N of every 16 inputs")
    recipe.add_argument("--density", type=float, metavar="D", help="prune: keep D of the weights, N of 16 by block")
    recipe.add_argument("--bits", type=number, metavar="B", help="quantise: 2, 3, 4, 5, 8, or an average of these")
    recipe.add_argument("--method", help="magnitude, wanda or sparsegpt (the default)")
    recipe.add_argument("--calibration", type=Path, metavar="FILE", help="UTF-8 text; default: the built-in one")
    add_config_option(verb)
    verb.set_defaults(run=run_compile)


def number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Note how long the body takes."""
    started = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - started


def compile_program(model: Path, output: Path, **options: Any):
    """`make_program` with these options into the folder `output`; returns the program."""
    program = make_program(model, **options)
    program.save(output)
    return program


def make_program(
    model: Path,
    *,
    config: Path | None,
    tokenizer: Path | None,
    context: int | None,
    top_k: int = 1,
    flags: dict[str, Any] | None = None,
    calibration: Path | None = None,
    seconds: dict[str, float] | None = None,
):
    """Compile `model`; returns the program.

    Args:
        seconds: gets what loading, compressing and compiling took.
        flags: fields of the compression recipe that go before those of the file `config`.
        calibration: text to calibrate with; `None`: the built-in one.

    Raises:
        UsageError: a flag that cannot be carried out, or a calibration text that is too short or of no use.
    """
    params, recipe = load_config(config), _recipe(config, flags or {})
    if calibration is not None and not recipe.calibrates:
        raise UsageError("--calibration: nothing is calibrated; ask for --sparsity, --density or --bits, and for a "
                         "--method other than magnitude")  # fmt: skip
    from compiler.frontend import load_model

    seconds = {} if seconds is None else seconds
    with timed(seconds, "load"):
        loaded = load_model(model, tokenizer)
    if recipe.changes:
        with timed(seconds, "compress"):
            loaded = _compressed(loaded, recipe, params, calibration, context)
    log.info("compiling %s", loaded.name)
    from compiler.llm import compile_model

    with timed(seconds, "compile"):
        return compile_model(loaded, params, context=context, top_k=top_k)


def _recipe(config: Path | None, flags: dict[str, Any]) -> "Recipe":
    """The file's recipe with the flags in place of what they say; a flag for one way to prune puts out the other."""
    from compiler.compress import RecipeError

    recipe = load_recipe(config)
    try:
        if flags.keys() & {"sparsity", "density"}:
            flags = {"sparsity": None, "density": None, **flags}
        return replace(recipe, **flags)
    except RecipeError as error:
        raise UsageError(f"--{error}") from None


def _compressed(
    model: "Model", recipe: "Recipe", params: "LlmParams", calibration: Path | None, context: int | None
) -> "Model":
    from compiler.compress import RecipeError, built_in_text, compress
    from compiler.llm.blocks import block_layouts
    from compiler.llm.plan import Shapes

    tokens: list[int] = []
    if recipe.calibrates:
        try:
            text = built_in_text() if calibration is None else calibration.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(f"--calibration: {calibration} is not UTF-8: {error}") from None
        tokens = model.tokenizer.encode(text)
    log.info("compressing %s with %s", model.name, recipe.method)
    layouts = block_layouts(Shapes(model.config, params, context or model.config.context))
    try:
        return compress(model, recipe, tokens, layouts)
    except RecipeError as error:
        raise UsageError(f"--calibration: {error}") from None


def run_compile(args: argparse.Namespace, out: Output) -> int:
    given = {name: getattr(args, name) for name in RECIPE_FLAGS}
    program = compile_program(
        args.model,
        args.output,
        config=args.config,
        tokenizer=args.tokenizer,
        context=args.context,
        top_k=args.top_k,
        flags={name: value for name, value in given.items() if value is not None},
        calibration=args.calibration,
    )
    count = len(program.instructions)
    out.result(
        {"program": args.output, "instructions": count, "manifest": program.manifest},
        [f"{args.output}: {count} instructions"],
    )
    return 0
