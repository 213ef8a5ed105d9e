"""Area and logic depth of single units from Yosys: `python -m bench.area_unit FloatAdd CsdChain`.

`synth_xilinx -family xcup -flatten` (UltraScale+). For trends, not Vivado's numbers: Yosys does not absorb registers
into DSP48E2, splits wide products its own way and counts CARRY4. Levels are LUT levels between registers, DSPs, block
RAMs and ports; a carry chain of any length counts as one level, a MUXF as none. The path with most of them is named
by the nets at its ends. A `Ram` is counted as one, whatever its size, as is a module that is emitted once (a bank in a
group of banks, a group in a row engine). Units of the LLM engine have the parameters of
`u280-core`, behind `4:` with lanes of 4 planes; those of the SpGEMM engine, behind `spgemm:`, of `spgemm-u280`; those
of the training engine, behind `train:`, the defaults of `TrainParams`.
"""

import argparse
import re
from dataclasses import replace
from functools import partial

from boards.netlist import Design, modules_of
from boards.synthesis import Timing
from boards.synthesis import synthesise as netlists
from golden.configs import LLM, SPGEMM
from golden.float16 import HALVES
from golden.floats import BINARY64
from golden.train.params import TrainParams
from hw.fabric.float16 import Narrow, Widen
from hw.fabric.floats import FloatAdd, FloatMul, IntToFloat
from hw.fabric.functions import FunctionUnit
from hw.llm.accumulator import Accumulator
from hw.llm.bundle import BundleAssembler
from hw.llm.chain import CsdChain
from hw.llm.decoder import LaneDecoder
from hw.llm.issue import BundleIssue
from hw.llm.lane import Lane
from hw.llm.load import LoadUnit
from hw.llm.partial import GroupSums
from hw.llm.quantiser import Quantiser
from hw.llm.readout import ReadOut
from hw.llm.sequencer import Sequencer
from hw.llm.store import StoreUnit
from hw.llm.vector_lane import VectorLane
from hw.llm.vpu import Vpu
from hw.llm.walk import RowWalk
from hw.llm.window import PlaneWindow
from hw.shell.convert import to_verilog
from hw.spgemm.admit import Admit
from hw.spgemm.bank import BANK_MODULE, Bank
from hw.spgemm.bank_group import BANK_GROUP_MODULE, BankGroup
from hw.spgemm.board import EndBoard
from hw.spgemm.cache_tags import CacheTags
from hw.spgemm.dispatcher import Dispatcher
from hw.spgemm.fetch import EntryFetch
from hw.spgemm.line_cache import LineCache
from hw.spgemm.line_queue import LineQueue
from hw.spgemm.miss_queue import MissQueue
from hw.spgemm.multiply import Multiply
from hw.spgemm.phases import Phases
from hw.spgemm.results import Results
from hw.spgemm.row_engine import RowEngine
from hw.spgemm.row_walk import RowWalk as EntryWalk
from hw.spgemm.spread import Spread
from hw.spgemm.tag_table import TagTable
from hw.spgemm.values import Values
from hw.spgemm.write_back import WriteBack
from hw.train.channel_lane import CHANNEL_LANE_MODULE, ChannelLane
from hw.train.dispatcher import Dispatcher as TrainDispatcher
from hw.train.dropped import DroppedWeights
from hw.train.exact_mul import ExactMul
from hw.train.load import LoadUnit as TrainLoad
from hw.train.part_sums import PartSums
from hw.train.piece_walk import PieceWalk
from hw.train.pixel_walk import PixelWalk
from hw.train.pool import Pool
from hw.train.pool_gradient import PoolGradient
from hw.train.pool_lanes import PoolLanes
from hw.train.pregenerate import Pregenerate
from hw.train.row_feed import RowFeed
from hw.train.schedule import Schedule
from hw.train.sore import Sore
from hw.train.sums import Sums
from hw.train.tap_walk import TapWalk
from hw.train.transpose import Transposer
from hw.train.update_lane import UPDATE_LANE_MODULE, AdamLane, SgdLane, update_lane
from hw.train.update_read import UpdateRead
from hw.train.update_unit import UpdateUnit
from hw.train.updated_words import UpdatedWords
from hw.train.uspe import Uspe
from hw.train.vector_lane import VectorLane as PassLane
from hw.train.vector_sums import SUM_LANE_MODULE, SumLane, VectorSums
from hw.train.vector_walk import VectorWalk
from hw.train.weight_fetch import WeightFetch
from hw.train.window_walk import WindowWalk
from hw.train.word_fetch import WordFetch
from hw.train.wuve import Wuve

CORE = LLM["u280-core"]
OF_CORE = (BundleAssembler, BundleIssue, LaneDecoder, Lane, GroupSums, Accumulator, Vpu, ReadOut, RowWalk, Quantiser,
           Sequencer, LoadUnit, StoreUnit)
WIDE = replace(CORE, planes=4)
OF_WIDE = (PlaneWindow, BundleIssue, LaneDecoder, Lane, Accumulator, Vpu)
OF_SPGEMM = (EntryFetch, EntryWalk, LineCache, CacheTags, MissQueue, Admit, Multiply, Spread, LineQueue, TagTable,
             Values, Bank, BankGroup, EndBoard, Phases, WriteBack, Results, RowEngine, Dispatcher)
