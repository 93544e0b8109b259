"""Summary of a metric over cases, with a bootstrap interval over patients."""

import math
from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

_RESAMPLES_AT_ONCE = 1000


class Summary(BaseModel):
    """A metric over cases; None where no case defines it.

    Attributes:
        mean: over the cases that define the metric.
        std: over the same, unbiased; None for fewer than two.
        low: lower end of the bootstrap interval of the mean.
        high: upper end.
        num_cases: cases that define the metric.
        num_undefined: cases left out.
    """

    model_config = ConfigDict(frozen=True)

    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    num_cases: int
    num_undefined: int


def summarize(
    values: Sequence[float],
    patients: Sequence[str],
    *,
    confidence: float,
    num_resamples: int,
    seed: int,
) -> Summary:
    """Return mean, spread and percentile bootstrap interval of the values that are not NaN.

    Whole patients are resampled: cases of one patient are not independent.

    Args:
        values: one per case; NaN where the metric is undefined.
        patients: whose case it is.
        confidence: level of the interval, in (0, 1).
        num_resamples: bootstrap samples.
        seed: of the resampling.
    """
    table = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(table)
    kept = table[defined]
    missing = int((~defined).sum())
    if not len(kept):
        return Summary(mean=None, std=None, low=None, high=None, num_cases=0, num_undefined=missing)
    _, group = np.unique(np.asarray(patients)[defined], return_inverse=True)
    sums, counts = np.bincount(group, kept), np.bincount(group)
    means = _bootstrap_means(sums, counts, num_resamples, seed)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Summary(
        mean=math.fsum(kept) / len(kept),
        std=float(kept.std(ddof=1)) if len(kept) > 1 else None,
        low=float(low),
        high=float(high),
        num_cases=len(kept),
        num_undefined=missing,
    )


def _bootstrap_means(
    sums: np.ndarray, counts: np.ndarray, num_resamples: int, seed: int
) -> np.ndarray:
    generator = np.random.default_rng(seed)
    means = []
    for start in range(0, num_resamples, _RESAMPLES_AT_ONCE):
        size = (min(_RESAMPLES_AT_ONCE, num_resamples - start), len(sums))
        drawn = generator.integers(len(sums), size=size)
        means.append(sums[drawn].sum(1) / counts[drawn].sum(1))
    return np.concatenate(means)
