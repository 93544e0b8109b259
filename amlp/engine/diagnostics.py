"""What to watch in pretraining: does masking find lesions, and is hard the same as lesion?"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from amlp.patches import PatchMask


def mask_diagnostics(mask: PatchMask) -> dict[str, Tensor]:
    """Return scalars of a batch's masks.

    `lesion_share` is the share of patches taken for lesions (below .05 or above .5 the rule does
    not fit the images), `degenerate_share` that of images without categories, `masked_lesion_share`
    that of lesion patches which are masked (NaN without lesion patches), `visible_lesion_share` the
    rest of them.
    """
    lesion = mask.lesion.float()
    masked_lesion = (mask.lesion & mask.masked).float().sum() / lesion.sum()
    return {
        "lesion_share": lesion.mean(),
        "degenerate_share": mask.degenerate.float().mean(),
        "masked_lesion_share": masked_lesion,
        "visible_lesion_share": 1 - masked_lesion,
    }


def difficulty_diagnostics(
    errors: Float[Tensor, "b m"],
    lesion: Bool[Tensor, "b m"],
    weights: Float[Tensor, "b m"],
) -> dict[str, Tensor]:
    """Return scalars of how reconstruction errors relate to categories.

    `difficulty/lesion` and `difficulty/background` are mean errors (NaN without such patches),
    `harder_lesion_share` is the share of images, of those with both, whose lesion patches are the
    harder, `effective_sample_share` is (sum w)^2 / (m sum w^2), 1 for equal weights.
    """
    errors, inside = errors.detach().float(), lesion.float()
    outside = 1 - inside
    in_mean = (errors * inside).sum(1) / inside.sum(1)
    out_mean = (errors * outside).sum(1) / outside.sum(1)
    both = (in_mean - out_mean).isfinite()
    effective = weights.sum(1).square() / (weights.shape[1] * weights.square().sum(1))
    return {
        "difficulty/lesion": (errors * inside).sum() / inside.sum(),
        "difficulty/background": (errors * outside).sum() / outside.sum(),
        "harder_lesion_share": ((in_mean > out_mean) & both).float().sum() / both.float().sum(),
        "effective_sample_share": effective.mean(),
        "max_weight": weights.max(),
    }


def category_diagnostics(
    logits: Float[Tensor, "b m"],
    hard: Float[Tensor, "b m"],
    lesion: Bool[Tensor, "b m"],
) -> dict[str, Tensor]:
    """Return how often head, difficulty category `hard` and cluster agree, and the head's AUC.

    The AUC is that of the head's logits for the clusters' label, by the rank sum over the batch;
    NaN with one category only.
    """
    agreement = ((hard > 0.5) == lesion).float().mean()
    flat, label = logits.detach().float().flatten(), lesion.flatten().float()
    ranks = torch.empty_like(flat)
    ranks[flat.argsort()] = torch.arange(1, len(flat) + 1, device=flat.device, dtype=flat.dtype)
    num_lesion = label.sum()
    surplus = (ranks * label).sum() - num_lesion * (num_lesion + 1) / 2
    return {
        "difficulty_agreement": agreement,
        "head_agreement": ((logits.detach() > 0) == lesion).float().mean(),
        "head_auc": surplus / (num_lesion * (len(flat) - num_lesion)),
    }
