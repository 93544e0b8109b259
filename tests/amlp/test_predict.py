"""Prediction of image files."""

from pathlib import Path

import numpy as np
import pytest

from amlp.errors import Cancelled, ConfigError, UnreadableImage
from amlp.events import CaseEvaluated
from amlp.imageio import MedicalImage, read_image, read_label_map, write_canonical
from amlp.inference import Predictor
from amlp.manifest import Manifest
from amlp.predict import predict
from tests.tiny_runs import Recorder


def _images(phantoms: Path, count: int) -> list[Path]:
    return [phantoms / case.image for case in Manifest.load(phantoms).cases[:count]]


def test_every_image_gets_its_label_map_and_overlay(
    phantoms: Path, segmenter: Path, tmp_path: Path
) -> None:
    images = _images(phantoms, 2)

    result = predict(segmenter, images, tmp_path)

    assert len(result.files) == 4
    for path in images:
        expected = Predictor.load(segmenter).predict([read_image(path)])[0].label_map
        found = read_label_map(result.files[path.stem]).values
        assert np.array_equal(found, expected)
        assert result.files[f"{path.stem}/overlay"].suffix == ".png"


def test_a_volume_s_label_map_keeps_its_spacing(segmenter: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(size=(1, 3, 20, 24)).astype(np.float32)
    spacing = (3.0, 0.5, 0.75)
    volume = write_canonical(MedicalImage(pixels, spacing_mm=spacing), tmp_path, "volume")

    result = predict(segmenter, [volume], tmp_path / "out")

    found = read_label_map(result.files["volume"])
    assert found.values.shape == (3, 20, 24)
    assert found.spacing_mm == pytest.approx(spacing)


def test_images_of_one_stem_are_refused(phantoms: Path, segmenter: Path, tmp_path: Path) -> None:
    image = _images(phantoms, 1)[0]

    with pytest.raises(ConfigError, match="share the stem"):
        predict(segmenter, [image, image], tmp_path)


def test_what_is_no_image_is_refused(segmenter: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.png"
    file.write_text("no image at all, but long enough to be looked at")

    with pytest.raises(UnreadableImage):
        predict(segmenter, [file], tmp_path / "out")


def test_progress_is_told_and_stops_when_asked(
    phantoms: Path, segmenter: Path, tmp_path: Path
) -> None:
    listener = Recorder(stop_at=1)

    with pytest.raises(Cancelled, match="after 1 of 3"):
        predict(segmenter, _images(phantoms, 3), tmp_path, listener)

    assert [(event.done, event.total) for event in listener.of(CaseEvaluated)] == [(1, 3)]
