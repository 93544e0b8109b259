"""What every training run shares: optimisation, schedule, augmentation, numerics."""

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from amlp.config.model import Config

Interval = Annotated[tuple[float, float], Strict(False)]  # JSON and YAML have lists only


class OptimizerConfig(Config):
    """AdamW with MAE's settings; one-dimensional parameters and tokens are not decayed."""

    lr: float = Field(5e-4, gt=0, le=1, description="Peak learning rate at the given batch size")
    weight_decay: float = Field(0.05, ge=0, le=1, description="Decoupled weight decay")
    betas: Interval = Field((0.9, 0.95), description="AdamW's moment decay rates")
    clip_norm: float | None = Field(1.0, gt=0, description="Gradient norm limit; null for none")

    @model_validator(mode="after")
    def _betas_below_one(self) -> "OptimizerConfig":
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas} must lie in [0, 1)")
        return self


class ScheduleConfig(Config):
    """Linear warm-up, then a cosine to zero, stepped once an update."""

    epochs: int = Field(200, ge=1, le=100_000, description="Passes over the training split")
    warmup_fraction: float = Field(
        0.05, ge=0, lt=1, description="Share of the updates spent warming up"
    )


class AugmentationConfig(Config):
    """Random resized crop and flips; pretraining uses the first two only."""

    crop_scale: Interval = Field((0.5, 1.0), description="Area of the random crop over the image's")
    horizontal_flip: bool = Field(True, description="Flip left-right with probability 1/2")
    rotation_degrees: float = Field(
        0.0, ge=0, le=180, description="Largest rotation, fine-tuning only"
    )

    @model_validator(mode="after")
    def _scale_is_an_interval(self) -> "AugmentationConfig":
        low, high = self.crop_scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"crop_scale {self.crop_scale} must satisfy 0 < low <= high <= 1")
        return self


class TrainingConfig(Config):
    """Fields common to pretraining and fine-tuning."""

    schema_version: Literal[1] = 1
    batch_size: int = Field(64, ge=1, le=8192, description="Images an update, over all processes")
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="Autocast type; auto is bf16 where the device computes in it"
    )
    seed: int = Field(
        0, ge=0, lt=2**31, description="Seed of weights, order, augmentation and masks"
    )
    deterministic: bool = Field(False, description="Refuse operations whose result may vary")
    checkpoint_every: int = Field(
        10, ge=1, le=100_000, description="Epochs between checkpoints; the last is always written"
    )
