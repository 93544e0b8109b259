"""Masks: whatever a tool wrote for "lesion here" becomes a label map of small integers.

Accepted: 0/1, 0/255 and label maps as stored; two clusters of grey values, as a JPEG leaves them;
one colour on black. Everything whose meaning would be a guess is refused with its values.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from amlp.errors import InvalidMask
from amlp.imageio.image import is_grey
from amlp.imageio.limits import ImageLimits
from amlp.imageio.reader import read_image, sniff_file
from amlp.imageio.sniff import ImageFormat

MAX_LABEL = 63
_CLUSTER_WIDTH = 40 / 255
_MAX_SHARE_BETWEEN = 0.005
_MIN_SHARE_OF_COLOUR = 0.9
_MAX_DEFLATE_RATIO = 1100

# Masks come in every integer and float type.
_Values: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class LabelMap:
    """Labels on a grid.

    Attributes:
        values: (z, y, x) uint8; 0 is background.
        spacing_mm: (z, y, x) distance of samples, None where unknown.
        affine: (4, 4) from voxel index (x, y, z) to RAS+ mm, None where the file has none.
        warnings: what was assumed while reading.
    """

    values: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float] | None = None
    affine: NDArray[np.float64] | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def labels(self) -> tuple[int, ...]:
        """Label values above 0 that occur."""
        return tuple(value for value in _distinct(self.values).tolist() if value > 0)


def read_label_map(
    path: Path, *, limits: ImageLimits | None = None, num_classes: int | None = None
) -> LabelMap:
    """Read a mask file of any accepted image format as labels.

    Args:
        path: file; its name does not matter.
        limits: upper bounds, `ImageLimits()` if absent.
        num_classes: label values there may be, background included; None accepts up to 64.

    Raises:
        InvalidMask: the values cannot be read as labels; the message lists them.
        UnreadableImage: the file cannot be decoded.
    """
    # An empty mask is all zeros: it compresses as well as a bomb, and is none.
    limits = replace(limits or ImageLimits(), max_inflation_ratio=_MAX_DEFLATE_RATIO)
    image = read_image(path, limits=limits)
    is_lossy = sniff_file(path) is ImageFormat.JPEG
    values, notes = _single_channel(image.pixels, is_lossy=is_lossy)
    labels, label_notes = _labels_of(values, is_lossy=is_lossy, num_classes=num_classes)
    if labels.min() > 0:
        label_notes.append("mask has no background: all of it is labelled")
    return LabelMap(labels, image.spacing_mm, image.affine, (*image.warnings, *notes, *label_notes))


def _single_channel(pixels: _Values, *, is_lossy: bool) -> tuple[_Values, list[str]]:
    """Return (z, y, x) values; a colour counts as much as white does."""
    if is_grey(pixels):
        return pixels[0], []
    if pixels.shape[0] != 3 or pixels.dtype != np.uint8:
        raise InvalidMask(f"mask of {pixels.shape[0]} channels, expected 1, or one colour on black")
    peak = pixels.max(axis=0)
    top = float(peak.max())
    # One bit a channel tells the colours apart; in a JPEG, edges have a little of others.
    codes = np.tensordot((1, 2, 4), 2 * pixels.astype(np.float32) > top, axes=1).astype(np.int64)
    counts = np.bincount(codes.ravel(), minlength=8)[1:]
    if counts.max() < counts.sum() * (_MIN_SHARE_OF_COLOUR if is_lossy else 1):
        raise InvalidMask("mask holds several colours, expected one on black or a label map")
    return (peak * (255 / top)).round().astype(np.uint8), ["colour of the mask was read as lesion"]


def _labels_of(
    values: _Values, *, is_lossy: bool, num_classes: int | None
) -> tuple[NDArray[np.uint8], list[str]]:
    found = _distinct(values)
    top = float(found[-1])
    if found[0] < 0 or (found != np.round(found)).any():
        raise InvalidMask(f"mask values are {_listing(found)}, expected integers from 0")
    if not is_lossy and top <= max(1, (num_classes or MAX_LABEL + 1) - 1):
        return values.astype(np.uint8), []
    is_binary = num_classes in {None, 2}
    if is_binary and not is_lossy and set(found.tolist()) <= {0, 255}:
        return (values > 0).astype(np.uint8), []
    if is_binary and _has_two_clusters(values, found, is_lossy=is_lossy):
        return _threshold(values, is_lossy=is_lossy)
    raise InvalidMask(
        f"mask values are {_listing(found)}, expected 0 and 1, 0 and 255, or labels up to "
        f"{(num_classes or MAX_LABEL + 1) - 1}"
    )


def _has_two_clusters(values: _Values, found: _Values, *, is_lossy: bool) -> bool:
    """Whether all values are near 0 or near the top of their range."""
    top = _range_of(values)
    if not is_lossy and found[-1] < (1 - _CLUSTER_WIDTH) * top:
        return False
    between = (values > _CLUSTER_WIDTH * top) & (values < (1 - _CLUSTER_WIDTH) * top)
    return float(between.mean()) <= (_MAX_SHARE_BETWEEN if is_lossy else 0)


def _threshold(values: _Values, *, is_lossy: bool) -> tuple[NDArray[np.uint8], list[str]]:
    labels = (2 * values.astype(np.float64) > _range_of(values)).astype(np.uint8)
    why = "JPEG is lossy" if is_lossy else "two clusters of values"
    return labels, [f"mask was thresholded at half its range: {why}"]


def _range_of(values: _Values) -> float:
    return 255.0 if values.dtype == np.uint8 else float(values.max())


def _distinct(values: _Values) -> _Values:
    if values.dtype != np.uint8:
        return np.unique(values)
    # Sorting a whole volume of bytes would be slow.
    occurs = np.zeros(256, dtype=np.bool_)
    occurs[values] = True
    return np.flatnonzero(occurs)


def _listing(found: _Values) -> str:
    shown = ", ".join(f"{value:g}" for value in found[:8])
    return shown if len(found) <= 8 else f"{shown}, ... ({len(found)} values up to {found[-1]:g})"
