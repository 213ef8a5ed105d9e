"""`lacuna bench`: an engine on published shapes and matrices."""

import argparse

from cli import bench_llm, bench_spgemm, bench_train

__all__ = ["add_verbs"]


def add_verbs(verbs, common: argparse.ArgumentParser) -> None:
    bench = verbs.add_parser("bench", parents=[common], help="measure an engine on published shapes and matrices")
    engines = bench.add_subparsers(dest="engine", required=True, metavar="llm|spgemm|train")
    for engine in (bench_llm, bench_spgemm, bench_train):
        engine.add_engine(engines, common)
