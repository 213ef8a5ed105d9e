"""Area of modules that a design emits once, for tables of whole engines: LUTs with those of LUT RAMs and shift
registers, large memories by their sizes, in the better shape of a block RAM, or as ultra RAM from 2,048 rows on."""

from bench.area_unit import deepest_path, synthesise
from boards.cards import RESOURCES
from boards.estimate import resources

__all__ = ["module_area", "print_head", "print_module", "print_share", "print_sum"]

TITLES = ("LUT", "FF", "BRAM36", "URAM", "DSP48E2")


def module_area(made, blocks=None):
    """({resource: count}, levels of the deepest path, its ends).

    Args:
        made: makes the component. blocks: see `synthesise`; they are not in the counts.
    """
    unit = synthesise(made(), blocks)
    return resources(unit), *deepest_path(unit)


def print_head() -> None:
    print("| module | of them | " + " | ".join(TITLES) + " | levels, from .. to |")
    print("|---" * (len(TITLES) + 3) + "|")


def print_module(name, count, counts, levels, first, last) -> None:
    print(f"| {name} | {count} | " + " | ".join(f"{counts[resource]:,g}" for resource in RESOURCES)
          + f" | {levels}, `{first}` .. `{last}` |", flush=True)


def print_sum(name, total) -> None:
    print(f"| **{name}** | | " + " | ".join(f"{total[resource]:,.0f}" for resource in RESOURCES) + " | |")


def print_share(card, total) -> None:
    print(f"| of a {card.title} | | " + " | ".join(f"{total[name] / card.available[name]:.0%}" for name in RESOURCES)
          + " | |")
