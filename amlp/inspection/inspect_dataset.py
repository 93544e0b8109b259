"""Verb 5: see a data set as masked patch selection sees it, before a run is spent on it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from amlp.config import MaskedPatchSelectionConfig, PretrainConfig
from amlp.data import Dataset, Slices, read_slices, resize_images, resize_label_maps
from amlp.engine import Tile, cached_dataset, processes
from amlp.errors import Cancelled, ConfigError, EmptyDataset
from amlp.events import CaseEvaluated, Listener, Picture, SilentListener
from amlp.inspection.gathering import Gathering
from amlp.inspection.pages import picture_row, write_pages
from amlp.inspection.report import InspectionReport
from amlp.inspection.summary import summarize
from amlp.manifest import Case, Split
from amlp.masking import build_clustering

REPORT_NAME = "inspect.json"


def inspect_dataset(
    config: PretrainConfig,
    data: Path,
    out: Path,
    listener: Listener | None = None,
    *,
    split: Split | None = None,
    num_pictures: int = 24,
) -> InspectionReport:
    """Write `inspect.json` and pages of pictures into `out` and return the report.

    Args:
        config: a pretraining run, of which image and patch size, clustering and seed matter.
        data: data set folder, labelled or not.
        out: folder to write into.
        listener: hears the progress.
        split: inspect this split only; leaks between splits are seen only without it.
        num_pictures: images on the pages, evenly spread over the cases.

    Raises:
        ConfigError: the masking strategy has no clustering.
        EmptyDataset: there is no image with any contrast.
        Cancelled: the listener asked to stop.
    """
    listener = listener or SilentListener()
    masking = _clustered(config)
    out.mkdir(parents=True, exist_ok=True)
    with processes() as team:
        dataset = cached_dataset(data, out, processes=team, listener=listener)
    cases = [case for case in dataset.manifest.cases if split in {None, case.split}]
    gathered = Gathering(config, build_clustering(masking.clustering, config.patch_size))
    for done, case in enumerate(cases):
        if listener.should_stop():
            raise Cancelled(f"stopped after {done} of {len(cases)} cases as asked")
        gathered.add(_slices(dataset, case))
        listener.on_event(CaseEvaluated(done + 1, len(cases), {}))
    if not gathered.whole:
        raise EmptyDataset(f"none of the {len(cases)} cases holds an image with any contrast")
    digest = dataset.manifest.digest
    report = summarize(gathered, cases, clustering=masking.clustering, dataset_digest=digest)
    (out / REPORT_NAME).write_text(report.model_dump_json(indent=1))
    shown = [cases[index] for index in _spread(len(cases), num_pictures)]
    rows = [_row(config, masking, dataset, case=case) for case in shown]
    for path in write_pages(out, rows, [f"{case.case_id} ({case.split})" for case in shown]):
        listener.on_event(Picture(0, 0, "inspection", path))
    return report


def _clustered(config: PretrainConfig) -> MaskedPatchSelectionConfig:
    if isinstance(config.masking, MaskedPatchSelectionConfig):
        return config.masking
    raise ConfigError(
        f"masking.strategy {config.masking.strategy} has no clustering to look at, "
        "expected masked_patch_selection"
    )


def _slices(dataset: Dataset, case: Case) -> Slices:
    return read_slices(dataset, case, labelled=case.mask is not None)


def _spread(count: int, num_shown: int) -> list[int]:
    """Return up to `num_shown` of the positions 0 .. count - 1, evenly spread."""
    spread = np.linspace(0, count - 1, min(num_shown, count)).round().astype(int)
    positions: list[int] = np.unique(spread).tolist()
    return positions


def _row(
    config: PretrainConfig,
    masking: MaskedPatchSelectionConfig,
    dataset: Dataset,
    *,
    case: Case,
) -> Sequence[Tile]:
    """Return the tiles of a case's middle slice."""
    slices = _slices(dataset, case)
    size = (config.image_size, config.image_size)
    middle = slice(len(slices.images) // 2, len(slices.images) // 2 + 1)
    image = resize_images(slices.images[middle].float(), size)[0]
    mask = None if slices.masks is None else resize_label_maps(slices.masks[middle], size)[0]
    return picture_row(image, mask, config=masking, patch_size=config.patch_size)
