"""A mask as COCO run lengths or as polygons."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

Ring = list[tuple[int, int]]


class Polygon(NamedTuple):
    """A region's outer ring and the rings of its holes, as (x, y) of pixel corners.

    The pixel in column x and row y covers [x, x + 1] x [y, y + 1], so the area of a polygon is its
    number of pixels, and filling it by the even-odd rule at pixel centres gives the mask again.
    """

    exterior: Ring
    holes: list[Ring]


class RunLengths(NamedTuple):
    """COCO's compressed run lengths: (height, width) and the runs in column-major order."""

    size: tuple[int, int]
    counts: str


def encode_rle(mask: NDArray[np.bool_]) -> RunLengths:
    """Return the run lengths of a (y, x) mask."""
    encoded = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    height, width = mask.shape
    return RunLengths((height, width), encoded["counts"].decode("ascii"))


def trace_polygons(mask: NDArray[np.bool_]) -> list[Polygon]:
    """Return the polygons of a (y, x) mask, one for each 8-connected region."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return []
    top, left = int(rows[0]), int(columns[0])
    cropped = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    # In a mask of doubled size, outermost pixels tell by their parity on which side the edge is.
    doubled = cropped.repeat(2, axis=0).repeat(2, axis=1)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parents = np.asarray(hierarchy).reshape(-1, 4)[:, 3].tolist()
    polygons: dict[int, Polygon] = {}
    holes: list[tuple[int, Ring]] = []
    for index, (contour, parent) in enumerate(zip(contours, parents, strict=True)):
        ring = _ring(np.asarray(contour, dtype=np.int64).reshape(-1, 2), left, top)
        if parent < 0:
            polygons[index] = Polygon(ring, [])
        else:
            holes.append((parent, ring))
    for parent, ring in holes:
        polygons[parent].holes.append(ring)
    return list(polygons.values())


def _ring(points: NDArray[np.int64], left: int, top: int) -> Ring:
    corners = (points + 1) // 2 + (left, top)
    moved = (corners != np.roll(corners, 1, axis=0)).any(axis=1)
    return [(int(x), int(y)) for x, y in corners[moved]]
