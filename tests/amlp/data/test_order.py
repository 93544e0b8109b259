"""Randomness as a function of (seed, epoch, sample)."""

import numpy as np

from amlp.data import Stream, derive_seed, epoch_order, epoch_uniforms


def test_an_order_holds_every_sample_once() -> None:
    assert sorted(epoch_order(0, 3, 50)) == list(range(50))


def test_orders_repeat_for_equal_and_differ_for_other_seeds_and_epochs() -> None:
    order = epoch_order(1, 2, 50)

    assert np.array_equal(order, epoch_order(1, 2, 50))
    assert not np.array_equal(order, epoch_order(1, 3, 50))
    assert not np.array_equal(order, epoch_order(2, 2, 50))


def test_uniforms_are_uniform_and_repeat() -> None:
    draws = epoch_uniforms(0, 0, 5000, 2)

    assert draws.shape == (5000, 2)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.02
    assert np.array_equal(draws, epoch_uniforms(0, 0, 5000, 2))


def test_order_and_augmentation_of_a_seed_are_unrelated() -> None:
    order = epoch_order(0, 0, 2000)
    draws = epoch_uniforms(0, 0, 2000, 1)[:, 0]

    assert abs(np.corrcoef(order, draws)[0, 1]) < 0.1


def test_every_part_of_a_seed_counts() -> None:
    seeds = {derive_seed(0, stream, step) for stream in Stream for step in range(100)}

    assert len(seeds) == 100 * len(Stream)
    assert all(0 <= seed < 2**63 for seed in seeds)
