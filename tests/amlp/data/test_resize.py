"""Resizing images and label maps."""

import torch

from amlp.data import resize_images, resize_label_maps


def test_the_size_is_the_one_asked_for() -> None:
    assert resize_images(torch.rand(2, 3, 10, 20), (8, 12)).shape == (2, 3, 8, 12)


def test_an_equal_size_changes_nothing() -> None:
    images = torch.rand(1, 1, 6, 6)

    assert resize_images(images, (6, 6)) is images


def test_halving_averages_instead_of_dropping_pixels() -> None:
    checkers = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(8, 8)[None, None]

    halved = resize_images(checkers, (8, 8))

    assert torch.allclose(halved, torch.full_like(halved, 0.5), atol=0.1)


def test_label_maps_get_no_new_labels() -> None:
    masks = torch.randint(0, 2, (2, 9, 9), dtype=torch.uint8) * 3

    resized = resize_label_maps(masks, (7, 13))

    assert resized.shape == (2, 7, 13)
    assert set(resized.unique().tolist()) <= {0, 3}


def test_doubling_label_maps_repeats_them() -> None:
    masks = torch.randint(0, 5, (1, 4, 4), dtype=torch.uint8)

    doubled = resize_label_maps(masks, (8, 8))

    assert torch.equal(doubled, masks.repeat_interleave(2, 1).repeat_interleave(2, 2))
