"""The learning rate over a run."""

import math


def learning_rate_factor(step: int, *, total_steps: int, warmup_fraction: float) -> float:
    """Return the share of the peak learning rate for update `step` (from 0).

    Linear from 1/w to 1 over the first w = round(warmup_fraction * total_steps) updates, then half
    a cosine down to 0, which would be reached one update after the last.
    """
    warmup = round(warmup_fraction * total_steps)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, total_steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))
