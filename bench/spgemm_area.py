"""Area of the SpGEMM engine on a U280: `python -m bench.spgemm_area`, some minutes.

Yosys (see bench/area_unit.py) on each module that is emitted once, times how often it is there; see
bench/module_area.py.
"""

from functools import partial

from bench.area_unit import BLOCKS, U280
from bench.module_area import module_area, print_head, print_module, print_share, print_sum
from boards.cards import CARDS, RESOURCES
from hw.spgemm.bank import Bank
from hw.spgemm.bank_group import BankGroup
from hw.spgemm.dispatcher import Dispatcher
from hw.spgemm.row_engine import RowEngine

__all__ = ["main"]


def main() -> None:
    p, total = U280, dict.fromkeys(RESOURCES, 0.0)
    print_head()
    for name, unit, count in (
        ("Bank", Bank, p.banks * p.engines), ("BankGroup", BankGroup, p.banks // p.queue_banks * p.engines),
        ("RowEngine", RowEngine, p.engines), ("Dispatcher", Dispatcher, 1),
    ):  # fmt: skip
        counts, *path = module_area(partial(unit, p), BLOCKS.get(f"spgemm:{name}", dict)())
        total = {resource: total[resource] + count * counts[resource] for resource in RESOURCES}
        print_module(name, count, counts, *path)
    engine = {resource: total[resource] / p.engines for resource in RESOURCES}
    print_sum("a row engine", engine)
    print_sum(f"{p.engines} row engines", total)
    print_share(CARDS["u280"], total)


if __name__ == "__main__":
    main()
