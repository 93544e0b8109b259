import csv

import numpy as np
import pytest
import torch
from PIL import Image

from amlp.patches import patchify


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
