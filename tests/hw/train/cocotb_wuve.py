"""Updates of all kinds of numbers against golden; when words enter and leave."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from golden.floats import BINARY32
from golden.train.params import TrainParams
from golden.train.update import Adam, Sgd
from hw.train.wuve import Wuve, step_layout, updated_layout
from tests.hw.fabric.test_floats import CORNERS
from tests.hw.harness import exchange, parameters, start, watchdog

SUBNORMAL = 2.0**-140
SGD = {
    "as in training": Sgd(rate=0.1, momentum=0.9, decay=5e-4, unscale=2.0**-10, regulariser=2e-4),
    "terms of like size": Sgd(rate=0.7, momentum=0.8, decay=1.1, unscale=0.9, regulariser=1.3),
    "powers of two": Sgd(rate=0.5, momentum=0.25, decay=2.0, unscale=0.125, regulariser=4.0),
    "all off": Sgd(rate=0.0),
    "signs": Sgd(rate=-0.25, momentum=-0.0, decay=-1.0, unscale=-1.0, regulariser=-0.0),
    "far too large": Sgd(rate=1e30, momentum=3e38, decay=1e-30, unscale=2.0**100, regulariser=1e38),
    "far too small": Sgd(rate=1e-30, momentum=SUBNORMAL, decay=1e-38, unscale=2.0**-100, regulariser=1e-20),
    "infinite": Sgd(rate=1.0, momentum=1.0, decay=1.0, unscale=1.0, regulariser=np.inf),
    "not a number": Sgd(rate=1.0, momentum=0.5, decay=0.5, unscale=1.0, regulariser=np.nan),
}
ADAM = {
    "as in training": Adam(rate=1e-3, decay=5e-4, unscale=2.0**-10, regulariser=2e-4, step=7),
    "terms of like size": Adam(rate=0.7, beta1=0.6, beta2=0.7, epsilon=0.9, decay=1.1, unscale=0.9, regulariser=1.3),
    "powers of two": Adam(rate=0.5, beta1=0.5, beta2=0.25, epsilon=1.0, decay=2.0, unscale=0.125, regulariser=4.0),
    "all off": Adam(rate=0.0, beta1=0.0, beta2=0.0, epsilon=1e-18),
    "no epsilon": Adam(rate=-0.25, beta1=-0.5, beta2=-0.0, epsilon=0.0, decay=-1.0, unscale=-1.0, regulariser=-0.0),
    "far too large": Adam(rate=1e30, epsilon=1e18, decay=1e-30, unscale=2.0**100, regulariser=1e38),
    "far too small": Adam(rate=1e-30, epsilon=1e-18, decay=1e-38, unscale=2.0**-60, regulariser=1e-20),
    "infinite": Adam(rate=1.0, epsilon=np.inf, decay=1.0, regulariser=np.inf),
    "not a number": Adam(rate=np.nan, decay=0.5, regulariser=np.nan),
}
RUNS = {"sgd": SGD, "adam": ADAM}
SIGNED = {"sgd": 1.0, "adam": 0.1}
"""Share of v's numbers that may have a sign: second moments have none."""


def ordinary(rng, count, names):
    """What training sees: gradients times 2^10."""
    scales = {"gradient": 2.0**10, "w": 0.5, "m": 0.1, "v": 1.0}
    return {name: BINARY32.to_bits((scales[name] * rng.standard_normal(count)).astype(np.float32)) for name in names}


def alike(rng, count, names):
    """Signs, exponents and ends of fractions that cancel and tie; around 1 and around where 16 bits end."""
    exponent = rng.choice([102, 113, 127, 142], count)
    bits = {}
    for name in names:
        fraction = rng.integers(0, 1 << 23, count) & rng.choice([0x7FFFFF, 0x7F0000, 0x7FF000, 0, 7], count)
        at = exponent + rng.integers(-2, 3, count)
        bits[name] = (rng.integers(0, 2, count) << 31 | at << 23 | fraction).astype(np.uint32)
    return bits


def anything(rng, count, names):
    return {name: rng.integers(0, 1 << 32, count, dtype=np.uint32) for name in names}


