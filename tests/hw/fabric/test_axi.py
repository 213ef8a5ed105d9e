from tests.hw.fabric.fabric_bench import run_fabric


def test_axi():
    run_fabric("tests.hw.fabric.cocotb_axi")
