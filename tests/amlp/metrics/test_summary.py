"""Means with bootstrap intervals."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from amlp.metrics import Summary, summarize


def _summary(values: list[float], patients: list[str] | None = None, **given: float) -> Summary:
    patients = patients or [str(number) for number in range(len(values))]
    options = {"confidence": 0.95, "num_resamples": 2000, "seed": 0, **given}
    return summarize(values, patients, **options)  # type: ignore[arg-type]


def test_mean_and_spread_are_the_usual_ones() -> None:
    summary = _summary([0.2, 0.4, 0.9])

    assert summary.mean == pytest.approx(0.5)
    assert summary.std == pytest.approx(np.std([0.2, 0.4, 0.9], ddof=1))


def test_the_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).random(60)
    expected = bootstrap(
        (values,), np.mean, n_resamples=5000, method="percentile", rng=1
    ).confidence_interval

    summary = _summary(values.tolist(), num_resamples=5000)

    assert summary.low == pytest.approx(expected.low, abs=0.01)
    assert summary.high == pytest.approx(expected.high, abs=0.01)


def test_cases_of_one_patient_widen_the_interval() -> None:
    generator = np.random.default_rng(0)
    of_patients = generator.random(10)
    values = np.repeat(of_patients, 10).tolist()
    patients = np.repeat(np.arange(10), 10).astype(str).tolist()

    together, apart = _summary(values, patients), _summary(values)

    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_undefined_cases_are_left_out_and_counted() -> None:
    summary = _summary([0.5, float("nan"), 0.7])

    assert summary.mean == pytest.approx(0.6)
    assert (summary.num_cases, summary.num_undefined) == (2, 1)


def test_nothing_defined_has_no_mean() -> None:
    summary = _summary([float("nan")])

    assert summary.mean is None
    assert summary.low is None
    assert summary.num_undefined == 1


def test_one_case_has_no_spread_and_an_interval_of_a_point() -> None:
    summary = _summary([0.3])

    assert summary.std is None
    assert summary.low == summary.high == pytest.approx(0.3)


def test_equal_seeds_give_equal_intervals() -> None:
    values = np.random.default_rng(0).random(20).tolist()

    assert _summary(values) == _summary(values)
    assert _summary(values).low != _summary(values, seed=1).low
