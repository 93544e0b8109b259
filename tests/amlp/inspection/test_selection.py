"""Lift and its controls."""

import math

import pytest
import torch

from amlp.config import CentrePriorConfig, GeodesicSaliencyConfig
from amlp.data import standardise
from amlp.inspection.selection import (
    RATIOS,
    RULES,
    correlation,
    lesion_patches,
    lift,
    mask_highest,
    observe,
)
from amlp.masking import Categories, CentrePrior, GeodesicSaliency


def true_clustering(lesion):
    return lambda images: Categories(
        lesion, lesion.float(), torch.zeros(len(images), dtype=torch.bool)
    )


def random_lesions(num_images, side=8, share=0.1):
    return torch.rand(num_images, side * side) < share


def observed(lesion, categorize, *, seed=1):
    images = torch.rand(len(lesion), 1, 64, 64)
    generator = torch.Generator().manual_seed(seed)
    return observe(images, lesion, categorize=categorize, patch_size=8, generator=generator)


def rule(seen, name, ratio):
    return float(seen.lift[:, RATIOS.index(ratio), RULES.index(name)].nanmean())


def test_the_truth_as_score_and_label_reaches_the_oracle() -> None:
    lesion = random_lesions(20)

    seen = observed(lesion, true_clustering(lesion))

    for ratio in RATIOS:
        assert rule(seen, "score", ratio) == rule(seen, "oracle", ratio)
        assert rule(seen, "label", ratio) == rule(seen, "oracle", ratio)
        assert rule(seen, "oracle", ratio) == pytest.approx(1 / ratio)


def test_random_masks_have_a_lift_of_one_within_noise() -> None:
    lesion = random_lesions(600)

    seen = observed(lesion, true_clustering(lesion))

    assert rule(seen, "random", 0.25) == pytest.approx(1, abs=0.08)
    assert rule(seen, "random", 0.5) == pytest.approx(1, abs=0.05)


def test_lift_of_hand_worked_masks() -> None:
    masked = torch.tensor([[True, True, False, False]] * 3)
    lesion = torch.tensor([[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]).bool()

    assert torch.allclose(lift(masked, lesion)[:2], torch.tensor([2.0, 1.0]))
    assert lift(masked, lesion)[2].isnan()


def test_images_without_lesion_patches_do_not_count() -> None:
    lesion = random_lesions(4)
    lesion[0] = False

    seen = observed(lesion, true_clustering(lesion))

    assert seen.lift[0].isnan().all()
    assert seen.lift[1:].isfinite().all()
    assert seen.overlap[0].tolist() == [0, 0, 0]


def test_a_patch_is_lesion_from_a_quarter_of_its_pixels() -> None:
    masks = torch.zeros(1, 8, 16, dtype=torch.uint8)
    masks[0, :4, :4] = 2  # 16 of 64 pixels of the first patch
    masks[0, :5, 8:11] = 1  # 15 of the second

    assert lesion_patches(masks, 8).tolist() == [[True, False]]


def test_the_highest_are_masked_and_noise_decides_between_equals() -> None:
    values = torch.tensor([[0.0, 1.0, 0.0, 0.0]])
    noise = torch.tensor([[0.2, 0.1, 0.9, 0.5]])

    assert mask_highest(values, noise, 2).tolist() == [[False, True, True, False]]


def test_every_rule_masks_as_many_patches() -> None:
    values, noise = torch.rand(5, 36).round(decimals=1), torch.rand(5, 36)

    assert mask_highest(values, noise, 9).sum(1).tolist() == [9] * 5


def test_correlation_agrees_with_numpy_and_is_nan_for_a_constant() -> None:
    first, second = torch.rand(2, 30), torch.rand(2, 30)
    second[1] = 0.5

    value = correlation(first, second)

    assert float(value[0]) == pytest.approx(
        float(torch.corrcoef(torch.stack([first[0], second[0]]))[0, 1]), abs=1e-5
    )
    assert math.isnan(float(value[1]))


def test_the_centre_rule_correlates_with_itself_and_equals_its_control() -> None:
    lesion = random_lesions(6)

    seen = observed(lesion, CentrePrior(CentrePriorConfig(), 8))

    assert torch.allclose(seen.centre_correlation, torch.ones(6))
    assert rule(seen, "score", 0.5) == rule(seen, "centre", 0.5)


def test_a_dark_frame_is_not_in_the_field_of_view() -> None:
    images = torch.zeros(1, 1, 64, 64)
    images[..., 16:48, 8:56] = 1 + torch.rand(32, 48)

    seen = observe(
        images,
        None,
        categorize=GeodesicSaliency(GeodesicSaliencyConfig(), 8),
        patch_size=8,
        generator=torch.Generator().manual_seed(0),
    )

    assert float(seen.valid_share) == pytest.approx(4 * 6 / 64)


@pytest.mark.parametrize(
    ("name", "mode", "least"), [("busi", "L", 2.9), ("kvasir_seg", "RGB", 2.5)]
)
def test_geodesic_saliency_beats_the_centre_on_real_images(real_images, name, mode, least) -> None:
    images, lesion = real_images(name, mode, 120)

    seen = observe(
        standardise(images),
        lesion,
        categorize=GeodesicSaliency(GeodesicSaliencyConfig(), 16),
        patch_size=16,
        generator=torch.Generator().manual_seed(0),
    )

    assert rule(seen, "score", 0.25) > least
    assert rule(seen, "score", 0.25) > rule(seen, "centre", 0.25)
