"""Clustering by geodesic saliency: far from the border through the image's own contrast.

Lesions are no single colour or texture, but they are usually islands: whatever path leads from the
border of the field of view to a lesion crosses an edge. A lesion that touches the border is missed.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from amlp.config import GeodesicSaliencyConfig
from amlp.masking.categories import Categories
from amlp.masking.patch_features import (
    dark_patches,
    grey,
    patch_statistics,
    standardize,
    value_range,
)

_MIN_VALID_SHARE = 0.3  # with less left, the darkness was not a frame


class GeodesicSaliency:
    """Scores a patch by its contrast distance from the border of the valid region.

    Source: ours; the paper's abstract (arXiv 2309.04312) only says "unsupervised clustering". The
    distance is that of Wei et al. 2012 (geodesic saliency using background priors), on patches.
    """

    def __init__(self, config: GeodesicSaliencyConfig, patch_size: int) -> None:
        self.config = config
        self.patch_size = patch_size

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "b c h w"]) -> Categories:
        """Return categories and scores; an image without any contrast is degenerate."""
        with torch.autocast(images.device.type, enabled=False):
            score = self._score(images.float())
        lesion = score > two_means_threshold(score).unsqueeze(1)
        return Categories(lesion, score, score.amax(dim=1) == 0)

    def _score(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b n"]:
        brightness = grey(images, self.config.polarity)
        dark = dark_patches(brightness, self.patch_size, self.config.dark_threshold)
        outside = outside_patches(dark)
        border = ~outside & (_ring(outside) | _dilated(outside))
        features = self._features(images, brightness, ~outside)
        edges = edge_lengths(features, self.config.edge_quantile)
        distance = geodesic_distance(edges, border | outside)
        smooth = functional.avg_pool2d(
            functional.pad(distance, (1, 1, 1, 1), mode="replicate"), 3, stride=1
        )
        inside = smooth.masked_fill(outside, 0.0).flatten(1)
        low, high = inside.aminmax(dim=1, keepdim=True)
        score = (inside - low) / (high - low).clamp_min(torch.finfo(inside.dtype).tiny)
        return score.masked_fill(outside.flatten(1), 0.0)

    def _features(
        self,
        images: Float[Tensor, "b c h w"],
        brightness: Float[Tensor, "b 1 h w"],
        valid: Bool[Tensor, "b rows columns"],
    ) -> Float[Tensor, "b f rows columns"]:
        b, c = images.shape[:2]
        statistics = patch_statistics(torch.cat([images, brightness], dim=1), self.patch_size)
        features = torch.cat([statistics[:, 0, :c], statistics[:, 1:, c]], dim=1)
        z = standardize(features.flatten(2), valid.flatten(1), value_range(brightness))
        return z.view(b, c + 2, *valid.shape[1:])


def outside_patches(dark: Bool[Tensor, "b rows columns"]) -> Bool[Tensor, "b rows columns"]:
    """Return the dark patches that dark neighbours (of 8) connect to the edge of the grid.

    Enclosed dark patches, such as a cyst, stay inside; so does all if under 30 % would be left.
    """
    outside = dark & _ring(dark)
    for _ in range(_num_sweeps(dark)):
        outside = _dilated(outside) & dark
    too_little_left = (~outside).float().mean(dim=(1, 2)) < _MIN_VALID_SHARE
    return outside & ~too_little_left[:, None, None]


def edge_lengths(
    features: Float[Tensor, "b f rows columns"], quantile: float
) -> Float[Tensor, "4 b rows columns"]:
    """Return the distance of each patch to its left, right, upper and lower neighbour.

    It is the Euclidean distance of the features less the image's `quantile` of them, at least 0:
    without that, noise adds up with depth. Towards a neighbour that does not exist it is infinite.
    """
    across = torch.linalg.vector_norm(features.diff(dim=3), dim=1)
    down = torch.linalg.vector_norm(features.diff(dim=2), dim=1)
    noise = _quantile(torch.cat([across.flatten(1), down.flatten(1)], dim=1), quantile)
    across = (across - noise[:, None, None]).clamp_min(0)
    down = (down - noise[:, None, None]).clamp_min(0)
    sides = ((across, (1, 0)), (across, (0, 1)), (down, (0, 0, 1, 0)), (down, (0, 0, 0, 1)))
    return torch.stack([functional.pad(length, pad, value=torch.inf) for length, pad in sides])


def geodesic_distance(
    edges: Float[Tensor, "4 b rows columns"], source: Bool[Tensor, "b rows columns"]
) -> Float[Tensor, "b rows columns"]:
    """Return the length of the shortest path from `source` to each patch.

    The number of relaxation sweeps is fixed: a test for convergence would wait for the device.
    """
    distance = torch.zeros_like(edges[0]).masked_fill(~source, torch.inf)
    for _ in range(_num_sweeps(source)):
        around = functional.pad(distance, (1, 1, 1, 1), value=torch.inf)
        neighbours = torch.stack(
            [around[:, 1:-1, :-2], around[:, 1:-1, 2:], around[:, :-2, 1:-1], around[:, 2:, 1:-1]]
        )
        distance = torch.minimum(distance, (neighbours + edges).amin(dim=0))
    return distance


def two_means_threshold(score: Float[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """Return the largest score of the lower of the two clusters of exact 1-D 2-means."""
    n = score.shape[1]
    ordered = score.sort(dim=1).values
    total = ordered.cumsum(dim=1)
    num_low = torch.arange(1, n, device=score.device)
    mean_low = total[:, :-1] / num_low
    mean_high = (total[:, -1:] - total[:, :-1]) / (n - num_low)
    separation = num_low * (n - num_low) * (mean_low - mean_high).square()
    return ordered.gather(1, separation.argmax(dim=1, keepdim=True)).squeeze(1)


def _quantile(values: Float[Tensor, "b e"], quantile: float) -> Float[Tensor, " b"]:
    # linear between order statistics; torch.quantile copies its argument to the device and waits
    ordered = values.sort(dim=1).values
    position = quantile * (values.shape[1] - 1)
    below = int(position)
    above = min(below + 1, values.shape[1] - 1)
    return torch.lerp(ordered[:, below], ordered[:, above], position - below)


def _num_sweeps(patches: Tensor) -> int:
    return 2 * max(patches.shape[-2:])


def _ring(like: Tensor) -> Bool[Tensor, "rows columns"]:
    ring = torch.ones(like.shape[-2:], dtype=torch.bool, device=like.device)
    ring[1:-1, 1:-1] = False
    return ring


def _dilated(patches: Bool[Tensor, "b rows columns"]) -> Bool[Tensor, "b rows columns"]:
    return functional.max_pool2d(patches.float(), 3, stride=1, padding=1) > 0
