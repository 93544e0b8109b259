"""How many patches are masked: the adaptive masking ratio (AMR; "adjustable" in the paper's v2)."""

import math
from typing import Literal, assert_never

from amlp.config import AdaptiveRatioConfig, ConstantRatioConfig, RatioConfig


def masking_ratio(config: RatioConfig, epoch: int, num_epochs: int) -> float:
    """Return the share of patches to mask in `epoch` (from 0) of `num_epochs`.

    Adaptive: r = start + (end - start) * f(s), s = min(1, epoch / max(1, R - 1)), where R is the
    rounded number of ramp epochs; a run of one epoch stays at `start`.

    Source: ours, after the abstract of arXiv 2309.04312 ("gradually increases").
    """
    match config:
        case ConstantRatioConfig():
            return config.ratio
        case AdaptiveRatioConfig():
            last_ramp_epoch = max(1, math.floor(config.ramp_fraction * num_epochs + 0.5) - 1)
            elapsed = min(1.0, epoch / last_ramp_epoch)
            return config.start + (config.end - config.start) * _eased(config.shape, elapsed)
        case _:
            assert_never(config)


def num_masked(ratio: float, num_patches: int, rule: Literal["round", "mae"] = "round") -> int:
    """Return how many of `num_patches` patches to mask, at least 1 and leaving at least 1 visible.

    Args:
        ratio: share of patches in (0, 1).
        num_patches: n, at least 2.
        rule: `round` rounds half up; `mae` keeps int(n * (1 - ratio)) patches, as MAE does.
    """
    match rule:
        case "round":
            count = math.floor(ratio * num_patches + 0.5)
        case "mae":
            count = num_patches - int(num_patches * (1 - ratio))
        case _:
            assert_never(rule)
    return min(max(count, 1), num_patches - 1)


def _eased(shape: Literal["linear", "cosine", "sqrt", "quadratic"], elapsed: float) -> float:
    match shape:
        case "linear":
            return elapsed
        case "cosine":
            return (1 - math.cos(math.pi * elapsed)) / 2
        case "sqrt":
            return math.sqrt(elapsed)
        case "quadratic":
            return elapsed * elapsed
        case _:
            assert_never(shape)
