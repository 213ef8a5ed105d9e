"""`lacuna eval`: how well a compiled model predicts a text, with the engine's exact arithmetic."""

import argparse
import math
import time
from pathlib import Path
from typing import Any

from cli.errors import UsageError
from cli.options import positive
from cli.output import Output, log

__all__ = ["add_verbs", "evaluate", "weight_count"]


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    verb = verbs.add_parser("eval", parents=[common], help="perplexity of a text, with the engine's exact arithmetic")
    verb.add_argument("program", type=Path, metavar="PROG", help="program folder")
    verb.add_argument("--text", type=Path, required=True, metavar="FILE", help="UTF-8 text to predict")
    verb.add_argument("--tokens", type=positive, metavar="N", help="predict the first N tokens; default: all")
    verb.add_argument(
        "--window", type=positive, metavar="W", help="tokens per window of the text; default: the program's context"
    )
    verb.set_defaults(run=run_eval)


def weight_count(model: dict[str, Any]) -> int:
    """Weights of the matrices that the engine streams: those of the layers and the head, without padding."""
    queries, keys = model["heads"] * model["head_dim"], model["kv_heads"] * model["head_dim"]
    layer = model["dim"] * (2 * queries + 2 * keys + 3 * model["ffn_dim"])
    return model["layers"] * layer + model["vocab"] * model["dim"]


def evaluate(program, text: str, count: int | None, window: int | None, out: Output) -> dict[str, Any]:
    """Perplexity of `text` over the first `count` predictions (None: all) in windows of `window` tokens (None: the
    context). Raises UsageError where the text is too short or a window too long."""
    from golden.llm.perplexity import cut, losses
    from golden.llm.score import Scorer
    from golden.params import LlmParams

    model = program.manifest["model"]
    window = window or model["context"]
    if window > model["context"]:
        raise UsageError(
            f"--window: {window} tokens exceed the program's context of {model['context']}; ask for less, or compile "
            "with a larger --context"
        )
    try:
        windows = cut(program.tokenizer.encode(text), window, count)
    except ValueError as error:
        raise UsageError(f"--text, --tokens, --window: {error}") from None
    started = time.perf_counter()
    out.progress("decoding the weights")
    scorer = Scorer(LlmParams.from_dict(program.manifest["params"]), program.manifest, program.images)
    loss, predicted = 0.0, 0
    for done, (tokens, nats) in enumerate(zip(windows, losses(scorer, windows), strict=True), 1):
        loss += nats
        predicted += len(tokens) - 1
        log.debug("window %d: %d tokens, %.6f nats each", done, len(tokens) - 1, nats / (len(tokens) - 1))
        out.progress(f"{done} of {len(windows)} windows, perplexity so far {math.exp(loss / predicted):.3f}")
    out.progress("")
    weights, stored = weight_count(model), program.manifest["bytes"]["weights"]
    return {
        "model": model["name"],
        "perplexity": math.exp(loss / predicted),
        "nats_per_token": loss / predicted,
        "tokens": predicted,
        "window": window,
        "weights": weights,
        "weight_bytes": stored,
        "bits_per_weight": 8 * stored / weights,
        "wall_s": time.perf_counter() - started,
    }


def run_eval(args: argparse.Namespace, out: Output) -> int:
    from compiler.program import Program

    program = Program.load(args.program)
    try:
        text = args.text.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"--text: {args.text} is not UTF-8: {error}") from None
    record = {"program": args.program, **evaluate(program, text, args.tokens, args.window, out)}
    out.result(
        record,
        [
            f"model             {record['model']}",
            f"perplexity        {record['perplexity']:.3f} over {record['tokens']:,} tokens, windows of "
            f"{record['window']:,}",
            f"bits per weight   {record['bits_per_weight']:.2f} of {record['weights']:,} weights",
            f"evaluated in      {record['wall_s']:.1f} s",
        ],
    )
    return 0
