"""The learning rate."""

from itertools import pairwise

import pytest

from amlp.engine import learning_rate_factor


def _factors(total: int, warmup: float) -> list[float]:
    return [
        learning_rate_factor(step, total_steps=total, warmup_fraction=warmup)
        for step in range(total)
    ]


def test_it_rises_linearly_then_falls() -> None:
    factors = _factors(100, 0.1)

    assert factors[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert factors[10] == 1
    assert all(later < earlier for earlier, later in pairwise(factors[10:]))


def test_half_way_down_the_cosine_is_one_half() -> None:
    assert learning_rate_factor(55, total_steps=100, warmup_fraction=0.1) == pytest.approx(0.5)


def test_without_warm_up_it_starts_at_the_peak() -> None:
    assert _factors(10, 0.0)[0] == 1


def test_a_single_update_learns() -> None:
    assert _factors(1, 0.05) == [1]


def test_no_update_is_wasted_at_rate_zero() -> None:
    assert min(_factors(20, 0.2)) > 0
