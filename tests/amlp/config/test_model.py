"""Networks by name, and variants by default."""

import pytest

from amlp.config import ENCODERS, FinetuneConfig, PretrainConfig, UnetrHeadConfig


@pytest.mark.parametrize("name", ENCODERS)
def test_an_encoder_can_be_named(name: str) -> None:
    config = PretrainConfig(encoder=name)  # type: ignore[arg-type]

    assert config.encoder.model_dump() == {**ENCODERS[name], "mlp_ratio": 4.0}


def test_a_variant_left_unnamed_is_the_default_one() -> None:
    config = FinetuneConfig(head={"channels": 16})  # type: ignore[arg-type]

    assert config.head == UnetrHeadConfig(channels=16)
