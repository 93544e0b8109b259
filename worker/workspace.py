"""The scratch folder of one attempt: always removed, and never another attempt's."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

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
        return cls(scratch / "jobs" / f"{fence.job_id}-e{fence.epoch}", scratch / "datasets")

    @property
    def out(self) -> Path:
        """Folder of the run itself."""
        return self.folder / "out"

    @property
    def init(self) -> Path:
        """Checkpoint folder of the model that the run starts from or evaluates."""
        return self.folder / "init"

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
