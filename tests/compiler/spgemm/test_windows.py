"""Windows of heavy rows and the chunks' entries, against their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.spgemm.entries import cut_chunks, encode_entries
from compiler.spgemm.layout import place_rows, window_pieces
from compiler.spgemm.windows import capacities, plan_windows
from golden.isa.spgemm import ENTRY
from golden.spgemm.csr import Csr
from golden.spgemm.params import SpgemmParams
from golden.spgemm.piece import decode_piece
from golden.spgemm.product import multiplications

SMALL = SpgemmParams(axi_bits=256, engines=3, banks=4, slots=16, contexts=4, probe_limit=16)


def random_csr(rng, rows, columns):
    lengths = rng.integers(0, columns + 1, rows)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    parts = [np.sort(rng.choice(columns, length, replace=False)) for length in lengths]
    chosen = np.concatenate(parts).astype(np.int32) if rows else np.zeros(0, np.int32)
    return Csr(columns, starts, chosen, rng.standard_normal(len(chosen)).astype(np.float32))


def full_csr(rows, columns):
    every = np.tile(np.arange(columns, dtype=np.int32), rows)
    return Csr(columns, columns * np.arange(rows + 1), every, np.ones(len(every), np.float32))


@pytest.mark.parametrize("params", [SMALL, SpgemmParams()])
def test_capacities(params):
    limits = capacities(params, 0)
    assert (np.diff(limits) > 0).all()
    assert limits[-1] <= params.capacity // 2
    assert limits[0] >= params.region // 2
    assert (capacities(params, 1) <= limits // 2 + 1).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 8), st.integers(1, 150))
def test_windows_make_every_product_once_and_fit(seed, rows, inner, columns):
    rng = np.random.default_rng(seed)
    a, b = random_csr(rng, rows, inner), random_csr(rng, inner, columns)
    first, total = place_rows(b.lengths, SMALL.lanes)
    windows, limits = plan_windows(a, b, SMALL), capacities(SMALL, 0)
    pieces = window_pieces(a, b, windows, first, np.zeros(len(a.columns), bool), SMALL.lanes)
    column_at, row_at = np.full(total, -1), np.full(total, -1)
    for k in range(b.rows):
        column_at[first[k] : first[k] + b.lengths[k]] = b.columns[b.starts[k] : b.starts[k + 1]]
        row_at[first[k] : first[k] + b.lengths[k]] = k
    assert (np.diff(windows.of_row) >= 0).all()
    assert set(windows.of_row) == set(np.flatnonzero(multiplications(a, b)))
    products = {i: [] for i in range(rows)}
    columns_of = {i: [] for i in range(rows)}
    for window, i in enumerate(windows.of_row):
        at = [(pieces.values[e], pieces.first[e] + k) for e in range(*pieces.starts[window : window + 2])
              for k in range(pieces.count[e])]
        here = {column_at[place] for _, place in at}
        assert len(here) <= limits[windows.regions[window]]
        columns_of[i].append(here)
        products[i] += [(value, row_at[place], column_at[place]) for value, place in at]
    for i in range(rows):
        entries = [(a.values[e], a.columns[e]) for e in range(a.starts[i], a.starts[i + 1])]
        expected = {j: [] for j in range(columns)}
        for value, k in entries:
            for j in b.columns[b.starts[k] : b.starts[k + 1]]:
                expected[j].append((value, k))
        found = {j: [] for j in range(columns)}
        for value, k, j in products[i]:
            found[j].append((value, k))
        assert found == expected
        assert sum(map(len, columns_of[i])) == len(set().union(*columns_of[i]))


@pytest.mark.parametrize(("entries", "length"), [
    (1, 0), (1, 127), (1, 128), (127, 1), (128, 1), (129, 254), (129, 255), (256, 128), (257, 256),
])
def test_sums_fit_their_types(entries, length):
    a, b = full_csr(2, entries), full_csr(entries, length)
    p = SpgemmParams()
    windows = plan_windows(a, b, p)
    rows = 2 if length else 0
    assert windows.work.tolist() == [entries + entries * length // p.lanes] * rows
    assert windows.regions.tolist() == [int((capacities(p, 0) < min(length, entries * length)).sum())] * rows
    heavy = plan_windows(a, b, p, careful=20)
    assert heavy.parts.tolist() == [length] * 2
    if heavy.cuts is not None:
        assert heavy.cuts.counts.sum() == entries * length


@given(st.lists(st.integers(1, 1000), max_size=300), st.integers(1, 8))
def test_chunks_cover_all_windows(work, engines):
    begins = cut_chunks(np.array(work, np.int64), engines)
    assert begins[0] == 0
    assert begins[-1] == len(work)
    assert (np.diff(begins) > 0).all()


def test_chunks_get_shorter():
    work = np.diff(cut_chunks(np.ones(100_000, np.int64), 4))
    assert work[0] == 8333
    assert (np.diff(work) <= 1).all()
    assert work[-1] < 1000


@pytest.mark.parametrize("engines", [2, 4, 30])
def test_all_end_together_though_each_takes_chunks_ahead(engines):
    """Two of them at the beginning, then one whenever it begins one: a third waits until then."""
    share = 100_000
    chunks = np.diff(cut_chunks(np.ones(share * engines, np.int64), engines)).tolist()
    ends = [[0] for _ in range(engines)]  # of the chunks that each has
    for number, work in enumerate(chunks):
        engine = number // 2 if number < 2 * engines else min(range(engines), key=lambda each: ends[each][-2])
        ends[engine].append(ends[engine][-1] + work)
    assert max(end[-1] for end in ends) < 1.02 * share


@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(1, 8), st.integers(1, 60))
def test_entries_say_what_the_windows_are(seed, rows, inner, columns):
    rng = np.random.default_rng(seed)
    a, b = random_csr(rng, rows, inner), random_csr(rng, inner, columns)
    windows = plan_windows(a, b, SMALL)
    first, hint = place_rows(b.lengths, SMALL.lanes)[0], rng.random(len(a.columns)) < 0.5
    pieces = window_pieces(a, b, windows, first, hint, SMALL.lanes)
    count = len(windows.of_row)
    begins = np.unique(np.concatenate(([0, count], rng.integers(0, count + 1, 3)))) if count else np.zeros(1, np.int64)
    encoded, chunks = encode_entries(pieces, windows.regions, begins, SMALL)
    window = 0
    for at, entries in zip(chunks.at, chunks.entries, strict=True):
        assert at % SMALL.lanes == 0
        regions, piece = 0, pieces.starts[window]
        for word in encoded.view(np.uint64)[at : at + entries].tolist():
            fmt, v = ENTRY.decode(word)
            if not v["count"] and fmt.name == "MORE":
                regions = v["value"]
                continue
            assert regions == windows.regions[window]
            if v["count"]:
                value = np.float32(pieces.values[piece]).view(np.uint32)
                said = decode_piece(np.array(v["first"]), np.array(v["count"]), SMALL.lanes)
                assert (v["value"], *said) == (value, pieces.first[piece], pieces.count[piece])
                assert v["hint"] == pieces.hint[piece]
                piece += 1
            if fmt.name == "LAST":
                window += 1
                assert piece == pieces.starts[window]
    assert window == count
