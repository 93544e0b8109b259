"""Category consistency loss (CCL): patch categories refined by reconstruction difficulty.

Two categorisations of every masked patch, one by clustering and one by how hard it was to
reconstruct, are merged into one target, and a head on the decoder's tokens learns it.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from amlp.config import CategoryConsistencyConfig

_STD_FLOOR = 1e-6
_BALANCE_LIMITS = (0.25, 4.0)


def category_consistency_loss(
    logits: Float[Tensor, "b m"],
    targets: Float[Tensor, "b m"],
    config: CategoryConsistencyConfig,
) -> Float[Tensor, ""]:
    """Return the mean binary cross entropy of the head's logits, in float32, unweighted.

    L = (1 / (b m)) * sum of BCE(sigmoid(g_i), c_i). With `balance` the two categories weigh
    m / (2 sum c) and m / (2 (m - sum c)) in each image, within [1/4, 4].

    Source: ours, after the abstract of arXiv 2309.04312.
    """
    logits, targets = logits.float(), targets.float()
    lesion, background = (
        targets * functional.softplus(-logits),
        (1 - targets) * functional.softplus(logits),
    )
    if config.balance:
        lesion = lesion * _class_weight(targets)
        background = background * _class_weight(1 - targets)
    return (lesion + background).mean()


def category_targets(
    errors: Float[Tensor, "b m"],
    lesion: Bool[Tensor, "b m"],
    score: Float[Tensor, "b m"],
    config: CategoryConsistencyConfig,
    progress: float,
) -> Float[Tensor, "b m"]:
    """Return the refined category of each masked patch in [0, 1], detached, in float32.

    c_i = (1 - eta) * y_i + eta * q_i, y the cluster's label or score, q the difficulty category.

    Args:
        errors: reconstruction error per masked patch.
        lesion: category of the masked patches.
        score: its confidence.
        config: which of the two is y, and the ramp of eta.
        progress: epoch / number of epochs, in [0, 1].
    """
    cluster = lesion.float() if config.category == "label" else score.float()
    eta = difficulty_share(config, progress)
    return (1 - eta) * cluster + eta * difficulty_categories(errors, lesion, config.temperature)


def difficulty_categories(
    errors: Float[Tensor, "b m"], lesion: Bool[Tensor, "b m"], temperature: float
) -> Float[Tensor, "b m"]:
    """Return q_i = sigmoid((d_i - threshold) / (temperature * std d)), detached, in float32.

    The threshold lets as many patches count as hard as there are lesion patches: it is midway
    between the n-th largest error and the next for n lesion patches of m, or the mean error if n is
    0 or m.
    """
    difficulty = errors.detach().float()
    m = difficulty.shape[1]
    num_lesion = lesion.sum(dim=1, keepdim=True)
    falling = difficulty.sort(dim=1, descending=True).values
    last_hard = falling.gather(1, (num_lesion - 1).clamp_min(0))
    first_easy = falling.gather(1, num_lesion.clamp_max(m - 1))
    separable = (num_lesion > 0) & (num_lesion < m)
    mean = difficulty.mean(dim=1, keepdim=True)
    threshold = torch.where(separable, (last_hard + first_easy) / 2, mean)
    spread = difficulty.std(dim=1, correction=0, keepdim=True)
    return ((difficulty - threshold) / (temperature * spread + _STD_FLOOR)).sigmoid()


def difficulty_share(config: CategoryConsistencyConfig, progress: float) -> float:
    """Return eta: 0 until `eta_start`, `eta_max` from `eta_end` on, linear between."""
    if progress >= config.eta_end:
        return config.eta_max
    if progress <= config.eta_start:
        return 0.0
    return config.eta_max * (progress - config.eta_start) / (config.eta_end - config.eta_start)


def _class_weight(share: Float[Tensor, "b m"]) -> Float[Tensor, "b 1"]:
    expected = 2 * share.sum(dim=1, keepdim=True)
    return (share.shape[1] / expected).clamp(*_BALANCE_LIMITS)
