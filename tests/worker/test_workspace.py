"""The scratch folder of an attempt."""

from pathlib import Path

import pytest

from service.jobs.transition import Fence
from service.settings import Settings
from worker.workspace import open_workspace


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
