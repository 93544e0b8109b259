"""The picture of a pretraining run: what was masked, why, and how well it was reconstructed."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from amlp.engine.sheet import Tile, display_tile, heat_tile, tint, write_sheet
from amlp.losses import denormalize_patches, patch_errors
from amlp.models import MaskedAutoencoder, MaskedAutoencoderOutput, paste_patches
from amlp.patches import PatchGrid, PatchMask

_TITLES = ("input", "lesion categories", "masked", "reconstruction", "error")
_LESION_COLOUR = (213, 94, 0)
_MASK_COLOUR = (128, 128, 128)


def write_reconstruction_sheet(
    path: Path,
    network: MaskedAutoencoder,
    images: Float[Tensor, "b c h w"],
    mask: PatchMask,
    *,
    norm_pix: bool,
) -> None:
    """Write one row an image: input, categories, mask, reconstruction and error."""
    num_masked = int(mask.masked[0].sum())
    output: MaskedAutoencoderOutput = network(images, mask.masked, num_masked)
    targets, patches = output.targets.float(), output.reconstruction.float()
    if norm_pix:
        patches = denormalize_patches(patches, like=targets)
    grid = PatchGrid.of(images, network.encoder.grid.patch_size)
    restored = paste_patches(images, patches, output.indices, grid.patch_size)
    errors = torch.zeros(mask.masked.shape, device=images.device)
    errors = errors.scatter(1, output.indices, patch_errors(patches, targets).sqrt())
    highest = float(errors.quantile(0.99))
    rows = [
        _row(
            _array(images[index]),
            _array(restored[index]),
            lesion=on_pixels(mask.lesion[index], grid),
            masked=on_pixels(mask.masked[index], grid),
            error=heat_tile(on_pixels(errors[index], grid), highest=highest),
        )
        for index in range(len(images))
    ]
    write_sheet(path, rows, titles=_TITLES)


def _row(
    image: NDArray[np.float32],
    restored: NDArray[np.float32],
    *,
    lesion: NDArray[np.bool_],
    masked: NDArray[np.bool_],
    error: Tile,
) -> list[Tile]:
    window = (float(np.quantile(image, 0.01)), float(np.quantile(image, 0.99)))
    shown = display_tile(image, window=window)
    return [
        shown,
        tint(shown, lesion, _LESION_COLOUR, 0.45),
        tint(shown, masked, _MASK_COLOUR, 1.0),
        display_tile(restored, window=window),
        error,
    ]


def on_pixels(values: Tensor, grid: PatchGrid) -> NDArray[Any]:  # of the tensor's own type
    """Return one value a patch, (n,), as a (y, x) map of the image's pixels."""
    on_patches: NDArray[Any] = values.reshape(grid.rows, grid.columns).cpu().numpy()
    return on_patches.repeat(grid.patch_size, 0).repeat(grid.patch_size, 1)


def _array(image: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = image.float().cpu().numpy()
    return array
