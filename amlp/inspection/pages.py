"""Pages of pictures: where the score, the label and a mask lie in an image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from amlp.config import MaskedPatchSelectionConfig
from amlp.data import standardise
from amlp.engine import Tile, heat_tile, on_pixels, tint, write_sheet
from amlp.imageio import draw_overlay
from amlp.masking import MaskedPatchSelection, num_masked
from amlp.patches import PatchGrid

ROWS = 6
"""Images on a page."""

_TITLES = ("input", "lesion (truth)", "score", "label", "masked, ratio 0.5")
_RATIO = 0.5
_MASK_COLOUR = (128, 128, 128)


def write_pages(
    folder: Path, rows: Sequence[Sequence[Tile]], captions: Sequence[str]
) -> list[Path]:
    """Write rows of tiles as `inspect-01.png`, ... and return the paths."""
    paths = []
    for number, start in enumerate(range(0, len(rows), ROWS), start=1):
        path = folder / f"inspect-{number:02d}.png"
        page = slice(start, start + ROWS)
        write_sheet(path, rows[page], titles=_TITLES, captions=captions[page])
        paths.append(path)
    return paths


def picture_row(
    image: Float[Tensor, "c h w"],
    mask: UInt8[Tensor, "h w"] | None,
    *,
    config: MaskedPatchSelectionConfig,
    patch_size: int,
) -> list[Tile]:
    """Return the tiles of one image; without a mask the truth is left unmarked."""
    select = MaskedPatchSelection(config, patch_size)
    images = standardise(image.unsqueeze(0))
    grid = PatchGrid.of(images, patch_size)
    chosen = select(images, num_masked(_RATIO, grid.num_patches), torch.Generator().manual_seed(0))
    pixels = image.numpy()
    nothing = np.zeros(pixels.shape[1:], dtype=np.uint8)
    plain = draw_overlay(pixels, nothing)
    label = on_pixels(chosen.lesion[0], grid).astype(np.uint8)
    return [
        plain,
        plain if mask is None else draw_overlay(pixels, mask.numpy()),
        heat_tile(on_pixels(chosen.score[0], grid), highest=1.0),
        draw_overlay(pixels, label),
        tint(plain, on_pixels(chosen.masked[0], grid), _MASK_COLOUR, 1.0),
    ]
