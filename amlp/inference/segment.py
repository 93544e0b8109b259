"""From slices of any size to class probabilities at that size, whole or by sliding window."""

from typing import assert_never

import torch
from jaxtyping import Float
from monai.inferers import sliding_window_inference
from torch import Tensor, nn
from torch.nn import functional

from amlp.config import InferenceConfig, ResizeConfig, SlidingWindowConfig
from amlp.data import resize_images, standardise
from amlp.models import class_probabilities


def segment_slices(
    network: nn.Module,
    images: Float[Tensor, "b c h w"],
    *,
    config: InferenceConfig,
    image_size: int,
    batch_size: int,
) -> Float[Tensor, "b k h w"]:
    """Return the probability of each class at the images' own size, background first.

    Args:
        network: images of `image_size` pixels to logits; in evaluation mode.
        images: as read, not yet z-scored, on the network's device.
        config: resize the whole image or slide a window.
        image_size: side of the network's input, pixels.
        batch_size: images or windows a forward pass.
    """
    match config:
        case ResizeConfig():
            return _segment_resized(network, images, image_size, batch_size)
        case SlidingWindowConfig():
            # Gaussian weights hide the seams that windows leave at their borders.
            probabilities = sliding_window_inference(
                standardise(images),
                roi_size=(image_size, image_size),
                sw_batch_size=batch_size,
                predictor=lambda windows: class_probabilities(network(windows)),
                overlap=config.overlap,
                mode="gaussian",
            )
            return torch.as_tensor(probabilities)
        case _:
            assert_never(config)


def _segment_resized(
    network: nn.Module, images: Float[Tensor, "b c h w"], image_size: int, batch_size: int
) -> Float[Tensor, "b k h w"]:
    size = (images.shape[-2], images.shape[-1])
    parts = []
    for chunk in torch.split(images, batch_size):
        inputs = standardise(resize_images(chunk, (image_size, image_size)))
        probabilities = class_probabilities(network(inputs))
        if size != (image_size, image_size):
            probabilities = functional.interpolate(
                probabilities, size=size, mode="bilinear", align_corners=False
            )
        parts.append(probabilities)
    return torch.cat(parts)
