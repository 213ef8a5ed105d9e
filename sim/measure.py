"""What a step costs on the RTL, against the bounds of memory and array."""

import time
from typing import Any

import numpy as np

from compiler.llm.registers import DECODE
from compiler.program import Program
from golden.params import LlmParams

from .device import CLOCK_MHZ, Device, Outcome, open_device
from .session import prompt_run

__all__ = ["measure_decode", "measure_prefill"]


def fill_cache(program: Program, seed: int = 1) -> None:
    """Random K, V and scales in the images, as an earlier context would have left them."""
    rng = np.random.default_rng(seed)
    place = program.manifest["cache"]
    for port, image in program.images.items():
        if port != "v":
            part = image[place["at"] : place["at"] + place["bytes"]]
            part[:] = rng.integers(-127, 128, len(part), np.int8).view(np.uint8)
    scales = program.manifest["vectors"]["scales"]
    end = scales["at"] + scales["stride"] * scales["rows"]
    rows = program.images["v"][scales["at"] : end].view("<f4")
    rows[:] = rng.random(len(rows), np.float32) * 2**-9


def measure_decode(program: Program, position: int, *, memory: str = "hbm2", check: bool = False) -> dict[str, Any]:
    """One decode step at `position` behind a random cache.

    Useful bytes are the weights' lanes as far as they are used, with scales, of all layers and the head, and the K and
    V rows of the tokens before and at `position`.

    Args:
        check: run golden too and compare the token; at large shapes minutes and gigabytes.
    """
    params, model = LlmParams.from_dict(program.manifest["params"]), program.manifest["model"]
    fill_cache(program)
    arguments = (1, position, DECODE)
    device, outcome, seconds = _run(program, "rtl", memory, arguments)
    cycles = outcome.cycles or 0
    cache = 2 * model["layers"] * model["kv_heads"] * model["head_dim"] * (position + 1)
    useful = program.manifest["bytes"]["weights_used"] + cache
    peak = params.channels * params.beat_bytes
    products = sum(program.manifest["stored_weights"].values()) + cache * model["heads"] // model["kv_heads"]
    return {
        **_record(params, memory, outcome, seconds),
        "position": position,
        "useful_bytes": useful,
        "bandwidth_share": useful / (cycles * peak),
        "bandwidth_share_all_channels": useful / (cycles * (peak + params.beat_bytes)),
        "bound_cycles": max(useful / peak, products / params.dsps),
        "bound_memory_cycles": useful / peak,
        "macs": products,
        "mac_utilisation": products / (cycles * params.dsps),
        "tokens_per_s": CLOCK_MHZ * 1e6 / cycles,
        "matches_golden": _same(program, arguments, outcome, device) if check else None,
    }


def measure_prefill(program: Program, tokens: int, *, memory: str = "hbm2", check: bool = False) -> dict[str, Any]:
    """A prompt of `tokens` tokens. A DSP makes two products a cycle here: `mac_utilisation` is a share of that."""
    params, model, place = (program.manifest[name] for name in ("params", "model", "prefill"))
    params = LlmParams.from_dict(params)
    table, arguments = prompt_run(program, np.random.default_rng(2).integers(0, model["vocab"], tokens).tolist())
    program.images["v"][place["prompt_at"] : place["prompt_at"] + len(table)] = np.frombuffer(table, np.uint8)
    device, outcome, seconds = _run(program, "rtl", memory, arguments)
    cycles = outcome.cycles or 0
    stored = program.manifest["stored_weights"]
    attention = 2 * model["layers"] * model["heads"] * model["head_dim"] * tokens * (tokens + 1) // 2
    products = sum(stored.values()) * tokens - stored["head"] * (tokens - 1) + attention
    rate = 2 * params.dsps
    return {
        **_record(params, memory, outcome, seconds),
        "prefill_tokens": tokens,
        "tokens_at_once": place["tokens"],
        "macs": products,
        "mac_utilisation": products / (cycles * rate),
        "bound_cycles": products / rate,
        "tokens_per_s": CLOCK_MHZ * 1e6 * tokens / cycles,
        "matches_golden": _same(program, arguments, outcome, device) if check else None,
    }


def _run(program: Program, level: str, memory: str, arguments: tuple[int, ...]) -> tuple[Device, Outcome, float]:
    device = open_device(level, memory)
    device.load(program)
    started = time.perf_counter()
    outcome = device.run(arguments)
    return device, outcome, time.perf_counter() - started


def _record(params: LlmParams, memory: str, outcome: Outcome, seconds: float) -> dict[str, Any]:
    return {
        "level": "rtl", "memory": memory, "assumed_clock_mhz": CLOCK_MHZ, "params": params.to_dict(),
        "cycles": outcome.cycles, "counters": outcome.counters, "wall_s": seconds,
        "cycles_per_s": (outcome.cycles or 0) / seconds,
    }


def _same(program: Program, arguments: tuple[int, ...], outcome: Outcome, device: Device) -> bool:
    """Whether golden finds the same token and leaves the same memory."""
    golden, expected, _ = _run(program, "golden", "ideal", arguments)
    memories = (
        golden.read(port, 0, len(image)) == device.read(port, 0, len(image)) for port, image in program.images.items()
    )
    return expected.results == outcome.results and all(memories)
