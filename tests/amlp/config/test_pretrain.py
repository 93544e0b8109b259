"""Presets of pretraining."""

import pytest
from pydantic import ValidationError

from amlp.config import (
    PRESETS,
    AdaptiveRatioConfig,
    GeodesicSaliencyConfig,
    KMeansConfig,
    MaskedPatchSelectionConfig,
    PretrainConfig,
    RandomMaskingConfig,
)
from amlp.config.pretrain import overlay


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_valid_run(preset: str) -> None:
    assert PretrainConfig(preset=preset).preset == preset  # type: ignore[arg-type]


def test_the_mae_preset_has_all_four_parts_off() -> None:
    config = PretrainConfig(preset="mae")

    assert isinstance(config.masking, RandomMaskingConfig)
    assert config.ratio.model_dump() == {"schedule": "constant", "ratio": 0.75}
    assert config.attention_reconstruction.weighting == "none"
    assert config.category_consistency.weight == 0


def test_the_shipped_preset_is_capped_and_ends_below_mae_s_ratio() -> None:
    config = PretrainConfig()

    assert isinstance(config.masking, MaskedPatchSelectionConfig)
    assert isinstance(config.masking.clustering, GeodesicSaliencyConfig)
    assert config.masking.selection.model_dump() == {"mode": "soft", "beta": 2.0, "guided": 0.5}
    assert isinstance(config.ratio, AdaptiveRatioConfig)
    assert config.ratio.end == 0.6
    assert config.attention_reconstruction.strength == 0.25


def test_given_values_win_over_the_preset_s() -> None:
    config = PretrainConfig(preset="paper", ratio={"end": 0.7})  # type: ignore[arg-type]

    assert isinstance(config.masking, MaskedPatchSelectionConfig)
    assert isinstance(config.masking.clustering, KMeansConfig)
    assert config.ratio.model_dump()["end"] == 0.7


def test_another_variant_replaces_the_preset_s_altogether() -> None:
    merged = overlay(
        {"masking": {"strategy": "random", "x": 1}, "seed": 1},
        {"masking": {"strategy": "blockwise"}},
    )

    assert merged == {"masking": {"strategy": "blockwise"}, "seed": 1}


@pytest.mark.parametrize(
    "values",
    [
        {"image_size": 100},
        {"image_size": 16},
        {"ratio": {"start": 0.7, "end": 0.6}},
        {"encoder": {"embed_dim": 100, "num_heads": 3}},
        {"encoder": "vit_giant"},
        {"augmentation": {"crop_scale": [0.9, 0.5]}},
        {"optimizer": {"betas": [0.9, 1.0]}},
    ],
)
def test_contradictions_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PretrainConfig(**values)  # type: ignore[arg-type]


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        PretrainConfig().seed = 3  # type: ignore[misc]
