"""Burned-in text, callipers and coloured marks: they may name a patient, or give a lesion away.

Shapes only, no reading: thin bright strokes that stand in a line are text, thin bright crosses are
callipers, a little colour on a grey picture is an annotation. A hint to look, not a proof.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Shaped
from numpy.typing import NDArray
from scipy import ndimage, sparse

from amlp.imageio import to_display

_MIN_LEVEL = 150  # of 255: a stroke is bright ...
_MIN_CONTRAST = 90  # ... and far brighter than what is left when thin things are taken away
_STROKE = 0.025  # widest stroke, share of the longer side
_GLYPH_HEIGHT = (0.012, 0.06)  # share of the longer side
_MIN_GLYPHS = 4
_MAX_GLYPHS = 600  # a picture with more is texture
_MIN_CROSSES = 2
_GREY_SPREAD, _COLOUR_SPREAD = 24, 80  # largest less smallest channel, of 255
_COLOUR_SHARE = (2e-4, 0.03)


class Marks(NamedTuple):
    """What seems to be drawn over an image."""

    text: bool
    callipers: bool
    colour: bool


class _Glyph(NamedTuple):
    top: int
    left: int
    shape: NDArray[np.bool_]

    @property
    def height(self) -> int:
        return len(self.shape)

    @property
    def width(self) -> int:
        return len(self.shape[0])


def find_marks(pixels: Shaped[NDArray[Any], "c y x"]) -> Marks:
    """Return what seems to be drawn over one slice."""
    shown = to_display(pixels)
    side = max(shown.shape[1:])
    glyphs = _glyphs(_strokes(shown.max(0), side), side)
    lines = _line_sizes(glyphs)
    crosses = [g for g, size in zip(glyphs, lines, strict=True) if size == 1 and _is_cross(g.shape)]
    return Marks(
        text=max(lines, default=0) >= _MIN_GLYPHS,
        callipers=len(crosses) >= _MIN_CROSSES,
        colour=len(shown) == 3 and _has_coloured_marks(shown),
    )


def _strokes(grey: NDArray[np.uint8], side: int) -> Bool[NDArray[np.bool_], "y x"]:
    thickness = max(5, round(_STROKE * side))
    contrast = ndimage.white_tophat(grey, size=(thickness, thickness))
    strokes: NDArray[np.bool_] = (grey >= _MIN_LEVEL) & (contrast >= _MIN_CONTRAST)
    return strokes


def _glyphs(strokes: NDArray[np.bool_], side: int) -> list[_Glyph]:
    """Return the connected strokes of a letter's size; none if there are too many to be text."""
    parts, _ = ndimage.label(strokes, structure=np.ones((3, 3)))
    low, high = max(3, round(_GLYPH_HEIGHT[0] * side)), round(_GLYPH_HEIGHT[1] * side)
    glyphs = [
        _Glyph(rows.start, columns.start, parts[rows, columns] == number)
        for number, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1)
        if low <= rows.stop - rows.start <= high and columns.stop - columns.start <= high
    ]
    return glyphs if len(glyphs) <= _MAX_GLYPHS else []


def _line_sizes(glyphs: list[_Glyph]) -> list[int]:
    """Return for each glyph how many stand in its line, itself included."""
    if not glyphs:
        return []
    top, left, height, width = np.array([(g.top, g.left, g.height, g.width) for g in glyphs]).T
    bottom = top + height
    smaller = np.minimum(height, height[:, None])
    larger = np.maximum(height, height[:, None])
    level = np.abs(bottom - bottom[:, None]) <= np.maximum(1, 0.25 * smaller)
    gap = left - (left + width)[:, None]  # from the right edge of one to the left edge of another
    near = (gap >= -1) & (gap <= 1.2 * smaller) & level & (larger <= 1.6 * smaller)
    _, line = sparse.csgraph.connected_components(sparse.csr_matrix(near), directed=False)
    sizes: list[int] = np.bincount(line)[line].tolist()
    return sizes


def _is_cross(shape: NDArray[np.bool_]) -> bool:
    """Whether a glyph is a plus: both centre lines full, all four corners empty."""
    height, width = shape.shape
    if min(height, width) < 5 or not 0.7 <= height / width <= 1.4:
        return False
    row, column = height // 2, width // 2
    across = shape[row - 1 : row + 2].any(0).mean()
    down = shape[:, column - 1 : column + 2].any(1).mean()
    third, fourth = height // 3, width // 3
    corners = shape[np.ix_(*(np.r_[:n, -n:0] for n in (third, fourth)))]
    return bool(min(across, down) >= 0.9 and corners.mean() <= 0.1)


def _has_coloured_marks(shown: NDArray[np.uint8]) -> bool:
    spread = shown.max(0).astype(int) - shown.min(0)
    low, high = _COLOUR_SHARE
    mostly_grey = float((spread <= _GREY_SPREAD).mean()) >= 1 - high
    return mostly_grey and low <= float((spread >= _COLOUR_SPREAD).mean()) <= high
