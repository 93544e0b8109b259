"""The report of an evaluation."""

import math

import pytest
import torch

from amlp.config import EvaluateConfig
from amlp.metrics import CaseScores, flat_means, score_case, summarize_cases

NAMES = ("background", "lesion", "cyst")


def _case(number: int, lesion: float | None, cyst: float | None = None) -> CaseScores:
    metrics = ("dice", "sensitivity", "ppv", "hd95")
    classes = {
        "lesion": dict.fromkeys(metrics, lesion),
        "cyst": dict.fromkeys(metrics, cyst),
    }
    return CaseScores(case_id=f"case{number}", patient=f"patient{number}", classes=classes)


def test_each_class_is_scored() -> None:
    truth = torch.zeros(1, 8, 8, dtype=torch.uint8)
    truth[0, :4, :4] = 1
    predicted = truth.clone()
    predicted[0, 6, 6] = 2

    scores = score_case(predicted, truth, label_names=NAMES, spacing_mm=None)

    assert scores["lesion"] == {"dice": 1, "sensitivity": 1, "ppv": 1, "hd95": 0}
    assert scores["cyst"] == {"dice": 0, "sensitivity": None, "ppv": 0, "hd95": None}


def test_the_slices_of_a_volume_are_scored_as_one() -> None:
    truth = torch.zeros(2, 8, 8, dtype=torch.uint8)
    truth[0, :4, :4] = 1
    predicted = torch.zeros_like(truth)
    predicted[:, :4, :4] = 1

    scores = score_case(predicted, truth, label_names=NAMES[:2], spacing_mm=None)

    assert scores["lesion"]["dice"] == pytest.approx(2 / 3)
    assert scores["lesion"]["ppv"] == pytest.approx(0.5)


def test_the_mean_of_a_case_is_over_the_classes_that_define_it() -> None:
    assert _case(0, 0.2, 0.6).mean("dice") == pytest.approx(0.4)
    assert _case(0, 0.2, None).mean("dice") == pytest.approx(0.2)
    assert math.isnan(_case(0, None, None).mean("dice"))


def test_summaries_are_over_cases_and_by_class() -> None:
    cases = [_case(0, 0.2, 0.6), _case(1, 0.4, None)]

    mean, classes = summarize_cases(cases, EvaluateConfig(bootstrap_samples=100))

    assert mean["dice"].mean == pytest.approx(0.4)
    assert classes["lesion"]["dice"].mean == pytest.approx(0.3)
    assert classes["cyst"]["dice"].num_undefined == 1


def test_flat_means_leave_out_what_is_undefined() -> None:
    mean, classes = summarize_cases([_case(0, 0.5)], EvaluateConfig(bootstrap_samples=100))

    values = flat_means(mean, classes)

    assert values["dice"] == values["dice/low"] == values["dice/lesion"] == 0.5
    assert "dice/cyst" not in values
