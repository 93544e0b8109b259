"""Evaluation end to end on phantoms."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from amlp.checkpoint import read_info
from amlp.config import EvaluateConfig
from amlp.errors import Cancelled, EmptyDataset, GeometryMismatch
from amlp.evaluate import evaluate
from amlp.events import CaseEvaluated, Picture
from amlp.finetune import finetune
from amlp.imageio import read_image, read_label_map
from amlp.inference import Predictor
from amlp.manifest import Manifest
from amlp.metrics import EvaluationReport
from tests.tiny_runs import Recorder, finetune_config

CONFIG = EvaluateConfig(bootstrap_samples=100)


def _slow_dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    if not predicted.any() and not truth.any():
        return 1.0
    return float(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))


def test_each_case_is_scored_on_its_own_grid(
    phantoms: Path, segmenter: Path, tmp_path: Path
) -> None:
    result = evaluate(CONFIG, phantoms, segmenter, tmp_path)

    report = EvaluationReport.model_validate_json(result.files["evaluation"].read_text())
    predictor = Predictor.load(segmenter)
    by_id = {case.case_id: case for case in Manifest.load(phantoms).cases}
    assert len(report.cases) == len(Manifest.load(phantoms).of_split("test"))
    for scores in report.cases:
        case = by_id[scores.case_id]
        predicted = predictor.predict([read_image(phantoms / case.image)])[0].label_map
        truth = read_label_map(phantoms / str(case.mask)).values
        expected = _slow_dice(predicted == 1, truth == 1)
        assert scores.classes["lesion"]["dice"] == pytest.approx(expected, abs=0.02)


def test_the_report_tells_what_was_evaluated_on_what(
    phantoms: Path, segmenter: Path, tmp_path: Path
) -> None:
    result = evaluate(CONFIG, phantoms, segmenter, tmp_path)

    report = EvaluationReport.model_validate_json(result.files["evaluation"].read_text())
    assert report.checkpoint_sha256 == read_info(segmenter).sha256
    assert report.dataset_digest == Manifest.load(phantoms).digest
    assert report.distance_unit == "pixel"
    assert result.metrics["dice"] == report.mean["dice"].mean


def test_validation_during_training_and_evaluation_agree(phantoms: Path, tmp_path: Path) -> None:
    trained = finetune(finetune_config(epochs=4, optimizer={"lr": 5e-3}), phantoms, tmp_path / "t")
    assert trained.checkpoint is not None

    config = CONFIG.model_copy(update={"split": "validation"})
    result = evaluate(config, phantoms, trained.checkpoint, tmp_path / "e")

    # only the grid differs: 32 pixels in training, the image's own 48 here
    assert result.metrics["dice"] == pytest.approx(trained.metrics["validation/dice"], abs=0.1)


def test_every_case_is_told_and_a_picture_drawn(
    phantoms: Path, segmenter: Path, tmp_path: Path
) -> None:
    listener = Recorder()

    evaluate(CONFIG, phantoms, segmenter, tmp_path, listener)

    done = [(event.done, event.total) for event in listener.of(CaseEvaluated)]
    assert done == [(number, len(done)) for number in range(1, len(done) + 1)]
    with Image.open(listener.of(Picture)[0].path) as picture:
        assert picture.format == "PNG"


def test_a_split_without_labels_is_refused(phantoms: Path, segmenter: Path, tmp_path: Path) -> None:
    manifest = Manifest.load(phantoms)
    cases = tuple(case.model_copy(update={"split": "train"}) for case in manifest.cases)
    data = tmp_path / "data"
    data.mkdir()
    manifest.model_copy(update={"cases": cases}).save(data)

    with pytest.raises(EmptyDataset, match="test split"):
        evaluate(CONFIG, data, segmenter, tmp_path / "out")


@pytest.mark.parametrize(
    ("field", "value"), [("channels", 3), ("label_names", ("background", "polyp"))]
)
def test_a_data_set_of_other_channels_or_labels_is_refused(
    field: str, value: object, phantoms: Path, segmenter: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    Manifest.load(phantoms).model_copy(update={field: value}).save(data)

    with pytest.raises(GeometryMismatch, match="the data set has"):
        evaluate(CONFIG, data, segmenter, tmp_path / "out")


def test_it_stops_when_asked(phantoms: Path, segmenter: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled, match="after 0 of"):
        evaluate(CONFIG, phantoms, segmenter, tmp_path, Recorder(stop_at=0))
