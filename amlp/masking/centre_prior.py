"""The control every clustering must beat: photographers centre what they look at."""

import torch
from jaxtyping import Float
from torch import Tensor

from amlp.config import CentrePriorConfig
from amlp.masking.categories import Categories
from amlp.masking.geodesic_saliency import two_means_threshold
from amlp.patches import PatchGrid


class CentrePrior:
    """Scores a patch by exp(-r^2 / (2 width^2)); r is 0 in the centre, 1 half-way along an edge.

    It sees no pixel, so it is never degenerate. Source: ours.
    """

    def __init__(self, config: CentrePriorConfig, patch_size: int) -> None:
        self.config = config
        self.patch_size = patch_size

    @torch.no_grad()
    def __call__(self, images: Float[Tensor, "b c h w"]) -> Categories:
        """Return the same categories and scores for every image."""
        grid = PatchGrid.of(images, self.patch_size)
        down = _offsets(grid.rows, images.device).unsqueeze(1)
        across = _offsets(grid.columns, images.device)
        prior = torch.exp(-(down.square() + across.square()) / (2 * self.config.width**2))
        score = prior.flatten().repeat(len(images), 1)
        lesion = score > two_means_threshold(score).unsqueeze(1)
        return Categories(lesion, score, torch.zeros_like(lesion[:, 0]))


def _offsets(count: int, device: torch.device) -> Float[Tensor, " count"]:
    """Return the centres of `count` patches, the image reaching from -1 to 1."""
    return (2 * torch.arange(count, device=device) + 1) / count - 1
