"""Segmentation heads: from token maps of the encoder to logits per pixel."""

import math
from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from amlp.config import HeadConfig, LinearHeadConfig, UnetrHeadConfig
from amlp.errors import ConfigError
from amlp.models.encoder import MaskedEncoder

_NUM_DEPTHS = 4
_WIDEST = 4  # times the channels at full resolution
_GROUPS = 8


class UnetrHead(nn.Module):
    """Convolutional pyramid that doubles the resolution from the patch grid to the pixels.

    Level j (1 to s, patch size 2^s) adds up the level below, the token map of the next shallower
    depth, and at half and full resolution a convolution stem of the image itself, which keeps
    edges that patches blur. Token maps left over join the coarsest level.

    Source: after Hatamizadeh et al. 2022, arXiv 2103.10504, in two dimensions. Deviations: sums
    in place of concatenations, one transposed convolution a skip, GroupNorm.
    """

    def __init__(self, config: UnetrHeadConfig, encoder: MaskedEncoder, num_logits: int) -> None:
        super().__init__()
        dim, num_blocks = encoder.config.embed_dim, encoder.config.depth
        num_levels = _log2(encoder.grid.patch_size)
        self.depths = tuple(
            math.ceil(num_blocks * (i + 1) / _NUM_DEPTHS) for i in range(_NUM_DEPTHS)
        )
        widths = [
            config.channels * min(_WIDEST, 2 ** (num_levels - level))
            for level in range(num_levels + 1)
        ]
        num_skips = min(num_levels, _NUM_DEPTHS) - 1
        self.bottleneck = nn.Conv2d(dim * (_NUM_DEPTHS - num_skips), widths[0], kernel_size=1)
        self.skips = nn.ModuleList(
            _upsample(dim, widths[level], 2**level) for level in range(1, num_skips + 1)
        )
        self.rises = nn.ModuleList(
            _upsample(widths[level - 1], widths[level], 2) for level in range(1, num_levels + 1)
        )
        self.fusions = nn.ModuleList(_double_convolution(width) for width in widths[1:])
        self.full_stem = _convolution(encoder.channels, widths[-1], stride=1)
        self.half_stem = _convolution(widths[-1], widths[-2], stride=2) if num_levels > 1 else None
        self.logits = nn.Conv2d(widths[-1], num_logits, kernel_size=1)

    def forward(
        self, images: Float[Tensor, "b c h w"], maps: list[Float[Tensor, "b d rows columns"]]
    ) -> Float[Tensor, "b k h w"]:
        """Return logits; `maps` are the token maps of `depths`, shallow first."""
        stems = [self.full_stem(images)]
        if self.half_stem is not None:
            stems.append(self.half_stem(stems[0]))
        num_skips, num_levels = len(self.skips), len(self.rises)
        deep = [maps[-1], *maps[: _NUM_DEPTHS - 1 - num_skips]]
        skipped = maps[-2 : -2 - num_skips : -1]
        level = self.bottleneck(torch.cat(deep, dim=1))
        for index, (rise, fusion) in enumerate(zip(self.rises, self.fusions, strict=True)):
            level = rise(level)
            if index < num_skips:
                level = level + self.skips[index](skipped[index])
            from_top = num_levels - 1 - index
            if from_top < len(stems):
                level = level + stems[from_top]
            level = fusion(level)
        logits: Tensor = self.logits(level)
        return logits


class LinearHead(nn.Module):
    """One linear layer on the last token map, upsampled bilinearly: a probe of the encoder."""

    def __init__(self, encoder: MaskedEncoder, num_logits: int) -> None:
        super().__init__()
        self.depths = (encoder.config.depth,)
        self.logits = nn.Conv2d(encoder.config.embed_dim, num_logits, kernel_size=1)

    def forward(
        self, images: Float[Tensor, "b c h w"], maps: list[Float[Tensor, "b d rows columns"]]
    ) -> Float[Tensor, "b k h w"]:
        """Return logits at the resolution of `images`."""
        coarse = self.logits(maps[-1])
        return functional.interpolate(
            coarse, size=images.shape[-2:], mode="bilinear", align_corners=False
        )


def build_head(
    config: HeadConfig, encoder: MaskedEncoder, num_logits: int
) -> UnetrHead | LinearHead:
    """Return the head that `config` describes, with fresh weights.

    Raises:
        ConfigError: the pyramid cannot reach the pixels from this patch size.
    """
    match config:
        case UnetrHeadConfig():
            return UnetrHead(config, encoder, num_logits)
        case LinearHeadConfig():
            return LinearHead(encoder, num_logits)
        case _:
            assert_never(config)


def _log2(patch_size: int) -> int:
    exponent = patch_size.bit_length() - 1
    if 2**exponent != patch_size:
        raise ConfigError(f"patch_size {patch_size} is no power of two, which head unetr2d needs")
    return exponent


def _upsample(channels_in: int, channels_out: int, factor: int) -> nn.Module:
    return nn.ConvTranspose2d(channels_in, channels_out, kernel_size=factor, stride=factor)


def _convolution(channels_in: int, channels_out: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
        nn.GroupNorm(math.gcd(_GROUPS, channels_out), channels_out),
        nn.GELU(),
    )


def _double_convolution(channels: int) -> nn.Module:
    return nn.Sequential(_convolution(channels, channels), _convolution(channels, channels))
