"""Verb 3: how good a segmenter is, case by case, on the images' own grid."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from amlp.checkpoint import find_checkpoint
from amlp.config import EvaluateConfig
from amlp.data import Dataset, largest_lesion_slice
from amlp.engine import RunResult, Tile, cached_dataset, histogram_tile, processes, write_sheet
from amlp.errors import Cancelled, EmptyDataset, GeometryMismatch
from amlp.events import CaseEvaluated, Listener, Picture, SilentListener
from amlp.imageio import MedicalImage, draw_overlay, read_image, read_label_map
from amlp.inference import Predictor
from amlp.manifest import Case, Manifest
from amlp.metrics import CaseScores, EvaluationReport, flat_means, score_case, summarize_cases

_REPORT_NAME = "evaluation.json"
_PICTURE_NAME = "evaluation.png"


def evaluate(
    config: EvaluateConfig,
    data: Path,
    model: Path,
    out: Path,
    listener: Listener | None = None,
) -> RunResult:
    """Evaluate a segmenter on one split; write `evaluation.json` and a picture into `out`.

    Args:
        config: split, intervals, batch size.
        data: data set folder.
        model: a segmenter's checkpoint, or a run folder.
        out: the run's folder.
        listener: hears the run's events.

    Raises:
        EmptyDataset: the split has no labelled case.
        GeometryMismatch: the data set's channels or labels are not the segmenter's.
        CheckpointError: the checkpoint is damaged, or no segmenter.
        Cancelled: the listener asked to stop.
    """
    listener = listener or SilentListener()
    out.mkdir(parents=True, exist_ok=True)
    predictor = Predictor.load(find_checkpoint(model))
    with processes() as team:
        dataset = cached_dataset(data, out, processes=team, listener=listener)
    cases = dataset.manifest.of_split(config.split, labelled=True)
    if not cases:
        raise EmptyDataset(f"no case of the {config.split} split has a label map")
    _check_fits(predictor, dataset.manifest)
    scores = _score(predictor, dataset, cases, config=config, listener=listener)
    mean, classes = summarize_cases(scores, config)
    report = EvaluationReport(
        checkpoint_sha256=predictor.info.sha256,
        dataset_digest=dataset.manifest.digest,
        split=config.split,
        confidence=config.confidence,
        distance_unit="mm" if _spacing_is_known(cases) else "pixel",
        mean=mean,
        classes=classes,
        cases=tuple(scores),
    )
    (out / _REPORT_NAME).write_text(report.model_dump_json(indent=1))
    _draw(out / _PICTURE_NAME, predictor, dataset, scores=scores)
    listener.on_event(Picture(0, 0, "evaluation", out / _PICTURE_NAME))
    files = {"evaluation": out / _REPORT_NAME, "picture": out / _PICTURE_NAME}
    return RunResult(None, flat_means(mean, classes), files)


def _check_fits(predictor: Predictor, manifest: Manifest) -> None:
    if predictor.channels != manifest.channels:
        raise GeometryMismatch(
            f"the data set has {manifest.channels} channels, the segmenter {predictor.channels}"
        )
    if predictor.label_names != manifest.label_names:
        raise GeometryMismatch(
            f"the data set has labels {manifest.label_names}, the segmenter {predictor.label_names}"
        )


def _score(
    predictor: Predictor,
    dataset: Dataset,
    cases: Sequence[Case],
    *,
    config: EvaluateConfig,
    listener: Listener,
) -> list[CaseScores]:
    in_mm = _spacing_is_known(cases)
    scores: list[CaseScores] = []
    for group in _groups(cases, config.batch_size):
        if listener.should_stop():
            raise Cancelled(f"stopped after {len(scores)} of {len(cases)} cases as asked")
        images = [read_image(dataset.root / case.image) for case in group]
        predictions = predictor.predict(images, batch_size=config.batch_size)
        for case, prediction in zip(group, predictions, strict=True):
            classes = score_case(
                torch.from_numpy(prediction.label_map),
                torch.from_numpy(_truth(dataset, case)),
                label_names=predictor.label_names,
                spacing_mm=case.spacing_mm if in_mm else None,
            )
            scores.append(CaseScores(case_id=case.case_id, patient=case.patient, classes=classes))
            dice = scores[-1].mean("dice")
            listener.on_event(CaseEvaluated(len(scores), len(cases), {"dice": dice}))
    return scores


def _groups(cases: Sequence[Case], num_slices: int) -> Iterator[list[Case]]:
    """Yield runs of cases of at least `num_slices` slices, so that few volumes are held at once."""
    group: list[Case] = []
    for case in cases:
        group.append(case)
        if sum(member.num_slices for member in group) >= num_slices:
            yield group
            group = []
    if group:
        yield group


def _truth(dataset: Dataset, case: Case) -> np.ndarray:
    if case.mask is None:
        raise EmptyDataset(f"case {case.case_id} has no label map")
    num_classes = dataset.manifest.num_classes
    values = read_label_map(dataset.root / case.mask, num_classes=num_classes).values
    return np.array(values, order="C")  # torch wants to own what it is given


def _spacing_is_known(cases: Sequence[Case]) -> bool:
    return all(case.spacing_mm is not None for case in cases)


def _draw(
    path: Path, predictor: Predictor, dataset: Dataset, *, scores: Sequence[CaseScores]
) -> None:
    """Draw the worst, the median and the best case, with the histogram of Dice."""
    ranked = sorted(scores, key=lambda score: score.mean("dice"))
    chosen = {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]}
    by_id = {case.case_id: case for case in dataset.manifest.cases}
    histogram = histogram_tile([score.mean("dice") for score in scores])
    blank = np.full_like(histogram, 255)
    rows: list[list[Tile]] = []
    captions = []
    for rank, score in chosen.items():
        image, truth = largest_lesion_slice(dataset, by_id[score.case_id])
        prediction = predictor.predict([MedicalImage(image[:, None])])[0]
        shown = (np.zeros_like(truth), truth, prediction.label_map[0])
        overlays = [draw_overlay(image, label_map) for label_map in shown]
        rows.append([*overlays, blank if rows else histogram])
        captions.append(f"{rank}: Dice {score.mean('dice'):.3f}")
    titles = ("input", "truth", "prediction", "Dice of all cases")
    write_sheet(path, rows, titles=titles, captions=captions)
