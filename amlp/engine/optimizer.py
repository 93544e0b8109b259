"""AdamW with MAE's parameter groups: what decays, and how fast each layer learns."""

import re
from collections import defaultdict

from torch import nn
from torch.optim import AdamW

from amlp.config import OptimizerConfig

_TOKENS = ("cls_token", "mask_token", "pos_embed")
_BLOCK = re.compile(r"(?:^|\.)encoder\.blocks\.(\d+)\.")


def build_optimizer(
    network: nn.Module, config: OptimizerConfig, *, layer_decay: float = 1.0, depth: int = 0
) -> AdamW:
    """Return AdamW over the trainable parameters of `network`.

    One-dimensional parameters, tokens and positions are not decayed. With `layer_decay` < 1,
    encoder block i of `depth` learns at layer_decay ** (depth - i) of the rate, the embedding at
    layer_decay ** (depth + 1), everything behind the encoder at the full rate. A group's
    `lr_scale` holds that factor.

    Source: parameter groups as in He et al. 2022 (arXiv 2111.06377); layer-wise decay after BEiT
    (Bao et al. 2021, arXiv 2106.08254).
    """
    groups: defaultdict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            scale = layer_decay ** (depth + 1 - _layer_of(name, depth))
            groups[_decay_of(name, parameter, config), scale].append(parameter)
    return AdamW(
        [
            {"params": parameters, "weight_decay": decay, "lr_scale": scale}
            for (decay, scale), parameters in groups.items()
        ],
        lr=config.lr,
        betas=config.betas,
        fused=True,
    )


def set_learning_rate(optimizer: AdamW, lr: float) -> None:
    """Set every group's rate to `lr` times its `lr_scale`."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


def _decay_of(name: str, parameter: nn.Parameter, config: OptimizerConfig) -> float:
    if parameter.ndim <= 1 or name.endswith(_TOKENS):
        return 0.0
    return config.weight_decay


def _layer_of(name: str, depth: int) -> int:
    """Return 0 for the embedding, i + 1 for block i, depth + 1 for what follows the encoder."""
    if block := _BLOCK.search(name):
        return int(block[1]) + 1
    is_embedding = "encoder." in name and ("patch_embed" in name or name.endswith(_TOKENS))
    return 0 if is_embedding else depth + 1
