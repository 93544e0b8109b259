"""MAE's decoder: light, and thrown away after pretraining."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from amlp.config import DecoderConfig
from amlp.models.encoder import gather_rows
from amlp.models.position import sincos_position
from amlp.models.transformer import NORM_EPS, Block, initialize
from amlp.patches import PatchGrid

_TOKEN_STD = 0.02


class MaskedDecoder(nn.Module):
    """Transformer over the tokens of visible patches and one learned token per masked patch.

    Tokens are kept in the order visible, masked: attention does not mind, and nothing is shuffled.

    Source: He et al. 2022, arXiv 2111.06377.
    """

    def __init__(self, config: DecoderConfig, *, encoder_dim: int, grid: PatchGrid) -> None:
        super().__init__()
        self.embed = nn.Linear(encoder_dim, config.embed_dim)
        self.mask_token = nn.Parameter(torch.empty(1, 1, config.embed_dim))
        position = sincos_position(grid.rows, grid.columns, config.embed_dim)
        self.pos_embed: Tensor
        self.register_buffer("pos_embed", functional.pad(position, (0, 0, 1, 0)).unsqueeze(0))
        self.blocks = nn.ModuleList(
            Block(config.embed_dim, config.num_heads) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.embed_dim, eps=NORM_EPS)
        initialize(self)
        nn.init.trunc_normal_(self.mask_token, std=_TOKEN_STD)

    def forward(
        self,
        tokens: Float[Tensor, "b t e"],
        visible: Int[Tensor, "b v"],
        masked: Int[Tensor, "b m"],
    ) -> Float[Tensor, "b m d"]:
        """Return the normalised tokens of the masked patches, in the order of `masked`.

        Args:
            tokens: the encoder's, CLS first, then the patches in the order of `visible`.
            visible: numbers of the visible patches.
            masked: numbers of the masked patches.
        """
        b, m = masked.shape
        position = self.pos_embed[:, 1:].expand(b, -1, -1)
        cls, seen = self.embed(tokens).tensor_split([1], dim=1)
        hidden = torch.cat(
            [
                cls + self.pos_embed[:, :1],
                seen + gather_rows(position, visible),
                self.mask_token + gather_rows(position, masked),
            ],
            dim=1,
        )
        for block in self.blocks:
            hidden = block(hidden)
        normalized: Tensor = self.norm(hidden[:, -m:])
        return normalized
