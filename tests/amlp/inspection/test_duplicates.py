"""Near-duplicates, planted and real."""

import csv
import io
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from amlp.imageio import read_image
from amlp.inspection.duplicates import (
    near_duplicates,
    patients_across_splits,
    perceptual_hashes,
    thumbnail_of,
)
from amlp.manifest import Case
from amlp.phantom import generate_phantom


def phantom(seed, size=128):
    return generate_phantom(np.random.default_rng(seed), size).pixels[None]


def resized(pixels, size):
    return np.asarray(Image.fromarray(pixels[0]).resize(size, Image.Resampling.BILINEAR))[None]


def as_jpeg(pixels, quality=40):
    file = io.BytesIO()
    Image.fromarray(pixels[0]).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))[None]


def brighter(pixels):
    return np.clip(pixels * 0.8 + 30, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "copied",
    [lambda p: p, lambda p: resized(p, (180, 90)), as_jpeg, brighter],
    ids=["equal", "resized", "jpeg", "brighter"],
)
def test_planted_copies_are_found_and_nothing_else(copied) -> None:
    originals = [phantom(seed) for seed in range(12)]
    pictures = [*originals, copied(originals[3]), copied(originals[7])]

    pairs = near_duplicates(np.stack([thumbnail_of(picture) for picture in pictures]))

    assert {(pair.first, pair.second) for pair in pairs} == {(3, 12), (7, 13)}
    assert all(pair.correlation > 0.98 for pair in pairs)


def test_pairs_are_those_of_a_plain_loop(monkeypatch) -> None:
    monkeypatch.setattr("amlp.inspection.duplicates._BLOCK", 4)
    base = [phantom(seed) for seed in range(6)]
    thumbnails = np.stack([thumbnail_of(p) for p in [*base, *map(as_jpeg, base)]])

    pairs = near_duplicates(thumbnails)

    hashes = perceptual_hashes(thumbnails)
    expected = {
        (i, j)
        for i, j in combinations(range(12), 2)
        if (hashes[i] != hashes[j]).sum() <= 16 and (thumbnails[i] * thumbnails[j]).sum() >= 0.98
    }
    assert {(pair.first, pair.second) for pair in pairs} == expected


def test_constant_images_are_no_duplicates() -> None:
    flat = np.full((1, 64, 64), 7, dtype=np.uint8)

    assert near_duplicates(np.stack([thumbnail_of(flat)] * 3)) == []


def test_colour_and_its_grey_copy_are_one_picture() -> None:
    grey = phantom(1)

    assert np.allclose(thumbnail_of(grey), thumbnail_of(np.repeat(grey, 3, axis=0)))


def test_patients_in_two_splits_are_named() -> None:
    cases = [
        Case(
            case_id=f"{number}",
            patient=patient,
            split=split,
            image="x",
            image_sha256="x",
            height=1,
            width=1,
        )
        for number, (patient, split) in enumerate(
            [("b", "train"), ("a", "train"), ("b", "test"), ("a", "train"), ("c", "test")]
        )
    ]

    assert patients_across_splits(cases) == ["b"]


def test_known_near_duplicates_of_real_ultrasound_are_found(real_data) -> None:
    folder = real_data / "busi"
    with (folder / "manifest.csv").open() as file:
        rows = list(csv.DictReader(file))
    thumbnails = [thumbnail_of(read_image(folder / r["image"]).pixels[:, 0]) for r in rows]

    pairs = near_duplicates(np.stack(thumbnails))

    alike = sum(rows[pair.first]["group"] == rows[pair.second]["group"] for pair in pairs)
    known = sum(n * (n - 1) // 2 for n in Counter(row["group"] for row in rows).values())
    assert known >= 89
    assert alike >= 80
    assert alike / len(pairs) > 0.75
