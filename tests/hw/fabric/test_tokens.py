from tests.hw.fabric.fabric_bench import run_fabric


def test_tokens():
    run_fabric("tests.hw.fabric.cocotb_tokens")
