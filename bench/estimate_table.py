"""Tables of docs/results/cards.md, what usual builds take by operators: `python -m bench.estimate_table`, minutes."""

from boards.builds import build_for
from boards.cards import CARDS, RESOURCES
from boards.estimate import Estimate, analytic

__all__ = ["main"]

BUILDS = (("llm", "u280"), ("spgemm", "u280"), ("train", "vcu1525"))
SMALLEST = 1_000
"""LUTs of a block that has a row of its own."""


def amounts(share: dict[str, float]) -> str:
    return " | ".join(f"{share[name]:,.0f}" for name in RESOURCES)


def blocks(found: Estimate) -> None:
    """Of one kernel, the largest first."""
    small = {name: share for name, share in found.blocks.items() if share["lut"] < SMALLEST}
    rest = {resource: sum(share[resource] for share in small.values()) for resource in RESOURCES}
    print("| block | " + " | ".join(RESOURCES) + " |\n" + "|---" * (1 + len(RESOURCES)) + "|")
    for name, share in sorted(found.blocks.items(), key=lambda item: -item[1]["lut"]):
        if name not in small:
            print(f"| {name.partition('$')[0]} | {amounts(share)} |")
    print(f"| {len(small)} more | {amounts(rest)} |")


def main() -> None:
    found = {}
    print("| build | | " + " | ".join(RESOURCES) + " | fits |\n" + "|---" * (3 + len(RESOURCES)) + "|")
    for engine, card in BUILDS:
        build = build_for(engine, card)
        found[engine] = one = analytic(build)
        title = f"{build.kernels} x `{engine}` on {CARDS[card].title}"
        verdict = "yes" if one.fits else f"**no: {', '.join(one.over)}**"
        print(f"| {title} | | {amounts(one.total)} | {verdict} |")
        print("| | % | " + " | ".join(f"{one.percent[name]:.0f}" for name in RESOURCES) + " | |", flush=True)
    for engine, one in found.items():
        print(f"\nOne `{engine}` kernel:\n")
        blocks(one)


if __name__ == "__main__":
    main()
