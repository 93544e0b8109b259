"""Segmentation losses against formulas written out."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from amlp.config import SegmentationLossConfig
from amlp.losses.segmentation import build_segmentation_loss

NAMES = ["dice_ce", "dice_focal", "tversky"]


def _slow_dice_ce(logits: Tensor, masks: Tensor, dice_weight: float, pixel_weight: float) -> Tensor:
    p, t = logits[:, 0].sigmoid(), masks.float()
    shares = [
        (2 * (p[i] * t[i]).sum() + 1e-5) / (p[i].sum() + t[i].sum() + 1e-5) for i in range(len(p))
    ]
    dice = 1 - torch.stack(shares).mean()
    pixels = functional.binary_cross_entropy(p, t)
    return dice_weight * dice + pixel_weight * pixels


def test_binary_dice_ce_is_its_formula() -> None:
    logits = torch.randn(3, 1, 8, 8)
    masks = torch.randint(0, 2, (3, 8, 8), dtype=torch.uint8)
    config = SegmentationLossConfig(dice_weight=0.7, pixel_weight=2.0)

    value = build_segmentation_loss(config, num_logits=1)(logits, masks)

    assert float(value) == pytest.approx(float(_slow_dice_ce(logits, masks, 0.7, 2.0)), abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_logits", [1, 3])
def test_a_right_prediction_costs_nothing_and_a_wrong_one_much(name: str, num_logits: int) -> None:
    masks = torch.zeros(2, 8, 8, dtype=torch.uint8)
    masks[:, 2:6, 2:6] = 1
    classes = functional.one_hot(masks.long(), max(2, num_logits)).permute(0, 3, 1, 2).float()
    right = 40 * (classes[:, 1:2] - 0.5) if num_logits == 1 else 40 * classes
    loss = build_segmentation_loss(SegmentationLossConfig(name=name), num_logits=num_logits)

    # a class that occurs nowhere keeps its Dice term near 1 / 2 at most
    limit = 0.6 if num_logits == 3 else 0.01
    assert float(loss(right, masks)) < limit
    assert float(loss(-right, masks)) > float(loss(right, masks)) + 0.3


@pytest.mark.parametrize("name", NAMES)
def test_images_without_lesion_have_a_finite_loss_and_gradient(name: str) -> None:
    logits = torch.randn(2, 1, 8, 8, requires_grad=True)
    loss = build_segmentation_loss(SegmentationLossConfig(name=name), num_logits=1)

    loss(logits, torch.zeros(2, 8, 8, dtype=torch.uint8)).backward()

    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_half_precision_logits_are_computed_in_float32() -> None:
    logits = torch.randn(2, 1, 8, 8)
    masks = torch.randint(0, 2, (2, 8, 8), dtype=torch.uint8)
    loss = build_segmentation_loss(SegmentationLossConfig(), num_logits=1)

    value = loss(logits.bfloat16(), masks)

    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(float(loss(logits.bfloat16().float(), masks)), abs=1e-6)


def test_tversky_punishes_a_miss_more_than_a_false_alarm() -> None:
    masks = torch.zeros(1, 8, 8, dtype=torch.uint8)
    masks[0, :4] = 1
    missed = torch.full((1, 1, 8, 8), -20.0)
    missed[0, 0, :2] = 20
    alarmed = torch.full((1, 1, 8, 8), -20.0)
    alarmed[0, 0, :6] = 20
    config = SegmentationLossConfig(name="tversky", pixel_weight=0.0)
    loss = build_segmentation_loss(config, num_logits=1)

    assert float(loss(missed, masks)) > float(loss(alarmed, masks))
