"""The one normalisation of the library: z-score over an image's foreground."""

import torch
from jaxtyping import Float
from torch import Tensor

_DARK_SHARE = 0.02
_EPSILON = 1e-6


def standardise(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Return images with mean 0 and variance 1 per image and channel over foreground pixels.

    Foreground is where any channel exceeds its minimum by more than 2 % of its range: black
    borders and air shall not set the scale. A constant channel becomes 0. Per channel, because the
    sequences of a scan have unrelated units.
    """
    low = images.amin((-2, -1), keepdim=True)
    # From the minimum up, so that the mean of squares keeps its digits under a large offset.
    raised = images.float() - low
    span = raised.amax((-2, -1), keepdim=True)
    foreground = (raised > _DARK_SHARE * span).any(1, keepdim=True).float()  # (b, 1, h, w)
    count = foreground.sum((-2, -1), keepdim=True).clamp_min(1.0)
    weighted = raised * foreground
    mean = weighted.sum((-2, -1), keepdim=True) / count
    square = (weighted * raised).sum((-2, -1), keepdim=True) / count
    std = (square - mean.square()).clamp_min(0.0).sqrt()
    flat = span <= 0
    return torch.where(flat, 0.0, (raised - mean) / (std + _EPSILON * span.clamp_min(_EPSILON)))
