import pytest

from golden.spgemm.params import SpgemmParams
from hw.spgemm.concentrator import Concentrator
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize(("axi_bits", "banks"), [(128, 2), (128, 64), (256, 4), (256, 16), (512, 16), (512, 64)])
def test_concentrator(axi_bits, banks):
    params = {"axi_bits": axi_bits, "banks": banks}
    run_cocotb(
        Concentrator(SpgemmParams(**params)), top="concentrator", test_module="tests.hw.spgemm.cocotb_concentrator",
        parameters={"params": params, "stall": 0},
    )  # fmt: skip
