"""Masking: which patches the encoder does not see, and how many of them."""

from typing import assert_never

from amlp.config import (
    BlockwiseMaskingConfig,
    MaskedPatchSelectionConfig,
    MaskingConfig,
    RandomMaskingConfig,
)
from amlp.masking.blockwise import BlockwiseMasking
from amlp.masking.categories import Categories, Clustering
from amlp.masking.centre_prior import CentrePrior
from amlp.masking.geodesic_saliency import GeodesicSaliency, outside_patches
from amlp.masking.k_means import KMeans
from amlp.masking.noise import by_falling_noise, draw_noise
from amlp.masking.patch_features import dark_patches, grey
from amlp.masking.patch_selection import MaskedPatchSelection, build_clustering
from amlp.masking.random_masking import RandomMasking
from amlp.masking.ratio import masking_ratio, num_masked
from amlp.masking.strategy import MaskingStrategy

__all__ = [
    "BlockwiseMasking",
    "Categories",
    "CentrePrior",
    "Clustering",
    "GeodesicSaliency",
    "KMeans",
    "MaskedPatchSelection",
    "MaskingStrategy",
    "RandomMasking",
    "build_clustering",
    "build_masking",
    "by_falling_noise",
    "dark_patches",
    "draw_noise",
    "grey",
    "masking_ratio",
    "num_masked",
    "outside_patches",
]


def build_masking(config: MaskingConfig, patch_size: int) -> MaskingStrategy:
    """Return the strategy that `config` describes."""
    match config:
        case RandomMaskingConfig():
            return RandomMasking(patch_size)
        case BlockwiseMaskingConfig():
            return BlockwiseMasking(config, patch_size)
        case MaskedPatchSelectionConfig():
            return MaskedPatchSelection(config, patch_size)
        case _:
            assert_never(config)
