"""Connected regions of one class, measured in pixels and, with known spacing, in millimetres."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

MAX_REGIONS = 200

Spacing = tuple[float, float, float]


class Diameters(NamedTuple):
    """The longest caliper diameter and the extent at right angles to it."""

    longest: float
    perpendicular: float


class Region(NamedTuple):
    """One connected region.

    Attributes:
        pixels: its size (voxels, in a volume).
        bbox: (x, y, width, height); in a volume (x, y, z, width, height, depth).
        centroid: mean of its pixels' indices, in the order of `bbox`.
        mean_probability: mean probability of its class.
        diameters_px: in pixels; in a volume those of the slice where the region is longest.
        diameters_mm: the same in mm, None without spacing.
    """

    pixels: int
    bbox: tuple[int, ...]
    centroid: tuple[float, ...]
    mean_probability: float
    diameters_px: Diameters
    diameters_mm: Diameters | None


def measure_regions(
    mask: NDArray[np.bool_], probability: NDArray[np.float32], spacing_mm: Spacing | None
) -> tuple[int, list[Region]]:
    """Return the number of regions of a (z, y, x) mask, and the largest `MAX_REGIONS`, measured.

    Pixels touch across corners too: 8 neighbours in a slice, 26 in a volume.
    """
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    boxes = ndimage.find_objects(labels)
    largest = np.argsort(-sizes, kind="stable")[:MAX_REGIONS]
    return count, [
        _measure(labels[boxes[index]] == index + 1, boxes[index], probability, spacing_mm)
        for index in largest
    ]


def _measure(
    part: NDArray[np.bool_],
    box: tuple[slice, ...],
    probability: NDArray[np.float32],
    spacing_mm: Spacing | None,
) -> Region:
    axes = 2 if probability.shape[0] == 1 else 3
    start = [one.start for one in box]
    centre = [
        float(offset + index.mean()) for offset, index in zip(start, part.nonzero(), strict=True)
    ]
    corner_then_size = [*start[::-1][:axes], *part.shape[::-1][:axes]]
    return Region(
        pixels=int(part.sum()),
        bbox=tuple(corner_then_size),
        centroid=tuple(centre[::-1][:axes]),
        mean_probability=float(probability[box][part].mean(dtype=np.float64)),
        diameters_px=_longest_in_a_slice(part, (1.0, 1.0)),
        diameters_mm=None if spacing_mm is None else _longest_in_a_slice(part, spacing_mm[1:]),
    )


def _longest_in_a_slice(part: NDArray[np.bool_], spacing: tuple[float, float]) -> Diameters:
    return max(measure_diameters(plane, spacing) for plane in part if plane.any())


def measure_diameters(mask: NDArray[np.bool_], spacing: tuple[float, float]) -> Diameters:
    """Return the diameters of a (y, x) mask that is not empty.

    Measured between the middles of pixel edges, so that a line of n pixels is n long.

    Args:
        mask: at least one pixel.
        spacing: (y, x) size of a pixel.
    """
    y, x = np.nonzero(mask & ~ndimage.binary_erosion(mask))
    centres = np.stack([x, y], axis=1)
    edges = np.array([(-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5)])
    points = (centres[:, None] + edges).reshape(-1, 2) * (spacing[1], spacing[0])
    hull = cv2.convexHull(points.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    offsets = hull[:, None] - hull[None]
    lengths = np.hypot(offsets[..., 0], offsets[..., 1])
    first, second = np.unravel_index(lengths.argmax(), lengths.shape)
    longest = float(lengths[first, second])
    along_x, along_y = offsets[first, second] / longest
    across = hull @ (-along_y, along_x)
    return Diameters(longest, float(across.max() - across.min()))
