"""Run lengths and polygons give the mask back, pixel for pixel."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco

from service.segmentation.outlines import Polygon, Ring, encode_rle, trace_polygons

Mask = NDArray[np.bool_]


def fill(polygons: list[Polygon], shape: tuple[int, ...]) -> Mask:
    """The even-odd rule at pixel centres, edge by edge: the oracle."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside = np.zeros(shape, dtype=bool)
    for ring in (ring for polygon in polygons for ring in (polygon.exterior, *polygon.holes)):
        for (x0, y0), (_, y1) in zip(ring, ring[1:] + ring[:1], strict=True):
            inside ^= (y > min(y0, y1)) & (y < max(y0, y1)) & (x < x0)
    return inside


def area(ring: Ring) -> float:
    points = np.array(ring, dtype=float)
    following = np.roll(points, -1, axis=0)
    return abs(np.sum(points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1])) / 2


def ring_with_island() -> Mask:
    mask = np.zeros((20, 30), dtype=bool)
    mask[2:18, 5:25] = True
    mask[5:15, 8:22] = False
    mask[9:11, 14:17] = True
    return mask


def random_masks() -> list[Mask]:
    generator = np.random.default_rng(0)
    sizes = generator.integers(1, 24, (60, 2))
    return [generator.random(tuple(size)) < generator.random() for size in sizes]


CASES = [
    ring_with_island(),
    np.eye(5, dtype=bool),
    np.ones((1, 1), dtype=bool),
    np.ones((3, 7), dtype=bool),
    np.zeros((4, 4), dtype=bool),
    *random_masks(),
]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools'
@pytest.mark.parametrize("mask", CASES)
def test_run_lengths_decode_to_the_mask(mask: Mask):
    size, counts = encode_rle(mask)

    decoded = coco.decode({"size": list(size), "counts": counts})

    np.testing.assert_array_equal(decoded, mask)


@pytest.mark.parametrize("mask", CASES)
def test_filled_polygons_are_the_mask(mask: Mask):
    polygons = trace_polygons(mask)

    np.testing.assert_array_equal(fill(polygons, mask.shape), mask)


@pytest.mark.parametrize("mask", CASES)
def test_the_area_of_polygons_without_holes_is_the_number_of_pixels(mask: Mask):
    polygons = trace_polygons(mask)

    total = sum(area(one.exterior) - sum(map(area, one.holes)) for one in polygons)
    assert total == mask.sum()


def test_a_hole_and_the_island_in_it_are_kept_apart():
    polygons = trace_polygons(ring_with_island())

    assert sorted(len(polygon.holes) for polygon in polygons) == [0, 1]


def test_a_rectangle_has_its_four_pixel_corners():
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:5, 3:9] = True

    (polygon,) = trace_polygons(mask)

    assert set(polygon.exterior) == {(3, 2), (9, 2), (9, 5), (3, 5)}
    assert len(polygon.exterior) == 4


def test_an_empty_mask_has_no_polygon():
    polygons = trace_polygons(np.zeros((4, 4), dtype=bool))

    assert polygons == []
