"""Fine-tuning a segmenter, evaluating it, and how it predicts."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from amlp.config.model import Config, Encoder, EncoderConfig, HeadConfig, UnetrHeadConfig
from amlp.config.training import AugmentationConfig, OptimizerConfig, ScheduleConfig, TrainingConfig


class ResizeConfig(Config):
    """The whole image is resized to the network's input and the result back to the image."""

    mode: Literal["resize"] = "resize"


class SlidingWindowConfig(Config):
    """Windows of the network's input size cover the image at its own resolution."""

    mode: Literal["sliding_window"] = "sliding_window"
    overlap: float = Field(0.25, ge=0, lt=1, description="Overlap of neighbouring windows")


InferenceConfig = Annotated[ResizeConfig | SlidingWindowConfig, Field(discriminator="mode")]


class SegmentationLossConfig(Config):
    """One of MONAI's segmentation losses."""

    name: Literal["dice_ce", "dice_focal", "tversky"] = Field(
        "dice_ce", description="Overlap part and pixel part of the sum"
    )
    dice_weight: float = Field(1.0, ge=0, description="Weight of the Dice part")
    pixel_weight: float = Field(1.0, ge=0, description="Weight of the cross entropy or focal part")


class FinetuneConfig(TrainingConfig):
    """Supervised segmentation, from a pretrained encoder where one is given."""

    kind: Literal["finetune"] = "finetune"
    image_size: int = Field(
        224, ge=16, le=1024, description="Side of the square input; positions are interpolated"
    )
    patch_size: int = Field(16, ge=2, le=64, description="Side of a patch; a checkpoint's own wins")
    encoder: Encoder = Field(
        default_factory=EncoderConfig, description="Used from scratch; a checkpoint's own wins"
    )
    head: HeadConfig = Field(default_factory=UnetrHeadConfig)
    inference: InferenceConfig = Field(default_factory=ResizeConfig)
    loss: SegmentationLossConfig = Field(default_factory=SegmentationLossConfig)
    batch_size: int = Field(16, ge=1, le=8192, description="Images an update, over all processes")
    optimizer: OptimizerConfig = Field(default_factory=lambda: OptimizerConfig(betas=(0.9, 0.999)))
    layer_decay: float = Field(
        0.75, gt=0, le=1, description="Factor on the rate per layer downwards"
    )
    drop_path: float = Field(0.1, ge=0, lt=1, description="Stochastic depth of the encoder")
    schedule: ScheduleConfig = Field(
        default_factory=lambda: ScheduleConfig(epochs=100, warmup_fraction=0.1)
    )
    augmentation: AugmentationConfig = Field(
        default_factory=lambda: AugmentationConfig(crop_scale=(0.65, 1.0), rotation_degrees=15.0)
    )

    @model_validator(mode="after")
    def _patches_fit(self) -> "FinetuneConfig":
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}"
            )
        return self


class EvaluateConfig(Config):
    """Metrics of a segmenter on one split, per case and with bootstrap intervals."""

    kind: Literal["evaluate"] = "evaluate"
    schema_version: Literal[1] = 1
    split: Literal["train", "validation", "test"] = Field(
        "test", description="Split to evaluate on"
    )
    bootstrap_samples: int = Field(1000, ge=100, le=100_000, description="Resamples of the cases")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Level of the intervals")
    batch_size: int = Field(16, ge=1, le=1024, description="Images a forward pass")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of the bootstrap")
