"""Every bank of a queue gets its products of every line, in order."""

import random

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from hw.spgemm.layouts import bank_line_layout, element_layout
from hw.spgemm.line_queue import LineQueue
from tests.hw.harness import StreamSink, StreamSource, start, watchdog
from tests.hw.packing import packed, unpacked
from tests.hw.spgemm.bench import random_row, shape_params


def inputs(p):
    return {"lines__valid": 0, "lines__payload": 0} | {f"elements__{bank}__ready": 0 for bank in range(p.queue_banks)}


def line(p, rng, masks, last=0):
    products = [{"column": rng.getrandbits(p.column_bits), "value": rng.getrandbits(p.value_bits),
                 "slot": rng.randrange(p.slots)} for _ in range(p.lanes)]  # fmt: skip
    return {"row": random_row(p, rng), "last": last, "masks": masks, "products": products}


def random_masks(p, rng):
    """Lanes dealt to the banks and to others; some bank has one."""
    while True:
        owners = [rng.randrange(2 * p.queue_banks) for _ in range(p.lanes)]
        masks = [sum(1 << lane for lane, owner in enumerate(owners) if owner == bank) for bank in range(p.queue_banks)]
        if any(masks):
            return masks


def expected(p, lines, bank):
    """What the bank must get, as (some, end, row, product or None)."""
    found = []
    for line in lines:
        row = packed(bank_line_layout(p)["row"].shape, line["row"])
        lanes = [lane for lane in range(p.lanes) if line["masks"][bank] >> lane & 1]
        for lane in lanes:
            product = packed(element_layout(p)["product"].shape, line["products"][lane])
            found.append((1, int(line["last"] and lane == lanes[-1]), row, product))
        if line["last"] and not lanes:
            found.append((0, 1, row, None))
    return found


async def received(dut, p, bank, count, stall):
    values = await StreamSink(dut, f"elements__{bank}", seed=bank, stall=stall).receive(count)
    elements = [unpacked(element_layout(p), value) for value in values]
    return [(e["some"], e["end"], e["row"], e["product"] if e["some"] else None) for e in elements]


async def send(dut, p, lines, stall):
    source = StreamSource(dut, "lines", stall=stall)
    await source.send([packed(bank_line_layout(p), line) for line in lines])


@cocotb.test()
async def lines(dut):
    p, stall = shape_params()
    rng = random.Random(5)
    await start(dut, inputs=inputs(p))
    many = []
    for _ in range(400):
        last = int(rng.random() < 0.2)
        empty = last and rng.random() < 0.4
        many.append(line(p, rng, [0] * p.queue_banks if empty else random_masks(p, rng), last))
    cocotb.start_soon(send(dut, p, many, stall))
    wanted = [expected(p, many, bank) for bank in range(p.queue_banks)]
    stalls = [stall / 2, *[stall] * (p.queue_banks - 1)]
    tasks = [cocotb.start_soon(watchdog(received(dut, p, bank, len(wanted[bank]), stalls[bank]), 20_000))
             for bank in range(p.queue_banks)]  # fmt: skip
    for bank, task in enumerate(tasks):
        assert await task == wanted[bank], bank


@cocotb.test()
async def full_speed(dut):
    """A product a cycle and bank, LATENCY cycles behind the first line, none lost between lines."""
    p, _ = shape_params()
    rng = random.Random(6)
    await start(dut, inputs=inputs(p))
    share = p.lanes // p.queue_banks
    masks = [(1 << share) - 1 << bank * share for bank in range(p.queue_banks)]
    many = [line(p, rng, masks) for _ in range(60)]
    cocotb.start_soon(send(dut, p, many, 0))
    for bank in range(p.queue_banks):
        getattr(dut, f"elements__{bank}__ready").value = 1
    for cycle in range(LineQueue.LATENCY + share * len(many) + 3):
        await FallingEdge(dut.clk)
        due = LineQueue.LATENCY <= cycle < LineQueue.LATENCY + share * len(many)
        for bank in range(p.queue_banks):
            assert int(getattr(dut, f"elements__{bank}__valid").value) == due, (cycle, bank)
        await RisingEdge(dut.clk)


@cocotb.test()
async def room(dut):
    """A sender that looks at `room` alone, MARGIN - 1 cycles late, never meets a full queue, nor lets it starve."""
    p, _ = shape_params()
    rng = random.Random(7)
    await start(dut, inputs=inputs(p))
    dut.lines__payload.value = packed(bank_line_layout(p), line(p, rng, [3] * p.queue_banks))
    rooms, low, busy = [0] * (LineQueue.MARGIN - 1), 0, 0
    for cycle in range(1200):
        for bank in range(p.queue_banks):
            getattr(dut, f"elements__{bank}__ready").value = int(cycle < 1000)  # then nothing moves on
        dut.lines__valid.value = rooms[-1]
        await FallingEdge(dut.clk)
        assert dut.lines__ready.value == 1 or not rooms[-1]
        if cycle < 1000:
            low += dut.room.value == 0
            busy += dut.elements__0__valid.value == 1
        rooms = [int(dut.room.value), *rooms[:-1]]
        await RisingEdge(dut.clk)
    assert low > 200
    assert busy > 900


@cocotb.test()
async def full(dut):
    """Without room `ready` tells: `bank_fifo` lines and one that is taken apart; none is lost."""
    p, _ = shape_params()
    rng = random.Random(8)
    await start(dut, inputs=inputs(p))
    many = [line(p, rng, random_masks(p, rng)) for _ in range(2 * p.bank_fifo)]
    sending = cocotb.start_soon(send(dut, p, many, 0))
    for _ in range(3 * p.bank_fifo):
        await RisingEdge(dut.clk)
    assert not sending.done()
    assert dut.lines__ready.value == 0
    wanted = [expected(p, many, bank) for bank in range(p.queue_banks)]
    tasks = [cocotb.start_soon(watchdog(received(dut, p, bank, len(wanted[bank]), 0), 20_000))
             for bank in range(p.queue_banks)]  # fmt: skip
    for bank, task in enumerate(tasks):
        assert await task == wanted[bank], bank
