"""Dice, sensitivity and PPV from counts."""

import math

import pytest
import torch
from monai.metrics import compute_dice
from torch import Tensor

from amlp.metrics import confusion_counts, dice, positive_predictive_value, sensitivity


def _counts(tp: int, fp: int, fn: int) -> Tensor:
    return torch.tensor([tp, fp, fn])


def test_counts_of_a_hand_made_map() -> None:
    predicted = torch.tensor([[[1, 1, 0], [2, 0, 1]]], dtype=torch.uint8)
    truth = torch.tensor([[[1, 0, 1], [2, 2, 1]]], dtype=torch.uint8)

    counts = confusion_counts(predicted, truth, num_classes=3)

    assert counts.tolist() == [[[2, 1, 1], [1, 0, 1]]]


def test_hand_made_scores() -> None:
    counts = _counts(3, 1, 2)

    assert float(dice(counts)) == pytest.approx(2 / 3)
    assert float(positive_predictive_value(counts)) == pytest.approx(0.75)
    assert float(sensitivity(counts)) == pytest.approx(0.6)


def test_both_empty_is_perfect() -> None:
    counts = _counts(0, 0, 0)

    assert [float(f(counts)) for f in (dice, sensitivity, positive_predictive_value)] == [1, 1, 1]


def test_an_empty_prediction_of_a_lesion_is_worth_nothing() -> None:
    counts = _counts(0, 0, 5)

    assert [float(f(counts)) for f in (dice, sensitivity, positive_predictive_value)] == [0, 0, 0]


def test_sensitivity_is_undefined_without_a_lesion() -> None:
    counts = _counts(0, 5, 0)

    assert float(dice(counts)) == 0
    assert float(positive_predictive_value(counts)) == 0
    assert math.isnan(float(sensitivity(counts)))


def test_dice_agrees_with_monai() -> None:
    predicted = torch.randint(0, 2, (6, 12, 12), dtype=torch.uint8)
    truth = torch.randint(0, 2, (6, 12, 12), dtype=torch.uint8)

    found = dice(confusion_counts(predicted, truth, num_classes=2))[:, 0]

    expected = compute_dice(predicted[:, None].float(), truth[:, None].float())[:, 0]
    assert torch.allclose(found.float(), expected, atol=1e-6)


def test_slices_of_a_volume_add_up() -> None:
    predicted = torch.randint(0, 3, (4, 8, 8), dtype=torch.uint8)
    truth = torch.randint(0, 3, (4, 8, 8), dtype=torch.uint8)

    by_slice = confusion_counts(predicted, truth, num_classes=3).sum(0)
    at_once = confusion_counts(predicted.reshape(1, 32, 8), truth.reshape(1, 32, 8), num_classes=3)[
        0
    ]

    assert torch.equal(by_slice, at_once)


def test_swapping_prediction_and_truth_swaps_sensitivity_and_ppv() -> None:
    counts = torch.randint(1, 20, (10, 3))
    swapped = counts[:, [0, 2, 1]]

    assert torch.equal(sensitivity(counts), positive_predictive_value(swapped))
    assert torch.equal(dice(counts), dice(swapped))
