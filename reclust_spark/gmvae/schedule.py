"""What changes as training goes on: pure functions of the step, for resumed runs to go on alike.

Without annealing, q(y|x) falls back to p(y) before the decoder has learned to use it: every person
then belongs to every cluster (Bowman et al. 2016 describe the like for sequences).
"""

from __future__ import annotations

import math


def kl_weight(step: int, steps: int) -> float:
    """Return the weight of KL(q(y|x) ‖ p(y)): from 0 to 1 in equal parts over `steps` steps.

    Parameters
    ----------
    step : int
        From 0.
    steps : int
        0: it is 1 from the start.
    """
    return 1.0 if step >= steps else step / steps


def temperature(step: int, steps: int, start: float, end: float) -> float:
    """Return the temperature of the Concrete draws: falling by equal factors over `steps` steps.

    Parameters
    ----------
    step : int
        From 0.
    steps : int
    start, end : float
        Above 0.
    """
    share = 1.0 if step >= steps else step / steps
    return math.exp((1 - share) * math.log(start) + share * math.log(end))


def learning_rate(step: int, steps: int, start: float, end: float) -> float:
    """Return the learning rate: half a cosine from `start` to `end` (Loshchilov & Hutter 2017)."""
    share = min(step / max(steps, 1), 1.0)
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * share))
