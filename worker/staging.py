"""Files from storage to where a run can read them: data set, former checkpoints, a model.

Data sets are kept for the machine's next jobs, under their digest; every file's sha256 is checked
when it is fetched.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from amlp.errors import Cancelled, CheckpointError, DataError
from amlp.manifest import MANIFEST_NAME, Manifest
from service.datasets.tables import DatasetVersion
from service.errors import NotFound
from service.jobs.recording import checkpoints
from service.jobs.tables import Job
from service.jobs.transition import Fence
from service.models.tables import ModelVersion
from service.resources import Resources
from service.storage import Storage
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


def stage(resources: Resources, fence: Fence) -> Staged:
    """Bring everything an attempt needs into its workspace.

    Raises:
        Cancelled: the job has passed to another attempt.
        DataError: the data set's stored files are not what its manifest says.
        CheckpointError: the stored model is gone.
    """
    storage, workspace = resources.storage, Workspace.of(resources.settings, fence)
    with resources.database.read() as session:
        job = session.get(Job, fence.job_id)
        if job is None or job.epoch != fence.epoch:
            raise Cancelled(f"job {fence.job_id} has passed to another attempt")
        version = session.get_one(DatasetVersion, job.dataset_version_id)
        model_id = job.base_model_version_id
        model = None if model_id is None else session.get_one(ModelVersion, model_id)
        former = checkpoints(session, fence.job_id)
    data = fetch_dataset(storage, version, workspace.datasets)
    for artifact in former:
        target = workspace.out / _CHECKPOINTS_NAME / artifact.name
        if not target.exists():  # attempts may have written the same step
            _fetch_folder(storage, artifact.key, target)
    if model is not None and not _fetch_folder(storage, model.key, workspace.init):
        raise CheckpointError(f"the stored files of {model.name}@{model.number} are gone")
    return Staged(job.spec["config"], data, workspace.out, workspace.init if model else None)


def fetch_dataset(storage: Storage, version: DatasetVersion, cache: Path) -> Path:
    """Return the folder of a data set version, fetched unless this machine has it.

    Raises:
        DataError: a stored file is gone or is not what the manifest says.
    """
    folder = cache / version.digest.removeprefix("sha256:")
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = Path(tempfile.mkdtemp(prefix=".fetching-", dir=cache))
    try:
        _fetch_cases(storage, version, temporary)
        temporary.rename(folder)
    except NotFound as error:
        raise DataError(f"a stored file of data set version {version.id} is gone") from error
    except OSError:
        if not folder.is_dir():  # unless another job fetched the same data set meanwhile
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _fetch_cases(storage: Storage, version: DatasetVersion, folder: Path) -> None:
    storage.get_file(version.manifest_key, folder / MANIFEST_NAME)
    manifest = Manifest.load(folder)
    if manifest.digest != version.digest:
        raise DataError(
            f"the stored manifest has digest {manifest.digest[:19]}…, "
            f"expected {version.digest[:19]}…"
        )
    for case in manifest.cases:
        _fetch_file(storage, version, case.image, folder, sha256=case.image_sha256)
        if case.mask is not None:
            _fetch_file(storage, version, case.mask, folder, sha256=case.mask_sha256)


def _fetch_file(
    storage: Storage, version: DatasetVersion, name: str, folder: Path, *, sha256: str | None
) -> None:
    path = folder / name
    if path.exists():  # equal files of several cases are stored once
        return
    storage.get_file(f"datasets/{version.dataset_id}/{name}", path)
    with path.open("rb") as file:
        seen = hashlib.file_digest(file, "sha256").hexdigest()
    if seen != sha256:
        raise DataError(f"a stored file has sha256 {seen[:12]}…, expected {str(sha256)[:12]}…")


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
