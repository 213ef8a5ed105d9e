from tests.hw.fabric.fabric_bench import run_fabric


def test_answers():
    run_fabric("tests.hw.fabric.cocotb_answers")
