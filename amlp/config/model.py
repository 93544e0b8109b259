"""Shape of the networks: encoder, decoder, segmentation head."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel as PydanticModel
from pydantic import BeforeValidator, ConfigDict, Field, model_validator


class Config(PydanticModel):
    """Base of every config: immutable, no unknown field, no NaN, no silent type conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _unnamed_variants_are_the_default_ones(cls, data: Any) -> Any:  # raw input can be anything
        if not isinstance(data, dict):
            return data
        named = dict(data)
        for field, info in cls.model_fields.items():
            tag, given = info.discriminator, data.get(field)
            if isinstance(tag, str) and isinstance(given, dict) and tag not in given:
                default = info.get_default(call_default_factory=True, validated_data={})
                named[field] = {tag: getattr(default, tag), **given}
        return named


class EncoderConfig(Config):
    """A ViT encoder that sees visible patches only (He et al. 2022, arXiv 2111.06377)."""

    embed_dim: int = Field(384, ge=12, le=2048, multiple_of=4, description="Token width d")
    depth: int = Field(12, ge=1, le=48, description="Number of transformer blocks")
    num_heads: int = Field(6, ge=1, le=32, description="Attention heads; must divide embed_dim")
    mlp_ratio: float = Field(4.0, gt=0, le=8, description="MLP width over embed_dim")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "EncoderConfig":
        if self.embed_dim % self.num_heads:
            raise ValueError(
                f"embed_dim {self.embed_dim} is not a multiple of num_heads {self.num_heads}"
            )
        return self


ENCODERS = {
    "vit_tiny": {"embed_dim": 192, "depth": 12, "num_heads": 3},
    "vit_small": {"embed_dim": 384, "depth": 12, "num_heads": 6},
    "vit_base": {"embed_dim": 768, "depth": 12, "num_heads": 12},
    "vit_large": {"embed_dim": 1024, "depth": 24, "num_heads": 16},
}
"""The usual ViT sizes by their timm names; any of them may stand for an encoder in a config."""


def _encoder_by_name(value: Any) -> Any:  # raw input of a validator can be anything
    if isinstance(value, str):
        if value not in ENCODERS:
            raise ValueError(f"unknown encoder {value!r}, expected one of {sorted(ENCODERS)}")
        return ENCODERS[value]
    return value


Encoder = Annotated[EncoderConfig, BeforeValidator(_encoder_by_name)]


class DecoderConfig(Config):
    """MAE's light decoder over all tokens, used in pretraining only."""

    embed_dim: int = Field(256, ge=12, le=2048, multiple_of=4, description="Token width")
    depth: int = Field(4, ge=1, le=16, description="Number of transformer blocks")
    num_heads: int = Field(8, ge=1, le=32, description="Attention heads; must divide embed_dim")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "DecoderConfig":
        if self.embed_dim % self.num_heads:
            raise ValueError(
                f"embed_dim {self.embed_dim} is not a multiple of num_heads {self.num_heads}"
            )
        return self


class UnetrHeadConfig(Config):
    """Convolutional pyramid over encoder tokens of four depths (after UNETR, in 2-D)."""

    name: Literal["unetr2d"] = "unetr2d"
    channels: int = Field(32, ge=8, le=256, description="Channels at full resolution")


class LinearHeadConfig(Config):
    """One linear layer on the last tokens, upsampled: a probe of the encoder."""

    name: Literal["linear"] = "linear"


HeadConfig = Annotated[UnetrHeadConfig | LinearHeadConfig, Field(discriminator="name")]
