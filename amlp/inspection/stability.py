"""Does a label move with the image? Agreement of labels under a flip and under random crops."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from amlp.config import AugmentationConfig
from amlp.data import augment_label_maps
from amlp.masking import Clustering
from amlp.patches import PatchGrid, patchify, unpatchify

CROPS = AugmentationConfig(crop_scale=(0.5, 1.0), horizontal_flip=False, rotation_degrees=0.0)


def flip_agreement(
    images: Float[Tensor, "b c h w"], *, categorize: Clustering, patch_size: int
) -> Int64[Tensor, "2 2"]:
    """Count patches by (label, label of the mirrored image, mirrored back)."""
    grid = PatchGrid.of(images, patch_size)
    label = categorize(images).lesion.view(-1, grid.rows, grid.columns)
    mirrored = categorize(images.flip(3)).lesion.view_as(label).flip(2)
    return agreement_counts(label.flatten(), mirrored.flatten())


def crop_agreement(
    images: Float[Tensor, "b c h w"],
    crops: Float[Tensor, "b c h w"],
    uniforms: Float[Tensor, "b draws"],
    *,
    categorize: Clustering,
    patch_size: int,
) -> Int64[Tensor, "2 2"]:
    """Count patches of `crops` by (label of the whole image cropped, label of the crop).

    A patch of the cropped label is True where at least half of its pixels are.

    Args:
        images: whole images.
        crops: what `augment` made of them by `uniforms` and `CROPS`.
        uniforms: the draws.
        categorize: the clustering.
        patch_size: pixels.
    """
    grid = PatchGrid.of(images, patch_size)
    label = categorize(images).lesion
    on_pixels = label.unsqueeze(2).repeat(1, 1, patch_size**2).float()
    maps = unpatchify(on_pixels, grid)[:, 0].to(torch.uint8)
    moved = augment_label_maps(maps, uniforms, config=CROPS, image_size=images.shape[-1])
    expected = patchify(moved.float().unsqueeze(1), patch_size).mean(2) >= 0.5
    return agreement_counts(expected.flatten(), categorize(crops).lesion.flatten())


def agreement_counts(first: Bool[Tensor, " n"], second: Bool[Tensor, " n"]) -> Int64[Tensor, "2 2"]:
    """Count how often each pair (first, second) of answers occurs."""
    return (2 * first.long() + second.long()).bincount(minlength=4).view(2, 2)


def kappa(counts: Int64[Tensor, "2 2"]) -> float:
    """Return Cohen's kappa of a table of counts: 1 is agreement, 0 chance; 1 for one answer only.

    Source: Cohen 1960.
    """
    share = counts.double() / counts.sum()
    expected = float((share.sum(0) * share.sum(1)).sum())
    if expected == 1:
        return 1.0
    return (float(share.trace()) - expected) / (1 - expected)
