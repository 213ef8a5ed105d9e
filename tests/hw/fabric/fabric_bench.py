"""The fabric's queues and memory ports in one design."""

from hw.fabric.answers import AnswerWatch
from hw.fabric.axi import AxiReader, AxiWriter
from hw.fabric.tokens import FinishOrder, TokenQueue, TokenTable
from tests.hw.runner import run_cocotb
from tests.hw.side_by_side import SideBySide

__all__ = ["ANSWERS", "BURST_BEATS", "DATA_BITS", "ORDER", "OUTSTANDING", "QUEUES", "run_fabric"]

QUEUES, DEPTH, WORD = 3, 4, 16
DATA_BITS, BURST_BEATS, OUTSTANDING = 256, 16, 3
ANSWERS = {"ports": 3, "depth": 4}
ORDER = {"kinds": 3, "depth": 4}


def run_fabric(test_module):
    run_cocotb(
        SideBySide(
            table=TokenTable(QUEUES),
            one=TokenQueue(WORD, QUEUES, DEPTH),
            two=TokenQueue(WORD, QUEUES, DEPTH, overlap=2),
            order=FinishOrder(**ORDER),
            reader=AxiReader(DATA_BITS, burst_beats=BURST_BEATS, outstanding=OUTSTANDING),
            writer=AxiWriter(DATA_BITS),
            answers=AnswerWatch(**ANSWERS),
        ),
        top="fabric_bench", test_module=test_module, parameters={},
    )  # fmt: skip
