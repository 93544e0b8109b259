"""Pictures for people: grey values for a screen, labels drawn over them, thumbnails."""

from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8
from numpy.typing import NDArray
from PIL import Image

from amlp.imageio.image import MedicalImage

# Okabe and Ito's eight colours, in an order that keeps the first ones far from grey and each other;
# they stay apart for the common kinds of colour blindness.
LABEL_COLOURS = np.array(
    [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (204, 121, 167),
        (213, 94, 0),
        (0, 114, 178),
        (240, 228, 66),
    ],
    dtype=np.uint8,
)
_PERCENTILES = (0.5, 99.5)
THUMBNAIL_SIDE = 256


def draw_overlay(
    image: Shaped[NDArray[Any], "c y x"],
    label_map: UInt8[NDArray[Any], "y x"],
    *,
    alpha: float = 0.35,
) -> UInt8[NDArray[Any], "y x 3"]:
    """Return the image with every label filled in its colour and outlined.

    Args:
        image: one slice; of channels other than 1 or 3 the first is drawn.
        label_map: labels; above 7 the colours repeat.
        alpha: share of the colour inside, from 0 to 1; the outline is opaque.
    """
    grey = to_display(image)
    canvas = np.moveaxis(grey if len(grey) == 3 else np.repeat(grey[:1], 3, axis=0), 0, -1)
    is_labelled = label_map > 0
    colours = LABEL_COLOURS[(label_map.astype(int) - 1) % len(LABEL_COLOURS)]
    share = np.where(_contour(label_map), 1.0, alpha * is_labelled)[..., None]
    drawn: NDArray[np.uint8] = (canvas * (1 - share) + colours * share).round().astype(np.uint8)
    return drawn


def to_display(pixels: Shaped[NDArray[Any], "*grid"]) -> UInt8[NDArray[Any], "*grid"]:
    """Return pixels as uint8: as they are, or windowed between their 0.5 and 99.5 percentiles."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = np.percentile(pixels, _PERCENTILES)
    share = (pixels.astype(np.float32) - low) / max(high - low, np.finfo(np.float32).tiny)
    shown: NDArray[np.uint8] = (255 * np.clip(share, 0, 1)).round().astype(np.uint8)
    return shown


def thumbnail(image: MedicalImage, *, side: int = THUMBNAIL_SIDE) -> Image.Image:
    """Return the middle slice, its longest side at most `side` pixels."""
    cells = to_display(image.pixels[:, image.num_slices // 2])
    shown = np.moveaxis(cells, 0, -1) if len(cells) == 3 else cells[0]
    picture = Image.fromarray(np.ascontiguousarray(shown))
    picture.thumbnail((side, side), Image.Resampling.BILINEAR)
    return picture


def _contour(label_map: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether a labelled pixel has a 4-neighbour of another label; the edge has no label."""
    padded = np.pad(label_map, 1)
    differs = np.zeros(label_map.shape, dtype=np.bool_)
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        height, width = label_map.shape
        differs |= padded[rows : rows + height, columns : columns + width] != label_map
    return differs & (label_map > 0)
