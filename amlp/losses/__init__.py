"""Losses of pretraining, each a pure function in float32."""

from amlp.losses.attention_reconstruction import attention_reconstruction_loss, attention_weights
from amlp.losses.category_consistency import (
    category_consistency_loss,
    category_targets,
    difficulty_categories,
    difficulty_share,
)
from amlp.losses.reconstruction import denormalize_patches, normalize_patches, patch_errors

__all__ = [
    "attention_reconstruction_loss",
    "attention_weights",
    "category_consistency_loss",
    "category_targets",
    "denormalize_patches",
    "difficulty_categories",
    "difficulty_share",
    "normalize_patches",
    "patch_errors",
]
