"""Random masking, as in MAE."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from amlp.masking.noise import by_falling_noise, draw_noise
from amlp.patches import PatchMask


class RandomMasking:
    """Masks every patch with equal probability and knows no categories.

    Its `lesion` is all False. For the control "random masks, but categories for the category
    consistency loss" use masked patch selection with a soft selection of beta 0: the same masks.

    Source: He et al. 2022, arXiv 2111.06377.
    """

    def __init__(self, patch_size: int) -> None:
        self.patch_size = patch_size

    @torch.no_grad()
    def __call__(
        self, images: Float[Tensor, "b c h w"], num_masked: int, generator: torch.Generator
    ) -> PatchMask:
        """Mask the `num_masked` patches of largest noise."""
        noise = draw_noise(images, self.patch_size, generator)
        masked = torch.zeros_like(noise, dtype=torch.bool)
        masked.scatter_(1, by_falling_noise(noise)[:, :num_masked], value=True)
        return without_categories(masked)


def without_categories(masked: Bool[Tensor, "b n"]) -> PatchMask:
    """Return the mask of a strategy that tells no categories apart."""
    nothing = torch.zeros_like(masked)
    return PatchMask(masked, nothing, nothing.float(), nothing[:, 0])
