"""Clustering of each image's patches by k-means: the plain reading of "unsupervised clustering"."""

from typing import NamedTuple, assert_never

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from amlp.config import KMeansConfig
from amlp.masking.categories import Categories
from amlp.masking.patch_features import (
    dark_patches,
    grey,
    patch_statistics,
    standardize,
    value_range,
)
from amlp.patches import patchify

_BACKGROUND_LEVEL = 0.02  # of the image's range: below it a pixel holds no tissue
_CONTEXT = 5  # side of the neighbourhood, in patches
_MIN_VALID = 4  # fewer patches cannot be clustered in earnest


class Clusters(NamedTuple):
    """Cluster of each patch (meaningless for patches that are not valid) and the k centres."""

    labels: Int[Tensor, "b n"]
    centres: Float[Tensor, "b k d"]


class KMeans:
    """Clusters patches and takes one cluster for lesions.

    Source: ours; neither features nor the rule for the lesion cluster are known from the paper's
    abstract (arXiv 2309.04312). The score of a patch is its category.
    """

    def __init__(self, config: KMeansConfig, patch_size: int) -> None:
        self.config = config
        self.patch_size = patch_size

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "b c h w"]) -> Categories:
        """Return categories; one cluster, or under four valid patches, is degenerate."""
        with torch.autocast(images.device.type, enabled=False):
            return self._categories(images.float())

    def _categories(self, images: Float[Tensor, "b c h w"]) -> Categories:
        config = self.config
        brightness = grey(images, config.polarity)
        valid_map = ~dark_patches(brightness, self.patch_size, _BACKGROUND_LEVEL)
        if not config.foreground:
            valid_map = torch.ones_like(valid_map)
        valid = valid_map.flatten(1)
        features = self._features(images, valid)
        clusters = k_means(features, valid, config.num_clusters, config.max_iterations)
        member = memberships(clusters.labels, valid, config.num_clusters)
        levels = patchify(brightness, self.patch_size).mean(dim=2)
        cost = self._lesion_cost(member, levels, valid_map)
        chosen = _cheapest(cost, _mean_distance(features, clusters, member))
        degenerate = ((member.sum(dim=1) > 0).sum(dim=1) < 2) | (valid.sum(dim=1) < _MIN_VALID)
        lesion = (clusters.labels == chosen[:, None]) & valid & ~degenerate[:, None]
        return Categories(lesion, lesion.float(), degenerate)

    def _features(
        self, images: Float[Tensor, "b c h w"], valid: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n f"]:
        match self.config.features:
            case "pixel":
                return patchify(images - images.mean(dim=(1, 2, 3), keepdim=True), self.patch_size)
            case "stats_context":
                statistics = patch_statistics(images, self.patch_size)
                context = statistics[:, 0] - _neighbourhood_mean(statistics[:, 0])
                features = torch.cat([statistics.flatten(1, 2), context], dim=1).flatten(2)
                return standardize(features, valid, value_range(images)).mT
            case _:
                assert_never(self.config.features)

    def _lesion_cost(
        self,
        member: Float[Tensor, "b n k"],
        levels: Float[Tensor, "b n"],
        valid_map: Bool[Tensor, "b rows columns"],
    ) -> Float[Tensor, "b k"]:
        size = member.sum(dim=1)
        ring = torch.ones_like(valid_map)
        ring[:, 1:-1, 1:-1] = False
        border = (member * ring.flatten(1).unsqueeze(2)).sum(dim=1) / size.clamp_min(1)
        level = (member * levels.unsqueeze(2)).sum(dim=1) / size.clamp_min(1)
        match self.config.lesion_rule:
            case "smallest":
                cost = size
            case "size_border":
                cost = size / member.shape[1] + border
            case "least_border":
                cost = border
            case "brightest":
                cost = -level
            case "darkest":
                cost = level
            case _:
                assert_never(self.config.lesion_rule)
        return cost.masked_fill(size == 0, torch.inf)


def k_means(
    features: Float[Tensor, "b n d"],
    valid: Bool[Tensor, "b n"],
    num_clusters: int,
    max_iterations: int,
) -> Clusters:
    """Cluster the valid patches of each image by Lloyd's algorithm, with a deterministic start.

    A batch takes all `max_iterations`: once labels stay the same, so do the centres. A cluster
    that runs empty keeps its centre.
    """
    centres = farthest_points(features, valid, num_clusters)
    for _ in range(max_iterations):
        member = memberships(_nearest(features, centres), valid, num_clusters)
        size = member.sum(dim=1).unsqueeze(2)
        means = (member.mT @ features) / size.clamp_min(1)
        centres = torch.where(size > 0, means, centres)
    return Clusters(_nearest(features, centres), centres)


def farthest_points(
    features: Float[Tensor, "b n d"], valid: Bool[Tensor, "b n"], num_clusters: int
) -> Float[Tensor, "b k d"]:
    """Return start centres: the patch nearest to the mean, then each time the farthest patch.

    Farthest is from the centres chosen so far; the lowest index wins a tie.
    """
    weight = valid.unsqueeze(2).float()
    mean = (features * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True).clamp_min(
        1
    )
    from_mean = _distances(features, mean).squeeze(2)
    centres = _rows(features, from_mean.masked_fill(~valid, torch.inf).argmin(dim=1))
    for _ in range(num_clusters - 1):
        nearest = _distances(features, centres).amin(dim=2)
        farthest = nearest.masked_fill(~valid, -torch.inf).argmax(dim=1)
        centres = torch.cat([centres, _rows(features, farthest)], dim=1)
    return centres


def memberships(
    labels: Int[Tensor, "b n"], valid: Bool[Tensor, "b n"], num_clusters: int
) -> Float[Tensor, "b n k"]:
    """Return 1 where a valid patch belongs to a cluster, else 0."""
    return functional.one_hot(labels, num_clusters).float() * valid.unsqueeze(2)


def _distances(
    features: Float[Tensor, "b n d"], centres: Float[Tensor, "b k d"]
) -> Float[Tensor, "b n k"]:
    # the matrix-multiplication form rounds equal patches differently and so splits flat images
    return torch.cdist(features, centres, compute_mode="donot_use_mm_for_euclid_dist")


def _nearest(features: Tensor, centres: Tensor) -> Int[Tensor, "b n"]:
    return _distances(features, centres).argmin(dim=2)


def _rows(features: Float[Tensor, "b n d"], index: Int[Tensor, " b"]) -> Float[Tensor, "b 1 d"]:
    return features.gather(1, index[:, None, None].expand(-1, 1, features.shape[2]))


def _mean_distance(
    features: Float[Tensor, "b n d"], clusters: Clusters, member: Float[Tensor, "b n k"]
) -> Float[Tensor, "b k"]:
    distance = _distances(features, clusters.centres) * member
    return distance.sum(dim=1) / member.sum(dim=1).clamp_min(1)


def _cheapest(cost: Float[Tensor, "b k"], spread: Float[Tensor, "b k"]) -> Int[Tensor, " b"]:
    # of equally cheap clusters the tighter one loses, then the higher index
    tied = cost == cost.amin(dim=1, keepdim=True)
    return spread.masked_fill(~tied, -torch.inf).argmax(dim=1)


def _neighbourhood_mean(
    means: Float[Tensor, "b c rows columns"],
) -> Float[Tensor, "b c rows columns"]:
    margin = _CONTEXT // 2
    padded = functional.pad(means, (margin, margin, margin, margin), mode="replicate")
    return functional.avg_pool2d(padded, _CONTEXT, stride=1)
