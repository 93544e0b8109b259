"""A small checkpoint to write, damage and read."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from amlp.checkpoint import Architecture, CheckpointInfo, write_checkpoint
from amlp.config import EncoderConfig


@pytest.fixture
def info() -> CheckpointInfo:
    encoder = EncoderConfig(embed_dim=12, depth=1, num_heads=1)
    return CheckpointInfo(
        kind="pretrained",
        step=7,
        epoch=1,
        config={"kind": "pretrain"},
        architecture=Architecture(image_size=32, patch_size=8, channels=1, encoder=encoder),
        dataset_digest="sha256:0",
        seed=0,
        versions={},
    )


@pytest.fixture
def weights() -> dict[str, Tensor]:
    return {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1.5)}


@pytest.fixture
def written(tmp_path: Path, info: CheckpointInfo, weights: dict[str, Tensor]) -> Path:
    return write_checkpoint(tmp_path, info, weights=weights, state={"s": torch.ones(2)})[0]