U280 = SPGEMM["spgemm-u280"]
OF_TRAIN = (PixelWalk, TapWalk, Schedule, WordFetch, WeightFetch, Sums, TrainLoad, TrainDispatcher, SgdLane, Wuve,
            UpdateRead, PartSums, UpdatedWords, UpdateUnit, PassLane, VectorSums, VectorWalk, Pool, PoolLanes,
            PoolGradient)
OF_ANY_TRAIN = (ExactMul, Uspe, Sore, Transposer, Pregenerate, SumLane, ChannelLane, WindowWalk)
ADAM = TrainParams(optimiser=2)
UNITS = {"FloatAdd": FloatAdd, "FloatMul": FloatMul, "FloatAdd64": partial(FloatAdd, BINARY64),
         "FloatMul64": partial(FloatMul, BINARY64), "IntToFloat32": lambda: IntToFloat(32),
         "IntToFloat64": lambda: IntToFloat(64), "FunctionUnit": FunctionUnit, "CsdChain": CsdChain,
         "VectorLane": VectorLane,
         **{f"{unit.__name__}:{name}": partial(unit, half)
            for unit in (Narrow, Widen) for name, half in HALVES.items()},
         **{unit.__name__: partial(unit, CORE) for unit in OF_CORE},
         **{f"4:{unit.__name__}": partial(unit, WIDE) for unit in OF_WIDE},
         **{f"spgemm:{unit.__name__}": partial(unit, U280) for unit in OF_SPGEMM},
         **{f"train:{unit.__name__}": unit for unit in OF_ANY_TRAIN},
         **{f"train:{unit.__name__}": partial(unit, TrainParams()) for unit in OF_TRAIN},
         "train:AdamLane": partial(AdamLane, ADAM), "train:WuveAdam": partial(Wuve, ADAM),
         "train:UpdateUnitAdam": partial(UpdateUnit, ADAM),
         "train:RowFeed": partial(RowFeed, TrainParams(), 3),
         "train:DroppedWeights": partial(DroppedWeights, TrainParams(), ahead=UpdateRead.AHEAD),
         "train:PieceWalk": partial(PieceWalk, TrainParams(), turned=True)}
BLOCKS = {
    "spgemm:BankGroup": lambda: {BANK_MODULE: Bank(U280)},
    "spgemm:RowEngine": lambda: {BANK_GROUP_MODULE: BankGroup(U280)},
    **{f"train:{unit}": lambda: {UPDATE_LANE_MODULE: update_lane(TrainParams())} for unit in ("Wuve", "UpdateUnit")},
    **{f"train:{unit}Adam": lambda: {UPDATE_LANE_MODULE: update_lane(ADAM)} for unit in ("Wuve", "UpdateUnit")},
    "train:VectorSums": lambda: {SUM_LANE_MODULE: SumLane()},
}
"""Modules inside of units that are counted, not synthesised."""
RESOURCES = {"LUT": r"LUT\d|INV", "SRL": r"SRL\w+", "FF": r"FD\w+", "CARRY4": "CARRY4", "MUXF": r"MUXF\d",
             "RAM32M16": "RAM32M16", "RAM64M8": "RAM64M8", "RAM64X1S": "RAM64X1S", "RAM128X1": r"RAM128X1\w+",
             BANK_MODULE: BANK_MODULE, BANK_GROUP_MODULE: BANK_GROUP_MODULE, UPDATE_LANE_MODULE: UPDATE_LANE_MODULE,
             SUM_LANE_MODULE: SUM_LANE_MODULE,
             CHANNEL_LANE_MODULE: CHANNEL_LANE_MODULE,
             "DSP48E2": "DSP48E2", "RAMB36E2": "RAMB36E2", "RAMB18E2": "RAMB18E2", "lacuna_ram": "lacuna_ram"}


def synthesise(component, blocks=None):
    """What Yosys makes of a component, flat: see boards/synthesis.py.

    Args:
        blocks: name -> component of modules that stay as they are.
    """
    blocks = blocks or {}
    shells = [modules_of(to_verilog(made, name))[name].shell(name) for name, made in blocks.items()]
    design = Design([to_verilog(component, "unit"), *shells], "unit", blocks, split=False)
    key, names = design.keys["unit"], {design.keys[name]: name for name in blocks}
    unit = Timing(netlists({key: design.verilog(key)})[key], {}).result()
    return replace(unit, children={names[child]: count for child, count in unit.children.items()})


def resources(unit):
    """Count of each resource; a cell type that is none of them is an error."""
    cells = unit.cells | unit.children
    counts = {name: sum(count for kind, count in cells.items() if re.fullmatch(pattern, kind))
              for name, pattern in RESOURCES.items()}
    unknown = {kind for kind in cells if not any(re.fullmatch(p, kind) for p in RESOURCES.values())}
    if unknown:
        raise ValueError(f"cells of no known resource: {sorted(unknown)}")
    return {name: count for name, count in counts.items() if count}


def deepest_path(unit):
    """(levels, first net, last net) of the path with most levels between two registers (or ports, DSPs, RAMs)."""
    return max((unit.levels, *unit.path), unit.outside, key=lambda found: found[0])


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("units", nargs="*", help=f"of {', '.join(UNITS)}; default: all")
    for name in parser.parse_args().units or UNITS:
        unit = synthesise(UNITS[name](), BLOCKS.get(name, dict)())
        levels, first, last = deepest_path(unit)
        print(f"{name}: {resources(unit)}, {levels} levels from {first} to {last}", flush=True)


if __name__ == "__main__":
    main()
