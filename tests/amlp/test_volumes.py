"""Volumes with spacing, through training, evaluation and prediction."""

from pathlib import Path

import numpy as np
import pytest

from amlp.config import EvaluateConfig
from amlp.evaluate import evaluate
from amlp.finetune import finetune
from amlp.imageio import LabelMap, MedicalImage, read_label_map, write_canonical, write_label_map
from amlp.manifest import SPLITS, Case, Manifest
from amlp.metrics import EvaluationReport
from amlp.predict import predict
from tests.tiny_runs import Recorder, finetune_config

SPACING = (3.0, 0.5, 0.5)


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Six volumes of two channels, each with a bright cuboid as lesion."""
    folder = tmp_path / "volumes"
    folder.mkdir()
    cases = []
    for number in range(6):
        generator = np.random.default_rng(number)
        pixels = generator.normal(size=(2, 4, 40, 36)).astype(np.float32)
        labels = np.zeros((4, 40, 36), dtype=np.uint8)
        labels[1:3, 10 + number : 24 + number, 8:22] = 1
        pixels += 4 * labels
        image = write_canonical(MedicalImage(pixels, spacing_mm=SPACING), folder, f"i{number}")
        mask = write_label_map(LabelMap(labels, spacing_mm=SPACING), folder, f"m{number}")
        case = Case(
            case_id=f"volume{number}",
            patient=f"patient{number}",
            split=SPLITS[max(0, number - 3)],
            image=image.name,
            image_sha256="",
            mask=mask.name,
            num_slices=4,
            height=40,
            width=36,
            spacing_mm=SPACING,
            labels=(1,),
        )
        cases.append(case)
    Manifest(name="volumes", channels=2, cases=tuple(cases)).save(folder)
    return folder


@pytest.mark.parametrize("mode", ["resize", "sliding_window"])
def test_slices_train_and_whole_volumes_are_scored_in_mm(
    mode: str, volumes: Path, tmp_path: Path
) -> None:
    config = finetune_config(epochs=8, inference={"mode": mode}, optimizer={"lr": 5e-3})

    segmenter = finetune(config, volumes, tmp_path / "seg").checkpoint
    assert segmenter is not None
    evaluated = evaluate(EvaluateConfig(), volumes, segmenter, tmp_path / "eval", Recorder())
    predicted = predict(segmenter, [volumes / "i5.nii.gz"], tmp_path / "out")

    report = EvaluationReport.model_validate_json(evaluated.files["evaluation"].read_text())
    assert report.distance_unit == "mm"
    assert len(report.cases) == 1
    assert evaluated.metrics["dice"] > 0.5
    found = read_label_map(predicted.files["i5"])
    assert found.values.shape == (4, 40, 36)
    assert found.spacing_mm == SPACING
