"""Reconstruction error per patch, and targets normalised per patch."""

from jaxtyping import Float
from torch import Tensor

_VARIANCE_FLOOR = 1e-6


def patch_errors(
    reconstruction: Float[Tensor, "b m d"], targets: Float[Tensor, "b m d"]
) -> Float[Tensor, "b m"]:
    """Return the mean squared error of each patch, in float32.

    l_i = mean over d of (reconstruction_id - target_id)^2; give it the masked patches only.

    Source: He et al. 2022, arXiv 2111.06377.
    """
    return (reconstruction.float() - targets.float()).square().mean(dim=2)


def normalize_patches(patches: Float[Tensor, "b m d"]) -> Float[Tensor, "b m d"]:
    """Return each patch with mean 0 and variance 1 (unbiased, floored by 1e-6), in float32.

    Source: He et al. 2022, arXiv 2111.06377, normalised pixels as targets.
    """
    patches = patches.float()
    variance = patches.var(dim=2, keepdim=True)
    return (patches - patches.mean(dim=2, keepdim=True)) / (variance + _VARIANCE_FLOOR).sqrt()


def denormalize_patches(
    normalized: Float[Tensor, "b m d"], like: Float[Tensor, "b m d"]
) -> Float[Tensor, "b m d"]:
    """Give normalised patches the mean and variance of the patches `like`: for pictures."""
    like = like.float()
    variance = like.var(dim=2, keepdim=True)
    return normalized.float() * (variance + _VARIANCE_FLOOR).sqrt() + like.mean(2, keepdim=True)
