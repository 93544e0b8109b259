"""What is masked (strategy) and how much of it (ratio).

Masked patch selection (MPS) and the adaptive masking ratio (AMR) are named in the AMLP abstract
(arXiv 2309.04312); every formula and default here is ours, see docs/method.md.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from amlp.config.model import Config

Polarity = Literal[1, -1]


class RandomMaskingConfig(Config):
    """MAE's masking: every patch is equally likely."""

    strategy: Literal["random"] = "random"


class BlockwiseMaskingConfig(Config):
    """Rectangular blocks, as in BEiT (Bao et al. 2021, arXiv 2106.08254)."""

    strategy: Literal["blockwise"] = "blockwise"
    min_patches: int = Field(4, ge=1, le=256, description="Smallest block, in patches")
    max_aspect: float = Field(3.0, ge=1, le=10, description="Largest height:width of a block")


class GeodesicSaliencyConfig(Config):
    """Score a patch by its contrast distance from the border of the valid region (ours)."""

    rule: Literal["geodesic_saliency"] = "geodesic_saliency"
    dark_threshold: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Grey level, in the image's range, below which a pixel is dark",
    )
    edge_quantile: float = Field(
        0.2, ge=0, le=0.9, description="Quantile of neighbour differences treated as noise"
    )
    polarity: Polarity = Field(1, description="-1 for images with a white background")


class KMeansConfig(Config):
    """Cluster patches of each image and take one cluster for lesions (plain reading of MPS)."""

    rule: Literal["k_means"] = "k_means"
    features: Literal["pixel", "stats_context"] = Field(
        "stats_context", description="What is clustered"
    )
    num_clusters: int = Field(2, ge=2, le=8, description="k")
    max_iterations: int = Field(20, ge=1, le=100, description="Lloyd iterations")
    foreground: bool = Field(
        True, description="Leave empty background patches out of the clustering"
    )
    polarity: Polarity = Field(1, description="-1 for images with a white background")
    lesion_rule: Literal["smallest", "size_border", "least_border", "brightest", "darkest"] = Field(
        "size_border", description="Which cluster holds the lesions"
    )


class CentrePriorConfig(Config):
    """Score a patch by its nearness to the image's centre: a control that sees no pixel."""

    rule: Literal["centre"] = "centre"
    width: float = Field(
        0.5, gt=0, le=4, description="Standard deviation; 1 is from the centre to an edge"
    )


ClusteringConfig = Annotated[
    GeodesicSaliencyConfig | KMeansConfig | CentrePriorConfig, Field(discriminator="rule")
]


class SoftSelectionConfig(Config):
    """Mask patches with probability that grows with their score; a capped share is guided."""

    mode: Literal["soft"] = "soft"
    beta: float = Field(
        2.0, ge=0, le=20, description="Weight of the score against noise; 0 is random"
    )
    guided: float = Field(
        0.5, ge=0, le=1, description="Share of the masked patches chosen by score"
    )


class HardSelectionConfig(Config):
    """Mask lesion patches first."""

    mode: Literal["hard"] = "hard"
    alpha: float = Field(0.75, ge=0, le=1, description="Largest share of the mask spent on lesions")
    gamma: float = Field(0.9, ge=0, le=1, description="Largest share of the lesion patches masked")


SelectionConfig = Annotated[SoftSelectionConfig | HardSelectionConfig, Field(discriminator="mode")]


class MaskedPatchSelectionConfig(Config):
    """Masked patch selection (MPS): find likely lesions without labels and mask them more often."""

    strategy: Literal["masked_patch_selection"] = "masked_patch_selection"
    clustering: ClusteringConfig = Field(default_factory=GeodesicSaliencyConfig)
    selection: SelectionConfig = Field(default_factory=SoftSelectionConfig)


MaskingConfig = Annotated[
    RandomMaskingConfig | BlockwiseMaskingConfig | MaskedPatchSelectionConfig,
    Field(discriminator="strategy"),
]


class ConstantRatioConfig(Config):
    """The same masking ratio throughout (MAE: 0.75)."""

    schedule: Literal["constant"] = "constant"
    ratio: float = Field(0.75, gt=0, lt=1, description="Share of patches masked")


class AdaptiveRatioConfig(Config):
    """Adaptive masking ratio (AMR): rises from `start` to `end` over the first epochs."""

    schedule: Literal["adaptive"] = "adaptive"
    start: float = Field(0.25, gt=0, lt=1, description="Ratio in the first epoch")
    end: float = Field(0.6, gt=0, lt=1, description="Ratio at the end of the ramp")
    ramp_fraction: float = Field(1.0, gt=0, le=1, description="Share of the epochs spent rising")
    shape: Literal["linear", "cosine", "sqrt", "quadratic"] = Field("linear", description="Curve")

    @model_validator(mode="after")
    def _ratio_rises(self) -> "AdaptiveRatioConfig":
        if self.end < self.start:
            raise ValueError(f"end {self.end} is below start {self.start}: the ratio must not fall")
        return self


RatioConfig = Annotated[ConstantRatioConfig | AdaptiveRatioConfig, Field(discriminator="schedule")]
