from itertools import product

import pytest
import torch

from amlp.masking.patch_features import (
    dark_patches,
    grey,
    patch_statistics,
    standardize,
    value_range,
)


def slow_gradient(image, y, x):
    height, width = image.shape
    right = abs(image[y, x + 1] - image[y, x]) if x + 1 < width else 0.0
    down = abs(image[y + 1, x] - image[y, x]) if y + 1 < height else 0.0
    return float(right + down)


def test_statistics_equal_those_of_a_loop_over_patches():
    images = torch.randn(2, 3, 8, 12)

    statistics = patch_statistics(images, 4)

    for b, c, row, column in product(range(2), range(3), range(2), range(3)):
        ys, xs = range(4 * row, 4 * row + 4), range(4 * column, 4 * column + 4)
        patch = images[b, c, ys.start : ys.stop, xs.start : xs.stop]
        gradient = sum(slow_gradient(images[b, c], y, x) for y, x in product(ys, xs)) / 16
        expected = [float(patch.mean()), float(patch.std()), gradient]
        assert statistics[b, :, c, row, column].tolist() == pytest.approx(expected, abs=1e-5)


def test_statistics_accept_any_memory_layout():
    images = torch.randn(2, 3, 8, 8)

    other = patch_statistics(images.to(memory_format=torch.channels_last), 4)

    assert torch.equal(other, patch_statistics(images, 4))


def test_grey_of_a_bright_background_is_negated():
    images = torch.randn(2, 3, 4, 4)

    torch.testing.assert_close(grey(images, -1), -images.mean(1, keepdim=True))


def test_value_range_is_taken_per_image():
    images = torch.tensor([[0.0, 2.0], [-1.0, 5.0]]).view(2, 1, 1, 2)

    assert value_range(images).tolist() == [2, 6]


def test_patch_is_dark_when_less_than_half_of_it_is_bright():
    image = torch.zeros(1, 1, 4, 8)
    image[..., :2, :4] = 1  # exactly half of the left patch
    image[..., 0, 4:] = 1  # a quarter of the right patch

    assert dark_patches(image, 4, 0.05).tolist() == [[[False, True]]]


def test_standardised_features_have_mean_0_and_deviation_1_over_valid_patches():
    features, valid = torch.randn(2, 3, 20) * 5 + 2, torch.rand(2, 20) > 0.3

    z = standardize(features, valid, torch.ones(2))

    for image in range(2):
        seen = z[image][:, valid[image]]
        assert seen.mean(dim=1).tolist() == pytest.approx([0] * 3, abs=1e-5)
        assert seen.std(dim=1, correction=0).tolist() == pytest.approx([1] * 3, abs=1e-5)


def test_feature_that_is_flat_next_to_the_range_becomes_zero():
    features = 1 + 1e-5 * torch.randn(1, 1, 20)

    z = standardize(features, torch.ones(1, 20, dtype=torch.bool), torch.ones(1))

    assert not z.any()


def test_features_stay_finite_without_any_valid_patch():
    z = standardize(torch.randn(1, 2, 5), torch.zeros(1, 5, dtype=torch.bool), torch.ones(1))

    assert z.isfinite().all()
