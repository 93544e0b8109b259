"""95th percentile Hausdorff distance."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist
from torch import Tensor

from amlp.metrics import hausdorff95


def _square(left: int) -> Tensor:
    mask = torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[0, 5:10, left : left + 5] = True
    return mask


def _slow(first: Tensor, second: Tensor, spacing: tuple[float, ...]) -> float:
    edges = [
        np.argwhere(mask.numpy() & ~binary_erosion(mask.numpy())) * spacing
        for mask in (first, second)
    ]
    distances = cdist(*edges)
    return max(np.percentile(distances.min(axis), 95) for axis in (0, 1))


def test_equal_masks_are_at_no_distance() -> None:
    assert hausdorff95(_square(3), _square(3), spacing_mm=None) == 0


def test_a_shifted_square_is_as_far_as_it_was_shifted() -> None:
    assert hausdorff95(_square(3), _square(7), spacing_mm=None) == pytest.approx(4)


def test_spacing_turns_pixels_into_mm() -> None:
    assert hausdorff95(_square(3), _square(7), spacing_mm=(9.0, 1.0, 0.5)) == pytest.approx(2)


def test_volumes_agree_with_all_pairs_of_surface_points() -> None:
    first = torch.zeros(8, 12, 12, dtype=torch.bool)
    second = first.clone()
    first[2:6, 2:8, 3:9] = True
    second[1:5, 4:10, 2:6] = True
    spacing = (2.0, 0.7, 0.7)

    found = hausdorff95(first, second, spacing_mm=spacing)

    assert found == pytest.approx(_slow(first, second, spacing), rel=0.02)


def test_it_is_undefined_where_either_is_empty() -> None:
    empty = torch.zeros(1, 20, 20, dtype=torch.bool)

    assert math.isnan(hausdorff95(empty, _square(3), spacing_mm=None))
    assert math.isnan(hausdorff95(_square(3), empty, spacing_mm=None))
