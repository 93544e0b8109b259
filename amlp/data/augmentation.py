"""Random resized crop, flip and rotation of a whole batch in one sampling step."""

import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from amlp.config import AugmentationConfig

NUM_DRAWS = 6
"""Uniform numbers an image's augmentation takes: area, aspect, row, column, flip, angle."""

_MAX_ASPECT = 4 / 3


def augment(
    images: Float[Tensor, "b c h w"],
    uniforms: Float[Tensor, "b draws"],
    *,
    config: AugmentationConfig,
    image_size: int,
) -> Float[Tensor, "b c s s"]:
    """Return augmented images of `image_size` x `image_size` pixels (bilinear).

    Args:
        images: batch of one size.
        uniforms: `NUM_DRAWS` numbers in [0, 1) an image; equal numbers give equal results.
        config: scales of the crop, flip, largest rotation.
        image_size: side s of the result, pixels.
    """
    grid = _sampling_grid(uniforms, config, image_size)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def augment_label_maps(
    masks: UInt8[Tensor, "b h w"],
    uniforms: Float[Tensor, "b draws"],
    *,
    config: AugmentationConfig,
    image_size: int,
) -> UInt8[Tensor, "b s s"]:
    """Return label maps moved exactly as `augment` moves their images (nearest)."""
    grid = _sampling_grid(uniforms, config, image_size)
    moved = functional.grid_sample(
        masks[:, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return moved[:, 0].to(torch.uint8)


def _sampling_grid(
    uniforms: Float[Tensor, "b draws"], config: AugmentationConfig, image_size: int
) -> Float[Tensor, "b s s 2"]:
    """Return where in the source, in [-1, 1] coordinates (x, y), each pixel is taken from."""
    area, aspect, row, column, flip, angle = uniforms.unbind(1)
    low, high = config.crop_scale
    side = (low + (high - low) * area).sqrt()
    stretch = _MAX_ASPECT ** (aspect - 0.5)  # width:height in [(3/4), (4/3)], log-uniform
    width, height = (side * stretch).clamp_max(1.0), (side / stretch).clamp_max(1.0)
    centre_x, centre_y = (1 - width) * (2 * column - 1), (1 - height) * (2 * row - 1)
    mirrored = config.horizontal_flip & (flip < 0.5)
    sign = torch.where(mirrored, -1.0, 1.0)
    radians = math.radians(config.rotation_degrees) * (2 * angle - 1)
    cosine, sine = radians.cos(), radians.sin()
    first = torch.stack((sign * width * cosine, -height * sine, centre_x), 1)
    second = torch.stack((sign * width * sine, height * cosine, centre_y), 1)
    affine = torch.stack((first, second), 1)  # (b, 2, 3)
    size = [len(uniforms), 1, image_size, image_size]
    return functional.affine_grid(affine, size, align_corners=False)
