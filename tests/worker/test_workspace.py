"""The scratch folder of an attempt."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.resources import Resources
from service.settings import Settings
from worker.workspace import Workspace, open_workspace, sweep_workspaces


def test_workspace_is_empty_at_first_and_gone_afterwards(tmp_path: Path) -> None:
    settings, fence = Settings(data_dir=tmp_path), Fence("job_1", 1)

    for _ in range(2):
        with open_workspace(settings, fence) as workspace:
            before = list(workspace.out.iterdir())
            (workspace.out / "file").touch()
        assert before == []
        assert not workspace.folder.exists()


def test_workspace_is_gone_after_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="broken"),
        open_workspace(Settings(data_dir=tmp_path), Fence("job_1", 1)) as workspace,
    ):
        raise ValueError("broken")

    assert not workspace.folder.exists()


def test_attempts_have_workspaces_of_their_own(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)

    with (
        open_workspace(settings, Fence("job_1", 1)) as first,
        open_workspace(settings, Fence("job_1", 2)) as second,
    ):
        assert first.folder != second.folder


def test_only_workspaces_of_attempts_under_way_survive_a_sweep(
    worker_resources: Resources, submit: Callable[..., Job], claim: Callable[[], Fence]
) -> None:
    settings = worker_resources.settings
    submit()
    current = claim()
    former, unknown = Fence(current.job_id, current.epoch - 1), Fence("job_0", 1)
    folders = [Workspace.of(settings, fence).folder for fence in (current, former, unknown)]
    for folder in folders:
        folder.mkdir(parents=True)

    sweep_workspaces(worker_resources.database, settings)

    assert [folder.exists() for folder in folders] == [True, False, False]
