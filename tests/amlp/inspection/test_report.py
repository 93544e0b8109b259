"""Findings: each limit, from both sides."""

import pytest

from amlp.config import GeodesicSaliencyConfig
from amlp.inspection.report import (
    InspectionReport,
    MarkedCases,
    NearDuplicate,
    RuleLift,
    Stability,
    list_findings,
)


def report(**values):
    lift = {"0.25": RuleLift(score=3.0, label=2.5, centre=2.0, random=1.0, oracle=4.0)}
    sound = {
        "dataset_digest": "sha256:0",
        "num_images": 4,
        "num_with_lesion": 4,
        "image_size": 64,
        "patch_size": 8,
        "clustering": GeodesicSaliencyConfig(),
        "lift": lift,
        "lift_on_crops": lift,
        "recall": 0.8,
        "precision": 0.3,
        "label_share": 0.2,
        "degenerate_share": 0.0,
        "valid_share": 0.9,
        "centre_correlation": 0.6,
        "stability": Stability(flip=1.0, crop=0.7),
        "near_duplicates": (),
        "patients_across_splits": (),
        "marks": MarkedCases(text=(), callipers=(), colour=()),
    }
    return InspectionReport(**{**sound, **values})


def on_crops(**values):
    usual = {"score": 3.0, "label": 2.5, "centre": 2.0, "random": 1.0, "oracle": 4.0}
    return {"0.25": RuleLift(**{**usual, **values})}


def twins(*, across):
    return (NearDuplicate(first="a", second="b", correlation=0.99, across_splits=across),)


def test_a_sound_set_has_no_findings() -> None:
    assert list_findings(report()) == []


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"label_share": 0.04}, "selection.label-share"),
        ({"label_share": 0.51}, "selection.label-share"),
        ({"degenerate_share": 0.2}, "selection.degenerate"),
        ({"centre_correlation": 0.96}, "selection.centre"),
        ({"lift_on_crops": on_crops(label=1.3)}, "selection.lift"),
        ({"lift_on_crops": on_crops(score=2.0)}, "selection.control"),
        ({"near_duplicates": twins(across=True)}, "data.duplicates-across-splits"),
        ({"near_duplicates": twins(across=False)}, "data.duplicates"),
        ({"patients_across_splits": ("p",)}, "data.patients-across-splits"),
        ({"marks": MarkedCases(text=("a",), callipers=(), colour=())}, "data.text"),
        ({"marks": MarkedCases(text=(), callipers=("a",), colour=())}, "data.callipers"),
        ({"marks": MarkedCases(text=(), callipers=(), colour=("a",))}, "data.colour"),
    ],
)
def test_each_fault_is_one_finding(values, code) -> None:
    assert [finding.code for finding in list_findings(report(**values))] == [code]


def test_without_masks_and_scores_nothing_is_said_of_lift() -> None:
    blank = {"lift": None, "lift_on_crops": None, "recall": None, "precision": None}

    assert list_findings(report(**blank, centre_correlation=None)) == []
