"""Data sets on a worker's disk, kept under their digest for the next jobs, within a size.

Every file's sha256 is checked when it is fetched. A data set that any process of this machine works
on is locked, and the lock ends with the process.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from amlp.errors import DataError
from amlp.manifest import MANIFEST_NAME, Manifest
from service.datasets.tables import DatasetVersion
from service.errors import NotFound
from service.storage import Storage

_FETCHING, _EVICTED = ".fetching-", ".evicted-"
_ABANDONED_SECONDS = 6 * 3600.0


class DatasetCache:
    """A folder of data sets, the least recently used of which goes first.

    Args:
        folder: the cache; processes may share it.
        max_bytes: what the data sets that nobody works on may take, the newest aside.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    @contextmanager
    def hold(self, storage: Storage, version: DatasetVersion) -> Iterator[Path]:
        """Yield the folder of a data set version, fetched unless it is here; it stays meanwhile.

        Raises:
            DataError: a stored file is gone or is not what the manifest says.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = self._folder / version.digest.removeprefix("sha256:")
        while (lock := _lock(folder, fcntl.LOCK_SH)) is None:
            self._fetch(storage, version, folder)
        try:
            os.utime(folder)  # the time of the last use
            self._evict()
            yield folder
        finally:
            os.close(lock)

    def _fetch(self, storage: Storage, version: DatasetVersion, folder: Path) -> None:
        temporary = Path(tempfile.mkdtemp(prefix=_FETCHING, dir=self._folder))
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

    def _evict(self) -> None:
        """Remove what exceeds the size, and what killed processes left behind."""
        kept = 0
        for path in sorted(self._folder.iterdir(), key=_used_at, reverse=True):
            if path.name.startswith((_FETCHING, _EVICTED)):
                if time.time() - _used_at(path) > _ABANDONED_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)
                continue
            num_bytes = _num_bytes(path)
            if kept + num_bytes <= self._max_bytes or not _remove_unless_held(path):
                kept += num_bytes


def _remove_unless_held(folder: Path) -> bool:
    lock = _lock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if lock is None:
        return False
    evicted = folder.with_name(f"{_EVICTED}{folder.name}")
    try:
        folder.rename(evicted)  # whoever waits for the lock sees that it is gone
    finally:
        os.close(lock)
    shutil.rmtree(evicted, ignore_errors=True)
    return True


def _lock(folder: Path, how: int) -> int | None:
    """Return a descriptor that holds the lock of `folder`; None if others hold it or it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, how)
        if os.path.samestat(os.fstat(descriptor), folder.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def _used_at(path: Path) -> float:
    with suppress(FileNotFoundError):  # another process has just removed it
        return path.stat().st_mtime
    return 0.0


def _num_bytes(folder: Path) -> int:
    sizes = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            sizes += path.stat().st_size
    return sizes


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
