"""Samples in memory."""

import os
from pathlib import Path

import pytest
import torch

from amlp.data import Dataset, load_samples, read_slices, stored_resolution
from amlp.errors import DataError, EmptyDataset, GeometryMismatch
from amlp.imageio import read_image


def test_pictures_stay_uint8_at_one_size(pictures: Dataset) -> None:
    cases = pictures.manifest.cases

    samples = load_samples(pictures, cases, resolution=36, labelled=True, drop_flat=True)

    assert samples.images.shape == (len(cases), 1, 36, 36)
    assert samples.images.dtype == torch.uint8
    assert samples.masks is not None
    assert samples.masks.shape == (len(cases), 36, 36)


def test_an_equal_resolution_keeps_the_pixels(pictures: Dataset) -> None:
    case = pictures.manifest.cases[0]
    image = read_image(pictures.root / case.image)

    samples = load_samples(pictures, [case], resolution=48, labelled=False, drop_flat=False)

    assert torch.equal(samples.images[:, 0], torch.tensor(image.pixels[0]))
    assert samples.masks is None


def test_every_slice_of_a_volume_is_a_sample_of_its_case(volumes: Dataset) -> None:
    samples = load_samples(
        volumes, volumes.manifest.cases, resolution=16, labelled=True, drop_flat=False
    )

    assert samples.images.shape == (5, 2, 16, 16)
    assert samples.images.dtype == torch.float32
    assert samples.case_index.tolist() == [0, 0, 0, 1, 1]


def test_flat_slices_can_be_left_out(volumes: Dataset) -> None:
    samples = load_samples(
        volumes, volumes.manifest.cases, resolution=16, labelled=True, drop_flat=True
    )

    assert samples.case_index.tolist() == [0, 0, 1, 1]
    assert samples.masks is not None
    assert len(samples.masks) == 4


def test_nothing_but_flat_slices_is_refused(volumes: Dataset) -> None:
    with pytest.raises(EmptyDataset, match="0 cases"):
        load_samples(volumes, [], resolution=16, labelled=True, drop_flat=True)


def test_a_case_without_mask_is_refused_where_labels_are_needed(volumes: Dataset) -> None:
    case = volumes.manifest.cases[0].model_copy(update={"mask": None})

    with pytest.raises(DataError, match="volume0 has no mask"):
        read_slices(volumes, case, labelled=True)


def test_a_mask_of_another_grid_is_refused(volumes: Dataset) -> None:
    first, second = volumes.manifest.cases
    case = first.model_copy(update={"mask": second.mask})

    with pytest.raises(GeometryMismatch, match=r"\(2, 16, 16\).*expected"):
        read_slices(volumes, case, labelled=True)


def test_more_samples_than_memory_are_refused_before_reading(
    volumes: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", lambda _: 10)

    with pytest.raises(DataError, match="GiB of memory"):
        load_samples(volumes, volumes.manifest.cases, resolution=16, labelled=False, drop_flat=True)


def test_samples_stay_where_they_are_without_a_gpu(volumes: Dataset, tmp_path: Path) -> None:
    samples = load_samples(
        volumes, volumes.manifest.cases, resolution=16, labelled=True, drop_flat=False
    )

    assert samples.on(torch.device("cpu")) is samples


def test_samples_are_stored_a_little_larger_than_the_input() -> None:
    assert stored_resolution(224) == 256
