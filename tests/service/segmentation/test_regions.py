"""Connected regions and their measures."""

from math import hypot, sqrt

import numpy as np
import pytest

from service.segmentation.regions import MAX_REGIONS, measure_diameters, measure_regions


def test_two_separate_squares_are_two_regions_largest_first():
    mask = np.zeros((1, 20, 20), dtype=bool)
    mask[0, 1:3, 1:3] = True
    mask[0, 10:15, 8:12] = True

    count, regions = measure_regions(mask, np.ones(mask.shape, np.float32), None)

    assert count == 2
    assert [region.pixels for region in regions] == [20, 4]
    assert regions[0].bbox == (8, 10, 4, 5)
    assert regions[0].centroid == (9.5, 12.0)


def test_pixels_that_touch_at_a_corner_are_one_region():
    mask = np.eye(4, dtype=bool)[None]

    count, _ = measure_regions(mask, np.ones(mask.shape, np.float32), None)

    assert count == 1


def test_a_region_of_a_volume_has_three_coordinates():
    mask = np.zeros((6, 8, 10), dtype=bool)
    mask[2:4, 3:6, 5:9] = True

    _, (region,) = measure_regions(mask, np.ones(mask.shape, np.float32), (5.0, 0.5, 0.5))

    assert region.bbox == (5, 3, 2, 4, 3, 2)
    assert region.centroid == (6.5, 4.0, 2.5)
    assert region.pixels == 24


def test_the_mean_probability_is_that_of_the_region_alone():
    mask = np.zeros((1, 4, 4), dtype=bool)
    mask[0, 0, :2] = True
    probability = np.full(mask.shape, 0.1, np.float32)
    probability[0, 0, :2] = (0.6, 0.8)

    _, (region,) = measure_regions(mask, probability, None)

    assert region.mean_probability == pytest.approx(0.7)


def test_an_empty_mask_has_no_regions():
    count, regions = measure_regions(
        np.zeros((1, 4, 4), dtype=bool), np.zeros((1, 4, 4), np.float32), None
    )

    assert (count, regions) == (0, [])


def test_speckle_is_counted_in_full_but_measured_up_to_the_limit():
    mask = np.zeros((1, 60, 60), dtype=bool)
    mask[0, ::2, ::2] = True

    count, regions = measure_regions(mask, np.ones(mask.shape, np.float32), None)

    assert count == 900
    assert len(regions) == MAX_REGIONS


def test_a_single_pixel_is_one_pixel_long():
    diameters = measure_diameters(np.ones((1, 1), dtype=bool), (1.0, 1.0))

    assert diameters == pytest.approx((1.0, 1.0))


def test_a_line_is_as_long_as_it_has_pixels_in_millimetres():
    diameters = measure_diameters(np.ones((1, 7), dtype=bool), (0.5, 2.0))

    assert diameters.longest == pytest.approx(14.0)
    assert diameters.perpendicular == pytest.approx(0.5)


def test_a_disc_is_as_wide_as_long():
    y, x = np.mgrid[:101, :101] - 50

    diameters = measure_diameters(x**2 + y**2 <= 40**2, (1.0, 1.0))

    assert diameters == pytest.approx((81.0, 81.0), abs=0.6)


def test_diameters_equal_those_of_all_pairs_of_edge_points():
    generator = np.random.default_rng(0)
    mask = generator.random((9, 12)) < 0.3

    found = measure_diameters(mask, (0.7, 1.3))

    edges = ((-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5))
    points = [
        ((x + dx) * 1.3, (y + dy) * 0.7)
        for y, x in zip(*mask.nonzero(), strict=True)
        for dx, dy in edges
    ]
    longest = max(hypot(a[0] - b[0], a[1] - b[1]) for a in points for b in points)
    assert found.longest == pytest.approx(longest, rel=1e-6)


def test_a_rectangle_is_measured_along_its_diagonal():
    diameters = measure_diameters(np.ones((30, 40), dtype=bool), (1.0, 1.0))

    assert diameters.longest == pytest.approx(sqrt(30**2 + 40**2), abs=1.0)
