"""The one random draw of every masking strategy."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from amlp.patches import PatchGrid


def draw_noise(
    images: Float[Tensor, "b c h w"], patch_size: int, generator: torch.Generator
) -> Float[Tensor, "b n"]:
    """Draw u ~ U[0, 1) for every patch, on the generator's device, and move it to the images'.

    Every strategy draws exactly this once a call, so switching strategies leaves later draws alone.
    """
    shape = (images.shape[0], PatchGrid.of(images, patch_size).num_patches)
    noise = torch.rand(shape, generator=generator, device=generator.device)
    return noise.to(images.device, non_blocking=True)


def by_falling_noise(noise: Float[Tensor, "b n"]) -> Int[Tensor, "b n"]:
    """Return the patches ordered from large to small noise: who is masked first at random.

    MAE keeps the patches of least noise, so the first M here are exactly those MAE masks.
    """
    return noise.argsort(dim=1, stable=True).flip(1)
