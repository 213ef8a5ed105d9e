"""Choice among the logits that a run lists, on the host."""

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Sampler"]


class Sampler:
    """Takes a token with the probability softmax(logit / temperature) among those listed, in float64.

    Equal lists and an equal seed give equal tokens.

    Args:
        temperature: above 0.
    """

    def __init__(self, temperature: float, seed: int) -> None:
        self.temperature, self.random = temperature, np.random.default_rng(seed)

    def choose(self, top: Sequence[dict[str, Any]]) -> int:
        """A token of `top` (`TokenStep.top`)."""
        logits = np.array([one["logit"] for one in top], np.float64)
        weights = np.exp((logits - logits.max()) / self.temperature)
        return top[int(self.random.choice(len(top), p=weights / weights.sum()))]["token"]
