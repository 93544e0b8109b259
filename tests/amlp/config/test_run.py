"""Parsing runs."""

import pytest

from amlp.config import (
    EvaluateConfig,
    FinetuneConfig,
    PretrainConfig,
    config_digest,
    parse_run_config,
)
from amlp.errors import ConfigError


@pytest.mark.parametrize(
    "config", [PretrainConfig(), PretrainConfig(preset="paper"), FinetuneConfig(), EvaluateConfig()]
)
def test_a_run_survives_its_own_json(config: PretrainConfig) -> None:
    assert parse_run_config(config.model_dump(mode="json")) == config


def test_several_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_run_config({"kind": "evaluate", "split": "all", "batch_size": 0})

    assert "split" in str(caught.value)
    assert "batch_size" in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "unknown"},
        {"kind": "pretrain", "seed": "1"},
        {"kind": "pretrain", "seed": 1.0},
        {"kind": "pretrain", "optimizer": {"lr": float("nan")}},
        {"kind": "pretrain", "surprise": 1},
        {"kind": "pretrain", "schema_version": 2},
    ],
)
def test_nothing_is_guessed_or_converted(data: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse_run_config(data)


def test_a_digest_names_what_is_computed() -> None:
    spelled_out = {**PretrainConfig(preset="mae").model_dump(mode="json"), "preset": "amlp"}

    assert config_digest(parse_run_config(spelled_out)) == config_digest(
        PretrainConfig(preset="mae")
    )
    assert config_digest(PretrainConfig()) != config_digest(PretrainConfig(seed=1))
