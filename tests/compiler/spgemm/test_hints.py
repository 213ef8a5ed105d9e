"""Which uses of rows of B are not followed by another one soon, against their definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compiler.spgemm.hints import REACH, not_soon
from tests.compiler.spgemm.test_windows import random_csr


@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(1, 8), st.integers(1, 60), st.integers(0, 60))
def test_as_the_definition_says(seed, rows, inner, columns, cache_lines):
    rng = np.random.default_rng(seed)
    a, b = random_csr(rng, rows, inner), random_csr(rng, inner, columns)
    lines, chunk = -(-b.lengths // 4), np.sort(rng.integers(0, 3, rows))
    found, of = not_soon(a, b, chunk, 4, cache_lines), chunk[a.entry_rows]
    for entry, k in enumerate(a.columns):
        again = [later for later in range(entry + 1, len(a.columns)) if a.columns[later] == k]
        again = [later for later in again[:1] if of[later] == of[entry]]
        between = lines[a.columns[entry + 1 : again[0] + 1]].sum() if again else np.inf
        assert found[entry] == (between > REACH * cache_lines)
