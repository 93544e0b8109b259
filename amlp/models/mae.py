"""The masked autoencoder of pretraining."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from amlp.config import DecoderConfig, PretrainConfig
from amlp.models.decoder import MaskedDecoder
from amlp.models.encoder import MaskedEncoder, build_encoder, gather_rows
from amlp.models.transformer import initialize
from amlp.patches import PatchGrid, patchify, unpatchify

_HEAD_STD = 0.02


class MaskedAutoencoderOutput(NamedTuple):
    """What the network says of the masked patches, all in the same order.

    Attributes:
        reconstruction: predicted patches (of normalised pixels, if it is trained on those).
        targets: the true patches, as `patchify` cuts them.
        category_logits: of the category head, None without one.
        indices: numbers of the masked patches, rising; to gather categories by.
    """

    reconstruction: Float[Tensor, "b m d"]
    targets: Float[Tensor, "b m d"]
    category_logits: Float[Tensor, "b m"] | None
    indices: Int[Tensor, "b m"]


class MaskedAutoencoder(nn.Module):
    """Encoder over visible patches, decoder over all, pixel head, and a category head if wanted.

    Source: He et al. 2022, arXiv 2111.06377; the category head is ours, after the abstract of
    arXiv 2309.04312.
    """

    def __init__(
        self, encoder: MaskedEncoder, config: DecoderConfig, *, with_category_head: bool
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = MaskedDecoder(
            config, encoder_dim=encoder.config.embed_dim, grid=encoder.grid
        )
        patch_dim = encoder.grid.patch_size**2 * encoder.channels
        self.pixel_head = nn.Linear(config.embed_dim, patch_dim)
        initialize(self.pixel_head)
        self.category_head = None
        if with_category_head:
            self.category_head = nn.Linear(config.embed_dim, 1)
            nn.init.trunc_normal_(self.category_head.weight, std=_HEAD_STD)
            nn.init.zeros_(self.category_head.bias)

    def forward(
        self, images: Float[Tensor, "b c h w"], masked: Bool[Tensor, "b n"], num_masked: int
    ) -> MaskedAutoencoderOutput:
        """Reconstruct the masked patches from the visible ones.

        Args:
            images: of the size and channels the encoder was built for.
            masked: a mask with exactly `num_masked` True in each row.
            num_masked: given, not counted: counting would wait for the device.

        Raises:
            GeometryMismatch: another image size or number of channels.
        """
        visible, hidden = split_indices(masked, num_masked)
        tokens = self.decoder(self.encoder(images, visible), visible, hidden)
        targets = gather_rows(patchify(images, self.encoder.grid.patch_size), hidden)
        logits = None if self.category_head is None else self.category_head(tokens).squeeze(2)
        return MaskedAutoencoderOutput(self.pixel_head(tokens), targets, logits, hidden)


def split_indices(
    masked: Bool[Tensor, "b n"], num_masked: int
) -> tuple[Int[Tensor, "b v"], Int[Tensor, "b m"]]:
    """Return the numbers of the visible and of the masked patches, both rising."""
    order = masked.to(torch.uint8).argsort(dim=1, stable=True)
    visible, hidden = order.tensor_split([masked.shape[1] - num_masked], dim=1)
    return visible, hidden


def paste_patches(
    images: Float[Tensor, "b c h w"],
    patches: Float[Tensor, "b m d"],
    indices: Int[Tensor, "b m"],
    patch_size: int,
) -> Float[Tensor, "b c h w"]:
    """Return the images with the given patches replaced, for pictures of reconstructions."""
    whole = patchify(images, patch_size)
    index = indices.unsqueeze(2).expand(-1, -1, whole.shape[2])
    pasted = whole.scatter(1, index, patches.to(whole))
    return unpatchify(pasted, PatchGrid.of(images, patch_size))


def build_mae(config: PretrainConfig, channels: int) -> MaskedAutoencoder:
    """Return a masked autoencoder with fresh weights.

    It has a category head only where the category consistency loss has a weight: parameters
    without a gradient stall distributed training.
    """
    encoder = build_encoder(
        config.encoder,
        image_size=config.image_size,
        patch_size=config.patch_size,
        channels=channels,
    )
    with_category_head = config.category_consistency.weight > 0
    return MaskedAutoencoder(encoder, config.decoder, with_category_head=with_category_head)
