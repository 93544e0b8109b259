"""Pretraining: masked image modelling, with the four parts of AMLP each switchable."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from amlp.config.masking import (
    AdaptiveRatioConfig,
    MaskedPatchSelectionConfig,
    MaskingConfig,
    RatioConfig,
)
from amlp.config.model import Config, DecoderConfig, Encoder, EncoderConfig
from amlp.config.training import AugmentationConfig, ScheduleConfig, TrainingConfig


class AttentionReconstructionConfig(Config):
    """Attention reconstruction loss (ARL): hard-to-reconstruct patches weigh more."""

    weighting: Literal["none", "ratio", "softmax"] = Field(
        "ratio", description="none is MAE's mean"
    )
    gamma: float = Field(1.0, ge=0, le=4, description="Exponent of the difficulty, ratio weighting")
    temperature: float = Field(1.0, gt=0, description="Temperature, softmax weighting")
    max_weight: float | None = Field(
        None, gt=1, description="Clamp of a patch's weight; null for none"
    )
    strength: float = Field(
        0.25, ge=0, le=1, description="Share of the weighting at the end of its ramp"
    )
    ramp_fraction: float = Field(
        0.05, ge=0, le=1, description="Share of the epochs spent ramping up"
    )


class CategoryConsistencyConfig(Config):
    """Category consistency loss (CCL): a head predicts categories refined by difficulty."""

    weight: float = Field(
        0.1, ge=0, le=100, description="Weight in the total loss; 0 switches it off"
    )
    category: Literal["label", "score"] = Field(
        "label", description="What the clusters say of a patch"
    )
    eta_max: float = Field(
        0.5, ge=0, le=1, description="Final share of the difficulty in the target"
    )
    eta_start: float = Field(0.05, ge=0, le=1, description="Share of the epochs before eta rises")
    eta_end: float = Field(
        0.25, ge=0, le=1, description="Share of the epochs after which eta is eta_max"
    )
    temperature: float = Field(0.5, gt=0, description="Softness of the difficulty categories")
    balance: bool = Field(False, description="Weigh the two categories equally in each image")


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "amlp": {},
    "amlp-kmeans": {
        "masking": {
            "strategy": "masked_patch_selection",
            "clustering": {"rule": "k_means"},
            "selection": {"mode": "hard"},
        },
        "ratio": {"schedule": "adaptive", "end": 0.75},
        "attention_reconstruction": {"strength": 1.0},
    },
    "paper": {
        "masking": {
            "strategy": "masked_patch_selection",
            "clustering": {
                "rule": "k_means",
                "features": "pixel",
                "foreground": False,
                "lesion_rule": "smallest",
            },
            "selection": {"mode": "hard", "alpha": 1.0, "gamma": 1.0},
        },
        "ratio": {"schedule": "adaptive", "end": 0.75},
        "attention_reconstruction": {"strength": 1.0},
    },
    "mae": {
        "masking": {"strategy": "random"},
        "ratio": {"schedule": "constant"},
        "attention_reconstruction": {"weighting": "none"},
        "category_consistency": {"weight": 0.0},
        "optimizer": {"clip_norm": None},
    },
}
"""Starting points (docs/method.md): `amlp` ships, `paper` is the plainest reading of the abstract,
`mae` has all four parts off, `amlp-kmeans` is the best k-means reading tried."""


class PretrainConfig(TrainingConfig):
    """Self-supervised pretraining of an encoder on unlabelled images."""

    kind: Literal["pretrain"] = "pretrain"
    preset: Literal["amlp", "amlp-kmeans", "paper", "mae"] = Field(
        "amlp", description="Starting point for every value that is not given"
    )
    image_size: int = Field(224, ge=16, le=1024, description="Side of the square input, pixels")
    patch_size: int = Field(
        16, ge=2, le=64, description="Side of a patch, pixels; divides image_size"
    )
    encoder: Encoder = Field(default_factory=EncoderConfig)
    decoder: DecoderConfig = Field(default_factory=DecoderConfig)
    masking: MaskingConfig = Field(default_factory=MaskedPatchSelectionConfig)
    ratio: RatioConfig = Field(default_factory=AdaptiveRatioConfig)
    mask_count: Literal["round", "mae"] = Field(
        "round", description="Patches masked at a ratio: rounded, or MAE's n - int(n * (1 - ratio))"
    )
    norm_pix_loss: bool = Field(
        False, description="Reconstruct patches normalised to mean 0, variance 1"
    )
    attention_reconstruction: AttentionReconstructionConfig = Field(
        default_factory=AttentionReconstructionConfig
    )
    category_consistency: CategoryConsistencyConfig = Field(
        default_factory=CategoryConsistencyConfig
    )
    schedule: ScheduleConfig = Field(default_factory=ScheduleConfig)
    augmentation: AugmentationConfig = Field(default_factory=AugmentationConfig)
    transductive: bool = Field(
        False, description="Also use validation and test images; evaluation is then not independent"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, data: Any) -> Any:  # raw input of a validator can be anything
        if isinstance(data, dict) and data.get("preset") in PRESETS:
            return overlay(PRESETS[data["preset"]], data)
        return data

    @model_validator(mode="after")
    def _patches_fit(self) -> "PretrainConfig":
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}"
            )
        if self.image_size < 2 * self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} holds fewer than 2 x 2 patches "
                f"of {self.patch_size} pixels"
            )
        return self


_VARIANT_KEYS = ("strategy", "schedule", "rule", "mode", "name")


def overlay(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `given` laid over it, mapping by mapping.

    A mapping of another variant (another `strategy`, `rule`, ...) replaces the base's altogether.
    """
    merged = dict(base)
    for key, value in given.items():
        below = merged.get(key)
        if (
            isinstance(below, Mapping)
            and isinstance(value, Mapping)
            and _same_variant(below, value)
        ):
            merged[key] = overlay(below, value)
        else:
            merged[key] = value
    return merged


def _same_variant(base: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    return all(base.get(key) == given[key] for key in _VARIANT_KEYS if key in given and key in base)
