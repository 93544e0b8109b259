"""Files from storage to where a run can read them: data set, former checkpoints, a model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from amlp.errors import Cancelled, CheckpointError
from service.datasets.tables import DatasetVersion
from service.jobs.recording import checkpoints
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.models.tables import ModelVersion
from service.resources import Resources
from service.storage import Storage
from worker.dataset_cache import DatasetCache
from worker.uploads import INFO_NAME
from worker.workspace import Workspace

_CHECKPOINTS_NAME = "checkpoints"


@dataclass(frozen=True)
class Staged:
    """What a verb is called with; `init` is the model it starts from or evaluates."""

    config: Mapping[str, Any]
    data: Path
    out: Path
    init: Path | None


@contextmanager
def stage(resources: Resources, fence: Fence) -> Iterator[Staged]:
    """Bring everything an attempt needs into its workspace; the data set stays for the block.

    Raises:
        Cancelled: the job has passed to another attempt.
        DataError: the data set's stored files are not what its manifest says.
        CheckpointError: the stored model, or the checkpoint of the extended job, is gone.
    """
    settings, storage = resources.settings, resources.storage
    workspace = Workspace.of(settings, fence)
    with resources.database.read() as session:
        job = session.get(Job, fence.job_id)
        if job is None or job.epoch != fence.epoch:
            raise Cancelled(f"job {fence.job_id} has passed to another attempt")
        version = session.get_one(DatasetVersion, job.dataset_version_id)
        model_id = job.base_model_version_id
        model = None if model_id is None else session.get_one(ModelVersion, model_id)
        former = [(one.key, one.name) for one in checkpoints(session, fence.job_id)]
        if continued := job.spec.get("continues"):
            former.append((continued["key"], continued["name"]))
    cache = DatasetCache(workspace.datasets, max_bytes=settings.dataset_cache_bytes)
    with cache.hold(storage, version) as data:
        _fetch_checkpoints(storage, former, workspace.out / _CHECKPOINTS_NAME)
        if model is not None and not _fetch_folder(storage, model.key, workspace.init):
            raise CheckpointError(f"the stored files of {model.name}@{model.number} are gone")
        init = workspace.init if model else None
        _check_continued(job.spec, workspace.out / _CHECKPOINTS_NAME)
        yield Staged(job.spec["config"], data, workspace.out, init)


def _fetch_checkpoints(storage: Storage, former: Sequence[tuple[str, str]], folder: Path) -> None:
    for key, name in former:
        target = folder / name
        if not target.exists():  # attempts may have written the same step
            _fetch_folder(storage, key, target)


def _check_continued(spec: Mapping[str, Any], folder: Path) -> None:
    """Refuse to begin an extension from zero."""
    if "continues" in spec and not folder.exists():
        raise CheckpointError("the stored checkpoint of the job that this one extends is gone")


def _fetch_folder(storage: Storage, key: str, folder: Path) -> bool:
    """Fetch the blobs below a key; `checkpoint.json`, stored last, proves that they are all there.

    Their digests are checked where the checkpoint is loaded.
    """
    names = [PurePosixPath(blob).name for blob in storage.keys(key)]
    if INFO_NAME not in names:
        return False
    for name in names:
        storage.get_file(f"{key}/{name}", folder / name)
    return True