def corners(rng, count, names):
    bits = np.array(CORNERS + [1 << 31 | corner for corner in CORNERS], np.uint32)
    return {name: rng.choice(bits, count) for name in names}


def weights(rng, p, words):
    """{name: bits [word, lane]} of words of each kind."""
    lanes, names = p.update_lanes, ("gradient", *p.masters)
    parts = [kind(rng, words * lanes, names) for kind in (ordinary, alike, anything, corners)]
    bits = {name: np.concatenate([part[name] for part in parts]).reshape(-1, lanes) for name in names}
    unsigned = rng.random(bits["v"].shape) >= SIGNED[p.optimiser_name]
    bits["v"] = np.where(unsigned, bits["v"] & 0x7FFFFFFF, bits["v"])
    return bits | {"pruned": rng.integers(0, 2, bits["w"].shape)}


def packed(layout, arrays):
    """Payloads of arrays [word, lane]."""
    words = [0] * len(next(iter(arrays.values())))
    for name, array in arrays.items():
        width = layout[name].width // array.shape[1]
        for word, lanes in enumerate(array.tolist()):
            for lane, bits in enumerate(lanes):
                words[word] |= bits << layout[name].offset + width * lane
    return words


def updated(p, rule, bits):
    """Payloads that golden makes of weights."""
    numbers = {name: BINARY32.from_bits(bits[name]) for name in ("gradient", *p.masters)}
    made = rule.update(p.half, pruned=bits["pruned"], **numbers)
    masters = {name: BINARY32.to_bits(array) for name, array in (("w", made.w), *made.states.items())}
    return packed(updated_layout(p), masters | {"half": made.half})


async def started(dut):
    p = TrainParams(**parameters()["params"])
    await start(dut, inputs={"i__valid": 0, "i__payload": 0, "o__ready": 0, **dict.fromkeys(p.settings, 0)})
    return p


def configure(dut, rule):
    for name, bits in rule.registers().items():
        getattr(dut, name).value = bits


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def updates(dut, stall):
    """One run after the other with other settings, without a reset."""
    p = await started(dut)
    rng = np.random.default_rng(7)
    for run, rule in RUNS[p.optimiser_name].items():
        configure(dut, rule)
        bits = weights(rng, p, 20 if stall else 50)
        words, expected = packed(step_layout(p), bits), updated(p, rule, bits)
        found = (await exchange(dut, sends={"i": words}, receives={"o": len(words)}, stall=stall))["o"]
        for word, (got, wanted) in enumerate(zip(found, expected, strict=True)):
            shown = {name: [hex(number) for number in array[word].tolist()] for name, array in bits.items()}
            assert got == wanted, f"{run}, word {word} of {shown}: {got:#x}, not {wanted:#x}"


@cocotb.test()
async def latency_and_throughput(dut):
    """A word a cycle, `latency` cycles later. When the receiver stops, `room` words are let in; when it goes on there
    is no gap, nor among those that enter."""
    p = await started(dut)
    latency, rule = Wuve.latency(p), RUNS[p.optimiser_name]["as in training"]
    configure(dut, rule)
    bits = weights(np.random.default_rng(8), p, 100)
    words, expected = packed(step_layout(p), bits), updated(p, rule, bits)
    blocked = range(150, 300)
    entered, offered = [], []

    async def run():
        for cycle in range(len(words) + latency + len(blocked)):
            more = len(entered) < len(words)
            dut.i__valid.value, dut.i__payload.value = int(more), words[len(entered)] if more else 0
            dut.o__ready.value = int(cycle not in blocked)
            await FallingEdge(dut.clk)
            if int(dut.o__valid.value) and cycle not in blocked:
                assert int(dut.o__payload.value) == expected[len(offered)]
                offered.append(cycle)
            if more and int(dut.i__ready.value):
                entered.append(cycle)
            await RisingEdge(dut.clk)

    await watchdog(run(), 2_000)
    free = [cycle for cycle in range(len(words) + len(blocked) + latency) if cycle not in blocked]
    assert offered == [cycle for cycle in free if cycle >= latency][:len(words)]
    stopped = blocked.start - latency + Wuve.room(p)
    assert entered == [*range(stopped), *range(blocked.stop + 1, blocked.stop + 1 + len(words) - stopped)]
