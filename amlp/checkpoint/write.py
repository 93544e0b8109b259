"""Writing a checkpoint so that a crash or a full disk at any moment leaves the former ones intact.

Parts go into a temporary folder beside the final one, each synced; `checkpoint.json` with their
digests comes last; then one rename makes the checkpoint appear.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from amlp.checkpoint.info import (
    INFO_NAME,
    STATE_NAME,
    WEIGHTS_NAME,
    CheckpointInfo,
    FileRecord,
    PartName,
)
from amlp.errors import StorageFull

TEMPORARY_PREFIX = ".writing-"

_FILE_MODE = (
    0o640  # mkdtemp's 0700 and 0600 would hide a shared volume's checkpoints from its group
)
_FOLDER_MODE = 0o750
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_checkpoint(
    folder: Path,
    info: CheckpointInfo,
    *,
    weights: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
) -> tuple[Path, CheckpointInfo]:
    """Write `folder/step-XXXXXXXX` and return it with its completed info.

    Raises:
        StorageFull: no space, quota or file size left; nothing of the attempt remains.
    """
    final = folder / f"step-{info.step:08d}"
    with _full_storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=folder))
        try:
            files: dict[PartName, FileRecord] = {
                WEIGHTS_NAME: _write(temporary / WEIGHTS_NAME, _serialise(weights)),
                STATE_NAME: _write(temporary / STATE_NAME, _serialise(state)),
            }
            completed = info.model_copy(update={"files": files})
            _write(temporary / INFO_NAME, completed.model_dump_json(indent=1).encode())
            temporary.chmod(_FOLDER_MODE)
            _sync_folder(temporary)
            _publish(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return final, completed


def _serialise(tensors: Mapping[str, Tensor]) -> bytes:
    return bytes(save({name: t.detach().cpu().contiguous() for name, t in tensors.items()}))


def _write(path: Path, content: bytes) -> FileRecord:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(_FILE_MODE)
    return FileRecord(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def _publish(temporary: Path, final: Path) -> None:
    if final.exists():  # a rename cannot replace a folder that is not empty
        shutil.rmtree(final)
    temporary.replace(final)
    _sync_folder(final.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _full_storage(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFull(
            f"no space left for a checkpoint in {folder.name} ({error.strerror}); "
            "the former checkpoints are intact"
        ) from error
