"""Segmentation losses, all by MONAI, one call for binary and multi-class label maps."""

from collections.abc import Callable
from typing import assert_never

from jaxtyping import Float, UInt8
from monai.losses import DiceCELoss, DiceFocalLoss, TverskyLoss
from torch import Tensor, nn
from torch.nn import functional

from amlp.config import SegmentationLossConfig

_SMOOTH = 1e-5
_MISSED_WEIGHT = 0.7  # Tversky: a missed lesion pixel costs more than a false one

SegmentationLoss = Callable[[Tensor, Tensor], Tensor]


def build_segmentation_loss(config: SegmentationLossConfig, *, num_logits: int) -> SegmentationLoss:
    """Return the loss of logits (b, k, h, w) against label maps (b, h, w), in float32.

    Soft Dice (or Tversky) is taken per image, over the foreground classes, and averaged; the cross
    entropy (or focal) part is the mean over pixels. One logit is a sigmoid, more are a softmax.

    Args:
        config: which loss, and the weights of its two parts.
        num_logits: k of the network.
    """
    region = {
        "sigmoid": num_logits == 1,
        "softmax": num_logits > 1,
        "to_onehot_y": num_logits > 1,
        "include_background": num_logits == 1,
        "smooth_nr": _SMOOTH,
        "smooth_dr": _SMOOTH,
    }
    weights = {"lambda_dice": config.dice_weight}
    loss: nn.Module | SegmentationLoss
    match config.name:
        case "dice_ce":
            loss = DiceCELoss(**region, **weights, lambda_ce=config.pixel_weight)
        case "dice_focal":
            loss = DiceFocalLoss(**region, **weights, lambda_focal=config.pixel_weight)
        case "tversky":
            loss = _tversky(config, region)
        case _:
            assert_never(config.name)

    def in_float32(
        logits: Float[Tensor, "b k h w"], masks: UInt8[Tensor, "b h w"]
    ) -> Float[Tensor, ""]:
        value: Tensor = loss(logits.float(), masks[:, None].float())
        return value

    return in_float32


def _tversky(config: SegmentationLossConfig, region: dict[str, bool | float]) -> SegmentationLoss:
    tversky = TverskyLoss(**region, alpha=1 - _MISSED_WEIGHT, beta=_MISSED_WEIGHT)

    def with_cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            pixels = functional.binary_cross_entropy_with_logits(logits, masks)
        else:
            pixels = functional.cross_entropy(logits, masks[:, 0].long())
        overlap: Tensor = tversky(logits, masks)
        return config.dice_weight * overlap + config.pixel_weight * pixels

    return with_cross_entropy
