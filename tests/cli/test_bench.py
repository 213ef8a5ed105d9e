"""`bench llm` where it needs no simulation."""


def test_one_image_for_all_lengths_is_below_a_megabyte(lacuna_json):
    code, record = lacuna_json("bench", "llm", "--shape", "llama2-7b", "--instructions", "--context", "2048")
    assert code == 0
    assert record["instruction_bytes"] == record["instructions"] * 32 <= 1 << 20
    assert record["unrolled"]["bucketed_merged"]["bytes"] > 1000 * record["instruction_bytes"]
