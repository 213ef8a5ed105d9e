"""Named engine configurations."""

from dataclasses import replace

from golden.params import LlmParams
from golden.spgemm.params import SpgemmParams
from golden.train.params import TrainParams

__all__ = ["LLM", "SPGEMM", "TRAIN"]

_U280_CORE = LlmParams(
    channels=8, axi_bits=512, planes=2, ksplit=1, mpu_vpus=4, acc_depth=16, sfu_lanes=16, vmem_rows=65536,
    xbuf_blocks=2048, imem_words=8192, queue_depth=32, fifo_depth=64, buffer_words=4096,
    burst_beats=16, outstanding=8,
)

LLM = {"u280-core": _U280_CORE, "u280-core-2col": replace(_U280_CORE, ksplit=2, lane_words=2, planes=4)}
"""LLM engine: u280-core is one of three computing cores on a U280, with the array and the channels of FlightLLM's: 128
VPUs of 16 DSPs, eight weight channels of 512 bits and one for vectors and instructions. u280-core-2col is for
models whose vectors are short: it deals the inputs of a matrix to two columns of chains, and its lanes take two memory
words a cycle, so that the array catches up after it had to wait for the vector unit."""

SPGEMM = {"spgemm-u280": SpgemmParams(
    engines=30, axi_bits=512, banks=16, slots=1024, contexts=16, probe_limit=1024, cache_lines=8192,
    column_bits=24, block_lines=2, cache_ways=4, window=256, ring=1024, queue_banks=2, bank_fifo=32, burst_beats=16,
    outstanding=64, in_flight=24,
)}
"""SpGEMM engine: spgemm-u280 has a row engine for each of 30 of a U280's 32 HBM channels (decision 8)."""

TRAIN = {"train-16x4": TrainParams(
    rows=16, columns=4, x_words=32768, w_steps=65536, channel_rows=1024,
), "train-vcu1525": TrainParams(
    rows=32, columns=32, axi_bits=512, x_words=16384, w_steps=65536, queue_depth=32, burst_beats=16, outstanding=16,
    update_lanes=16, channel_words=64, channel_rows=2048,
)}
"""Training engine: train-16x4 simulates fast and has buffers for whole layers; train-vcu1525 has 32 x 32
USPEs, a size that the paper's 32 lanes suggest and nothing states."""
