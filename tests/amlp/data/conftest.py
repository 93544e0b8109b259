"""The phantoms' data set, and one of volumes."""

from pathlib import Path

import numpy as np
import pytest

from amlp.data import Dataset
from amlp.imageio import LabelMap, MedicalImage, write_canonical, write_label_map
from amlp.manifest import Case, Manifest


@pytest.fixture
def pictures(phantoms: Path) -> Dataset:
    return Dataset(phantoms, Manifest.load(phantoms))


@pytest.fixture
def volumes(tmp_path: Path) -> Dataset:
    """Two volumes of 3 and 2 slices, float, of two channels and two sizes; one slice is flat."""
    cases = []
    for number, (z, y, x) in enumerate(((3, 20, 24), (2, 16, 16))):
        generator = np.random.default_rng(number)
        pixels = generator.normal(size=(2, z, y, x)).astype(np.float32)
        if number == 0:
            pixels[:, 0] = 0
        labels = np.zeros((z, y, x), dtype=np.uint8)
        labels[1, 4:9, 4:9] = 1 + number
        spacing = (2.0, 0.5, 0.5)
        image = write_canonical(MedicalImage(pixels, spacing_mm=spacing), tmp_path, f"i{number}")
        mask = write_label_map(LabelMap(labels, spacing_mm=spacing), tmp_path, f"m{number}")
        cases.append(
            Case(
                case_id=f"volume{number}",
                patient=f"patient{number}",
                split="train",
                image=image.name,
                image_sha256="",
                mask=mask.name,
                mask_sha256="",
                num_slices=z,
                height=y,
                width=x,
                spacing_mm=spacing,
                labels=(1 + number,),
            )
        )
    names = ("background", "lesion", "cyst")
    manifest = Manifest(name="volumes", channels=2, label_names=names, cases=tuple(cases))
    return Dataset(tmp_path, manifest)
