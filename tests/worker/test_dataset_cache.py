"""Data sets from storage, checked file by file, kept by digest and within a size."""

import os
from pathlib import Path

import pytest

from amlp.errors import DataError
from amlp.manifest import Manifest
from service.datasets.tables import DatasetVersion
from service.resources import Resources
from worker.dataset_cache import DatasetCache


def fetch(resources: Resources, version: DatasetVersion, tmp_path: Path, max_mb: int = 100) -> Path:
    cache = DatasetCache(tmp_path / "cache", max_bytes=max_mb * 10**6)
    with cache.hold(resources.storage, version) as folder:
        return folder


def put_by(tmp_path: Path, name: str, *, used_at: float, megabytes: int = 10) -> Path:
    """Put a data set into the cache as if it had been used before."""
    folder = tmp_path / "cache" / name
    (folder / "files").mkdir(parents=True)
    (folder / "files" / "image").write_bytes(bytes(megabytes * 10**6))
    os.utime(folder, (used_at, used_at))
    return folder


def test_fetched_data_set_is_the_stored_one(
    worker_resources: Resources, dataset_version: DatasetVersion, tmp_path: Path
) -> None:
    folder = fetch(worker_resources, dataset_version, tmp_path)

    manifest = Manifest.load(folder)
    assert manifest.digest == dataset_version.digest
    assert all((folder / case.image).is_file() for case in manifest.cases)


def test_data_set_is_fetched_once(
    worker_resources: Resources, dataset_version: DatasetVersion, tmp_path: Path
) -> None:
    first = fetch(worker_resources, dataset_version, tmp_path)
    worker_resources.storage.delete(worker_resources.storage.keys("datasets"))

    second = fetch(worker_resources, dataset_version, tmp_path)

    assert second == first


def test_changed_file_is_refused_and_nothing_is_kept(
    worker_resources: Resources, dataset_version: DatasetVersion, phantoms: Path, tmp_path: Path
) -> None:
    image = Manifest.load(phantoms).cases[0].image
    worker_resources.storage.put_bytes(f"datasets/ds_1/{image}", b"changed")

    with pytest.raises(DataError, match="expected"):
        fetch(worker_resources, dataset_version, tmp_path)

    assert list((tmp_path / "cache").iterdir()) == []


def test_missing_file_is_refused(
    worker_resources: Resources, dataset_version: DatasetVersion, phantoms: Path, tmp_path: Path
) -> None:
    image = Manifest.load(phantoms).cases[0].image
    worker_resources.storage.delete([f"datasets/ds_1/{image}"])

    with pytest.raises(DataError, match="is gone"):
        fetch(worker_resources, dataset_version, tmp_path)


def test_manifest_of_another_digest_is_refused(
    worker_resources: Resources, dataset_version: DatasetVersion, tmp_path: Path
) -> None:
    dataset_version.digest = "sha256:" + "0" * 64

    with pytest.raises(DataError, match="digest"):
        fetch(worker_resources, dataset_version, tmp_path)


def test_least_recently_used_data_sets_make_room(
    worker_resources: Resources, dataset_version: DatasetVersion, tmp_path: Path
) -> None:
    oldest = put_by(tmp_path, "a", used_at=1000.0)
    newer = put_by(tmp_path, "b", used_at=2000.0)

    wanted = fetch(worker_resources, dataset_version, tmp_path, max_mb=15)

    assert (oldest.exists(), newer.exists(), wanted.exists()) == (False, True, True)


def test_data_set_that_is_worked_on_stays_however_full_the_cache_is(
    worker_resources: Resources, dataset_version: DatasetVersion, tmp_path: Path
) -> None:
    cache = DatasetCache(tmp_path / "cache", max_bytes=0)

    with cache.hold(worker_resources.storage, dataset_version) as folder:
        fetch(worker_resources, dataset_version, tmp_path, max_mb=0)

        assert folder.exists()


def test_half_fetched_data_set_of_a_killed_process_is_removed(
    worker_resources: Resources, dataset_version: DatasetVersion, tmp_path: Path
) -> None:
    left = put_by(tmp_path, ".fetching-x", used_at=1000.0)

    fetch(worker_resources, dataset_version, tmp_path)

    assert not left.exists()


def test_data_set_evicted_while_one_waits_for_it_is_fetched_again(
    worker_resources: Resources, dataset_version: DatasetVersion, tmp_path: Path
) -> None:
    folder = fetch(worker_resources, dataset_version, tmp_path)
    folder.rename(folder.with_name(".evicted-x"))

    assert (fetch(worker_resources, dataset_version, tmp_path) / "manifest.json").is_file()
