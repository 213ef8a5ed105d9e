import pytest
from amaranth.lib import data

from hw.fabric.write_join import WriteJoin
from tests.hw.runner import run_cocotb


@pytest.mark.parametrize("masters", [3])
def test_write_join(masters):
    run_cocotb(WriteJoin(data.StructLayout({"number": 16}), masters=masters), top="write_join",
               test_module="tests.hw.fabric.cocotb_write_join", parameters={"masters": masters})  # fmt: skip
