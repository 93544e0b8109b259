"""The ViT encoder that is pretrained and later carries the segmenter."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from amlp.config import EncoderConfig
from amlp.errors import CheckpointError, GeometryMismatch
from amlp.models.position import resize_position, sincos_position
from amlp.models.transformer import NORM_EPS, Block, initialize
from amlp.patches import PatchGrid, patchify

_TOKEN_STD = 0.02


class MaskedEncoder(nn.Module):
    """ViT with a CLS token and fixed positions that computes visible patches only.

    Parameters are named and shaped as in timm's VisionTransformer and the official MAE, so their
    weights load.

    Source: He et al. 2022, arXiv 2111.06377.
    """

    def __init__(
        self, config: EncoderConfig, *, grid: PatchGrid, channels: int, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.config = config
        self.grid = grid
        self.channels = channels
        self.patch_embed = PatchEmbedding(channels, grid.patch_size, config.embed_dim)
        self.cls_token = nn.Parameter(torch.empty(1, 1, config.embed_dim))
        position = sincos_position(grid.rows, grid.columns, config.embed_dim)
        self.pos_embed: Tensor
        self.register_buffer("pos_embed", functional.pad(position, (0, 0, 1, 0)).unsqueeze(0))
        rates = [drop_path * i / max(1, config.depth - 1) for i in range(config.depth)]
        self.blocks = nn.ModuleList(
            Block(config.embed_dim, config.num_heads, config.mlp_ratio, rate) for rate in rates
        )
        self.norm = nn.LayerNorm(config.embed_dim, eps=NORM_EPS)
        initialize(self)
        nn.init.trunc_normal_(self.cls_token, std=_TOKEN_STD)

    def forward(
        self, images: Float[Tensor, "b c h w"], visible: Int[Tensor, "b v"] | None = None
    ) -> Float[Tensor, "b t d"]:
        """Return the normalised tokens, CLS first, then the visible patches in the given order.

        Args:
            images: of the size and channels the encoder was built for.
            visible: numbers of the patches to compute; None for all.

        Raises:
            GeometryMismatch: another image size or number of channels.
        """
        tokens = self._embed(images, visible)
        for block in self.blocks:
            tokens = block(tokens)
        normalized: Tensor = self.norm(tokens)
        return normalized

    def forward_depths(
        self, images: Float[Tensor, "b c h w"], depths: Sequence[int]
    ) -> list[Float[Tensor, "b d rows columns"]]:
        """Return the token maps after the given blocks (from 1), without CLS.

        The map of the last block is normalised, the others are not.

        Raises:
            GeometryMismatch: another image size or number of channels.
        """
        tokens = self._embed(images, None)
        after = {}
        for depth, block in enumerate(self.blocks, start=1):
            tokens = block(tokens)
            after[depth] = tokens
        after[len(self.blocks)] = self.norm(tokens)
        shape = (images.shape[0], -1, self.grid.rows, self.grid.columns)
        return [after[depth][:, 1:].mT.reshape(shape) for depth in depths]

    def _embed(
        self, images: Float[Tensor, "b c h w"], visible: Int[Tensor, "b v"] | None
    ) -> Float[Tensor, "b t d"]:
        self._check(images)
        patches = patchify(images, self.grid.patch_size)
        position = self.pos_embed[:, 1:].expand(images.shape[0], -1, -1)
        if visible is not None:
            # before the embedding: masked patches then cost nothing
            patches = gather_rows(patches, visible)
            position = gather_rows(position, visible)
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(images.shape[0], -1, -1)
        return torch.cat([cls, self.patch_embed(patches) + position], dim=1)

    def _check(self, images: Float[Tensor, "b c h w"]) -> None:
        p = self.grid.patch_size
        expected = (self.channels, self.grid.rows * p, self.grid.columns * p)
        if tuple(images.shape[1:]) != expected:
            raise GeometryMismatch(
                f"images of shape {tuple(images.shape[1:])} (c, h, w), not the encoder's {expected}"
            )


class PatchEmbedding(nn.Module):
    """Linear embedding of flat patches; its weights are stored as the usual convolution's."""

    def __init__(self, channels: int, patch_size: int, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, kernel_size=patch_size, stride=patch_size)
        nn.init.xavier_uniform_(self.proj.weight.data.view(dim, -1))
        nn.init.zeros_(self.proj.bias)  # type: ignore[arg-type]  # this layer has one

    def forward(self, patches: Float[Tensor, "b n p"]) -> Float[Tensor, "b n d"]:
        """Embed patches whose values are ordered (row, column, channel)."""
        weight = self.proj.weight.permute(0, 2, 3, 1).flatten(1)
        return functional.linear(patches, weight, self.proj.bias)


def build_encoder(
    config: EncoderConfig,
    *,
    image_size: int,
    patch_size: int,
    channels: int,
    drop_path: float = 0.0,
) -> MaskedEncoder:
    """Return an encoder with fresh weights for square images of `image_size` pixels."""
    side = image_size // patch_size
    grid = PatchGrid(side, side, patch_size)
    return MaskedEncoder(config, grid=grid, channels=channels, drop_path=drop_path)


def load_encoder(encoder: MaskedEncoder, weights: Mapping[str, Tensor]) -> None:
    """Load pretrained weights; positions are interpolated when the image size differs.

    Args:
        encoder: of the same configuration, patch size and channels.
        weights: by parameter name; what the encoder has no use for (a decoder) is ignored.

    Raises:
        CheckpointError: a parameter is missing or has another shape.
    """
    own = encoder.state_dict()
    missing = sorted(own.keys() - weights.keys())
    if missing:
        raise CheckpointError(f"encoder weights lack {missing[0]} and {len(missing) - 1} more")
    given = {name: weights[name] for name in own}
    given["pos_embed"] = resize_position(
        given["pos_embed"], encoder.grid.rows, encoder.grid.columns
    )
    for name, value in own.items():
        if given[name].shape != value.shape:
            raise CheckpointError(
                f"encoder weight {name} has shape {tuple(given[name].shape)}, "
                f"expected {tuple(value.shape)}"
            )
    encoder.load_state_dict(given)


def gather_rows(rows: Float[Tensor, "b n d"], index: Int[Tensor, "b v"]) -> Float[Tensor, "b v d"]:
    """Return the rows with the given numbers, image by image."""
    return rows.gather(1, index.unsqueeze(2).expand(-1, -1, rows.shape[2]))
