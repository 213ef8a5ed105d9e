"""`lacuna demo`: an engine at work, from model or matrix to checked result."""

import argparse

from cli import demo_llm, demo_spgemm, demo_train

__all__ = ["add_verbs"]


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    demo = verbs.add_parser("demo", parents=[common], help="see an engine at work, from input to checked result")
    engines = demo.add_subparsers(dest="engine", required=True, metavar="llm|spgemm|train")
    for engine in (demo_llm, demo_spgemm, demo_train):
        engine.add_engine(engines, common)
