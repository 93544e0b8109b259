"""The folder that collects a run's checkpoints: which are there, which to keep, which is best."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from amlp.checkpoint.info import INFO_NAME, read_info
from amlp.checkpoint.write import TEMPORARY_PREFIX
from amlp.errors import CheckpointError

CHECKPOINTS_NAME = "checkpoints"
DAMAGED_PREFIX = "damaged-"

_KEEP_LAST = 3


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoint folders of a run, oldest first; their contents are not checked."""
    return sorted(path for path in folder.glob("step-*") if path.is_dir())


def best_checkpoint(folder: Path, metric: str) -> Path | None:
    """Return the checkpoint with the largest `metric` (earliest of equals), None if none has it."""
    scores = {path: score for path in list_checkpoints(folder) if (score := _score(path, metric))}
    return max(scores, key=lambda path: scores[path], default=None)


def prune_checkpoints(folder: Path, *, metric: str | None) -> None:
    """Remove all but the last three checkpoints, the best, and the last of an epoch's end.

    Leftovers of broken writes go too.
    """
    keep = set(list_checkpoints(folder)[-_KEEP_LAST:])
    keep |= {path for path in [_last_of_epoch_end(folder)] if path is not None}
    if metric is not None and (best := best_checkpoint(folder, metric)) is not None:
        keep.add(best)
    for path in list_checkpoints(folder):
        if path not in keep:
            shutil.rmtree(path)
    for path in folder.glob(TEMPORARY_PREFIX + "*"):
        shutil.rmtree(path, ignore_errors=True)


def set_aside(path: Path) -> None:
    """Rename a damaged checkpoint so that it is kept for inspection but never loaded again."""
    target = path.with_name(DAMAGED_PREFIX + path.name)
    shutil.rmtree(target, ignore_errors=True)
    with suppress(FileNotFoundError):  # another process of the run may have been first
        path.replace(target)


def damaged_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints that were set aside."""
    return sorted(folder.glob(DAMAGED_PREFIX + "*"))


def find_checkpoint(path: Path, *, metric: str = "validation/dice") -> Path:
    """Return the checkpoint that `path` means: itself, or a run's best one, or its newest.

    Raises:
        CheckpointError: there is none.
    """
    if (path / INFO_NAME).is_file():
        return path
    folder = path / CHECKPOINTS_NAME if (path / CHECKPOINTS_NAME).is_dir() else path
    if best := best_checkpoint(folder, metric):
        return best
    if checkpoints := list_checkpoints(folder):
        return checkpoints[-1]
    raise CheckpointError(f"{path.name} is neither a checkpoint nor a run with checkpoints")


def _last_of_epoch_end(folder: Path) -> Path | None:
    """Return the newest checkpoint with metrics; one that was written at a stop has none."""
    return next((path for path in reversed(list_checkpoints(folder)) if _metrics(path)), None)


def _metrics(path: Path) -> Mapping[str, float]:
    try:
        return read_info(path).metrics
    except CheckpointError:
        return {}


def _score(path: Path, metric: str) -> tuple[float, int] | None:
    try:
        info = read_info(path)
    except CheckpointError:
        return None
    return (info.metrics[metric], -info.step) if metric in info.metrics else None
