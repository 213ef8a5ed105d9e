from golden.spgemm.params import NUMBER_FORMATS, SpgemmParams
from hw.spgemm.arithmetic import adder, multiplier
from tests.hw.runner import run_cocotb
from tests.hw.side_by_side import SideBySide


def test_arithmetic():
    units = {f"{name}_{kind}": unit(SpgemmParams(number_format=value)) for kind, value in NUMBER_FORMATS.items()
             for name, unit in (("add", adder), ("mul", multiplier))}  # fmt: skip
    run_cocotb(SideBySide(**units), top="arithmetic", test_module="tests.hw.spgemm.cocotb_arithmetic",
               parameters={"latencies": {name: unit.LATENCY for name, unit in units.items()}})  # fmt: skip
