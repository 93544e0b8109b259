"""The predictor that evaluation, prediction and the service share."""

import json
from pathlib import Path

import numpy as np
import pytest

from amlp.checkpoint import read_info
from amlp.errors import CheckpointError, GeometryMismatch
from amlp.imageio import MedicalImage
from amlp.inference import Predictor
from amlp.pretrain import pretrain
from tests.tiny_runs import pretrain_config


@pytest.fixture(scope="module")
def predictor(segmenter: Path) -> Predictor:
    return Predictor.load(segmenter, device="cpu", precision="fp32")


def _image(z: int = 1, y: int = 40, x: int = 52, seed: int = 0) -> MedicalImage:
    generator = np.random.default_rng(seed)
    return MedicalImage(generator.integers(0, 256, (1, z, y, x), dtype=np.uint8))


def test_a_prediction_lies_on_the_image_s_grid(predictor: Predictor) -> None:
    prediction = predictor.predict([_image(z=3)])[0]

    assert prediction.label_map.shape == (3, 40, 52)
    assert prediction.label_map.dtype == np.uint8
    assert prediction.probabilities.shape == (2, 3, 40, 52)
    assert prediction.probabilities.dtype == np.float32
    assert np.allclose(prediction.probabilities.sum(0), 1, atol=1e-5)
    assert np.array_equal(prediction.label_map, prediction.probabilities.argmax(0))


def test_images_together_are_predicted_as_alone(predictor: Predictor) -> None:
    images = [_image(seed=0), _image(y=30, seed=1), _image(z=2, seed=2), _image(seed=3)]

    together = predictor.predict(images)

    for image, prediction in zip(images, together, strict=True):
        alone = predictor.predict([image])[0]
        assert np.allclose(prediction.probabilities, alone.probabilities, atol=1e-5)


def test_no_image_has_no_prediction(predictor: Predictor) -> None:
    assert predictor.predict([]) == []


def test_time_is_told_by_stage(predictor: Predictor) -> None:
    seconds = predictor.predict([_image()])[0].seconds

    assert 0 < seconds["network"] <= seconds["total"]


def test_grey_stored_as_colour_is_accepted(predictor: Predictor) -> None:
    grey = _image()
    colour = MedicalImage(np.repeat(grey.pixels, 3, axis=0))

    first, second = predictor.predict([grey, colour])

    assert np.allclose(first.probabilities, second.probabilities, atol=1e-5)


def test_other_channels_are_refused(predictor: Predictor) -> None:
    with pytest.raises(GeometryMismatch, match="2 channels, expected 1"):
        predictor.predict([MedicalImage(np.zeros((2, 1, 16, 16), dtype=np.uint8))])


def test_it_knows_its_classes_and_origin(predictor: Predictor, segmenter: Path) -> None:
    assert predictor.label_names == ("background", "lesion")
    assert predictor.channels == 1
    assert predictor.info == read_info(segmenter)


def test_a_pretrained_encoder_is_no_segmenter(phantoms: Path, tmp_path: Path) -> None:
    checkpoint = pretrain(pretrain_config(1), phantoms, tmp_path).checkpoint
    assert checkpoint is not None

    with pytest.raises(CheckpointError, match="kind pretrained, expected segmenter"):
        Predictor.load(checkpoint)


@pytest.mark.parametrize(
    ("path", "value"),
    [(("config", "kind"), "nonsense"), (("architecture", "label_names"), ["background"])],
)
def test_a_checkpoint_that_contradicts_itself_is_refused(
    path: tuple[str, str], value: object, segmenter: Path, tmp_path: Path
) -> None:
    values = json.loads((segmenter / "checkpoint.json").read_text())
    values[path[0]][path[1]] = value
    (tmp_path / "checkpoint.json").write_text(json.dumps(values))

    with pytest.raises(CheckpointError):
        Predictor.load(tmp_path)
