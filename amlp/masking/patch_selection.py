"""Masked patch selection (MPS): find likely lesions without labels and mask them more often."""

import math
from typing import assert_never

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from amlp.config import (
    CentrePriorConfig,
    ClusteringConfig,
    GeodesicSaliencyConfig,
    HardSelectionConfig,
    KMeansConfig,
    MaskedPatchSelectionConfig,
    SoftSelectionConfig,
)
from amlp.masking.categories import Clustering
from amlp.masking.centre_prior import CentrePrior
from amlp.masking.geodesic_saliency import GeodesicSaliency
from amlp.masking.k_means import KMeans
from amlp.masking.noise import by_falling_noise, draw_noise
from amlp.patches import PatchMask

_TINY = 1e-12


class MaskedPatchSelection:
    """Masks the patches that a clustering takes for lesions first, or more often.

    An image without categories is masked at random, by the same noise. A soft selection with
    `beta` 0 masks every image at random and still reports the categories.

    Source: ours, after the abstract of arXiv 2309.04312.
    """

    def __init__(self, config: MaskedPatchSelectionConfig, patch_size: int) -> None:
        self.config = config
        self.patch_size = patch_size
        self.categorize = build_clustering(config.clustering, patch_size)

    @torch.no_grad()
    def __call__(
        self, images: Float[Tensor, "b c h w"], num_masked: int, generator: torch.Generator
    ) -> PatchMask:
        """Mask `num_masked` patches of each image, guided by its categories."""
        categories = self.categorize(images)
        noise = draw_noise(images, self.patch_size, generator)
        selection = self.config.selection
        match selection:
            case SoftSelectionConfig():
                masked = select_softly(categories.score, noise, num_masked, selection)
            case HardSelectionConfig():
                masked = select_lesions(categories.lesion, noise, num_masked, selection)
            case _:
                assert_never(selection)
        return PatchMask(masked, *categories)


def build_clustering(config: ClusteringConfig, patch_size: int) -> Clustering:
    """Return the function from images to categories."""
    match config:
        case GeodesicSaliencyConfig():
            return GeodesicSaliency(config, patch_size)
        case KMeansConfig():
            return KMeans(config, patch_size)
        case CentrePriorConfig():
            return CentrePrior(config, patch_size)
        case _:
            assert_never(config)


def select_softly(
    score: Float[Tensor, "b n"],
    noise: Float[Tensor, "b n"],
    num_masked: int,
    config: SoftSelectionConfig,
) -> Bool[Tensor, "b n"]:
    """Mask round(guided * M) patches by noisy score, the other of the M at random.

    key_i = beta * (score_i - mean) / std + Gumbel_i, with Gumbel_i = -log(-log(noise_i)), so the
    guided patches are a draw without replacement with odds exp(beta * z-score). With `beta` 0 or
    `guided` 0 the mask is the random mask of the same noise, exactly.

    Source: the Gumbel top-k trick, Kool et al. 2019, arXiv 1903.06059.
    """
    num_guided = math.floor(config.guided * num_masked + 0.5)
    order = by_falling_noise(noise)
    u = noise.double().clamp_min(_TINY).gather(1, order)
    odds = (config.beta * _z_score(score)).double().gather(1, order)
    key = odds - (-u.log()).log()
    # all sorts are stable: patches of equal key keep the order of their noise
    by_key = key.argsort(dim=1, descending=True, stable=True)
    guided = torch.zeros_like(key, dtype=torch.bool)
    guided.scatter_(1, by_key[:, :num_guided], value=True)
    # Of the patches left over those of high score have little noise, or they had been guided. Given
    # the lowest guided key T their noise is uniform below exp(-exp(odds - T)): divide by that.
    lowest = key.masked_fill(~guided, torch.inf).amin(dim=1, keepdim=True)
    rest = (u.log() + (odds - lowest).exp()).masked_fill(guided, -torch.inf)
    by_rest = rest.argsort(dim=1, descending=True, stable=True)
    masked = guided.scatter(1, by_rest[:, : num_masked - num_guided], value=True)
    return torch.zeros_like(masked).scatter_(1, order, masked)


def select_lesions(
    lesion: Bool[Tensor, "b n"],
    noise: Float[Tensor, "b n"],
    num_masked: int,
    config: HardSelectionConfig,
) -> Bool[Tensor, "b n"]:
    """Mask lesion patches first, up to two caps, and background at random for the rest.

    Of L lesion patches min(floor(gamma L), round(alpha M)) are masked, more only where the
    background cannot fill the mask. `gamma` below 1 leaves lesion patches for the encoder to see.
    """
    n = lesion.shape[1]
    num_lesion = lesion.sum(dim=1, keepdim=True)
    most = (config.gamma * num_lesion.double() + 1e-6).floor().long()
    quota = most.clamp_max(math.floor(config.alpha * num_masked + 0.5))
    quota = torch.maximum(quota, num_masked - (n - num_lesion))
    quota = torch.minimum(quota, num_lesion.clamp_max(num_masked))
    order = by_falling_noise(noise)
    ordered = lesion.gather(1, order)
    masked = _first(ordered, quota) | _first(~ordered, num_masked - quota)
    return torch.zeros_like(masked).scatter_(1, order, masked)


def _z_score(score: Float[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    deviation = score.std(dim=1, correction=0, keepdim=True)
    return (score - score.mean(dim=1, keepdim=True)) / deviation.clamp_min(_TINY)


def _first(members: Bool[Tensor, "b n"], count: int | Tensor) -> Bool[Tensor, "b n"]:
    """Keep the first `count` True of each row."""
    return members & (members.cumsum(dim=1) <= count)
