"""The scratch folder of one attempt, removed at its end, and never another attempt's."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import select

from service.database import Database
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.settings import Settings


@dataclass(frozen=True)
class Workspace:
    """Where an attempt keeps its files; `datasets` is shared by all jobs of the machine."""

    folder: Path
    datasets: Path

    @classmethod
    def of(cls, settings: Settings, fence: Fence) -> Self:
        """Return the workspace of an attempt, whether or not it exists."""
        scratch = settings.data_dir.resolve() / "scratch"
        return cls(scratch / "jobs" / _folder_name(fence), scratch / "datasets")

    @property
    def out(self) -> Path:
        """Folder of the run itself."""
        return self.folder / "out"

    @property
    def init(self) -> Path:
        """Checkpoint folder of the model that the run starts from or evaluates."""
        return self.folder / "init"

    @property
    def stacks(self) -> Path:
        """File to which the training process writes its stacks when it is asked."""
        return self.folder / "stacks.txt"

    @property
    def outcome(self) -> Path:
        """File that the training process leaves at its end."""
        return self.folder / "outcome.json"


@contextmanager
def open_workspace(settings: Settings, fence: Fence) -> Iterator[Workspace]:
    """Yield an empty workspace and remove it after the block."""
    workspace = Workspace.of(settings, fence)
    shutil.rmtree(workspace.folder, ignore_errors=True)
    workspace.out.mkdir(parents=True, mode=0o700)
    try:
        yield workspace
    finally:
        shutil.rmtree(workspace.folder, ignore_errors=True)


def sweep_workspaces(database: Database, settings: Settings) -> None:
    """Remove the workspaces of attempts that are over: a killed worker leaves its own behind."""
    folders = Workspace.of(settings, Fence("any", 0)).folder.parent
    present = list(folders.iterdir()) if folders.is_dir() else []
    if not present:
        return
    with database.read() as session:
        rows = session.execute(
            select(Job.id, Job.epoch).where(Job.state.in_(("RUNNING", "CANCELLING")))
        )
        current = {_folder_name(Fence(row.id, row.epoch)) for row in rows}
    for folder in present:
        if folder.name not in current:
            shutil.rmtree(folder, ignore_errors=True)


def _folder_name(fence: Fence) -> str:
    return f"{fence.job_id}-e{fence.epoch}"
