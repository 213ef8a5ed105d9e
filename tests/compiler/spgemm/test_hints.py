"""Which uses of rows of B are followed by another one for which they stay, against the definition; what that saves."""

import math
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compiler.spgemm import entries, hints
from compiler.spgemm.hints import passing
from golden.spgemm.csr import Csr
from golden.spgemm.params import SpgemmParams
from sim.spgemm import multiply
from tests.compiler.spgemm.test_windows import random_csr

LANES = 4


def engine(cache_lines: int) -> SpgemmParams:
    return SpgemmParams(axi_bits=64 * LANES, cache_lines=cache_lines)


def asking(columns) -> tuple[Csr, Csr]:
    """(A, of which each row has one of these columns, B, whose rows have a line)."""
    columns = np.asarray(columns, np.int32)
    rows = int(columns.max()) + 1
    b = Csr(LANES, LANES * np.arange(rows + 1), np.tile(np.arange(LANES, dtype=np.int32), rows), np.ones(rows * LANES))
    return Csr(rows, np.arange(len(columns) + 1), columns, np.ones(len(columns))), b


def misses(columns, p: SpgemmParams, hint) -> int:
    """Of the cache, if row k of B is line k."""
    sets, count = [[] for _ in range(p.sets)], 0
    for line, old in zip(columns, hint, strict=True):
        ways = sets[line % p.sets]  # the first one is the next to be replaced
        if line in ways:
            ways.remove(line)
        else:
            count += 1
            if len(ways) == p.cache_ways:
                ways.pop(0)
        ways.insert(0 if old else len(ways), line)
    return count


def kind(span):
    mantissa, exponent = math.frexp(span)
    return exponent, int(mantissa * (2 << hints.KIND_BITS))


@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(1, 20), st.integers(1, 60), st.sampled_from([8, 16]))
def test_as_the_definition_says(seed, rows, inner, columns, cache_lines):
    """With a point at every entry."""
    rng, p = np.random.default_rng(seed), engine(cache_lines)
    a, b = random_csr(rng, rows, inner), random_csr(rng, inner, columns)
    count, lines = len(a.columns), -(-b.lengths // LANES)
    begins = np.sort(np.concatenate([[0, count], rng.integers(0, count + 1, 2)]))
    with mock.patch.object(hints, "POINTS", 1 << 20):
        found = passing(a, b, begins, p)
    if lines[np.unique(a.columns)].sum() <= cache_lines:
        assert not found.any()
        return
    spans = {}
    for entry, k in enumerate(a.columns):
        chunk = begins[begins > entry][0]
        again = [later for later in range(entry + 1, chunk) if a.columns[later] == k]
        if again:
            spans[entry] = again[0]
    for entry in range(count):
        kept = entry in spans
        for point in range(entry + 1, spans.get(entry, entry) + 1):
            held = sum(lines[a.columns[first]] for first, last in spans.items()
                       if first < point <= last and kind(last - first) <= kind(spans[entry] - entry))
            kept &= held <= cache_lines * 3 // 4
        assert found[entry] == (not kept)


def test_what_fits_is_kept_however_rarely_it_is_asked_for():
    """Half of the cache is asked for all the time, a quarter rarely, and behind far more lines than the cache has; what
    comes once does not take their room."""
    p, columns, new = engine(64), [], iter(range(48, 1000))
    for rarely in 3 * list(range(32, 48)):
        columns += [*range(32)] * 16 + [rarely, next(new), next(new)]
    a, b = asking(columns)
    found, last = passing(a, b, np.array([0, len(columns)]), p), {line: at for at, line in enumerate(columns)}
    assert np.flatnonzero(found).tolist() == sorted(last.values())
    assert misses(columns, p, found) == len(last) < misses(columns, p, np.zeros(len(columns)))


def test_more_than_fits_in_turn():
    """LRU, which replaces what comes next, finds nothing."""
    p, columns = engine(64), 10 * list(range(96))
    a, b = asking(columns)
    found = passing(a, b, np.array([0, len(columns)]), p)
    assert misses(columns, p, np.zeros(len(columns))) == len(columns) > 2 * misses(columns, p, found)


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 3.0), st.sampled_from([64, 256]))
def test_no_worse_than_without(seed, skew, cache_lines):
    """Rows of B, some of which are asked for far more often, in random order."""
    rng, p = np.random.default_rng(seed), engine(cache_lines)
    columns = (4 * cache_lines * rng.random(40 * cache_lines) ** skew).astype(int)
    a, b = asking(columns)
    found = passing(a, b, np.array([0, len(columns)]), p)
    assert misses(columns.tolist(), p, found) <= misses(columns.tolist(), p, np.zeros(len(columns)))


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.integers(1, 20), st.integers(1, 30), st.sampled_from([1, 3]))
def test_plans_with_hints(seed, rows, inner, columns, engines):
    """Also of rows of A that only ask for empty rows of B, between chunks and behind the last one."""
    rng, p = np.random.default_rng(seed), SpgemmParams(engines=engines, axi_bits=64 * LANES, cache_lines=8)
    pairs, full = random_csr(rng, rows, 2), random_csr(rng, inner, columns)
    asked_for = pairs.columns + np.repeat(rng.integers(0, 2 * inner - 1, rows), pairs.lengths)
    a = Csr(2 * inner, pairs.starts, asked_for.astype(np.int32), pairs.values)
    b = Csr(columns, np.append(full.starts, np.full(inner, full.starts[-1])), full.columns, full.values)
    with mock.patch.object(entries, "SHORTEST", 4):
        plain, hinted = (multiply(a, b, p, level="golden", memory="ideal", hints=hints)[0] for hints in (False, True))
    assert hinted.columns.tolist() == plain.columns.tolist()
    assert hinted.values.tobytes() == plain.values.tobytes()
