"""Does a clustering find lesions? Measured on labelled images, beside controls and an oracle."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from amlp.config import CentrePriorConfig, GeodesicSaliencyConfig
from amlp.masking import (
    Categories,
    CentrePrior,
    Clustering,
    by_falling_noise,
    dark_patches,
    draw_noise,
    grey,
    num_masked,
    outside_patches,
)
from amlp.patches import patchify

RATIOS = (0.25, 0.5)
RULES = ("score", "label", "centre", "random", "oracle")
"""What is masked first: by score, by label, by nearness to the centre, by chance, the lesion."""

_LESION_SHARE = 0.25


class Observation(NamedTuple):
    """What was seen of each image.

    Attributes:
        lift: P(masked | lesion patch) / ratio for `RATIOS` x `RULES`; NaN without lesion patches.
        overlap: numbers of patches (lesion and label, lesion, label); 0 without a mask.
        label_share: share of patches that the label takes for lesions.
        valid_share: share of patches inside the field of view.
        centre_correlation: of the score with the centre prior; NaN for a constant score.
        degenerate: whether the clustering could not tell patches apart.
    """

    lift: Float[Tensor, "b ratios rules"]
    overlap: Float[Tensor, "b 3"]
    label_share: Float[Tensor, " b"]
    valid_share: Float[Tensor, " b"]
    centre_correlation: Float[Tensor, " b"]
    degenerate: Bool[Tensor, " b"]


def observe(
    images: Float[Tensor, "b c h w"],
    lesion: Bool[Tensor, "b n"] | None,
    *,
    categorize: Clustering,
    patch_size: int,
    generator: torch.Generator,
) -> Observation:
    """Return what a clustering makes of each image.

    Args:
        images: as the encoder gets them.
        lesion: true lesion patches, where there are masks.
        categorize: the clustering.
        patch_size: pixels.
        generator: source of the one draw a patch that orders patches of equal rank.
    """
    categories = categorize(images)
    centre = CentrePrior(CentrePriorConfig(), patch_size)(images).score
    noise = draw_noise(images, patch_size, generator)
    truth = torch.zeros_like(categories.lesion) if lesion is None else lesion
    found = (truth & categories.lesion).sum(1)
    counts = torch.stack([found, truth.sum(1), categories.lesion.sum(1)], dim=1).float()
    field = GeodesicSaliencyConfig()
    dark = dark_patches(grey(images, field.polarity), patch_size, field.dark_threshold)
    return Observation(
        lift=_lifts(categories, centre, truth, noise=noise),
        overlap=counts * truth.any(1, keepdim=True),
        label_share=categories.lesion.float().mean(1),
        valid_share=(~outside_patches(dark)).float().mean((1, 2)),
        centre_correlation=correlation(categories.score, centre),
        degenerate=categories.degenerate,
    )


def lesion_patches(masks: UInt8[Tensor, "b h w"], patch_size: int) -> Bool[Tensor, "b n"]:
    """Tell the patches of which at least a quarter of the pixels has a label above 0."""
    return patchify((masks > 0).float().unsqueeze(1), patch_size).mean(2) >= _LESION_SHARE


def mask_highest(
    values: Float[Tensor, "b n"], noise: Float[Tensor, "b n"], count: int
) -> Bool[Tensor, "b n"]:
    """Mask the `count` patches of highest value; among equal ones, those of most noise."""
    order = by_falling_noise(noise)
    by_value = values.gather(1, order).argsort(dim=1, descending=True, stable=True)
    highest = order.gather(1, by_value)[:, :count]
    return torch.zeros_like(values, dtype=torch.bool).scatter_(1, highest, value=True)


def lift(masked: Bool[Tensor, "b n"], lesion: Bool[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """Return P(masked | lesion patch) / P(masked); 1 is chance, NaN without lesion patches."""
    share = (masked & lesion).sum(1) / lesion.sum(1)
    return share / masked.float().mean(1)


def correlation(first: Float[Tensor, "b n"], second: Float[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """Return Pearson's correlation of each row; NaN where one is constant."""
    x, y = (values - values.mean(1, keepdim=True) for values in (first, second))
    return (x * y).sum(1) / (x.square().sum(1) * y.square().sum(1)).sqrt()


def _lifts(
    categories: Categories,
    centre: Float[Tensor, "b n"],
    truth: Bool[Tensor, "b n"],
    *,
    noise: Float[Tensor, "b n"],
) -> Float[Tensor, "b ratios rules"]:
    ranks = {
        "score": categories.score,
        "label": categories.lesion.float(),
        "centre": centre,
        "random": torch.zeros_like(centre),
        "oracle": truth.float(),
    }
    n = truth.shape[1]
    rows = [
        torch.stack(
            [lift(mask_highest(ranks[rule], noise, num_masked(r, n)), truth) for rule in RULES], 1
        )
        for r in RATIOS
    ]
    return torch.stack(rows, 1)
