"""`lacuna`: parses the command line, runs the verb, turns exceptions into messages and exit codes."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from cli import assembly, bench, build, config, demo, doctor, estimate, evaluate, package, rtl, simulate, spgemm, train
from cli.doctor import package_version
from cli.errors import EXIT_CODES, INTERNAL, UsageError, exit_code, kind
from cli.output import Output, log

__all__ = ["main", "make_parser"]

GROUPS = (doctor, demo, build, simulate, evaluate, spgemm, train, assembly, rtl, package, estimate, bench, config)


class Parser(argparse.ArgumentParser):
    """Raises instead of exiting, so that `--json` holds for usage errors too; takes no abbreviated options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n{self.format_usage().rstrip()}")


def make_parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    options = common.add_argument_group("everywhere")
    options.add_argument("--json", action="store_true", help="one JSON object on stdout, messages on stderr")
    options.add_argument("-q", "--quiet", action="store_true", help="errors only")
    options.add_argument("-v", "--verbose", action="store_true", help="more messages")
    options.add_argument("--debug", action="store_true", help="most messages, and the traceback of an error")
    parser = Parser(
        prog="lacuna",
        description="Sparse accelerators for FPGAs: compile a model, run it on the generated RTL, get the Verilog.",
        epilog="exit codes: " + ", ".join(f"{code} {text}" for code, text in EXIT_CODES.items()),
        parents=[common],
    )
    version = package_version("lacuna") or "(not installed)"
    parser.add_argument("--version", action="version", version=f"lacuna {version}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for group in GROUPS:
        group.add_verbs(verbs, common)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (`--help` and `--version` raise SystemExit(0))."""
    argv = list(sys.argv[1:] if argv is None else argv)
    out = Output(json="--json" in argv, verb="")
    debug = "--debug" in argv
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr, force=True)
    try:
        args = make_parser().parse_args(argv)
        verbose, out.quiet = debug or hasattr(args, "verbose"), not debug and hasattr(args, "quiet")
        log.setLevel(logging.DEBUG if verbose else logging.ERROR if out.quiet else logging.INFO)
        out.verb = args.verb
        return args.run(args, out)
    except (Exception, KeyboardInterrupt) as error:
        return report(error, out, debug)


def report(error: BaseException, out: Output, debug: bool) -> int:
    """Say what went wrong, on stderr and (`--json`) as the one object on stdout; returns the exit code."""
    code = exit_code(error)
    message = str(error) or EXIT_CODES[code]
    if isinstance(error, OSError) and error.filename is not None:
        message = f"{error.filename}: {error.strerror}"
    if code == INTERNAL:
        message = f"internal error, please report it: {kind(error)}: {message} (--debug shows where)"
    if isinstance(error, BrokenPipeError):  # nobody reads on; keep Python from complaining when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code
    out.progress("")
    log.error("lacuna: %s", message, exc_info=error if debug else None)
    if out.json:
        out.result({"error": {"kind": kind(error), "message": message, "exit_code": code}}, ())
    return code


if __name__ == "__main__":
    sys.exit(main())
