"""The segmentation network: a pretrained encoder with a head."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from amlp.config import FinetuneConfig
from amlp.models.encoder import MaskedEncoder, build_encoder
from amlp.models.heads import LinearHead, UnetrHead, build_head


class Segmenter(nn.Module):
    """Images to logits per pixel: one sigmoid logit for two classes, a softmax for more."""

    def __init__(self, encoder: MaskedEncoder, head: UnetrHead | LinearHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Return logits, k = 1 for two classes.

        Raises:
            GeometryMismatch: another image size or number of channels than the encoder's.
        """
        maps = self.encoder.forward_depths(images, self.head.depths)
        logits: Tensor = self.head(images, maps)
        return logits


def class_probabilities(logits: Float[Tensor, "b k h w"]) -> Float[Tensor, "b classes h w"]:
    """Return the probability of each class, background first, in float32."""
    logits = logits.float()
    if logits.shape[1] == 1:
        return torch.cat([(-logits).sigmoid(), logits.sigmoid()], dim=1)
    return logits.softmax(dim=1)


def num_logits(num_classes: int) -> int:
    """Return how many logits a pixel has for `num_classes` classes, background included."""
    return 1 if num_classes == 2 else num_classes


def build_segmenter(config: FinetuneConfig, channels: int, num_classes: int) -> Segmenter:
    """Return a segmenter with fresh weights for `num_classes` classes, background included.

    Raises:
        ConfigError: the head cannot work with this patch size.
    """
    encoder = build_encoder(
        config.encoder,
        image_size=config.image_size,
        patch_size=config.patch_size,
        channels=channels,
        drop_path=config.drop_path,
    )
    return Segmenter(encoder, build_head(config.head, encoder, num_logits(num_classes)))
