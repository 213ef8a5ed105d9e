"""What the programs of the kernels say."""

import numpy as np
import pytest

from compiler.spgemm import KERNELS, plan_product
from golden.isa.spgemm import ISA, Hash
from golden.spgemm.csr import Csr
from golden.spgemm.params import SpgemmParams

SAID = {
    "v1": (Hash.HIGH, 1, 1, 1, 1), "v2": (Hash.LOW, 0, 1, 1, 1), "v3": (Hash.LOW, 0, 0, 0, 1),
    "ours": (Hash.MULTIPLICATIVE, 0, 0, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_programs(name):
    count = 3000
    eye = Csr(count, np.arange(count + 1), np.arange(count, dtype=np.int32), np.ones(count, np.float32))
    params = SpgemmParams(engines=2)
    plan = plan_product(eye, eye, params, kernel=KERNELS[name])
    (_, put), *chunks, _ = (ISA.decode(word) for word in plan.program.instructions)
    fixed = {chunk["fixed"] for _, chunk in chunks}
    assert (put["hash"], *fixed, put["scan"], put["apart"], put["uncached"]) == SAID[name]
    if KERNELS[name].fixed:
        assert [chunk["engine"] for _, chunk in chunks] == [0, 1]
        assert np.diff(plan.chunks.begins).tolist() == [count // 2] * 2
    else:
        assert len(chunks) > 2
