import csv

import numpy as np
import pytest
from PIL import Image

from amlp.errors import ConfigError
from amlp.phantom import generate_phantom, generate_phantoms


def pixels_of(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


def rows_of(folder):
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*.*")}


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    first = generate_phantoms(tmp_path / "a", 5, size=32, seed=3)
    second = generate_phantoms(tmp_path / "b", 5, size=32, seed=3)

    assert contents(first / "images") == contents(second / "images")
    assert contents(first / "masks") == contents(second / "masks")


def test_another_seed_gives_other_pictures(tmp_path):
    first = generate_phantoms(tmp_path / "a", 1, size=32, seed=3)
    second = generate_phantoms(tmp_path / "b", 1, size=32, seed=4)

    assert contents(first / "images") != contents(second / "images")


def test_every_image_has_a_binary_mask_of_its_size(tmp_path):
    folder = generate_phantoms(tmp_path, 6, size=48)

    for row in rows_of(folder):
        mask = pixels_of(folder / "masks" / f"{row['stem']}.png")
        assert mask.shape == pixels_of(folder / "images" / f"{row['stem']}.png").shape == (48, 48)
        assert set(np.unique(mask)) <= {0, 255}


def test_no_patient_is_in_two_splits(tmp_path):
    rows = rows_of(generate_phantoms(tmp_path, 60, size=32))

    splits = {}
    for row in rows:
        splits.setdefault(row["patient"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert max([row["patient"] for row in rows].count(patient) for patient in splits) == 2


def test_splits_are_about_70_10_20(tmp_path):
    rows = rows_of(generate_phantoms(tmp_path, 100, size=32))

    counts = [
        sum(row["split"] == split for row in rows) for split in ("train", "validation", "test")
    ]
    assert counts == pytest.approx([70, 10, 20], abs=6)


def test_only_training_patients_lose_their_masks(tmp_path):
    folder = generate_phantoms(tmp_path, 60, size=32, labelled_fraction=0.25)

    labelled = {path.stem for path in (folder / "masks").iterdir()}
    rows = rows_of(folder)
    assert all(row["stem"] in labelled for row in rows if row["split"] != "train")
    training = [row["stem"] in labelled for row in rows if row["split"] == "train"]
    assert np.mean(training) == pytest.approx(0.25, abs=0.1)


def test_a_tenth_has_no_lesion_and_lesions_are_darker_than_their_surroundings():
    phantoms = [generate_phantom(np.random.default_rng(seed), 64) for seed in range(120)]

    healthy = [phantom for phantom in phantoms if not phantom.lesion.any()]
    contrast = [
        phantom.pixels[~phantom.lesion].mean() - phantom.pixels[phantom.lesion].mean()
        for phantom in phantoms
        if phantom.lesion.any()
    ]
    assert 4 <= len(healthy) <= 22
    assert np.mean(np.array(contrast) > 0) > 0.9


def test_lesions_are_of_many_sizes_and_never_most_of_the_picture():
    fractions = [
        generate_phantom(np.random.default_rng(seed), 64).lesion.mean() for seed in range(60)
    ]

    assert max(fractions) < 0.3
    assert np.std(fractions) > 0.01


@pytest.mark.parametrize(
    "arguments", [{"count": 0}, {"count": 1, "size": 16}, {"count": 1, "labelled_fraction": 1.5}]
)
def test_arguments_out_of_range_are_refused(tmp_path, arguments):
    with pytest.raises(ConfigError):
        generate_phantoms(tmp_path, **arguments)
