"""The transformer block of encoder and decoder, with timm's parameter names."""

import torch
from jaxtyping import Float
from timm.layers import DropPath, Mlp
from torch import Tensor, nn
from torch.nn import functional

NORM_EPS = 1e-6
_EXPLICIT_TOKENS = 1024


class Block(nn.Module):
    """Pre-norm transformer block: attention, then an MLP, each added to its input.

    Source: Dosovitskiy et al. 2021, arXiv 2010.11929.
    """

    def __init__(
        self, dim: int, num_heads: int, mlp_ratio: float = 4.0, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, tokens: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        """Mix tokens, then channels."""
        tokens = tokens + self.drop_path(self.attn(self.norm1(tokens)))
        mixed: Tensor = tokens + self.drop_path(self.mlp(self.norm2(tokens)))
        return mixed


class Attention(nn.Module):
    """Multi-head self-attention that takes the faster form for the device."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
        """Return each token's mix of all tokens."""
        b, t, d = tokens.shape
        qkv = self.qkv(tokens).reshape(b, t, 3, self.num_heads, d // self.num_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (b, heads, t, d / heads)
        # on CPUs the fused kernel's bf16 backward takes three times as long (benchmarks/attention)
        if query.device.type == "cpu" and query.dtype == torch.bfloat16 and t <= _EXPLICIT_TOKENS:
            scores = (query * query.shape[-1] ** -0.5) @ key.mT
            mixed = scores.softmax(dim=-1) @ value
        else:
            mixed = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.proj(mixed.transpose(1, 2).reshape(b, t, d))
        return out


def initialize(module: nn.Module) -> None:
    """Initialise linear layers as MAE does: Xavier-uniform weights, zero biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
