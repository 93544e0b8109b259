"""A run's folder: continuing from what is in it."""

from pathlib import Path

import pytest
import torch
from torch import nn

from amlp.checkpoint import Architecture, CheckpointInfo, list_checkpoints
from amlp.config import EncoderConfig
from amlp.engine import RunFolder
from amlp.errors import CheckpointError
from amlp.events import CheckpointWritten, Event, Note


def _info(**values: object) -> CheckpointInfo:
    encoder = EncoderConfig(embed_dim=12, depth=1, num_heads=1)
    given = {
        "kind": "pretrained",
        "step": 0,
        "epoch": 0,
        "config": {"seed": 0},
        "architecture": Architecture(image_size=16, patch_size=8, channels=1, encoder=encoder),
        "dataset_digest": "sha256:data",
        "seed": 0,
        "versions": {},
    }
    return CheckpointInfo(**{**given, **values})  # type: ignore[arg-type]


def _folder(out: Path, events: list[Event] | None = None, **values: object) -> RunFolder:
    events = [] if events is None else events
    return RunFolder(out, _info(**values), best_metric="dice", emit=events.append)


def _write(folder: RunFolder, step: int, **metrics: float) -> None:
    weights = {"weight": torch.full((2, 3), float(step)), "bias": torch.zeros(2)}
    progress = {"step": step, "epoch": step, "metrics": metrics}
    folder.write(weights=weights, state={"s": torch.tensor(step)}, progress=progress)


def test_an_empty_folder_has_nothing_to_continue_from(tmp_path: Path) -> None:
    assert _folder(tmp_path).restore(nn.Linear(3, 2)) is None


def test_the_newest_checkpoint_is_continued_from(tmp_path: Path) -> None:
    folder, network = _folder(tmp_path), nn.Linear(3, 2)
    for step in (1, 2, 3):
        _write(folder, step)

    restored = folder.restore(network)

    assert restored is not None
    info, state = restored
    assert (info.step, int(state["s"])) == (3, 3)
    assert (network.weight == 3).all()


def test_damaged_checkpoints_are_passed_over_with_a_note_each(tmp_path: Path) -> None:
    events: list[Event] = []
    folder, network = _folder(tmp_path, events), nn.Linear(3, 2)
    for step in (1, 2, 3):
        _write(folder, step)
    for path in list_checkpoints(tmp_path / "checkpoints")[1:]:
        (path / "state.safetensors").write_bytes(b"rubbish")

    restored = folder.restore(network)

    assert restored is not None
    assert restored[0].step == 1
    notes = [event.message for event in events if isinstance(event, Note)]
    assert ["step-00000003" in notes[0], "step-00000002" in notes[1]] == [True, True]


def test_nothing_but_damage_is_an_error_every_time(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    _write(folder, 1)
    (tmp_path / "checkpoints" / "step-00000001" / "checkpoint.json").write_text("{")

    for _ in range(2):
        with pytest.raises(CheckpointError, match="all 1 checkpoints of the run are damaged"):
            folder.restore(nn.Linear(3, 2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"seed": 1}}, "other values of seed"),
        ({"dataset_digest": "sha256:other"}, "on data set sha256:data"),
    ],
)
def test_a_folder_of_another_run_is_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    _write(_folder(tmp_path), 1)

    with pytest.raises(CheckpointError, match=message):
        _folder(tmp_path, **change).restore(nn.Linear(3, 2))


def test_a_run_that_ended_is_extended_by_the_same_with_more_epochs(tmp_path: Path) -> None:
    events: list[Event] = []
    ended = {"seed": 0, "schedule": {"epochs": 4}}
    longer = {"seed": 0, "schedule": {"epochs": 6}}
    _write(_folder(tmp_path, config=ended), 4)

    restored = _folder(tmp_path, events, config=longer).restore(nn.Linear(3, 2))

    assert restored is not None
    assert restored[0].epoch == 4
    assert events == [Note("extends a run that ended after 4 epochs to 6")]


@pytest.mark.parametrize(
    ("step", "config"),
    [
        (3, {"seed": 0, "schedule": {"epochs": 6}}),
        (4, {"seed": 0, "schedule": {"epochs": 3}}),
        (4, {"seed": 0, "schedule": {"epochs": 6, "warmup_fraction": 0.5}}),
        (4, {"seed": 1, "schedule": {"epochs": 6}}),
    ],
    ids=["not ended", "fewer epochs", "another warm-up", "another seed"],
)
def test_any_other_difference_is_another_run(
    step: int, config: dict[str, object], tmp_path: Path
) -> None:
    _write(_folder(tmp_path, config={"seed": 0, "schedule": {"epochs": 4}}), step)

    with pytest.raises(CheckpointError, match="other values of"):
        _folder(tmp_path, config=config).restore(nn.Linear(3, 2))


def test_the_best_is_what_beats_all_before(tmp_path: Path) -> None:
    folder = _folder(tmp_path)

    assert folder.is_best({"dice": 0.1})
    _write(folder, 1, dice=0.5)
    assert folder.is_best({"dice": 0.6})
    assert not folder.is_best({"dice": 0.5})
    assert not folder.is_best({"loss": 0.0})


def test_a_checkpoint_is_told_with_its_digest(tmp_path: Path) -> None:
    events: list[Event] = []

    _write(_folder(tmp_path, events), 4, dice=0.5)

    written = events[0]
    assert isinstance(written, CheckpointWritten)
    assert (written.step, dict(written.metrics)) == (4, {"dice": 0.5})
    assert len(written.sha256) == 64
