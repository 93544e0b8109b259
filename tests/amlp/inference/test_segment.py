"""Probabilities of slices, whole or by windows."""

import pytest
import torch
from torch import Tensor, nn

from amlp.config import InferenceConfig, ResizeConfig, SlidingWindowConfig
from amlp.inference import segment_slices

BOTH = [ResizeConfig(), SlidingWindowConfig()]


class Brightness(nn.Module):
    """Takes bright pixels for lesions; refuses inputs that are not 16 x 16."""

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[-2:] == (16, 16)
        return 3 * images.mean(1, keepdim=True)


def _segment(images: Tensor, config: InferenceConfig, batch_size: int = 4) -> Tensor:
    return segment_slices(Brightness(), images, config=config, image_size=16, batch_size=batch_size)


@pytest.mark.parametrize("config", BOTH)
@pytest.mark.parametrize("size", [(16, 16), (40, 24), (9, 50)])
def test_probabilities_are_on_the_images_own_grid(
    config: InferenceConfig, size: tuple[int, int]
) -> None:
    probabilities = _segment(torch.rand(3, 1, *size), config)

    assert probabilities.shape == (3, 2, *size)
    assert torch.allclose(probabilities.sum(1), torch.ones(3, *size), atol=1e-5)


@pytest.mark.parametrize("config", BOTH)
def test_a_bright_square_is_found_where_it_is(config: InferenceConfig) -> None:
    images = torch.rand(1, 1, 48, 48) * 0.1
    images[..., 12:30, 6:24] += 1

    found = _segment(images, config)[0, 1] > 0.5

    truth = images[0, 0] > 0.5
    overlap = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert overlap > 0.85


@pytest.mark.parametrize("config", BOTH)
def test_the_batch_size_does_not_matter(config: InferenceConfig) -> None:
    images = torch.rand(5, 2, 20, 20)

    assert torch.allclose(_segment(images, config, 1), _segment(images, config, 8), atol=1e-6)


def test_a_flat_image_is_no_trouble() -> None:
    assert _segment(torch.zeros(1, 1, 20, 20), ResizeConfig()).isfinite().all()
