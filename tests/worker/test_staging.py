"""Data sets from storage, checked file by file, kept by digest."""

from pathlib import Path

import pytest

from amlp.errors import DataError
from amlp.manifest import Manifest
from service.datasets.tables import DatasetVersion
from service.resources import Resources
from worker.staging import fetch_dataset


def test_fetched_data_set_is_the_stored_one(
    worker_resources: Resources, dataset_version: DatasetVersion, tmp_path: Path
) -> None:
    folder = fetch_dataset(worker_resources.storage, dataset_version, tmp_path / "cache")

    manifest = Manifest.load(folder)
    assert manifest.digest == dataset_version.digest
    assert all((folder / case.image).is_file() for case in manifest.cases)


def test_data_set_is_fetched_once(
    worker_resources: Resources, dataset_version: DatasetVersion, tmp_path: Path
) -> None:
    first = fetch_dataset(worker_resources.storage, dataset_version, tmp_path / "cache")
    worker_resources.storage.delete(worker_resources.storage.keys("datasets"))

    second = fetch_dataset(worker_resources.storage, dataset_version, tmp_path / "cache")

    assert second == first


def test_changed_file_is_refused_and_nothing_is_kept(
    worker_resources: Resources, dataset_version: DatasetVersion, phantoms: Path, tmp_path: Path
) -> None:
    image = Manifest.load(phantoms).cases[0].image
    worker_resources.storage.put_bytes(f"datasets/ds_1/{image}", b"changed")

    with pytest.raises(DataError, match="expected"):
        fetch_dataset(worker_resources.storage, dataset_version, tmp_path / "cache")

    assert list((tmp_path / "cache").iterdir()) == []


def test_missing_file_is_refused(
    worker_resources: Resources, dataset_version: DatasetVersion, phantoms: Path, tmp_path: Path
) -> None:
    image = Manifest.load(phantoms).cases[0].image
    worker_resources.storage.delete([f"datasets/ds_1/{image}"])

    with pytest.raises(DataError, match="is gone"):
        fetch_dataset(worker_resources.storage, dataset_version, tmp_path / "cache")


def test_manifest_of_another_digest_is_refused(
    worker_resources: Resources, dataset_version: DatasetVersion, tmp_path: Path
) -> None:
    dataset_version.digest = "sha256:" + "0" * 64

    with pytest.raises(DataError, match="digest"):
        fetch_dataset(worker_resources.storage, dataset_version, tmp_path / "cache")
