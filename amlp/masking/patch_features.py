"""Simple per-patch numbers that both clusterings look at."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from amlp.patches import PatchGrid, patchify

_FLAT = 1e-4  # relative to the image's range: a feature that varies less is rounding noise


def grey(images: Float[Tensor, "b c h w"], polarity: int) -> Float[Tensor, "b 1 h w"]:
    """Return the mean over channels, negated for images with a white background."""
    return polarity * images.mean(dim=1, keepdim=True)


def value_range(images: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Return max - min of each image."""
    low, high = images.flatten(1).aminmax(dim=1)
    return high - low


def dark_patches(
    images: Float[Tensor, "b 1 h w"], patch_size: int, threshold: float
) -> Bool[Tensor, "b rows columns"]:
    """Tell which patches have less than half of their pixels above `threshold` of the range."""
    floor = images.amin(dim=(1, 2, 3)) + threshold * value_range(images)
    bright = (images > floor[:, None, None, None]).float()
    grid = PatchGrid.of(images, patch_size)
    share = patchify(bright, patch_size).mean(dim=2)
    return (share < 0.5).view(-1, grid.rows, grid.columns)


def patch_statistics(
    images: Float[Tensor, "b c h w"], patch_size: int
) -> Float[Tensor, "b 3 c rows columns"]:
    """Return mean, unbiased standard deviation and mean absolute gradient of each patch.

    The gradient of a pixel is |difference to the right| + |difference downwards|, zero at the far
    edges of the image.
    """
    b, c, height, width = images.shape
    grid = PatchGrid.of(images, patch_size)
    gradient = torch.zeros_like(images)
    gradient[..., :-1] += images.diff(dim=3).abs()
    gradient[..., :-1, :] += images.diff(dim=2).abs()
    maps = torch.stack([images, gradient], dim=1).reshape(2 * b * c, 1, height, width)
    cells = patchify(maps, patch_size).view(b, 2, c, grid.rows, grid.columns, -1)
    pixels, gradients = cells.unbind(1)
    return torch.stack([pixels.mean(-1), pixels.std(-1), gradients.mean(-1)], dim=1)


def standardize(
    features: Float[Tensor, "b f n"], valid: Bool[Tensor, "b n"], extent: Float[Tensor, " b"]
) -> Float[Tensor, "b f n"]:
    """Return z-scores over the valid patches; a feature that is flat next to `extent` becomes 0."""
    weight = valid.unsqueeze(1).float()
    count = weight.sum(dim=2, keepdim=True).clamp_min(1)
    centred = features - (features * weight).sum(dim=2, keepdim=True) / count
    deviation = ((centred.square() * weight).sum(dim=2, keepdim=True) / count).sqrt()
    is_flat = deviation <= _FLAT * extent[:, None, None]
    return torch.where(is_flat, 0.0, centred / deviation.masked_fill(is_flat, 1.0))
