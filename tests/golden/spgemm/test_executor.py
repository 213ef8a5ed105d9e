"""Programs that the golden executor of the SpGEMM engine refuses, its probes, and the memory it leaves."""

import numpy as np
import pytest

from golden.execution import ExecutionError
from golden.isa.spgemm import ENTRY, ISA, Hash
from golden.spgemm.executor import Executor
from golden.spgemm.order import bank_of
from golden.spgemm.params import SpgemmParams
from golden.spgemm.record import COUNTERS
from golden.spgemm.slots import displacements, home_slots

PARAMS = SpgemmParams(axi_bits=256, banks=4, slots=16, contexts=4, probe_limit=4)
SET = ("SET", {"b": 0, "c": 16, "n": 32})
HALT = ("HALT", {"code": 7})
CHUNK = ("CHUNK", {"id": 3, "a": 8, "n": 1})
LAST = ("LAST", {"count": 4, "value": int(np.float32(2).view(np.uint32))})


def run(program, entries=(LAST,), columns=(5, 0, 9, 7), params=PARAMS):
    image = np.zeros(2048, np.uint8)
    elements = image.view("<u4").reshape(-1, 2)
    elements[: len(columns), 0] = columns
    elements[: len(columns), 1] = np.arange(1, len(columns) + 1, dtype=np.float32).view(np.uint32)
    image[256 : 256 + 8 * len(entries)] = np.array([ENTRY.encode(*e) for e in entries], np.uint64).view(np.uint8)
    images = {f"c{i}": image.copy() for i in range(params.engines)} | {"p": np.zeros(0, np.uint8)}
    executor = Executor(params, [ISA.encode(*i) for i in program], images)
    return executor.run(), executor, images


def test_what_a_run_leaves():
    code, executor, images = run([SET, CHUNK, HALT])
    assert code == 7
    memory = images["c0"].view("<u4")
    counters = dict(zip(COUNTERS, memory[32 * 8 : 32 * 8 + 16].tolist(), strict=False))
    assert (counters["numbers"], counters["elements"], counters["lines"], counters["products"]) == (2, 4, 1, 4)
    assert executor.counters == {name: counters[name] for name in COUNTERS[:5]}
    assert memory[34 * 8 : 34 * 8 + 2].tolist() == [3, 4]
    c = memory[16 * 8 : 16 * 8 + 8].reshape(4, 2)
    values = c[:, 1].copy().view(np.float32)
    assert dict(zip(c[:, 0].tolist(), values.tolist(), strict=True)) == {5: 2, 0: 4, 9: 6, 7: 8}


def test_a_scan_leaves_slot_by_slot():
    """Low bits, four slots a row: columns 8 and 4 belong into slot 0, but bank 1 has the first come in its slot 1."""
    columns = np.arange(400)
    bank = bank_of(columns, 4)
    one, other = columns[(bank == 1) & (columns % 4 == 0)][:2].tolist(), columns[(bank == 0) & (columns % 4 == 1)][0]
    late = columns[(bank == 3) & (columns % 4 == 0)][0]
    came = [int(other), one[0], one[1], int(late)]
    put = ("SET", {**SET[1], "hash": Hash.LOW, "scan": 1, "apart": 1})
    for places, expected in ((put, [one[0], late, other, one[1]]), (SET, [other, one[0], late, one[1]])):
        _, executor, images = run([places, CHUNK, HALT], columns=came)
        assert images["c0"].view("<u4")[16 * 8 : 16 * 8 + 8 : 2].tolist() == expected
        assert executor.counters["elements"] == 4


def test_chunks_go_to_the_engines_in_turn_or_where_they_say():
    params = SpgemmParams(axi_bits=256, banks=4, slots=16, contexts=4, probe_limit=4, engines=3)
    fixed = ("CHUNK", {**CHUNK[1], "fixed": 1, "engine": 2, "id": 9})
    _, _, images = run([SET, CHUNK, fixed, CHUNK, HALT], params=params)
    numbers = [images[f"c{i}"].view("<u4")[34 * 8 : 34 * 8 + 2].tolist() for i in range(3)]
    assert numbers == [[3, 4], [3, 4], [9, 4]]


@pytest.mark.parametrize(("program", "entries", "reason", "status"), [
    ([SET, CHUNK], [LAST], "ends without HALT", "program_size"),
    ([CHUNK, HALT], [LAST], "no SET before it", "illegal"),
    ([SET, ("CHUNK", {"a": 8}), HALT], [LAST], "a chunk without entries", "illegal"),
    ([SET, ("CHUNK", {"a": 100, "n": 1}), HALT], [LAST], "beyond the memory", "illegal"),
    ([SET, ("CHUNK", {**CHUNK[1], "fixed": 1, "engine": 1}), HALT], [LAST], "index out of range", "illegal"),
    ([SET, CHUNK, HALT], [("MORE", LAST[1])], "ends inside a row", "illegal"),
    ([("SET", {**SET[1], "scan": 1}), CHUNK, HALT], [LAST], "scan without apart", "illegal"),
    ([SET, ("CHUNK", {**CHUNK[1], "n": 2}), HALT], [("MORE", {"value": 3}), LAST], "more than the 4", "illegal"),
])
def test_what_is_refused(program, entries, reason, status):
    with pytest.raises(ExecutionError, match=reason) as caught:
        run(program, entries)
    assert caught.value.status == status


def test_a_bank_that_overflows():
    columns = np.arange(1000)
    columns = columns[bank_of(columns, 4) == 2][:6]
    six = ("LAST", {"count": 6, "value": 1})
    with pytest.raises(ExecutionError, match="bank 2 overflows: no slot within 4") as caught:
        run([SET, CHUNK, HALT], [six], columns)
    assert caught.value.status == "overflow"


@pytest.mark.parametrize("hash_by", Hash)
def test_probes_as_a_table_has_them(hash_by):
    rng, size, bits = np.random.default_rng(3), 32, 10
    for groups in (1, 4):
        columns = np.concatenate([rng.choice(1 << bits, 20, replace=False) for _ in range(groups)])
        group, depth = np.repeat(np.arange(groups), 20), np.tile(np.arange(20), groups)
        homes = home_slots(columns, np.full(len(columns), size), hash_by, 32 - bits)
        expected = []
        for begin in range(0, len(columns), 20):
            table: dict[int, int] = {}
            for column in columns[begin : begin + 20].tolist():
                top = column * 2654435769 % 2**32 if hash_by == Hash.MULTIPLICATIVE else column << 32 - bits
                home = column % size if hash_by == Hash.LOW else top >> 27
                away = next(k for k in range(size) if (home + k) % size not in table)
                table[(home + away) % size] = column
                expected.append(away)
        np.testing.assert_array_equal(displacements(group, depth, homes, np.full(len(columns), size)), expected)


def test_no_slot_left():
    away = displacements(np.zeros(5, np.int64), np.arange(5), np.zeros(5, np.int64), np.full(5, 4))
    assert away.tolist() == [0, 1, 2, 3, 4]
