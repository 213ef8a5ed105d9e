"""Area of the training engine on a VCU1525: `python -m bench.train_area`, some minutes.

Yosys (see bench/area_unit.py) on units of `train-vcu1525`, times how often they are there; see bench/module_area.py.
What joins them is not in the sum: wires, control registers, the program's reader.
"""

from functools import partial

from bench.module_area import module_area, print_head, print_module, print_share, print_sum
from boards.cards import CARDS, RESOURCES
from golden.configs import TRAIN
from golden.isa.train import ISA, QUEUES
from hw.fabric.axi import AxiReader, AxiWriter
from hw.fabric.read_join import ReadJoin
from hw.fabric.tokens import TokenQueue
from hw.train.channel_lane import CHANNEL_LANE_MODULE, ChannelLane
from hw.train.channel_moves import ChannelMoves
from hw.train.channels import Channels
from hw.train.load import LoadUnit
from hw.train.pool import Pool
from hw.train.row_feed import RowFeed
from hw.train.schedule import Schedule
from hw.train.sums import Sums
from hw.train.update_lane import UPDATE_LANE_MODULE, update_lane
from hw.train.update_unit import UpdateUnit
from hw.train.uspe import Uspe
from hw.train.vector_lane import VECTOR_LANE_MODULE, VectorLane
from hw.train.vector_pass import VectorPass
from hw.train.vector_sums import SUM_LANE_MODULE, SumLane
from hw.train.weight_fetch import WeightFetch
from hw.train.word_fetch import WordFetch

__all__ = ["main"]

PARAMS, CLOCK_MHZ = TRAIN["train-vcu1525"], 200


def units():
    """(name, how many, what makes one, modules inside that are counted elsewhere)."""
    p = PARAMS
    yield "Uspe", p.rows * p.columns, Uspe, {}
    yield "RowFeed", p.rows, partial(RowFeed, p, 1), {}
    for unit in (Schedule, WordFetch, WeightFetch, Sums, LoadUnit):
        yield unit.__name__, 1, partial(unit, p), {}
    yield "VectorLane", p.word, partial(VectorLane, p), {}
    yield "VectorPass", 1, partial(VectorPass, p), {VECTOR_LANE_MODULE: VectorLane(p), SUM_LANE_MODULE: SumLane()}
    yield "SumLane", 2 * p.word, SumLane, {}
    yield "ChannelLane", p.word, ChannelLane, {}
    yield "Channels", 1, partial(Channels, p), {CHANNEL_LANE_MODULE: ChannelLane()}
    yield "ChannelMoves", 1, partial(ChannelMoves, p), {}
    yield "Pool", 1, partial(Pool, p), {}
    yield "UpdateLane", p.update_lanes, partial(update_lane, p), {}
    yield "UpdateUnit", 1, partial(UpdateUnit, p), {UPDATE_LANE_MODULE: update_lane(p)}
    reader = partial(AxiReader, p.axi_bits, burst_beats=p.burst_beats, outstanding=p.outstanding)
    yield "AxiReader", 4, reader, {}
    yield "AxiWriter", 1, partial(AxiWriter, p.axi_bits, every_cycle=True), {}
    yield "ReadJoin", 1, partial(ReadJoin, p.axi_bits, masters=3, depth=2 * p.outstanding), {}
    yield "TokenQueue", len(QUEUES) - 1, partial(TokenQueue, ISA.bits, len(QUEUES), p.queue_depth, 4), {}


def main() -> None:
    total = dict.fromkeys(RESOURCES, 0.0)
    print_head()
    for name, count, made, inside in units():
        counts, *path = module_area(made, inside)
        total = {resource: total[resource] + count * counts[resource] for resource in RESOURCES}
        print_module(name, count, counts, *path)
    print_sum("sum", total)
    print_share(CARDS["vcu1525"], total)
    uspes = PARAMS.rows * PARAMS.columns
    print(f"\n{uspes:,} USPEs at {CLOCK_MHZ} MHz, an assumed clock: {2e-3 * uspes * CLOCK_MHZ:,.1f} GFLOP/s of dense "
          "products.")


if __name__ == "__main__":
    main()
