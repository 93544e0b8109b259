"""Resizing of images (smooth) and label maps (nearest), the same in training and prediction."""

from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

Size = tuple[int, int]


def resize_images(images: Float[Tensor, "b c h w"], size: Size) -> Float[Tensor, "b c h2 w2"]:
    """Resize to `size` = (height, width), bilinear with antialiasing."""
    if images.shape[-2:] == size:
        return images
    return functional.interpolate(
        images, size=size, mode="bilinear", antialias=True, align_corners=False
    )


def resize_label_maps(masks: UInt8[Tensor, "b h w"], size: Size) -> UInt8[Tensor, "b h2 w2"]:
    """Resize to `size` = (height, width) by the nearest label."""
    if masks.shape[-2:] == size:
        return masks
    return functional.interpolate(masks[:, None], size=size, mode="nearest-exact")[:, 0]
