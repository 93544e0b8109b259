"""The folder of a run's checkpoints."""

from pathlib import Path

import pytest

from amlp.checkpoint import (
    CheckpointInfo,
    best_checkpoint,
    damaged_checkpoints,
    find_checkpoint,
    list_checkpoints,
    prune_checkpoints,
    set_aside,
    write_checkpoint,
)
from amlp.errors import CheckpointError


@pytest.fixture
def folder(tmp_path: Path, info: CheckpointInfo) -> Path:
    """Five checkpoints; the second is the best, the fourth as good."""
    checkpoints = tmp_path / "checkpoints"
    for step, score in enumerate((0.1, 0.9, 0.3, 0.9, 0.5), start=1):
        values = {"step": step, "metrics": {"dice": score}}
        write_checkpoint(checkpoints, info.model_copy(update=values), weights={}, state={})
    return checkpoints


def test_they_are_listed_oldest_first(folder: Path) -> None:
    assert [path.name[-1] for path in list_checkpoints(folder)] == ["1", "2", "3", "4", "5"]


def test_no_folder_has_no_checkpoints(tmp_path: Path) -> None:
    assert list_checkpoints(tmp_path / "nowhere") == []


def test_the_earliest_of_the_best_is_the_best(folder: Path) -> None:
    best = best_checkpoint(folder, "dice")

    assert best is not None
    assert best.name == "step-00000002"


def test_there_is_no_best_by_an_unknown_metric(folder: Path) -> None:
    assert best_checkpoint(folder, "accuracy") is None


def test_the_last_three_and_the_best_are_kept(folder: Path) -> None:
    (folder / ".writing-abandoned").mkdir()

    prune_checkpoints(folder, metric="dice")

    assert [path.name[-1] for path in sorted(folder.iterdir())] == ["2", "3", "4", "5"]


def test_the_last_of_an_epochs_end_outlives_stops(folder: Path, info: CheckpointInfo) -> None:
    for step in (6, 7, 8):
        values = {"step": step, "metrics": {}}
        write_checkpoint(folder, info.model_copy(update=values), weights={}, state={})

    prune_checkpoints(folder, metric=None)

    assert [path.name[-1] for path in list_checkpoints(folder)] == ["5", "6", "7", "8"]


def test_a_damaged_one_is_no_longer_listed(folder: Path) -> None:
    set_aside(list_checkpoints(folder)[-1])

    assert len(list_checkpoints(folder)) == 4
    assert [path.name for path in damaged_checkpoints(folder)] == ["damaged-step-00000005"]


def test_setting_aside_twice_is_harmless(folder: Path) -> None:
    last = list_checkpoints(folder)[-1]

    set_aside(last)
    set_aside(last)

    assert len(list_checkpoints(folder)) == 4


def test_a_run_means_its_best_or_newest_checkpoint(folder: Path) -> None:
    itself = list_checkpoints(folder)[0]

    assert find_checkpoint(itself) == itself
    assert find_checkpoint(folder.parent, metric="dice").name == "step-00000002"
    assert find_checkpoint(folder.parent, metric="none").name == "step-00000005"


def test_a_folder_without_checkpoints_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a checkpoint nor a run"):
        find_checkpoint(tmp_path)
