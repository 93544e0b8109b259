"""Randomness of the data as a pure function of (seed, epoch, sample).

Nothing is drawn from a running generator, so a run that continues in the middle of an epoch, or on
another number of processes, sees the very same samples.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stream(IntEnum):
    """What random numbers are for; streams of one seed are independent."""

    ORDER = 0
    AUGMENTATION = 1
    NETWORK = 2
    MASK = 3
    WEIGHTS = 4


def derive_seed(*parts: int) -> int:
    """Return a seed of 63 bits for the numbers that name a draw, such as (seed, stream, step)."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def epoch_order(seed: int, epoch: int, num_samples: int) -> NDArray[np.int64]:
    """Return the order of the samples in an epoch: a permutation of 0 .. num_samples - 1."""
    generator = np.random.default_rng((seed, Stream.ORDER, epoch))
    return generator.permutation(num_samples)


def epoch_uniforms(seed: int, epoch: int, num_samples: int, num_draws: int) -> NDArray[np.float64]:
    """Return (num_samples, num_draws) numbers in [0, 1): row i drives sample i's augmentation."""
    generator = np.random.default_rng((seed, Stream.AUGMENTATION, epoch))
    return generator.random((num_samples, num_draws))
