"""Batches of whole images and of windows."""

import numpy as np
import torch

from amlp.config import AugmentationConfig
from amlp.data import Dataset, ResizedSource, WindowSource, load_samples, split_slices
from amlp.data.source import LabelledSlice

CPU = torch.device("cpu")
CONFIG = AugmentationConfig(rotation_degrees=10.0)


def _resized(dataset: Dataset) -> ResizedSource:
    samples = load_samples(
        dataset, dataset.manifest.cases, resolution=36, labelled=True, drop_flat=True
    )
    return ResizedSource(samples, CONFIG, 32)


def test_a_batch_is_of_the_network_s_size_and_z_scored(pictures: Dataset) -> None:
    source = _resized(pictures)
    indices = np.arange(4)

    batch = source.batch(indices, np.random.default_rng(0).random((4, source.num_draws)), CPU)

    assert batch.images.shape == (4, 1, 32, 32)
    assert batch.labels.shape == (4, 32, 32)
    assert batch.images.mean((1, 2, 3)).abs().max() < 0.5
    assert (batch.images.std((1, 2, 3)) - 1).abs().max() < 0.3


def test_a_sample_does_not_depend_on_its_neighbours(pictures: Dataset) -> None:
    source = _resized(pictures)
    draws = np.random.default_rng(0).random((5, source.num_draws))

    together = source.batch(np.arange(5), draws, CPU)
    alone = source.batch(np.array([3]), draws[3:4], CPU)

    assert torch.allclose(together.images[3:4], alone.images, atol=1e-6)
    assert torch.equal(together.labels[3:4], alone.labels)


def _windows(side: int) -> WindowSource:
    images = torch.rand(1, 1, 40, 60)
    masks = torch.zeros(1, 40, 60, dtype=torch.uint8)
    masks[:, 30:33, 50:53] = 1
    return WindowSource(split_slices(images, masks), AugmentationConfig(), side)


def test_windows_are_of_the_network_s_size_even_in_small_images() -> None:
    source = _windows(side=64)

    batch = source.batch(np.array([0]), np.full((1, source.num_draws), 0.5), CPU)

    assert batch.images.shape == (1, 1, 64, 64)
    assert batch.labels.shape == (1, 64, 64)


def test_half_of_the_windows_are_centred_on_foreground() -> None:
    source = _windows(side=16)
    draws = np.random.default_rng(0).random((200, source.num_draws))

    batch = source.batch(np.zeros(200, dtype=np.int64), draws, CPU)

    with_lesion = batch.labels.flatten(1).any(1)
    centred = torch.from_numpy(draws[:, 0] < 0.5)
    assert with_lesion[centred].all()
    assert not with_lesion[~centred].all()


def test_a_slice_without_foreground_is_cut_at_random() -> None:
    empty = LabelledSlice(torch.rand(1, 1, 40, 40), torch.zeros(1, 40, 40, dtype=torch.uint8))
    source = WindowSource((empty,), AugmentationConfig(), 16)

    batch = source.batch(np.array([0]), np.full((1, source.num_draws), 0.1), CPU)

    assert not batch.labels.any()


def test_slices_are_split_with_the_z_score_of_the_whole_slice() -> None:
    images = 100 + 5 * torch.rand(3, 1, 20, 20)
    masks = torch.zeros(3, 20, 20, dtype=torch.uint8)

    slices = split_slices(images, masks)

    assert len(slices) == 3
    assert all(part.images.shape == (1, 1, 20, 20) for part in slices)
    assert abs(float(slices[0].images.mean())) < 0.2
