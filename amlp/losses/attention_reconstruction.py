"""Attention reconstruction loss (ARL; "relative reconstruction loss" in the paper's v2).

Patches that are hard to reconstruct are taken for likely lesions and weigh more.
"""

from typing import assert_never

from jaxtyping import Float
from torch import Tensor

from amlp.config import AttentionReconstructionConfig

_TINY = 1e-8
_STD_FLOOR = 1e-6


def attention_reconstruction_loss(
    errors: Float[Tensor, "b m"], config: AttentionReconstructionConfig, progress: float
) -> Float[Tensor, ""]:
    """Return the weighted mean of the errors of the masked patches, in float32.

    L = (1 / (b m)) * sum of w_i * l_i, with the weights of `attention_weights`.
    """
    return (attention_weights(errors, config, progress) * errors.float()).mean()


def attention_weights(
    errors: Float[Tensor, "b m"], config: AttentionReconstructionConfig, progress: float
) -> Float[Tensor, "b m"]:
    """Return the weight of each masked patch: mean 1 per image, detached, in float32.

    ratio: w_i = m * d_i^gamma / sum of d_j^gamma. softmax: w_i = m * softmax(z_i / temperature), z
    the z-score of d in its image. Both are mixed with 1: w <- (1 - rho) + rho * w, where rho rises
    from 0 to `strength` during the first epochs, when d is merely the energy of a patch.

    Args:
        errors: d, the reconstruction error per masked patch.
        config: weighting and its ramp.
        progress: epoch / number of epochs, in [0, 1].

    Source: ours, after the abstract of arXiv 2309.04312.
    """
    difficulty = errors.detach().float()
    match config.weighting:
        case "none":
            return difficulty.new_ones(difficulty.shape)
        case "ratio":
            weights = _mean_one((difficulty + _TINY).pow(config.gamma))
        case "softmax":
            spread = difficulty.std(dim=1, correction=0, keepdim=True) + _STD_FLOOR
            z = (difficulty - difficulty.mean(dim=1, keepdim=True)) / spread
            weights = difficulty.shape[1] * (z / config.temperature).softmax(dim=1)
        case _:
            assert_never(config.weighting)
    if config.max_weight is not None:
        weights = _mean_one(weights.clamp_max(config.max_weight))
    strength = _strength(config, progress)
    return (1 - strength) + strength * weights


def _mean_one(weights: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    return weights / weights.mean(dim=1, keepdim=True)


def _strength(config: AttentionReconstructionConfig, progress: float) -> float:
    if progress >= config.ramp_fraction:
        return config.strength
    return config.strength * progress / config.ramp_fraction
