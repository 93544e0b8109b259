"""Fixtures for all tests of the library."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from amlp.finetune import finetune
from amlp.patches import patchify
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


@pytest.fixture
def real_images(real_data):
    """Images with a lesion of a named set, and which of their patches are lesion."""

    def load(name, mode, count):
        folder = real_data / name
        with (folder / "manifest.csv").open() as file:
            rows = [r for r in csv.DictReader(file) if r["split"] == "test"]
        rows = [row for row in rows if float(row["lesion_frac"]) > 0][:count]
        images = [_pixels(folder / row["image"], mode, Image.Resampling.BILINEAR) for row in rows]
        masks = [_pixels(folder / row["mask"], "L", Image.Resampling.NEAREST) for row in rows]
        lesion = patchify((torch.stack(masks) > 127).float(), 16).mean(dim=2) >= 0.25
        return torch.stack(images), lesion

    return load


def _pixels(path, mode, resampling):
    with Image.open(path) as file:
        resized = file.convert(mode).resize((224, 224), resampling)
    return torch.from_numpy(np.atleast_3d(np.array(resized))).permute(2, 0, 1).float()
