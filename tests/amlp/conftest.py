"""Fixtures for all tests of the library."""

from pathlib import Path

import pytest
import torch

from amlp.finetune import finetune
from tests.tiny_runs import finetune_config, write_data_set


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("phantoms"))


@pytest.fixture(scope="session")
def segmenter(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fine-tuned checkpoint, hardly trained."""
    folder = tmp_path_factory.mktemp("segmenter")
    checkpoint = finetune(finetune_config(epochs=1), phantoms, folder).checkpoint
    assert checkpoint is not None
    return checkpoint
